//! How a request names a model: by a known name, by an architecture, or by a Hugging Face `config.json`.

use serde::{Deserialize, Serialize};

use super::Architecture;
#[cfg(feature = "hugging-face")]
use super::from_hugging_face;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::input::{Value, read};
use crate::quantity::Warning;

/// A model: the name of a preset, or a description of one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(untagged)]
pub enum ModelRef {
    /// Name or alias of a preset, such as `llama-3.1-70b`.
    Name(String),
    /// Fields of [`Architecture`], or the content of a Hugging Face `config.json`; the latter is told by its key
    /// `model_type` or `architectures`.
    Described(
        #[cfg_attr(feature = "schema", schemars(with = "Description"))]
        #[cfg_attr(feature = "tsify", tsify(type = "Architecture | Record<string, unknown>"))]
        Value,
    ),
}

/// What [`ModelRef::Described`] may hold, for the schema.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Description {
    /// The architecture's own fields.
    Architecture(Box<Architecture>),
    /// A Hugging Face config.
    HuggingFace(std::collections::BTreeMap<String, Value>),
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Text(name) => Ok(Self::Name(name)),
            object @ Value::Object(_) => Ok(Self::Described(object)),
            other => Err(serde::de::Error::invalid_type(
                serde::de::Unexpected::Other(&other.describe()),
                &"a model's name, its architecture or a Hugging Face config",
            )),
        }
    }
}

impl From<&str> for ModelRef {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl Catalog {
    /// The architecture that `model` means, checked ([`Architecture::check`]).
    ///
    /// # Errors
    /// Under `field`: an unknown name with the nearest one; an unknown, missing or malformed key of the description; a
    /// number out of range; [`Error::Unsupported`] for a model with a feature that estimators cannot price
    /// ([`Architecture::unsupported`]).
    pub fn resolve_model(&self, field: &str, model: &ModelRef) -> Result<Architecture, Error> {
        let architecture = match model {
            ModelRef::Name(name) => self.model(field, name)?.architecture.clone(),
            ModelRef::Described(value) if is_hugging_face(value) => {
                from_hugging_face(value).map_err(|e| e.within(field))?
            }
            ModelRef::Described(value) => read::<Architecture>(value).map_err(|e| e.within(field))?,
        };
        if let Some(reason) = &architecture.unsupported {
            return Err(Error::Unsupported {
                field: field.to_owned(),
                given: architecture.name.clone(),
                reason: reason.clone(),
            });
        }
        architecture.check(field)?;
        Ok(architecture)
    }

    /// What to know of sequences of so many `tokens`, given under `field`, where they are longer than the context of `model`;
    /// none where they are not, or where nobody says how long it is: presets do (`max_positions`).
    pub fn past_context(&self, field: &str, model: &ModelRef, tokens: f64) -> Option<Warning> {
        let ModelRef::Name(name) = model else { return None };
        let most = f64::from(self.model("model", name).ok()?.max_positions?);
        (tokens > most).then(|| {
            let text = format!("{tokens:.0} tokens: the model's own context ends at {most}");
            Warning::new("past_model_context", field, text)
        })
    }
}

/// Refused where the readers of the families are not built in.
#[cfg(not(feature = "hugging-face"))]
fn from_hugging_face(config: &Value) -> Result<Architecture, Error> {
    Err(Error::Unsupported {
        field: String::new(),
        given: config.describe(),
        reason: "this build reads no Hugging Face config".to_owned(),
    })
}

fn is_hugging_face(value: &Value) -> bool {
    value.get("model_type").is_some() || value.get("architectures").is_some()
}
