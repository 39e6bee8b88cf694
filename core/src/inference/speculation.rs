//! Speculative decoding: cheap guesses at the next tokens, all checked by one iteration of the model.
//!
//! An iteration checks k drafted tokens of every sequence at once: it computes k + 1 tokens of each, reaches the experts of
//! all of them, and reads the cache once. If each guess is right with chance a, it gives `(1 − a^(k+1)) / (1 − a)` tokens
//! (arXiv 2211.17192, equation 1).

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Gpu};
use crate::error::{Error, check_range};
use crate::model::{Architecture, ModelRef, Precision};
use crate::network::Topology;

use super::cut::Cut;
use super::iteration::Work;
use super::{EngineConstants, ServingLayout, ServingModel};

/// The draft that means the model's own layers for multi-token prediction.
const MTP: &str = "mtp";
/// Most tokens drafted at once that are priced.
const MOST_DRAFTED: u32 = 32;

/// Speculative decoding or multi-token prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Speculation {
    /// Tokens drafted for each iteration, 1 to 32.
    pub draft_tokens: u32,
    /// Chance that a drafted token is accepted where the one before it was, 0 to 1. It depends on draft and text: 0.85 to
    /// 0.9 for DeepSeek-V3's first predicted token (arXiv 2412.19437, section 5.4.3), less for further ones.
    pub acceptance: f64,
    /// What drafts: `mtp` for the model's own layers for multi-token prediction, run again for every further token, or
    /// another model with the same vocabulary, as `model` names one. It runs on the same GPUs in the same precision.
    pub draft: ModelRef,
}

impl Speculation {
    /// Tokens that an iteration gives a sequence on average, 1 to `draft_tokens` + 1: those accepted in a row, and the
    /// model's own next one.
    pub fn tokens_per_iteration(&self) -> f64 {
        // The sum 1 + a + … + a^k, which the closed form loses digits on near a = 1.
        (0..self.draft_tokens)
            .fold((1.0, 1.0), |(sum, power), _| {
                let power = power * self.acceptance;
                (sum + power, power)
            })
            .0
    }

    /// The architecture that drafts for `arch`.
    ///
    /// # Errors
    /// With a path under `speculation`: numbers out of range; `mtp` for a model without such layers; an unknown model, one
    /// with another vocabulary or with state-space layers.
    pub(super) fn drafting(&self, catalog: &Catalog, arch: &Architecture) -> Result<Architecture, Error> {
        let tokens = f64::from(self.draft_tokens);
        check_range("speculation.draft_tokens", tokens, 1.0, f64::from(MOST_DRAFTED))?;
        check_range("speculation.acceptance", self.acceptance, 0.0, 1.0)?;
        let field = "speculation.draft";
        if self.is_mtp() {
            if arch.mtp_layers == 0 {
                return Err(Error::Unsupported {
                    field: field.to_owned(),
                    given: MTP.to_owned(),
                    reason: format!(
                        "{} has no layers for multi-token prediction; name a draft model with its vocabulary",
                        arch.name
                    ),
                });
            }
            return Ok(prediction_layer(arch));
        }
        let draft = catalog.resolve_model(field, &self.draft)?;
        if draft.vocab != arch.vocab {
            return Err(Error::Conflict {
                field: field.to_owned(),
                message: format!(
                    "{} has a vocabulary of {} tokens and {} one of {}: its tokens mean something else",
                    draft.name, draft.vocab, arch.name, arch.vocab
                ),
            });
        }
        if draft.state_space.is_some() {
            return Err(Error::Unsupported {
                field: field.to_owned(),
                given: draft.name,
                reason: "drafts with state-space layers are not priced".to_owned(),
            });
        }
        Ok(draft)
    }

    fn is_mtp(&self) -> bool {
        matches!(&self.draft, ModelRef::Name(name) if name == MTP)
    }
}

/// One layer for multi-token prediction as a model of its own: the widths of the model's last layers, full attention.
fn prediction_layer(arch: &Architecture) -> Architecture {
    let mut moe = arch.moe;
    if let Some(moe) = &mut moe {
        moe.dense_layers = 0;
    }
    Architecture { layers: 1, moe, sliding_window: None, mtp_layers: 0, mtp_passes: 0, ..arch.clone() }
}

