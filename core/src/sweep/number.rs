//! Numbers out of an answer by their path, without building the answer as a tree: a serde serialiser that steps into the
//! one field that the path names and passes over the rest.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible};

use crate::error::Error;

/// The numbers of `answer` at these paths; `None` where the answer says nothing or no finite number there.
///
/// # Errors
/// A path that the answer does not have, or at which something else than a number stands, with the nearest number.
pub fn all<T: Serialize>(answer: &T, paths: &[String]) -> Result<Vec<Option<f64>>, Error> {
    paths.iter().enumerate().map(|(at, path)| one(answer, at, path)).collect()
}

fn one<T: Serialize>(answer: &T, at: usize, path: &str) -> Result<Option<f64>, Error> {
    match answer.serialize(Walk { path: Some(path) }) {
        Ok(found) => Ok(found.filter(|number| number.is_finite())),
        Err(Absent) => Err(unknown(answer, at, path)),
    }
}

/// Only an error pays for a tree of the answer.
fn unknown<T: Serialize>(answer: &T, at: usize, path: &str) -> Error {
    let mut known = Vec::new();
    if let Ok(tree) = serde_json::to_value(answer) {
        numbers("", &tree, &mut known);
    }
    Error::unknown_name(
        &format!("outputs[{at}]"),
        "number of the answer",
        path,
        known.iter().map(String::as_str),
    )
}

fn numbers(path: &str, tree: &serde_json::Value, known: &mut Vec<String>) {
    match tree {
        serde_json::Value::Number(_) => known.push(path.to_owned()),
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                numbers(&path, field, known);
            }
        }
        _ => {}
    }
}

/// No number stands at the path.
#[derive(Debug)]
struct Absent;

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no number")
    }
}

impl std::error::Error for Absent {}

impl ser::Error for Absent {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Where the walk stands: what of the path is left, nothing once it has arrived.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: Option<&'a str>,
}

type Step = Result<Option<f64>, Absent>;

impl<'a> Walk<'a> {
    fn number(self, number: f64) -> Step {
        if self.path.is_none() { Ok(Some(number)) } else { Err(Absent) }
    }

    fn fields(self) -> Result<Fields<'a>, Absent> {
        let Some(path) = self.path else { return Err(Absent) };
        let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
        Ok(Fields { key, rest, found: None })
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, value: $type) -> Step {
            // A count past 2^53 is rounded, as every face's numbers are.
            self.number(value as f64)
        }
    )*};
}

macro_rules! absent {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, Absent> {
            Err(Absent)
        }
    )*};
}

type No = Impossible<Option<f64>, Absent>;

impl<'a> ser::Serializer for Walk<'a> {
    type Ok = Option<f64>;
    type Error = Absent;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = No;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64,
    }

    absent! {
        serialize_bool(bool) -> Option<f64>;
        serialize_char(char) -> Option<f64>;
        serialize_str(&str) -> Option<f64>;
        serialize_bytes(&[u8]) -> Option<f64>;
        serialize_unit_struct(&'static str) -> Option<f64>;
        serialize_unit_variant(&'static str, u32, &'static str) -> Option<f64>;
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    /// Nothing is said here or above: the path may exist in another cell.
    fn serialize_none(self) -> Step {
        Ok(None)
    }

    fn serialize_unit(self) -> Step {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Step {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Step {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Step {
        Err(Absent)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Absent> {
        self.fields()
    }
}

/// The fields of a struct, of which one is looked into.
struct Fields<'a> {
    key: &'a str,
    rest: Option<&'a str>,
    found: Option<Option<f64>>,
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = Option<f64>;
    type Error = Absent;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Absent> {
        if key == self.key {
            self.found = Some(value.serialize(Walk { path: self.rest })?);
        }
        Ok(())
    }

    fn end(self) -> Step {
        self.found.ok_or(Absent)
    }
}
