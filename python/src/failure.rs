//! The core's error as the Python exception `rackrate.RackrateError`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use rackrate::Error;

/// The exception for `error`, with `.code`, `.field` and `.hint`.
///
/// The class is written in Python: under the stable ABI of Python 3.11, Rust cannot subclass an exception.
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let made = CLASS
        .import(py, "rackrate._errors", "RackrateError")
        .and_then(|class| class.call1((error.code(), error.field(), error.to_string(), error.hint())));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}
