//! Prefix caching: prompt tokens whose keys and values are in the cache before the prompt is read.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_range};

use super::ServingModel;
use super::cut::Cut;

/// What of the prompts a replica's cache already holds when they come.
///
/// A token found saves its products and its attention, not the reading of its keys and values by the tokens after it: a
/// prompt's other tokens, and the answer's, attend to all of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct PrefixCache {
    /// Share of a prompt's tokens that are found, 0 to 1; at least one token of a prompt is read. DeepSeek's service found
    /// 56.3 % (its inference overview of 2025-03-01).
    pub hit_rate: f64,
    /// Distinct tokens behind the hits, held once in the KV cache of each attention rank and shared by the requests in
    /// flight (system prompts); if not given, each request holds all of its own prompt (conversations).
    #[serde(default)]
    pub shared_tokens: Option<f64>,
}

impl PrefixCache {
    /// The cache's part in prompts of `input` tokens.
    ///
    /// # Errors
    /// Under `prefix_cache`: `OutOfRange` for a hit rate outside 0 to what leaves a token to read, or shared tokens that are
    /// no number of them; `Conflict` for fewer of these than a prompt finds.
    pub(super) fn checked(&self, input: f64) -> Result<Prefix, Error> {
        check_range("prefix_cache.hit_rate", self.hit_rate, 0.0, (1.0 - 1.0 / input).max(0.0))?;
        let found = self.hit_rate * input;
        if let Some(tokens) = self.shared_tokens {
            let field = "prefix_cache.shared_tokens";
            check_range(field, tokens, 0.0, 1e12)?;
            if tokens < found {
                return Err(Error::Conflict {
                    field: field.to_owned(),
                    message: format!(
                        "{tokens} given, but a prompt of {input} tokens finds {found} in the cache (hit_rate {}), and these are \
                         among those shared; give {} or more, or leave it out where each request holds its own prompt",
                        self.hit_rate,
                        found.ceil()
                    ),
                });
            }
        }
        Ok(Prefix {
            read_share: 1.0 - self.hit_rate,
            shared: self.shared_tokens.map(|tokens| Shared { of_prompt: self.hit_rate, tokens }),
        })
    }
}

/// [`PrefixCache`] for the hot path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prefix {
    /// Share of a prompt's tokens that are read; 0 where its keys and values come from other GPUs.
    pub read_share: f64,
    /// What requests in flight share.
    pub shared: Option<Shared>,
}

/// Part of the KV cache that many requests use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shared {
    /// Share of each prompt that lies in it.
    of_prompt: f64,
    /// Its tokens.
    tokens: f64,
}

impl Prefix {
    /// Nothing is found.
    pub const NONE: Self = Self { read_share: 1.0, shared: None };

    /// Of `tokens` of a prompt those that are read.
    pub fn unread(&self, tokens: f64) -> f64 {
        self.read_share * tokens
    }

    /// Bytes of one GPU's KV cache that requests share.
    pub fn shared_bytes(&self, model: &ServingModel<'_>, cut: &Cut, input: f64) -> f64 {
        self.shared.map_or(0.0, |shared| shared.tokens * model.kv_bytes(cut, input) / input / cut.pp)
    }

    /// Share of a sequence of `tokens`, `input` of them its prompt, that no other request holds.
    pub fn own_share(&self, input: f64, tokens: f64) -> f64 {
        self.shared.map_or(1.0, |shared| 1.0 - shared.of_prompt * input / tokens)
    }
}
