//! How a request enters: any face hands over a [`Value`] tree, and [`read`] turns it into a typed request or an
//! [`Error`] that names the field by its path. JSON, JavaScript objects and Python dicts all pass this one door, so
//! unknown fields, wrong types, NaN and misspelt variants are refused alike everywhere.
//!
//! `null` is a field left out. Where a number is expected, text such as `"15.6T"`, `"405b"` or `"8k"` is read too (decimal multiples).

mod hints;
mod limit;
mod tree;

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use crate::error::{Error, nearest};

pub use limit::answered;

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

/// The number in text such as `15.6T`, `405b`, `8k`, `1_000` or `2.5e3`; decimal multiples k, M, B or G, T, P.
pub fn parse_number(text: &str) -> Option<f64> {
    let clean: String = text.trim().chars().filter(|c| *c != '_' && *c != ' ').collect();
    let digits = clean.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &clean[digits.len()..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "m" | "M" => 1e6,
        "b" | "B" | "g" | "G" => 1e9,
        "t" | "T" => 1e12,
        "p" | "P" => 1e15,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some(number * factor).filter(|n| n.is_finite())
}

/// serde's error type for this door: our own error, its path grown on the way out.
#[derive(Debug)]
enum Fault {
    /// Nothing stands where a value is needed.
    Absent,
    /// The field of a struct at this place is absent and has no default.
    AbsentField(usize),
    /// Refused. Boxed, for every value that is read comes back beside it.
    Refused(Box<Error>),
}

impl Fault {
    fn within(self, parent: &str) -> Self {
        Self::Refused(Box::new(self.into_error().within(parent)))
    }

    /// The same with the name of a struct's field that is missing.
    fn of(self, name: &str, fields: &[&str]) -> Self {
        match self {
            Self::AbsentField(at) => Self::missing(name, fields.get(at).copied().unwrap_or_default()),
            other => other,
        }
    }

    fn missing(name: &str, field: &str) -> Self {
        Error::MissingField { field: field.to_owned(), expected: hints::of_missing(name, field) }.into()
    }

    fn into_error(self) -> Error {
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
fn unknown_field(name: &str, given: &str, known: &'static [&'static str]) -> Fault {
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

fn whole(value: &Value, min: f64, max: f64) -> Result<f64, Fault> {
    let number = number(value)?;
    if number % 1.0 != 0.0 {
        return Err(value.wrong("a whole number"));
    }
    if number < min || number > max {
        return Err(Error::OutOfRange { field: String::new(), given: number, min, max }.into());
    }
    Ok(number)
}

fn number(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Number(n) if n.is_finite() => Ok(*n),
        Value::Number(_) => Err(value.wrong("a finite number")),
        Value::Text(text) => {
            parse_number(text).ok_or_else(|| value.wrong("a number, such as 8192 or \"15.6T\""))
        }
        _ => Err(value.wrong("a number")),
    }
}

/// Largest whole number that every face carries exactly, 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty, $min:expr, $max:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            // In range and whole, so the conversion is exact.
            visitor.$visit(self.whole($min, $max)? as $type)
        }
    )*};
}

/// What stands at a place of the request: a value, or nothing at all where a field was left out.
///
/// The one type that requests are read from: each is compiled for it alone.
#[derive(Clone, Copy)]
struct Given<'a>(Option<&'a Value>);

impl<'a> Given<'a> {
    fn value(self) -> Result<&'a Value, Fault> {
        self.0.ok_or(Fault::Absent)
    }

    fn boolean(self) -> Result<bool, Fault> {
        match self.value()? {
            Value::Bool(b) => Ok(*b),
            other => Err(other.wrong("true or false")),
        }
    }

    fn whole(self, min: f64, max: f64) -> Result<f64, Fault> {
        whole(self.value()?, min, max)
    }

    fn text(self) -> Result<&'a str, Fault> {
        match self.value()? {
            Value::Text(s) => Ok(s),
            other => Err(other.wrong("text")),
        }
    }

    fn items(self) -> Result<Items<'a>, Fault> {
        match self.value()? {
            Value::List(items) => Ok(Items { items, at: 0 }),
            other => Err(other.wrong("a list")),
        }
    }

    fn object(self) -> Result<&'a [(String, Value)], Fault> {
        match self.value()? {
            Value::Object(fields) => Ok(fields),
            other => Err(other.wrong("an object with named fields")),
        }
    }

    /// The members of an object of the type `name` that are to be these fields, and no others.
    fn members(self, name: &str, fields: &'static [&'static str]) -> Result<Members<'a>, Fault> {
        let given = match self.value()? {
            Value::Object(given) => given,
            other => return Err(other.wrong(hints::of_object(name, fields, other))),
        };
        for (at, (key, _)) in given.iter().enumerate() {
            if !fields.contains(&key.as_str()) {
                return Err(unknown_field(name, key, fields));
            }
            if given[..at].iter().any(|(earlier, _)| earlier == key) {
                return Err(de::Error::custom(format_args!("duplicate field `{key}`")));
            }
        }
        Ok(Members { given, fields, at: 0 })
    }

    /// The place of the text among these names.
    fn choice(self, name: &str, choices: &'static [&'static str]) -> Result<u32, Fault> {
        match self.value()? {
            Value::Text(s) => match choices.iter().zip(0..).find(|(choice, _)| *choice == s) {
                Some((_, at)) => Ok(at),
                None => Err(de::Error::unknown_variant(s, choices)),
            },
            other => Err(other.wrong(hints::of_choice(name, choices, other))),
        }
    }
}

