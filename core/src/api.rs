//! What every face calls: an untyped [`Value`] in, a typed answer or an [`Error`] out.
//!
//! Each function reads its request through [`crate::input::read`] and asks the embedded catalogue, with the request's own
//! `overlay` on it if it has one; the types say what a request holds. A face adds nothing.

use crate::catalog::{Catalog, Laid, Overlay};
use crate::error::Error;
use crate::inference::{ServingPoint, ServingSearch, SimulationReport};
use crate::input::{Value, answered, read};
use crate::network::CollectiveAnswer;
use crate::plan::{Plan, Scenario};
use crate::sweep::{Sweep, SweepArrays};
use crate::training::{LayoutSearch, TrainingStep};
use crate::validate::{ValidationKind, ValidationReport};

/// The whole decision for a [`Scenario`].
///
/// # Errors
/// As [`crate::plan::plan`].
pub fn plan(scenario: &Value) -> Result<Plan, Error> {
    answer(scenario, crate::plan::plan)
}

/// Time, memory and traffic of one explicit training layout: a [`crate::training::TrainingStepRequest`].
///
/// # Errors
/// As [`crate::training::training_step`].
pub fn training_step(request: &Value) -> Result<TrainingStep, Error> {
    answer(request, crate::training::training_step)
}

/// The best training layouts: a [`crate::training::LayoutSearchRequest`].
///
/// # Errors
/// As [`crate::training::search_layouts`].
pub fn search_layouts(request: &Value) -> Result<LayoutSearch, Error> {
    answer(request, crate::training::search_layouts)
}

/// Latency, throughput and memory of one explicit operating point: a [`crate::inference::ServingPointRequest`].
///
/// # Errors
/// As [`crate::inference::serving_point`].
pub fn serving_point(request: &Value) -> Result<ServingPoint, Error> {
    answer(request, crate::inference::serving_point)
}

/// The best way to serve, and the frontier: a [`crate::inference::ServingSearchRequest`].
///
/// # Errors
/// As [`crate::inference::search_serving`].
pub fn search_serving(request: &Value) -> Result<ServingSearch, Error> {
    answer(request, crate::inference::search_serving)
}

/// Latencies and queues of requests, simulated: a [`crate::inference::SimulationRequest`].
///
/// # Errors
/// As [`crate::inference::simulate`].
pub fn simulate(request: &Value) -> Result<SimulationReport, Error> {
    answer(request, crate::inference::simulate)
}

/// Time and bandwidth of one collective: a [`crate::network::CollectiveRequest`].
///
/// # Errors
/// As [`crate::network::collective`].
pub fn collective(request: &Value) -> Result<CollectiveAnswer, Error> {
    answer(request, crate::network::collective)
}

/// Everything known, with sources; under an [`Overlay`] its rows in place of ours.
///
/// # Errors
/// As [`Catalog::overlaid`], with paths below `overlay`.
pub fn catalog(overlay: Option<&Value>) -> Result<Laid<'static>, Error> {
    Catalog::embedded()?.with_overlay(overlay_asked(overlay)?.as_ref())
}

/// The table `name` of the catalogue as CSV text in the columns that an overlay takes: a template for one's own.
///
/// # Errors
/// As [`Catalog::table_csv`].
pub fn table(name: &str, overlay: Option<&Value>) -> Result<String, Error> {
    Catalog::table_csv(name, overlay_asked(overlay)?.as_ref())
}

/// Our prediction beside every row of a table of measurements; `kind` is `training`, `inference` or `collectives`.
///
/// # Errors
/// An unknown kind; as [`crate::validate::validate`]; as [`Catalog::overlaid`], with paths below `overlay`.
pub fn validate(
    kind: &str,
    csv: &str,
    by: Option<&str>,
    overlay: Option<&Value>,
) -> Result<ValidationReport, Error> {
    let kind: ValidationKind =
        read(&Value::Text(kind.to_owned())).map_err(|error: Error| error.within("kind"))?;
    crate::validate::validate(&*catalog(overlay)?, kind, csv, by)
}

/// The built-in scenarios.
///
/// # Errors
/// None in a released version: the embedded scenarios are tested.
pub fn scenarios() -> Result<Vec<Scenario>, Error> {
    crate::plan::built_in()
}

/// The built-in scenario of this name.
///
/// # Errors
/// An unknown name, with the nearest one that there is.
pub fn scenario(name: &str) -> Result<Scenario, Error> {
    crate::plan::built_in_named(name)
}

/// One of the estimators over a grid: a [`crate::sweep::SweepRequest`].
///
/// # Errors
/// As [`crate::sweep::sweep_arrays`].
pub fn sweep(request: &Value) -> Result<Sweep, Error> {
    answer(request, crate::sweep::sweep)
}

/// The same as arrays, for faces that have them.
///
/// # Errors
/// As [`crate::sweep::sweep_arrays`].
pub fn sweep_arrays(request: &Value) -> Result<SweepArrays, Error> {
    answer(request, crate::sweep::sweep_arrays)
}

/// What `call` answers with the embedded catalogue; an error about all of the request is an error of the field `request`.
fn answer<T: serde::de::DeserializeOwned, A>(
    request: &Value,
    call: fn(&Catalog, &T) -> Result<A, Error>,
) -> Result<A, Error> {
    let catalog = Catalog::embedded()?;
    answered(request, |request| call(catalog, request))
        .map_err(|error| if error.field().is_empty() { error.within("request") } else { error })
}

/// The overlay of a call that has no request to hold it.
fn overlay_asked(value: Option<&Value>) -> Result<Option<Overlay>, Error> {
    value.map_or(Ok(None), |value| read(value).map_err(|error: Error| error.within("overlay")))
}
