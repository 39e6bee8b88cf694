//! What every face calls: an untyped [`Value`] in, a typed answer or an [`Error`] out.
use crate::error::Error;
use crate::inference::{ServingPoint, ServingSearch};
use crate::input::Value;
use crate::plan::{Plan, Scenario};
use crate::training::{LayoutSearch, TrainingStep};

fn not_yet<T>(what: &str) -> Result<T, Error> {
    Err(Error::Unsupported {
        field: String::new(),
        given: what.to_owned(),
        reason: "under construction".to_owned(),
    })
}

/// The whole decision.
pub fn plan(_scenario: &Value) -> Result<Plan, Error> {
    not_yet("plan")
}
/// One explicit training layout.
pub fn training_step(_request: &Value) -> Result<TrainingStep, Error> {
    not_yet("training_step")
}
/// The best layouts.
pub fn search_layouts(_request: &Value) -> Result<LayoutSearch, Error> {
    not_yet("search_layouts")
}
/// One explicit operating point.
pub fn serving_point(_request: &Value) -> Result<ServingPoint, Error> {
    not_yet("serving_point")
}
/// The best way to serve.
pub fn search_serving(_request: &Value) -> Result<ServingSearch, Error> {
    not_yet("search_serving")
}
/// Built-in scenarios.
pub fn scenarios() -> Result<Vec<Scenario>, Error> {
    const BUILT_IN: [&str; 5] = [
        include_str!("../data/scenarios/azure-trains-oci-serves.json"),
        include_str!("../data/scenarios/llama3-405b-as-published.json"),
        include_str!("../data/scenarios/deepseek-v3-as-published.json"),
        include_str!("../data/scenarios/serve-70b.json"),
        include_str!("../data/scenarios/fine-tune-8b.json"),
    ];
    let _ = BUILT_IN;
    not_yet("scenarios")
}
