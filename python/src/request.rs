//! A Python object as a request: dicts, sequences, text, numbers, NumPy scalars and arrays, and rackrate's own answers.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyType};
use rackrate::Error;
use rackrate::input::Value;

use crate::failure;

/// Deeper requests are refused: no request needs it, and a list that contains itself has no end.
const DEEPEST: usize = 64;

/// The request in `object`; NaN and infinities pass, for the core refuses them with their path.
pub fn read(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    value(object, DEEPEST).map_err(|fault| fault.raise(object.py()))
}

/// The argument `name` of a call that has no request to hold it; refused under its name.
pub fn named(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Value> {
    value(object, DEEPEST).map_err(|fault| fault.within(name).raise(object.py()))
}

/// Why an object is not a request: our error with its path, or an exception that Python code raised on the way.
enum Fault {
    Refused(Error),
    Raised(PyErr),
}

impl Fault {
    fn within(self, parent: &str) -> Self {
        match self {
            Self::Refused(error) => Self::Refused(error.within(parent)),
            raised @ Self::Raised(_) => raised,
        }
    }

    fn raise(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Refused(error) => failure::raise(py, &error),
            Self::Raised(error) => error,
        }
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

fn wrong(given: impl Into<String>, expected: &str) -> Fault {
    Fault::Refused(Error::WrongType {
        field: String::new(),
        given: given.into(),
        expected: expected.to_owned(),
    })
}

fn value(object: &Bound<'_, PyAny>, depth: usize) -> Result<Value, Fault> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(wrong("a structure nested too deeply", "at most 64 levels"));
    };
    if object.is_none() {
        Ok(Value::Null)
    } else if let Ok(flag) = object.cast::<PyBool>() {
        Ok(Value::Bool(flag.is_true()))
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Ok(Value::Number(number.value()))
    } else if let Ok(number) = object.cast::<PyInt>() {
        // A conversion fails where the integer is past what a float can hold.
        number.extract().map(Value::Number).map_err(|_| wrong("an integer past 1.8e308", "a finite number"))
    } else if let Ok(text) = object.cast::<PyString>() {
        words(text).map(Value::Text)
    } else if let Ok(items) = object.cast::<PyList>() {
        list(items.iter(), depth)
    } else if let Ok(items) = object.cast::<PyTuple>() {
        list(items.iter(), depth)
    } else if let Ok(items) = object.cast::<PyDict>() {
        items.iter().map(|(key, item)| field(&key, &item, depth)).collect::<Result<_, _>>().map(Value::Object)
    } else if of_class(object, &ANSWER, "rackrate._answer", "Answer")? {
        value(&object.call_method0("to_dict")?, depth)
    } else if of_class(object, &SCALAR, "numpy", "generic")? || of_class(object, &ARRAY, "numpy", "ndarray")?
    {
        value(&object.call_method0("tolist")?, depth)
    } else if let Ok(mapping) = object.cast::<PyMapping>() {
        let mut fields = Vec::new();
        for pair in mapping.items()? {
            let (key, item): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
            fields.push(field(&key, &item, depth)?);
        }
        Ok(Value::Object(fields))
    } else {
        let kind = object.get_type().fully_qualified_name()?;
        Err(wrong(format!("a Python {kind}"), "a number, text, true or false, a list, a dict or None"))
    }
}

fn list<'py>(items: impl Iterator<Item = Bound<'py, PyAny>>, depth: usize) -> Result<Value, Fault> {
    let read = |(at, item): (usize, Bound<'py, PyAny>)| {
        value(&item, depth).map_err(|fault| fault.within(&format!("[{at}]")))
    };
    items.enumerate().map(read).collect::<Result<_, _>>().map(Value::List)
}

fn field(key: &Bound<'_, PyAny>, item: &Bound<'_, PyAny>, depth: usize) -> Result<(String, Value), Fault> {
    let Ok(key) = key.cast::<PyString>() else {
        return Err(wrong(format!("the key {}", key.repr()?), "text as the name of a field"));
    };
    let key = words(key)?;
    let item = value(item, depth).map_err(|fault| fault.within(&key))?;
    Ok((key, item))
}

fn words(text: &Bound<'_, PyString>) -> Result<String, Fault> {
    text.extract().map_err(|_| wrong("text with unpaired surrogates", "Unicode text"))
}

static ANSWER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static SCALAR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn of_class(
    object: &Bound<'_, PyAny>,
    class: &PyOnceLock<Py<PyType>>,
    module: &str,
    name: &str,
) -> PyResult<bool> {
    object.is_instance(class.import(object.py(), module, name)?)
}
