//! What stands inside a list or an object, one after the other; a fault inside is told with its place.

use serde::de::{self, DeserializeSeed, IntoDeserializer};

use super::fault::Fault;
use super::{Given, Value};

/// The items of a list.
pub(super) struct Items<'a> {
    pub(super) items: &'a [Value],
    pub(super) at: usize,
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
pub(super) struct Members<'a> {
    pub(super) given: &'a [(String, Value)],
    pub(super) fields: &'static [&'static str],
    pub(super) at: usize,
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

/// The members of an object as a map has its keys.
pub(super) struct Fields<'a> {
    pub(super) fields: &'a [(String, Value)],
    pub(super) at: usize,
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
