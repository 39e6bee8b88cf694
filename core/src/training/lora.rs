//! Low-rank adapters: what of a model they train.

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::layout::Task;
use crate::error::{Error, check_range};
use crate::model::Architecture;

/// Low-rank adapters (arXiv 2106.09685): beside a frozen matrix of `in × out` two trained ones, `in × rank` and
/// `rank × out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Lora {
    /// Their rank.
    pub rank: u32,
    /// The matrices that have them.
    pub targets: LoraTargets,
}

/// Which matrices have adapters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum LoraTargets {
    /// Those of attention and of feed-forward layers, experts included (Megatron-Bridge's and NeMo AutoModel's defaults).
    #[default]
    All,
    /// Those of attention (MLPerf Training's Llama 2 70B).
    Attention,
}

impl Default for Lora {
    /// Rank 16 beside all matrices.
    fn default() -> Self {
        Self { rank: 16, targets: LoraTargets::default() }
    }
}

impl Lora {
    /// Refuses a rank that is none.
    ///
    /// # Errors
    /// `OutOfRange`, with a path below `lora`.
    pub fn check(&self) -> Result<(), Error> {
        check_range("lora.rank", f64::from(self.rank), 1.0, 4096.0).map(|_| ())
    }

    /// Whether feed-forward layers, experts and state-space layers have them too.
    pub fn beside_all(self) -> bool {
        self.targets == LoraTargets::All
    }

    /// Parameters of a model's adapters: rank × (in + out) of each matrix.
    pub fn parameters(&self, model: &Architecture) -> f64 {
        let sides = f64::from(model.attention_layers()) * attention_sides(model)
            + if self.beside_all() { feed_forward_sides(model) + state_space_sides(model) } else { 0.0 };
        f64::from(self.rank) * sides
    }

    /// The same as a share of the model's own parameters, 1 at most.
    pub fn share(&self, model: &Architecture) -> f64 {
        (self.parameters(model) / model.parameters()).min(1.0)
    }
}

/// In + out of the matrices of one layer's attention.
fn attention_sides(model: &Architecture) -> f64 {
    let (hidden, heads) = (f64::from(model.hidden), f64::from(model.heads));
    let Some(mla) = model.mla else {
        let width = f64::from(model.head_dim);
        let (queries, keys) = (heads * width, f64::from(model.kv_heads) * width);
        return (hidden + queries) + 2.0 * (hidden + keys) + (queries + hidden);
    };
    let [q_rank, kv_rank, nope, rope, value] =
        [mla.q_lora_rank, mla.kv_lora_rank, mla.qk_nope_head_dim, mla.qk_rope_head_dim, mla.v_head_dim]
            .map(f64::from);
    let queries = heads * (nope + rope);
    let query = if q_rank > 0.0 { hidden + 2.0 * q_rank + queries } else { hidden + queries };
    query + (hidden + kv_rank + rope) + (kv_rank + heads * (nope + value)) + (heads * value + hidden)
}

/// In + out of the matrices of all feed-forward layers, experts and shared experts.
fn feed_forward_sides(model: &Architecture) -> f64 {
    let matrices = if model.gated { 3.0 } else { 2.0 };
    let sides = |input: f64, width: u32| matrices * (input + f64::from(width));
    let hidden = f64::from(model.hidden);
    let dense = f64::from(model.dense_layers()) * sides(hidden, model.ffn);
    let experts = model.moe.map_or(0.0, |moe| {
        let shared = if moe.shared_ffn > 0 { sides(hidden, moe.shared_ffn) } else { 0.0 };
        f64::from(moe.experts) * sides(model.expert_width(), moe.expert_ffn) + shared
    });
    dense + f64::from(model.moe_layers()) * experts
}

/// In + out of the projections of all state-space layers.
fn state_space_sides(model: &Architecture) -> f64 {
    let hidden = f64::from(model.hidden);
    model
        .state_space
        .map_or(0.0, |s| f64::from(s.layers) * (2.0 * hidden + s.projected_width() + s.inner_width()))
}

/// Share of a model's weights that have gradients and optimiser state: all of them, or the adapters'.
pub fn trained_share(model: &Architecture, task: Task, lora: Lora) -> f64 {
    match task {
        Task::Pretrain | Task::FineTune => 1.0,
        Task::Lora => lora.share(model),
    }
}

impl Job {
    /// The same job with other adapters.
    ///
    /// # Errors
    /// `OutOfRange` for an absurd rank, `Conflict` where the task trains no adapters.
    pub fn with_lora(mut self, lora: Option<Lora>) -> Result<Self, Error> {
        let Some(lora) = lora else { return Ok(self) };
        lora.check()?;
        if self.task != Task::Lora {
            return Err(Error::Conflict {
                field: "lora".to_owned(),
                message: "given with a task that trains all weights: give task = lora, or leave lora out"
                    .to_owned(),
            });
        }
        self.lora = lora;
        self.adapters_share = lora.share(&self.architecture);
        Ok(self)
    }

    /// Share of the weights that have gradients and optimiser state.
    pub fn trained_share(&self) -> f64 {
        if self.task == Task::Lora { self.adapters_share } else { 1.0 }
    }
}
