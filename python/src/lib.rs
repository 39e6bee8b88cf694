//! The Python face: a Python object becomes an [`rackrate::input::Value`], the core answers with the interpreter let
//! go, the answer becomes a Python dict. No formula and no default lives here.
#![forbid(unsafe_code)]

mod answer;
mod failure;
mod request;

use numpy::IntoPyArray as _;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rackrate::Error;
use rackrate::input::Value;
use rackrate::sweep::SweepArrays;
use serde::Serialize;

/// What every call shares: in, core, out.
fn call<T: Serialize + Send>(
    request: &Bound<'_, PyAny>,
    core: fn(&Value) -> Result<T, Error>,
) -> PyResult<Py<PyAny>> {
    let py = request.py();
    let request = request::read(request)?;
    told(py, || core(&request))
}

/// What the core says, with the interpreter let go while it thinks.
fn told<T: Serialize + Send>(
    py: Python<'_>,
    core: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<Py<PyAny>> {
    let answer = py.detach(core).map_err(|error| failure::raise(py, &error))?;
    answer::write(py, &answer)
}

/// A sweep's answer with its arrays as NumPy's own: moved out, not copied.
fn arrays(py: Python<'_>, answer: SweepArrays) -> PyResult<Py<PyAny>> {
    let values = PyDict::new(py);
    for (name, array) in answer.outputs {
        values.set_item(name, array.into_pyarray(py))?;
    }
    let told = PyDict::new(py);
    told.set_item("values", values)?;
    told.set_item("refused", answer::write(py, &answer.refused)?)?;
    Ok(told.into_any().unbind())
}

/// Compiled half of the package `rackrate`; its functions take one request and return dicts.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;
    use rackrate::api;

    use super::{arrays, call, failure, request, told};

    /// Version of the core.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// The whole decision for a scenario.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn plan(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        call(request, api::plan)
    }

    /// Time, memory and traffic of one explicit training layout.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn training_step(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        call(request, api::training_step)
    }

    /// The best training layouts for a number of GPUs.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn search_layouts(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        call(request, api::search_layouts)
    }

    /// Latency, throughput and memory of one explicit operating point.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn serving_point(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        call(request, api::serving_point)
    }

    /// The cheapest way to serve within latency targets, and the frontier.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn search_serving(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        call(request, api::search_serving)
    }

    /// Latencies and queues of requests, simulated.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn simulate(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        call(request, api::simulate)
    }

    /// Time and bandwidth of one collective.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn collective(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        call(request, api::collective)
    }

    /// An estimator over a grid: arrays by the name of their output, and the cells that were refused.
    #[pyfunction]
    #[pyo3(signature = (request, /))]
    fn sweep(request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = request.py();
        let request = request::read(request)?;
        let answer = py.detach(|| api::sweep_arrays(&request)).map_err(|error| failure::raise(py, &error))?;
        arrays(py, answer)
    }

    /// Everything known, with sources.
    #[pyfunction]
    #[pyo3(signature = (overlay, /))]
    fn catalog(overlay: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let laid = request::named("overlay", overlay)?;
        told(overlay.py(), || api::catalog(Some(&laid)))
    }

    /// One table of the catalogue as CSV text in the columns of an overlay.
    #[pyfunction]
    #[pyo3(signature = (name, overlay, /))]
    fn table(name: &str, overlay: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let laid = request::named("overlay", overlay)?;
        told(overlay.py(), || api::table(name, Some(&laid)))
    }

    /// Predictions beside a table of measurements.
    #[pyfunction]
    #[pyo3(signature = (kind, csv, by, overlay, /))]
    fn validate(kind: &str, csv: &str, by: Option<&str>, overlay: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let laid = request::named("overlay", overlay)?;
        told(overlay.py(), || api::validate(kind, csv, by, Some(&laid)))
    }

    /// The built-in scenarios.
    #[pyfunction]
    fn scenarios(py: Python<'_>) -> PyResult<Py<PyAny>> {
        told(py, api::scenarios)
    }

    /// The built-in scenario of this name.
    #[pyfunction]
    #[pyo3(signature = (name, /))]
    fn scenario(py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        told(py, || api::scenario(name))
    }
}