/// What drafts for a [`ServingModel`], on the GPUs of its last stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drafter<'a> {
    /// Tokens drafted for an iteration.
    pub tokens: f64,
    /// Tokens that an iteration gives on average.
    pub accepted: f64,
    model: ServingModel<'a>,
    /// Layers for multi-token prediction; none for a model of its own.
    prediction_layers: Option<f64>,
}

impl<'a> Drafter<'a> {
    /// The draft `arch` that [`Speculation::drafting`] found, for the model `of`.
    ///
    /// # Errors
    /// As [`ServingModel::new`].
    pub fn new(
        speculation: &Speculation,
        engine: &EngineConstants,
        arch: &'a Architecture,
        of: &Architecture,
        on: (&Gpu, &Topology),
        precision: (Precision, Option<Precision>),
    ) -> Result<Self, Error> {
        let model = ServingModel::with_engine(engine, arch, on.0, on.1, precision.0, precision.1)?;
        let prediction_layers = speculation.is_mtp().then(|| f64::from(of.mtp_layers));
        Ok(Self {
            tokens: f64::from(speculation.draft_tokens),
            accepted: speculation.tokens_per_iteration(),
            model,
            prediction_layers,
        })
    }

    /// Refuses a layout of the model by which its draft cannot be cut.
    pub fn check(&self, layout: &ServingLayout) -> Result<(), Error> {
        let (ep, redundant_experts) = match self.model.arch.moe {
            Some(_) => (layout.ep, layout.redundant_experts),
            None => (1, 0),
        };
        let layout = ServingLayout { pp: 1, ep, redundant_experts, ..*layout };
        self.model.layout(layout).map(|_| ()).map_err(|why| Error::Conflict {
            field: "speculation.draft".to_owned(),
            message: format!("{} cannot be cut as the model is: {why}", self.model.name()),
        })
    }

    /// Seconds of drafting beside an iteration of the model that does `work`: one pass for each token drafted, the first
    /// with the prompts. Host work is the iteration's.
    pub fn seconds(&self, cut: &Cut, work: &Work) -> f64 {
        let cut = &cut.of_draft(&self.model.sizes);
        let first = self.pass(cut, work);
        if work.sequences <= 0.0 || self.tokens <= 1.0 {
            return first;
        }
        let further = self.pass(cut, &Work { prompt_tokens: 0.0, reading: 0.0, ..*work });
        first + (self.tokens - 1.0) * further
    }

    fn pass(&self, cut: &Cut, work: &Work) -> f64 {
        let parts = self.model.iteration(cut, work);
        let rows = work.sequences + work.prompt_tokens;
        // The hidden state beside the embedding of the token after it, brought to one width (arXiv 2412.19437, equation 21).
        let projection = self.prediction_layers.map_or(0.0, |_| {
            let hidden = self.model.sizes.hidden;
            self.model.engine.gpu_time_factor
                * self.model.gemm(rows, hidden, 2.0 * hidden, self.model.formats.dense)
        });
        parts.total_seconds - parts.engine_seconds + projection
    }

    /// Bytes of the draft's weights on one GPU. Layers for multi-token prediction share the model's embeddings.
    pub fn weight_bytes(&self, cut: &Cut) -> f64 {
        let cut = &cut.of_draft(&self.model.sizes);
        let Some(layers) = self.prediction_layers else { return self.model.weight_bytes(cut) };
        let hidden = self.model.sizes.hidden;
        let projection = 2.0 * hidden * hidden * self.model.formats.dense.weight_bytes();
        layers * (self.model.stack_bytes(cut) + projection)
    }

    /// Bytes of the draft's KV cache of one sequence of `tokens` on one GPU.
    pub fn kv_bytes(&self, cut: &Cut, tokens: f64) -> f64 {
        let cut = &cut.of_draft(&self.model.sizes);
        self.prediction_layers.unwrap_or(1.0) * self.model.kv_bytes(cut, tokens)
    }

    /// The same draft where prompts come with `prefix`.
    pub fn with_prefix(mut self, prefix: super::prefix::Prefix) -> Self {
        self.model.prefix = prefix;
        self
    }
}
