//! rackrate for JavaScript: every call takes and returns plain data, typed in the generated `.d.ts`.
//!
//! A failed call throws an `Error` with `code`, `field` and `hint` beside its message. No call panics.
//!
//! Without the feature `whole` there is only what our page asks at once, and no Hugging Face config is read: its worker
//! loads that first, and this whole package when it is first asked for more.
#![forbid(unsafe_code)]

mod value;

use js_sys::Reflect;
use rackrate::input::{Value, read};
use rackrate::{Error, api};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use value::from_js;

/// What JSON would carry: plain objects, `null` for what is absent, numbers for all numbers.
const PLAIN: Serializer = Serializer::json_compatible();

/// The whole decision: training, serving or both, over all clouds and shapes, ranked.
#[wasm_bindgen(unchecked_return_type = "Plan")]
pub fn plan(
    #[wasm_bindgen(unchecked_param_type = "Scenario")] scenario: &JsValue,
) -> Result<JsValue, JsValue> {
    let scenario = from_js(scenario).map_err(thrown)?;
    let answer = api::plan(&scenario).map_err(thrown)?;
    plain(&answer)
}

/// Time, memory and traffic of one explicit training layout.
#[cfg(feature = "whole")]
#[wasm_bindgen(js_name = trainingStep, unchecked_return_type = "TrainingStep")]
pub fn training_step(
    #[wasm_bindgen(unchecked_param_type = "TrainingStepRequest")] request: &JsValue,
) -> Result<JsValue, JsValue> {
    let request = from_js(request).map_err(thrown)?;
    let answer = api::training_step(&request).map_err(thrown)?;
    plain(&answer)
}

/// The best layouts for a number of GPUs.
#[cfg(feature = "whole")]
#[wasm_bindgen(js_name = searchLayouts, unchecked_return_type = "LayoutSearch")]
pub fn search_layouts(
    #[wasm_bindgen(unchecked_param_type = "LayoutSearchRequest")] request: &JsValue,
) -> Result<JsValue, JsValue> {
    let request = from_js(request).map_err(thrown)?;
    let answer = api::search_layouts(&request).map_err(thrown)?;
    plain(&answer)
}

/// Latency, throughput and memory of one explicit operating point.
#[cfg(feature = "whole")]
#[wasm_bindgen(js_name = servingPoint, unchecked_return_type = "ServingPoint")]
pub fn serving_point(
    #[wasm_bindgen(unchecked_param_type = "ServingPointRequest")] request: &JsValue,
) -> Result<JsValue, JsValue> {
    let request = from_js(request).map_err(thrown)?;
    let answer = api::serving_point(&request).map_err(thrown)?;
    plain(&answer)
}

/// The best way to serve under latency targets.
#[cfg(feature = "whole")]
#[wasm_bindgen(js_name = searchServing, unchecked_return_type = "ServingSearch")]
pub fn search_serving(
    #[wasm_bindgen(unchecked_param_type = "ServingSearchRequest")] request: &JsValue,
) -> Result<JsValue, JsValue> {
    let request = from_js(request).map_err(thrown)?;
    let answer = api::search_serving(&request).map_err(thrown)?;
    plain(&answer)
}

/// Latencies and queues of requests, simulated iteration by iteration; the same seed gives the same bits.
#[cfg(feature = "whole")]
#[wasm_bindgen(unchecked_return_type = "SimulationReport")]
pub fn simulate(
    #[wasm_bindgen(unchecked_param_type = "SimulationRequest")] request: &JsValue,
) -> Result<JsValue, JsValue> {
    let request = from_js(request).map_err(thrown)?;
    let answer = api::simulate(&request).map_err(thrown)?;
    plain(&answer)
}

/// Time and bandwidth of one collective operation.
#[cfg(feature = "whole")]
#[wasm_bindgen(unchecked_return_type = "CollectiveAnswer")]
pub fn collective(
    #[wasm_bindgen(unchecked_param_type = "CollectiveRequest")] request: &JsValue,
) -> Result<JsValue, JsValue> {
    let request = from_js(request).map_err(thrown)?;
    let answer = api::collective(&request).map_err(thrown)?;
    plain(&answer)
}

