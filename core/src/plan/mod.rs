//! The whole decision: scenario in, plan out.

mod built_in;
mod fleet;
mod interconnect;
mod keep;
mod most;
mod provenance;
mod report;
mod resolve;
mod run;
mod scenario;
mod serve;
mod splits;
mod train;
mod warnings;

pub use built_in::{built_in, built_in_named};
pub use interconnect::{DimensionLinks, Interconnect, LinkUse};
pub use report::{
    FigureKind, FigureSource, Plan, Refusal, ServingOption, ServingPlan, Split, TokensBasis, TrainingOption,
    TrainingPlan,
};
pub use scenario::{FleetPolicy, Purchase, Scenario, ServiceTraffic, ServingJob, TrainingJob};

use crate::catalog::Catalog;
use crate::error::Error;

/// The plan for a scenario: every shape of both clouds that can do the work, ranked by cost, and the totals of each way to
/// split training and serving over the clouds.
///
/// # Errors
/// Anything in the scenario that is unknown, contradictory or absurd, with the field's path. That nothing fits or meets a
/// target is an answer.
pub fn plan(catalog: &Catalog, scenario: &Scenario) -> Result<Plan, Error> {
    let catalog = &*catalog.with_overlay(scenario.overlay.as_ref())?;
    resolve::check(catalog, scenario)?;
    let pricing = &scenario.pricing.with_regions(catalog)?;
    let training = scenario.training.as_ref().map(|job| {
        let goal = resolve::goal(catalog, job).map_err(|error| error.within("training"))?;
        let keeping = keep::Keeping::of(catalog, scenario, pricing, job)?;
        train::options(catalog, job, goal, &keeping, pricing)
    });
    let training = training.transpose()?;
    let serving = scenario
        .serving
        .as_ref()
        .map(|job| serve::options(catalog, job, pricing).map_err(|error| error.within("serving")));
    let serving = serving.transpose()?;
    let mut warnings = Vec::new();
    let splits =
        splits::splits(catalog, scenario, pricing, training.as_ref(), serving.as_ref(), &mut warnings)?;
    warnings::about(scenario, training.as_ref(), serving.as_ref(), &mut warnings);
    warnings::about_question(catalog, scenario, &mut warnings);
    warnings.extend(pricing.unused_own_rates(catalog));
    let mut plan = Plan {
        scenario: scenario.clone(),
        training,
        serving,
        splits,
        warnings: Vec::new(),
        sources: Vec::new(),
    };
    let today = resolve::today(scenario)?;
    provenance::complete(catalog, scenario, &mut plan, today)?;
    warnings.extend(provenance::about_age(&plan, today));
    warnings.extend(provenance::about_weakness(catalog, scenario, &plan)?);
    plan.warnings = warnings;
    Ok(plan)
}
