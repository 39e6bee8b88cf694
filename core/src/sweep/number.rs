//! Numbers out of an answer by their path, without building the answer as a tree: a serde serialiser that steps into the
//! one field that the path names and passes over the rest.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible};

use crate::error::Error;
use crate::order::sort_by;

/// The numbers of `answer` at these paths; `None` where the answer says nothing or no finite number there.
///
/// # Errors
/// A path that the answer does not have, or at which something else than a number stands, with the nearest number.
pub fn all<T: Serialize>(answer: &T, paths: &[String]) -> Result<Vec<Option<f64>>, Error> {
    paths.iter().enumerate().map(|(at, path)| one(answer, at, path)).collect()
}

fn one<T: Serialize>(answer: &T, at: usize, path: &str) -> Result<Option<f64>, Error> {
    match answer.serialize(Walk::To(Some(path))) {
        Ok(found) => Ok(found.filter(|number| number.is_finite())),
        Err(Absent) => Err(unknown(answer, at, path)),
    }
}

/// Only an error pays for the list of what the answer has.
fn unknown<T: Serialize>(answer: &T, at: usize, path: &str) -> Error {
    let known = RefCell::new(Vec::new());
    // What is listed stands aside; the walk itself comes back with nothing.
    let _ = answer.serialize(Walk::All { path: "", known: &known });
    let mut known = known.into_inner();
    sort_by(&mut known, Ord::cmp);
    Error::unknown_name(
        &format!("outputs[{at}]"),
        "number of the answer",
        path,
        known.iter().map(String::as_str),
    )
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

/// A walk through an answer. One serialiser for both kinds, for every answer is compiled anew for each serialiser.
#[derive(Clone, Copy)]
enum Walk<'a> {
    /// To one number: what of its path is left, nothing on arrival.
    To(Option<&'a str>),
    /// To all numbers: the path so far, and those that were passed.
    All { path: &'a str, known: &'a RefCell<Vec<String>> },
}

type Step = Result<Option<f64>, Absent>;

impl<'a> Walk<'a> {
    fn number(self, number: f64) -> Step {
        match self {
            Self::To(None) => Ok(Some(number)),
            Self::To(Some(_)) => Err(Absent),
            Self::All { path, known } => {
                if number.is_finite() {
                    known.borrow_mut().push(path.to_owned());
                }
                Ok(None)
            }
        }
    }

    fn fields(self) -> Result<Fields<'a>, Absent> {
        match self {
            Self::To(None) => Err(Absent),
            Self::To(Some(path)) => {
                let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
                Ok(Fields::One { key, rest, found: None })
            }
            Self::All { path, known } => Ok(Fields::All { path, known }),
        }
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

/// The fields of a struct, of which one is looked into, or each.
enum Fields<'a> {
    One { key: &'a str, rest: Option<&'a str>, found: Option<Option<f64>> },
    All { path: &'a str, known: &'a RefCell<Vec<String>> },
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = Option<f64>;
    type Error = Absent;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Absent> {
        match self {
            Self::One { key: wanted, rest, found } => {
                if key == *wanted {
                    *found = Some(value.serialize(Walk::To(*rest))?);
                }
            }
            Self::All { path, known } => {
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                // A list or a text has no number of its own.
                let _ = value.serialize(Walk::All { path: &path, known });
            }
        }
        Ok(())
    }

    fn end(self) -> Step {
        match self {
            Self::One { found, .. } => found.ok_or(Absent),
            Self::All { .. } => Ok(None),
        }
    }
}
