//! What the reader should know: scales that nobody measured, prices that are missing or old, and where figures are from.

use super::report::{FigureSource, Plan, ServingPlan, Split, TrainingPlan};
use super::scenario::Scenario;
use crate::catalog::{Catalog, Source};
use crate::error::Error;
use crate::model::ModelRef;
use crate::quantity::Warning;

/// Largest training run with a published step time in the validation data: Llama 3 on 16,384 H100 (arXiv 2407.21783).
const LARGEST_MEASURED_RUN: u32 = 16_384;

/// Days after which a price counts as old.
const OLD_AFTER_DAYS: i64 = 90;

/// Warnings about the chosen options.
pub fn about(
    scenario: &Scenario,
    training: Option<&TrainingPlan>,
    serving: Option<&ServingPlan>,
    warnings: &mut Vec<Warning>,
) {
    if let (Some(plan), Some(job)) = (training, &scenario.training) {
        let chosen = plan.options.iter().find(|option| Some(&option.shape) == plan.chosen.as_ref());
        match chosen {
            None => warnings.push(Warning::new(
                "nothing_fits",
                "training",
                "no shape of the chosen cloud can do this training; see the reasons".to_owned(),
            )),
            Some(option) => {
                if option.gpus > LARGEST_MEASURED_RUN {
                    warnings.push(Warning::new(
                        "past_measured_scale",
                        &option.shape,
                        format!(
                            "{} GPUs: the largest run with a published step time has {LARGEST_MEASURED_RUN}",
                            option.gpus
                        ),
                    ));
                }
                if !option.meets_deadline {
                    warnings.push(Warning::new(
                        "deadline_missed",
                        "training.deadline_days",
                        format!("takes {:.1} days", option.days),
                    ));
                }
                warnings.extend(option.warnings.iter().cloned());
            }
        }
        let asked = job.global_batch_tokens;
        let taken = f64::from(plan.global_batch) * f64::from(job.sequence_length);
        if let Some(asked) = asked.filter(|asked| (asked - taken).abs() > 0.5) {
            warnings.push(Warning::new(
                "global_batch_rounded",
                "training.global_batch_tokens",
                format!("{asked} tokens are taken as {} sequences, {taken} tokens", plan.global_batch),
            ));
        }
    }
    if let Some(plan) = serving {
        let chosen = plan.options.iter().find(|option| Some(&option.shape) == plan.chosen.as_ref());
        match chosen {
            None => warnings.push(Warning::new(
                "nothing_fits",
                "serving",
                "no shape of the chosen cloud can serve this within the targets; see the reasons".to_owned(),
            )),
            Some(option) => warnings.extend(option.warnings.iter().cloned()),
        }
    }
}

/// Warnings about the question itself: lengths past the model's context, other weights served than trained, a region
/// whose tariffs are not known.
pub fn about_question(catalog: &Catalog, scenario: &Scenario, warnings: &mut Vec<Warning>) {
    let context = |model: &ModelRef| match model {
        ModelRef::Name(name) => catalog.model("model", name).ok().and_then(|preset| preset.max_positions),
        ModelRef::Described(_) => None,
    };
    let lengths = [
        scenario
            .training
            .as_ref()
            .map(|job| ("training.sequence_length", &job.model, f64::from(job.sequence_length))),
        scenario
            .serving
            .as_ref()
            .map(|job| ("serving.input_tokens", &job.model, job.input_tokens + job.output_tokens)),
    ];
    for (field, model, tokens) in lengths.into_iter().flatten() {
        if let Some(most) = context(model).map(f64::from).filter(|most| tokens > *most) {
            let text = format!("{tokens} tokens: the model's own context ends at {most}");
            warnings.push(Warning::new("past_model_context", field, text));
        }
    }
    let models = scenario.training.as_ref().zip(scenario.serving.as_ref()).map(|(t, s)| (&t.model, &s.model));
    if models.is_some_and(|(trained, served)| trained != served) {
        let text = "another model is served than trained: the one that is trained moves".to_owned();
        warnings.push(Warning::new("models_differ", "serving.model", text));
    }
    let moves = scenario.training.is_some() && scenario.serving.is_some();
    if let Some(region) = scenario.pricing.azure_region.as_ref().filter(|_| moves) {
        const PRICED: [&str; 13] = [
            "us",
            "canada",
            "europe",
            "uk",
            "france",
            "germany",
            "sweden",
            "norway",
            "switzerland",
            "italy",
            "poland",
            "spain",
            "mexico",
        ];
        if !PRICED.iter().any(|zone| region.contains(zone)) {
            let text =
                format!("egress from {region} is priced as from North America or Europe: its own is higher");
            warnings.push(Warning::new("egress_zone", "pricing.azure_region", text));
        }
    }
}

/// A warning if a cluster is larger than anybody has published of the shape.
pub fn past_limit(catalog: &Catalog, shape: &str, gpus: u32) -> Option<Warning> {
    let limit = catalog.largest_published(shape)?;
    (gpus > limit).then(|| {
        Warning::new(
            "past_published_limit",
            shape,
            format!("{gpus} GPUs: the largest published cluster of this shape has {limit}"),
        )
    })
}

