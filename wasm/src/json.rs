//! Answers as JSON text, which the browser's own parser makes plain data of: objects, `null` for what is absent, numbers
//! for all numbers, to the last bit.
//!
//! Our own, for every answer's type is compiled for it: a writer whose every step is a call of a few bytes takes less of
//! the page's budget than setting members one by one through the glue, or than a general writer.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde::ser::{self, Serializer};

/// `answer` as JSON text; none where a type's own [`Serialize`] refuses, which none of core's does.
pub fn text<T: Serialize>(answer: &T) -> Option<String> {
    let mut out = Out(String::new());
    answer.serialize(&mut out).ok()?;
    Some(out.0)
}

struct Out(String);

impl Out {
    fn number(&mut self, number: f64) {
        let whole = number as i64;
        // Writing to a string does not fail.
        let _ = if !number.is_finite() {
            self.0.write_str("null")
        } else if (whole as f64).to_bits() == number.to_bits() {
            write!(self.0, "{whole}")
        } else {
            // The shortest digits that read back as the same bits.
            write!(self.0, "{number:e}")
        };
    }

    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)) {
            let (plain, from) = rest.split_at(at);
            let (special, after) = from.split_at(1);
            self.0.push_str(plain);
            for byte in special.bytes() {
                let _ = write!(self.0, "\\u{byte:04x}");
            }
            rest = after;
        }
        self.0.push_str(rest);
        self.0.push('"');
    }

    fn key(&mut self, name: &str) {
        self.quoted(name);
        self.0.push(':');
    }

    fn open(&mut self, with: char, close: &'static str) -> Result<Members<'_>, Refused> {
        self.0.push(with);
        Ok(Members { out: self, close, first: true })
    }

    /// A variant that holds something is an object with its name as the only key.
    fn variant(&mut self, name: &str) {
        self.0.push('{');
        self.key(name);
    }
}

/// What a type's own [`Serialize`] may say.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not to be written")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Written = Result<(), Refused>;

macro_rules! numbers {
    ($($method:ident $type:ty;)*) => {$(
        fn $method(self, value: $type) -> Written {
            // Past 2^53 rounded, as JavaScript's numbers are.
            self.number(value as f64);
            Ok(())
        }
    )*};
}

impl<'a> Serializer for &'a mut Out {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Members<'a>;
    type SerializeTupleVariant = Members<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    numbers! {
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64;
        serialize_f32 f32; serialize_f64 f64;
    }

    fn serialize_bool(self, value: bool) -> Written {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Written {
        self.quoted(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Written {
        self.quoted(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Written {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.variant(variant);
        value.serialize(&mut *self)?;
        self.0.push('}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'a>, Refused> {
        self.open('[', "]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'a>, Refused> {
        self.open('[', "]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Refused> {
        self.open('[', "]")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Refused> {
        self.variant(variant);
        self.open('[', "]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Refused> {
        self.open('{', "}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Refused> {
        self.open('{', "}")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Refused> {
        self.variant(variant);
        self.open('{', "}}")
    }
}

/// What stands between two brackets.
struct Members<'a> {
    out: &'a mut Out,
    close: &'static str,
    first: bool,
}

impl Members<'_> {
    fn next(&mut self) -> &mut Out {
        if !self.first {
            self.out.0.push(',');
        }
        self.first = false;
        self.out
    }

    fn field(&mut self, key: &str) -> &mut Out {
        self.next().key(key);
        self.out
    }

    fn close(self) -> Written {
        self.out.0.push_str(self.close);
        Ok(())
    }
}

macro_rules! lists {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for Members<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                value.serialize(self.next())
            }

            fn end(self) -> Written {
                self.close()
            }
        }
    )*};
}

lists! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! structs {
    ($($trait:ident;)*) => {$(
        impl ser::$trait for Members<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
                value.serialize(self.field(key))
            }

            fn end(self) -> Written {
                self.close()
            }
        }
    )*};
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        key.serialize(self.next())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.out.0.push(':');
        value.serialize(&mut *self.out)
    }

    fn end(self) -> Written {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    enum Kind {
        Unit,
        One(f64),
        Two(u8, i8),
        Named { a: Option<u32> },
    }

    #[test]
    fn writes_what_json_can_say() {
        let map = std::collections::BTreeMap::from([("k", Kind::Unit), ("o", Kind::One(0.1))]);
        assert_eq!(text(&map).unwrap(), r#"{"k":"Unit","o":{"One":1e-1}}"#);
        let list = (Kind::Two(1, -1), Kind::Named { a: None }, "a\"\\\n\u{e9}", f64::NAN, -0.0, true);
        let said = r#"[{"Two":[1,-1]},{"Named":{"a":null}},"a\u0022\u005c\u000aé",null,-0e0,true]"#;
        assert_eq!(text(&list).unwrap(), said);
        assert_eq!(text(&Vec::<u8>::new()).unwrap(), "[]");
    }
}
