//! What stands at a place of a request, read as what its type expects there.

use serde::de::{self, IntoDeserializer, Visitor};

use super::fault::{Fault, unknown_field};
use super::members::{Fields, Items, Members};
use super::number::{number, whole};
use super::{Value, hints};

/// What stands at a place of the request: a value, or nothing at all where a field was left out.
///
/// The one type that requests are read from: each is compiled for it alone.
#[derive(Clone, Copy)]
pub(super) struct Given<'a>(pub(super) Option<&'a Value>);

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

    /// Its fields by their place, some of them absent: what is compiled for a struct is half of what it is by their
    /// names, and the page loads it. So no field or variant may have an alias, which would take a place of its own (a
    /// test looks), and an absent option is none, whatever its default (a test asks).
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
