//! How a request enters: any face hands over a [`Value`] tree, and [`read`] turns it into a typed request or an
//! [`Error`] that names the field by its path. JSON, JavaScript objects and Python dicts all pass this one door, so
//! unknown fields, wrong types, NaN and misspelt variants are refused alike everywhere.
//!
//! `null` is a field left out. Where a number is expected, text such as `"15.6T"`, `"405b"` or `"8k"` is read too
//! (decimal multiples).

mod fault;
mod given;
mod hints;
mod limit;
mod members;
mod number;
mod tree;

use serde::de::DeserializeOwned;

use crate::error::Error;
use fault::Fault;
use given::Given;

pub use limit::answered;
pub use number::parse_number;

/// An untyped request, as a face received it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `None`, `undefined`.
    Null,
    /// True or false.
    Bool(bool),
    /// Any number; NaN and infinities are refused by [`read`].
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Named fields in the order given.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(b) => b.to_string(),
            Self::Number(n) => n.to_string(),
            Self::Text(s) if s.chars().count() > 40 => {
                format!("\"{}…\"", s.chars().take(40).collect::<String>())
            }
            Self::Text(s) => format!("\"{s}\""),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Object(_) => "an object".to_owned(),
        }
    }

    fn wrong(&self, expected: impl Into<String>) -> Fault {
        Error::WrongType { field: String::new(), given: self.describe(), expected: expected.into() }.into()
    }
}

/// The typed request in `value`.
///
/// # Errors
/// With the path of the field: an unknown or missing field, a wrong type, a number that is NaN, infinite, or (where a
/// whole number is expected) not whole or too large, an unknown variant.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    T::deserialize(Given(Some(value))).map_err(Fault::into_error)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Layout {
        tp: u32,
        #[serde(default)]
        share: Option<f64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        layouts: Vec<Layout>,
    }

    fn parse(json: &str) -> Result<Request, Error> {
        read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_path_leads_to_the_field() {
        assert_eq!(parse(r#"{"layouts": [{"tp": 8}]}"#).unwrap().layouts[0].tp, 8);
        let unknown = parse(r#"{"layouts": [{"tp": 8}, {"tpp": 8}]}"#).unwrap_err();
        assert_eq!(unknown.field(), "layouts[1].tpp");
        assert_eq!(unknown.code(), "unknown_field");
        assert_eq!(unknown.hint().as_deref(), Some("tp"));
        assert_eq!(parse(r#"{"layouts": [{}]}"#).unwrap_err().field(), "layouts[0].tp");
        assert_eq!(parse(r#"{"layouts": [{"tp": 1.5}]}"#).unwrap_err().field(), "layouts[0].tp");
        assert_eq!(parse(r#"{"layouts": [{"tp": -1}]}"#).unwrap_err().code(), "out_of_range");
        assert_eq!(parse(r#"{"layouts": 3}"#).unwrap_err().to_string(), "layouts: 3 given, a list expected");
    }

    #[test]
    fn absent_fields_take_their_defaults() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Cell {
            name: String,
            count: Option<u32>,
            #[serde(default)]
            tags: Vec<String>,
            #[serde(default = "half")]
            share: f64,
        }
        fn half() -> f64 {
            0.5
        }
        let text = |s: &str| Value::Text(s.to_owned());
        let given = Value::Object(vec![("name".into(), text("x"))]);
        let cell = Cell { name: "x".into(), count: None, tags: vec![], share: 0.5 };
        assert_eq!(read::<Cell>(&given), Ok(cell));
        let missing = read::<Cell>(&Value::Object(vec![("share".into(), Value::Number(1.0))])).unwrap_err();
        assert_eq!((missing.code(), missing.field()), ("missing_field", "name"));
        let twice = Value::Object(vec![("name".into(), text("x")), ("name".into(), text("y"))]);
        assert_eq!(read::<Cell>(&twice).unwrap_err().to_string(), ": duplicate field `name`");
    }

    #[test]
    fn whatever_has_a_default_is_it_when_empty() {
        fn ask<T: DeserializeOwned + Default + PartialEq + fmt::Debug>() {
            assert_eq!(read::<T>(&Value::Object(Vec::new())), Ok(T::default()));
        }
        ask::<crate::catalog::Overlay>();
        ask::<crate::cost::CloudStorage>();
        ask::<crate::cost::Pricing>();
        ask::<crate::cost::StorageChoice>();
        ask::<crate::cost::TransferChoice>();
        ask::<crate::plan::FleetPolicy>();
        ask::<crate::training::Offload>();
        ask::<crate::training::Pauses>();
        ask::<crate::training::RecomputeParts>();
        ask::<crate::training::Reliability>();
        ask::<crate::training::Software>();
    }

    #[test]
    fn lists_of_a_fixed_length_have_it() {
        let numbers = |n: u32| Value::List((0..n).map(|i| Value::Number(f64::from(i))).collect());
        assert_eq!(read::<[f64; 2]>(&numbers(2)), Ok([0.0, 1.0]));
        assert_eq!(read::<[f64; 2]>(&numbers(1)).unwrap_err().code(), "wrong_type");
    }

    #[test]
    fn nothing_that_is_read_has_an_alias() {
        fn look(folder: &std::path::Path) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    look(&path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    assert!(!text.contains(concat!("alias", " = \"")), "{}", path.display());
                }
            }
        }
        look(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    }

    #[test]
    fn nan_and_infinity_are_refused() {
        let with = |share| {
            Value::Object(vec![("tp".into(), Value::Number(1.0)), ("share".into(), Value::Number(share))])
        };
        assert_eq!(read::<Layout>(&with(0.5)).unwrap().share, Some(0.5));
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(read::<Layout>(&with(bad)).unwrap_err().field(), "share");
        }
    }

    #[test]
    fn numbers_with_a_multiple_are_read() {
        assert_eq!(parse_number("15.6T"), Some(15.6e12));
        assert_eq!(parse_number("405b"), Some(405e9));
        assert_eq!(parse_number("1_000"), Some(1000.0));
        assert_eq!(parse_number("2.5e3"), Some(2500.0));
        assert_eq!(parse_number("fast"), None);
        assert_eq!(parse_number("NaN"), None);
    }
}
