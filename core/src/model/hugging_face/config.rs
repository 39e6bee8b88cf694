//! One config: its keys read with their types, and remembered as read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::error::{Error, check_range};
use crate::input::{Value, read};
use crate::model::{Architecture, SlidingWindow, SmallParameter};
use crate::quantity::count;

/// The object that describes a language model.
pub(super) struct Config<'a> {
    value: &'a Value,
    /// The object around it, where the language model is part of a larger one.
    wrapper: Option<&'a Value>,
    /// Sizes that the family's class fills in where the config leaves them out.
    defaults: &'static [(&'static str, u32)],
    /// Path of this object under the one that the reader began with: `attn_config`; empty for that one.
    path: &'static str,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Config<'a> {
    pub fn new(value: &'a Value, wrapper: Option<&'a Value>) -> Self {
        Self { value, wrapper, defaults: &[], path: "", asked: RefCell::default() }
    }

    /// The same config, read with a family's own defaults.
    pub fn with_defaults(mut self, defaults: &'static [(&'static str, u32)]) -> Self {
        self.defaults = defaults;
        self
    }

    /// Reads the object under `key` with `f`: some families keep sizes there.
    pub fn part<T>(
        &self,
        key: &'static str,
        f: impl FnOnce(&Config<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(value @ Value::Object(_)) = self.value(key) else {
            return Err(missing(key, "an object with sizes"));
        };
        let part = Config { path: key, ..Config::new(value, None) };
        let result = f(&part).map_err(|e| e.within(key));
        self.asked.borrow_mut().append(&mut part.asked.borrow_mut());
        result
    }

    /// Whether the reader asked for the key at `path`.
    pub fn has_read(&self, path: &str) -> bool {
        self.asked.borrow().contains(path)
    }

    /// The value of `key` that is neither absent nor null.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.asked.borrow_mut().insert(path);
        self.value.get(key).filter(|v| **v != Value::Null)
    }

    /// Whether the config has `key` at all, be it null.
    pub fn states(&self, key: &str) -> bool {
        self.value.get(key).is_some()
    }

    pub fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.value(key).map(|value| read(value).map_err(|e: Error| e.within(key))).transpose()
    }

    pub fn text(&self, key: &str) -> Option<String> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// A whole number that may be left out.
    pub fn optional(&self, key: &str) -> Result<Option<u32>, Error> {
        let stated = self.read(key)?;
        Ok(stated.or_else(|| self.defaults.iter().find(|(name, _)| *name == key).map(|(_, n)| *n)))
    }

    /// A whole number that must be there.
    pub fn count(&self, key: &str) -> Result<u32, Error> {
        self.optional(key)?.ok_or_else(|| missing(key, "the config does not state this size"))
    }

    /// The first of `keys` that is there: a family's present name and its older one.
    pub fn count_of(&self, keys: &[&str]) -> Result<u32, Error> {
        for key in keys {
            if let Some(count) = self.optional(key)? {
                return Ok(count);
            }
        }
        Err(missing(keys.first().copied().unwrap_or_default(), "the config does not state this size"))
    }

    /// How often something comes: every `key`-th layer; `otherwise` where the config leaves it out.
    pub fn period(&self, key: &str, otherwise: u32) -> Result<u32, Error> {
        let period = self.optional(key)?.unwrap_or(otherwise);
        check_range(key, f64::from(period), 1.0, f64::from(u32::MAX)).map(|_| period)
    }

    /// A whole number, or a list of one for each layer, which must then be equal.
    pub fn same_in_all_layers(&self, key: &str) -> Result<Option<u32>, Error> {
        let Some(Value::List(_)) = self.value(key) else { return self.optional(key) };
        let widths: Vec<u32> = self.read(key)?.unwrap_or_default();
        match widths.split_first() {
            Some((first, rest)) if rest.iter().all(|n| n == first) => Ok(Some(*first)),
            _ => Err(unsupported(key, "a list of unequal sizes", "layers of different sizes")),
        }
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        Ok(self.read(key)?.unwrap_or(default))
    }

    /// Whether input and output embedding are one matrix: stated by the model, or by the object around it.
    pub fn tied(&self, default: bool) -> Result<bool, Error> {
        let key = "tie_word_embeddings";
        let inner: Option<bool> = self.read(key)?;
        let outer: Option<bool> = match self.wrapper.and_then(|w| w.get(key)) {
            None | Some(Value::Null) => None,
            Some(value) => Some(read(value).map_err(|e: Error| e.within(key))?),
        };
        match (inner, outer) {
            (Some(a), Some(b)) if a != b => Err(Error::Conflict {
                field: key.to_owned(),
                message: format!("{a} here and {b} outside of text_config; state one"),
            }),
            _ => Ok(inner.or(outer).unwrap_or(default)),
        }
    }

    /// Adds `kinds` to the small parameters if the flag `key` is on.
    pub fn add(
        &self,
        a: &mut Architecture,
        key: &str,
        default: bool,
        kinds: &[SmallParameter],
    ) -> Result<(), Error> {
        if self.flag(key, default)? {
            a.small_parameters.extend_from_slice(kinds);
        }
        Ok(())
    }

    /// `hidden` over `heads`, which must come out whole.
    pub fn head_width(&self, hidden: u32, heads: u32) -> Result<u32, Error> {
        match hidden.checked_div(heads) {
            Some(width) if hidden.is_multiple_of(heads) => Ok(width),
            _ => Err(Error::Conflict {
                field: "head_dim".to_owned(),
                message: format!("{heads} heads do not divide the width {hidden}; state head_dim"),
            }),
        }
    }

    /// A model without any size but its vocabulary.
    pub fn blank(&self, name: &str) -> Result<Architecture, Error> {
        self.blank_with_vocabulary(name, "vocab_size")
    }

    /// A model without any size but its vocabulary, which stands under `key`.
    pub fn blank_with_vocabulary(&self, name: &str, key: &str) -> Result<Architecture, Error> {
        Ok(Architecture {
            name: name.to_owned(),
            layers: 0,
            hidden: 0,
            heads: 0,
            kv_heads: 0,
            head_dim: 0,
            ffn: 0,
            gated: false,
            vocab: self.count(key)?,
            tied_embeddings: false,
            learned_positions: 0,
            biases: false,
            small_parameters: Vec::new(),
            embedding_width: 0,
            mla: None,
            sliding_window: None,
            moe: None,
            state_space: None,
            mtp_layers: 0,
            mtp_passes: 0,
            unsupported: None,
            published_parameters: None,
            published_active_parameters: None,
            notes: Vec::new(),
        })
    }

    /// The keys that Llama named and most families took over; as many key and value heads as query heads, and embeddings
    /// apart, unless stated.
    pub fn standard(&self, name: &str, gated: bool) -> Result<Architecture, Error> {
        let hidden = self.count("hidden_size")?;
        let heads = self.count("num_attention_heads")?;
        let head_dim = match self.optional("head_dim")? {
            Some(width) => width,
            // Latent attention states its widths elsewhere.
            None if self.value.get("kv_lora_rank").is_some_and(|v| *v != Value::Null) => 0,
            None => self.head_width(hidden, heads)?,
        };
        Ok(Architecture {
            layers: self.count("num_hidden_layers")?,
            hidden,
            heads,
            kv_heads: self.optional("num_key_value_heads")?.unwrap_or(heads),
            head_dim,
            ffn: self.count("intermediate_size")?,
            gated,
            tied_embeddings: self.tied(false)?,
            ..self.blank(name)?
        })
    }

    /// [`Self::standard`] for families whose classes fill in some number of key and value heads of their own.
    pub fn grouped(&self, name: &str, gated: bool) -> Result<Architecture, Error> {
        self.count("num_key_value_heads")?;
        self.standard(name, gated)
    }

    /// A window in every layer, or in those that `layer_types` lists.
    pub fn window(&self, layers: u32) -> Result<Option<SlidingWindow>, Error> {
        let Some(window) = self.optional("sliding_window")? else { return Ok(None) };
        let full_layers = self.full_layers(layers, 0)?;
        Ok((full_layers < layers).then_some(SlidingWindow { window, full_layers }))
    }

    /// A window that is off unless a flag is on, and then holds in the layers behind `max_window_layers`.
    pub fn switched_window(&self, layers: u32) -> Result<Option<SlidingWindow>, Error> {
        let first_layers = self.optional("max_window_layers")?;
        let window = self.optional("sliding_window")?;
        self.full_layers(layers, 0)?;
        if !self.flag("use_sliding_window", false)? {
            return Ok(None);
        }
        let Some(window) = window else { return Ok(None) };
        let full_layers = self.full_layers(layers, first_layers.unwrap_or(0).min(layers))?;
        Ok((full_layers < layers).then_some(SlidingWindow { window, full_layers }))
    }

    /// A window in all layers but every `period`-th.
    pub fn alternating_window(&self, layers: u32, period: u32) -> Result<Option<SlidingWindow>, Error> {
        let Some(window) = self.optional("sliding_window")? else { return Ok(None) };
        let full_layers = self.full_layers(layers, layers / period)?;
        Ok(Some(SlidingWindow { window, full_layers }))
    }

    /// Layers with full attention: counted in `layer_types` where the config lists them, else `otherwise`.
    pub fn full_layers(&self, layers: u32, otherwise: u32) -> Result<u32, Error> {
        let Some(kinds) = self.read::<Vec<String>>("layer_types")? else { return Ok(otherwise) };
        if kinds.len() != layers as usize {
            return Err(Error::Conflict {
                field: "layer_types".to_owned(),
                message: format!("lists {}, num_hidden_layers says {layers}", count(kinds.len(), "layer")),
            });
        }
        Ok(kinds.iter().filter(|kind| *kind == "full_attention").fold(0, |n, _| n + 1))
    }
}

pub(super) fn unsupported(key: &str, given: &str, what: &str) -> Error {
    Error::Unsupported {
        field: key.to_owned(),
        given: given.to_owned(),
        reason: format!("{what} cannot be priced yet"),
    }
}

pub(super) fn missing(key: &str, expected: &str) -> Error {
    Error::MissingField { field: key.to_owned(), expected: expected.to_owned() }
}
