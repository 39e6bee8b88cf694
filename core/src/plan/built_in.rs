//! Scenarios that come with rackrate.

use super::scenario::Scenario;
use crate::error::Error;
use crate::input::read;

const BUILT_IN: [(&str, &str); 8] = [
    ("azure-trains-oci-serves", include_str!("../../data/scenarios/azure-trains-oci-serves.json")),
    ("llama3-405b-as-published", include_str!("../../data/scenarios/llama3-405b-as-published.json")),
    ("deepseek-v3-as-published", include_str!("../../data/scenarios/deepseek-v3-as-published.json")),
    ("serve-70b", include_str!("../../data/scenarios/serve-70b.json")),
    ("serve-100m-users", include_str!("../../data/scenarios/serve-100m-users.json")),
    ("fine-tune-8b", include_str!("../../data/scenarios/fine-tune-8b.json")),
    ("compute-optimal-70b", include_str!("../../data/scenarios/compute-optimal-70b.json")),
    ("budget-2m-8b", include_str!("../../data/scenarios/budget-2m-8b.json")),
];

/// The built-in scenarios, as they stand in `core/data/scenarios`.
///
/// # Errors
/// `Malformed` with the file's name; tests rule it out.
pub fn built_in() -> Result<Vec<Scenario>, Error> {
    BUILT_IN
        .iter()
        .map(|(name, text)| {
            let value = crate::json_text::parse(text)
                .map_err(|message| Error::Malformed { field: (*name).to_owned(), message })?;
            read(&value).map_err(|error: Error| error.within(name))
        })
        .collect()
}

/// The built-in scenario of this name.
///
/// # Errors
/// `UnknownName` with the nearest one that there is.
pub fn built_in_named(name: &str) -> Result<Scenario, Error> {
    let known = BUILT_IN.iter().map(|(known, _)| *known);
    built_in()?
        .into_iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| Error::unknown_name("scenario", "scenario", name, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn every_built_in_scenario_is_answered() {
        let scenarios = built_in().unwrap();
        for (scenario, (name, _)) in scenarios.iter().zip(BUILT_IN) {
            assert_eq!(scenario.name, name);
            let plan = crate::plan::plan(Catalog::embedded().unwrap(), scenario).unwrap();
            assert!(plan.training.is_none_or(|plan| plan.chosen.is_some()), "{name}");
            assert!(plan.serving.is_none_or(|plan| plan.chosen.is_some()), "{name}");
        }
    }
}
