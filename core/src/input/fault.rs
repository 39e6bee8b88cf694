//! serde's side of a refusal: an error whose path grows on the way out, and what serde itself finds wrong.

use std::fmt;

use serde::de;

use super::hints;
use crate::error::{Error, nearest};

/// serde's error type for this door.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing stands where a value is needed.
    Absent,
    /// The field of a struct at this place is absent and has no default.
    AbsentField(usize),
    /// Refused. Boxed, for every value that is read comes back beside it.
    Refused(Box<Error>),
}

impl Fault {
    pub fn within(self, parent: &str) -> Self {
        Self::Refused(Box::new(self.into_error().within(parent)))
    }

    /// The same with the name of a struct's field that is missing.
    pub fn of(self, name: &str, fields: &[&str]) -> Self {
        match self {
            Self::AbsentField(at) => Self::missing(name, fields.get(at).copied().unwrap_or_default()),
            other => other,
        }
    }

    pub fn missing(name: &str, field: &str) -> Self {
        Error::MissingField { field: field.to_owned(), expected: hints::of_missing(name, field) }.into()
    }

    pub fn into_error(self) -> Error {
        match self {
            Self::Absent | Self::AbsentField(_) => Self::missing("", "").into_error(),
            Self::Refused(error) => *error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Absent | Self::AbsentField(_) => f.write_str("missing"),
        }
    }
}

impl std::error::Error for Fault {}

fn owned(names: &'static [&'static str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// The refusal of a field that an object of the type `name` does not have.
pub(super) fn unknown_field(name: &str, given: &str, known: &'static [&'static str]) -> Fault {
    let meant = hints::of_unknown(name, given).map(str::to_owned);
    Error::UnknownField {
        field: given.to_owned(),
        nearest: meant.or_else(|| nearest(given, known.iter().copied())),
        allowed: owned(known),
    }
    .into()
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::Malformed { field: String::new(), message: message.to_string() }.into()
    }

    fn invalid_type(given: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Error::WrongType { field: String::new(), given: given.to_string(), expected: expected.to_string() }
            .into()
    }

    fn invalid_value(given: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(given, expected)
    }

    fn invalid_length(length: usize, _: &dyn de::Expected) -> Self {
        Self::AbsentField(length)
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        Error::UnknownName {
            field: String::new(),
            kind: "choice",
            given: given.to_owned(),
            nearest: nearest(given, known.iter().copied()),
            known: owned(known),
        }
        .into()
    }

    fn unknown_field(given: &str, known: &'static [&'static str]) -> Self {
        unknown_field("", given, known)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::missing("", field)
    }
}