impl<'de> de::Deserializer<'de> for Given<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value()? {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Number(n) => visitor.visit_f64(*n),
            Value::Text(s) => visitor.visit_str(s),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.boolean()?)
    }

    whole_numbers! {
        deserialize_u8 visit_u8 u8, 0.0, f64::from(u8::MAX);
        deserialize_u16 visit_u16 u16, 0.0, f64::from(u16::MAX);
        deserialize_u32 visit_u32 u32, 0.0, f64::from(u32::MAX);
        deserialize_u64 visit_u64 u64, 0.0, EXACT;
        deserialize_i8 visit_i8 i8, f64::from(i8::MIN), f64::from(i8::MAX);
        deserialize_i16 visit_i16 i16, f64::from(i16::MIN), f64::from(i16::MAX);
        deserialize_i32 visit_i32 i32, f64::from(i32::MIN), f64::from(i32::MAX);
        deserialize_i64 visit_i64 i64, -EXACT, EXACT;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(number(self.value()?)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            None | Some(Value::Null) => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(self.items()?)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        let items = self.items()?;
        if items.items.len() != length {
            return Err(self.value()?.wrong(format!("a list of {length}")));
        }
        visitor.visit_seq(items)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Fields { fields: self.object()?, at: 0 })
    }

    /// Its fields by their place, some of them absent: what is compiled for a struct is half of what it is by their names,
    /// and the page loads it. So no field or variant may have an alias, which would take a place of its own (a test looks),
    /// and an absent option is none, whatever its default (a test asks).
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_seq(self.members(name, fields)?).map_err(|fault| fault.of(name, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(self.choice(name, variants)?.into_deserializer())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple_struct
    }
}

struct Items<'a> {
    items: &'a [Value],
    at: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.get(self.at) else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        seed.deserialize(Given(Some(item))).map(Some).map_err(|fault| fault.within(&format!("[{at}]")))
    }
}

/// The members of an object as a struct has its fields.
struct Members<'a> {
    given: &'a [(String, Value)],
    fields: &'static [&'static str],
    at: usize,
}

impl<'a> Members<'a> {
    fn next(&mut self) -> Option<(&'static str, Given<'a>)> {
        let name = *self.fields.get(self.at)?;
        self.at += 1;
        let member = self.given.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        // Nothing given for a field is the field left out, whether its default is none or not.
        Some((name, Given(member.filter(|value| **value != Value::Null))))
    }
}

impl<'de> de::SeqAccess<'de> for Members<'_> {
    type Error = Fault;

    /// None for an absent field that is no option: its default takes its place, or it is missing.
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((name, given)) = self.next() else { return Ok(None) };
        match seed.deserialize(given) {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Absent) => Ok(None),
            Err(fault) => Err(fault.within(name)),
        }
    }
}

struct Fields<'a> {
    fields: &'a [(String, Value)],
    at: usize,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        match self.fields.get(self.at) {
            None => Ok(None),
            Some((key, _)) => {
                let key: de::value::StrDeserializer<'_, Fault> = key.as_str().into_deserializer();
                seed.deserialize(key).map(Some)
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.fields.get(self.at) else {
            return Err(de::Error::custom("a value without a key"));
        };
        self.at += 1;
        seed.deserialize(Given(Some(value))).map_err(|fault| fault.within(key))
    }
}

#[cfg(test)]
mod tests {
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