/// Every source that the chosen options rest on.
pub fn sources(
    catalog: &Catalog,
    training: Option<&TrainingPlan>,
    serving: Option<&ServingPlan>,
    splits: &[Split],
) -> Result<Vec<FigureSource>, Error> {
    let mut out: Vec<FigureSource> = Vec::new();
    let mut add = |figure: String, source: &Source| {
        if !out.iter().any(|known| known.figure == figure) {
            out.push(FigureSource { figure, source: source.clone() });
        }
    };
    let mut shapes: Vec<(&str, &str)> = Vec::new();
    if let Some(plan) = training {
        shapes.extend(plan.options.iter().map(|o| (o.shape.as_str(), o.step.gpu.as_str())));
    }
    if let Some(plan) = serving {
        shapes.extend(plan.options.iter().map(|o| (o.shape.as_str(), o.point.gpu.as_str())));
    }
    for (name, gpu) in shapes {
        add(format!("GPU {gpu}"), &catalog.gpu("gpu", gpu)?.source);
        // A bare GPU has no shape.
        let Ok(shape) = catalog.shape("shape", name) else { continue };
        add(format!("shape {name}"), &shape.source);
        if let Some(fabric) = &shape.fabric {
            add(format!("fabric {fabric}"), &catalog.fabric("fabric", fabric)?.source);
        }
    }
    let costs = training
        .into_iter()
        .flat_map(|plan| plan.options.iter().filter_map(|o| o.cost.as_ref()))
        .chain(serving.into_iter().flat_map(|plan| plan.options.iter().filter_map(|o| o.cost.as_ref())))
        .flat_map(|cost| &cost.lines)
        .chain(splits.iter().flat_map(|split| &split.transfer_lines));
    for line in costs {
        add(format!("price of {}", line.what), &line.source);
    }
    Ok(out)
}

/// Warnings about prices of the splits and of the chosen options that are older than 90 days on the scenario's day.
pub fn stale(scenario: &Scenario, plan: &Plan, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let Some(today) = &scenario.today else { return Ok(()) };
    let today = day_number(today).ok_or_else(|| Error::WrongType {
        field: "today".to_owned(),
        given: format!("\"{today}\""),
        expected: "a date such as 2026-11-23".to_owned(),
    })?;
    let used = |shape: &String, chosen: &Option<String>, pick: fn(&Split) -> &Option<String>| {
        chosen.as_ref() == Some(shape) || plan.splits.iter().any(|split| pick(split).as_ref() == Some(shape))
    };
    let training = plan.training.iter().flat_map(|part| {
        part.options.iter().filter(|o| used(&o.shape, &part.chosen, |s| &s.training_shape)).map(|o| &o.cost)
    });
    let serving = plan.serving.iter().flat_map(|part| {
        part.options.iter().filter(|o| used(&o.shape, &part.chosen, |s| &s.serving_shape)).map(|o| &o.cost)
    });
    let lines = training.chain(serving).flatten().flat_map(|cost| &cost.lines);
    for line in lines.chain(plan.splits.iter().flat_map(|split| &split.transfer_lines)) {
        let Some(then) = day_number(&line.source.as_of) else { continue };
        if today - then > OLD_AFTER_DAYS {
            let text = format!("its price is {} days old ({})", today - then, line.source.as_of);
            let old = Warning::new("price_old", &line.what, text);
            if !warnings.contains(&old) {
                warnings.push(old);
            }
        }
    }
    Ok(())
}

/// Days since an arbitrary day of a date `2026-11-23`, `2026-11` or `2026`, a trailing `?` ignored; a month or year counts
/// from its first day. None if it is no date.
fn day_number(text: &str) -> Option<i64> {
    let mut parts = text.trim_end_matches('?').split('-');
    let year: i64 = parts.next()?.parse().ok().filter(|y| (1900..3000).contains(y))?;
    let month: i64 = parts.next().map_or(Some(1), |m| m.parse().ok()).filter(|m| (1..=12).contains(m))?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day: i64 = parts.next().map_or(Some(1), |d| d.parse().ok()).filter(|d| (1..=last).contains(d))?;
    if parts.next().is_some() {
        return None;
    }
    // Days of the proleptic Gregorian calendar, years counted from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day)
}

impl Plan {
    /// Warnings with this code.
    pub fn warnings_of(&self, code: &str) -> impl Iterator<Item = &Warning> {
        self.warnings.iter().filter(move |warning| warning.code == code)
    }
}

#[cfg(test)]
mod tests {
    use super::day_number;

    #[test]
    fn days_between_dates() {
        let days = |a: &str, b: &str| day_number(b).unwrap() - day_number(a).unwrap();
        assert_eq!(days("2026-08-25", "2026-11-23"), 90);
        assert_eq!(days("2024-02-28", "2024-03-01"), 2);
        assert_eq!(days("2025-12-31?", "2026-01-01"), 1);
        assert_eq!(days("2024-09", "2024-10-01"), 30);
        assert_eq!(day_number("last week"), None);
        assert_eq!(day_number("2026-13-01"), None);
        assert_eq!(day_number("2026-02-29"), None);
        assert!(day_number("2024-02-29").is_some());
    }
}