/// One of the estimators over a grid; refused cells are `null` and listed with their errors.
#[cfg(feature = "whole")]
#[wasm_bindgen(unchecked_return_type = "Sweep")]
pub fn sweep(
    #[wasm_bindgen(unchecked_param_type = "SweepRequest")] request: &JsValue,
) -> Result<JsValue, JsValue> {
    let request = from_js(request).map_err(thrown)?;
    let answer = api::sweep(&request).map_err(thrown)?;
    plain(&answer)
}

/// Everything known: GPUs, shapes, fabrics, prices and models, with sources; under an overlay its rows in place of ours.
#[wasm_bindgen(unchecked_return_type = "Catalog")]
pub fn catalog(
    #[wasm_bindgen(unchecked_optional_param_type = "Overlay | null")] overlay: &JsValue,
) -> Result<JsValue, JsValue> {
    let answer = api::catalog(Some(&laid_over(overlay)?)).map_err(thrown)?;
    plain(&answer)
}

/// One table of the catalogue (`prices`) as CSV text in the columns that an overlay takes: a template for one's own.
#[wasm_bindgen]
pub fn table(
    #[wasm_bindgen(unchecked_param_type = "keyof Overlay")] name: &JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Overlay | null")] overlay: &JsValue,
) -> Result<String, JsValue> {
    let name: String = argument("table", name)?;
    api::table(&name, Some(&laid_over(overlay)?)).map_err(thrown)
}

/// Our prediction beside every row of a table of measurements; `by` groups the statistics by a column, an overlay may
/// hold the shapes that were measured.
#[cfg(feature = "whole")]
#[wasm_bindgen(unchecked_return_type = "ValidationReport")]
pub fn validate(
    #[wasm_bindgen(unchecked_param_type = "ValidationKind")] kind: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "string")] csv: &JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "string | null")] by: &JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Overlay | null")] overlay: &JsValue,
) -> Result<JsValue, JsValue> {
    let (kind, csv): (String, String) = (argument("kind", kind)?, argument("csv", csv)?);
    let by: Option<String> = argument("by", by)?;
    let overlay = laid_over(overlay)?;
    let answer = api::validate(&kind, &csv, by.as_deref(), Some(&overlay)).map_err(thrown)?;
    plain(&answer)
}

/// The built-in scenarios.
#[wasm_bindgen(unchecked_return_type = "Scenario[]")]
pub fn scenarios() -> Result<JsValue, JsValue> {
    let answer = api::scenarios().map_err(thrown)?;
    plain(&answer)
}

/// An argument that is no request of its own; refused under its name.
fn argument<T: DeserializeOwned>(name: &str, given: &JsValue) -> Result<T, JsValue> {
    let value = from_js(given).map_err(|error| thrown(error.within(name)))?;
    read(&value).map_err(|error| thrown(error.within(name)))
}

/// The overlay of a call that has no request to hold it.
fn laid_over(given: &JsValue) -> Result<Value, JsValue> {
    from_js(given).map_err(|error| thrown(error.within("overlay")))
}

fn plain<T: Serialize>(answer: &T) -> Result<JsValue, JsValue> {
    answer.serialize(&PLAIN).map_err(JsValue::from)
}

/// A JavaScript `Error` with core's `code`, `field` and `hint` on it.
#[allow(clippy::needless_pass_by_value)] // the signature that map_err wants
fn thrown(error: Error) -> JsValue {
    let out = js_sys::Error::new(&error.to_string());
    out.set_name("RackrateError");
    let hint = error.hint().map_or(JsValue::NULL, JsValue::from);
    for (key, value) in [("code", error.code().into()), ("field", error.field().into()), ("hint", hint)] {
        // A fresh Error takes new properties.
        let _ = Reflect::set(&out, &key.into(), &value);
    }
    out.into()
}
