//! An answer of the core as Python dicts, lists and numbers: serde's data model written into Python objects.

use std::fmt;

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use serde::ser::{self, Serialize};

/// `answer` as a Python object; struct fields become dict keys in their order.
pub fn write<T: Serialize>(py: Python<'_>, answer: &T) -> PyResult<Py<PyAny>> {
    answer.serialize(Writer { py }).map(Bound::unbind).map_err(|failed| failed.0)
}

/// serde's error type for this direction: whatever Python raised.
#[derive(Debug)]
struct Failed(PyErr);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(pyo3::exceptions::PyRuntimeError::new_err(message.to_string()))
    }
}

impl From<PyErr> for Failed {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

type Object<'py> = Bound<'py, PyAny>;

#[derive(Clone, Copy)]
struct Writer<'py> {
    py: Python<'py>,
}

macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<Object<'py>, Failed> {
            Ok(value.into_bound_py_any(self.py)?)
        }
    )*};
}

impl<'py> ser::Serializer for Writer<'py> {
    type Ok = Object<'py>;
    type Error = Failed;
    type SerializeSeq = Items<'py>;
    type SerializeTuple = Items<'py>;
    type SerializeTupleStruct = Items<'py>;
    type SerializeTupleVariant = Tagged<Items<'py>>;
    type SerializeMap = Fields<'py>;
    type SerializeStruct = Fields<'py>;
    type SerializeStructVariant = Tagged<Fields<'py>>;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64,
        serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
    }

    fn serialize_none(self) -> Result<Object<'py>, Failed> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Object<'py>, Failed> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Object<'py>, Failed> {
        Ok(self.py.None().into_bound(self.py))
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Object<'py>, Failed> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Object<'py>, Failed> {
        Ok(PyString::intern(self.py, variant).into_any())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Object<'py>, Failed> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Object<'py>, Failed> {
        wrap(variant, value.serialize(self)?)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items<'py>, Failed> {
        Ok(Items { list: PyList::empty(self.py) })
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'py>, Failed> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Items<'py>, Failed> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Tagged<Items<'py>>, Failed> {
        Ok(Tagged { variant, inner: self.serialize_seq(Some(len))? })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Fields<'py>, Failed> {
        Ok(Fields { dict: PyDict::new(self.py), key: None })
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Fields<'py>, Failed> {
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Tagged<Fields<'py>>, Failed> {
        Ok(Tagged { variant, inner: self.serialize_map(Some(len))? })
    }
}

struct Items<'py> {
    list: Bound<'py, PyList>,
}

impl<'py> Items<'py> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        let py = self.list.py();
        Ok(self.list.append(value.serialize(Writer { py })?)?)
    }
}

impl<'py> ser::SerializeSeq for Items<'py> {
    type Ok = Object<'py>;
    type Error = Failed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.push(value)
    }

    fn end(self) -> Result<Object<'py>, Failed> {
        Ok(self.list.into_any())
    }
}

impl<'py> ser::SerializeTuple for Items<'py> {
    type Ok = Object<'py>;
    type Error = Failed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.push(value)
    }

    fn end(self) -> Result<Object<'py>, Failed> {
        Ok(self.list.into_any())
    }
}

impl<'py> ser::SerializeTupleStruct for Items<'py> {
    type Ok = Object<'py>;
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.push(value)
    }

    fn end(self) -> Result<Object<'py>, Failed> {
        Ok(self.list.into_any())
    }
}

struct Fields<'py> {
    dict: Bound<'py, PyDict>,
    key: Option<Object<'py>>,
}

impl Fields<'_> {
    fn set<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Failed> {
        let py = self.dict.py();
        Ok(self.dict.set_item(PyString::intern(py, key), value.serialize(Writer { py })?)?)
    }
}

impl<'py> ser::SerializeMap for Fields<'py> {
    type Ok = Object<'py>;
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failed> {
        self.key = Some(key.serialize(Writer { py: self.dict.py() })?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        let Some(key) = self.key.take() else { return Err(ser::Error::custom("a value without a key")) };
        Ok(self.dict.set_item(key, value.serialize(Writer { py: self.dict.py() })?)?)
    }

    fn end(self) -> Result<Object<'py>, Failed> {
        Ok(self.dict.into_any())
    }
}

impl<'py> ser::SerializeStruct for Fields<'py> {
    type Ok = Object<'py>;
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Failed> {
        self.set(key, value)
    }

    fn end(self) -> Result<Object<'py>, Failed> {
        Ok(self.dict.into_any())
    }
}

/// A variant with content: `{variant: content}`, as serde_json writes it.
struct Tagged<Inner> {
    variant: &'static str,
    inner: Inner,
}

fn wrap<'py>(variant: &'static str, content: Object<'py>) -> Result<Object<'py>, Failed> {
    let py = content.py();
    let tagged = PyDict::new(py);
    tagged.set_item(PyString::intern(py, variant), content)?;
    Ok(tagged.into_any())
}

impl<'py> ser::SerializeTupleVariant for Tagged<Items<'py>> {
    type Ok = Object<'py>;
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.inner.push(value)
    }

    fn end(self) -> Result<Object<'py>, Failed> {
        wrap(self.variant, self.inner.list.into_any())
    }
}

impl<'py> ser::SerializeStructVariant for Tagged<Fields<'py>> {
    type Ok = Object<'py>;
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Failed> {
        self.inner.set(key, value)
    }

    fn end(self) -> Result<Object<'py>, Failed> {
        wrap(self.variant, self.inner.dict.into_any())
    }
}
