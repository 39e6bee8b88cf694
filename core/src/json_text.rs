//! JSON text as a [`Value`], for the scenarios that come with rackrate. What users hand over is read by the faces.
//!
//! Our own and strict where it matters to our own files: it knows no `\u` escapes, and it does not guard against deep
//! nesting. A test compares it with the general reader.

use crate::input::Value;

/// The value that `text` holds.
///
/// # Errors
/// In words, with the byte at which something else is expected.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value()?;
    match reader.next() {
        None => Ok(value),
        Some(_) => reader.fault("the end of the text"),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn fault<T>(&self, expected: &str) -> Result<T, String> {
        Err(format!("{expected} expected at byte {}", self.at))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no white space; it is not read.
    fn next(&mut self) -> Option<u8> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\n', '\r', '\t']).len();
        self.rest().bytes().next()
    }

    /// Reads `byte` if it is what comes next.
    fn take(&mut self, byte: u8) -> bool {
        let there = self.next() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(b'{') => self
                .members(b'}', |reader| {
                    let key = reader.string()?;
                    if reader.take(b':') { Ok((key, reader.value()?)) } else { reader.fault("\":\"") }
                })
                .map(Value::Object),
            Some(b'[') => self.members(b']', Self::value).map(Value::List),
            Some(b'"') => self.string().map(Value::Text),
            _ => self.word(),
        }
    }

    /// What stands between the bracket that comes next and `close`, separated by commas.
    fn members<T>(
        &mut self,
        close: u8,
        read: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.at += 1;
        let mut out = Vec::new();
        if self.take(close) {
            return Ok(out);
        }
        loop {
            out.push(read(self)?);
            if self.take(close) {
                return Ok(out);
            }
            if !self.take(b',') {
                return self.fault("\",\" or a closing bracket");
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        if !self.take(b'"') {
            return self.fault("text in quotes");
        }
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let Some(length) = rest.find(['"', '\\']) else { return self.fault("a closing quote") };
            out.push_str(&rest[..length]);
            self.at += length;
            if self.take(b'"') {
                return Ok(out);
            }
            out.push(match rest.as_bytes().get(length + 1) {
                Some(b'n') => '\n',
                Some(b't') => '\t',
                Some(b'"') => '"',
                Some(b'\\') => '\\',
                _ => return self.fault("one of the escapes \\n, \\t, \\\", \\\\"),
            });
            self.at += 2;
        }
    }

    fn word(&mut self) -> Result<Value, String> {
        let rest = self.rest();
        let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
        let value = match &rest[..length] {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => match number.parse() {
                Ok(number) if rest.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                    Value::Number(number)
                }
                _ => return self.fault("a value"),
            },
        };
        self.at += length;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            prop::num::f64::NORMAL.prop_map(Into::into),
            (-9_000_000_000_000_000i64..9_000_000_000_000_000).prop_map(Into::into),
            "[a-z\"\\\\\n\té ]{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_as_the_general_reader_does(value in json()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let general: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(parse(&text), Ok(general));
            }
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "{a: 1}",
            "[1 2]",
            "\"a",
            "nul",
            "1 2",
            "\"\\u0041\"",
            "-",
            "+1",
            ".5",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
