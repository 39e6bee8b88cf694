//! How a training job is cut over GPUs.

use serde::{Deserialize, Serialize};

/// Cut of a training job: how many ways along each dimension, and how a rank works through its share.
///
/// `tp × pp × cp × dp` is the number of GPUs; expert-parallel ranks lie inside `dp × cp × tp`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Tensor parallel ranks (arXiv 1909.08053, section 3).
    #[serde(default = "one")]
    pub tp: u32,
    /// Norms and residuals are cut along the sequence by the tensor parallel ranks too; without it they are repeated.
    #[serde(default = "yes")]
    pub sequence_parallel: bool,
    /// Pipeline stages.
    #[serde(default = "one")]
    pub pp: u32,
    /// Virtual stages on each pipeline rank (interleaving, arXiv 2104.04473); 1 for none.
    #[serde(default = "one")]
    pub vp: u32,
    /// Order in which stages work through micro-batches.
    #[serde(default)]
    pub schedule: PipelineSchedule,
    /// Data parallel ranks; if not given, what remains of the GPUs.
    #[serde(default)]
    pub dp: Option<u32>,
    /// Context parallel ranks (ring attention over the sequence).
    #[serde(default = "one")]
    pub cp: u32,
    /// Expert parallel ranks.
    #[serde(default = "one")]
    pub ep: u32,
    /// Sequences that a rank works on at a time.
    #[serde(default = "one")]
    pub micro_batch: u32,
    /// Sequences in an optimiser step, over all ranks.
    pub global_batch: u32,
    /// Activations computed again in the backward pass.
    #[serde(default)]
    pub recompute: Recompute,
    /// ZeRO stage (arXiv 1910.02054): 0 replicates, 1 shards the optimiser state over dp × cp, 2 the gradients too,
    /// 3 the weights too (FSDP).
    #[serde(default = "one_u8")]
    pub zero: u8,
    /// GPUs over which ZeRO shards, if fewer than dp × cp (hybrid sharding).
    #[serde(default)]
    pub shard_group: Option<u32>,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn one_u8() -> u8 {
    1
}

/// Order in which pipeline stages work through micro-batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum PipelineSchedule {
    /// One forward, one backward; interleaved where `vp` is above 1 (arXiv 2104.04473).
    #[default]
    OneForwardOneBackward,
    /// Weight gradients fill the bubble (arXiv 2401.10241).
    ZeroBubble,
    /// Two directions at once, expert exchange hidden under computation (arXiv 2412.19437, section 3.2.1).
    DualPipe,
}

/// Activations computed again in the backward pass instead of kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Recompute {
    /// Everything is kept.
    #[default]
    None,
    /// The cheap and large parts: norms, activation functions, and what attention keeps beyond its inputs
    /// (arXiv 2205.05198, section 5).
    Selective,
    /// Only each layer's input is kept.
    Full,
}

/// What a job trains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// All weights, from random numbers.
    #[default]
    Pretrain,
    /// All weights, from a checkpoint.
    FineTune,
    /// Low-rank adapters only (arXiv 2106.09685); the weights are frozen.
    Lora,
}

impl Task {
    /// Share of the weights that have gradients and optimiser state: all, or the adapters' 1 % (rank 16 to 64 on every
    /// projection of a large model is 0.2 to 1 %).
    pub fn trained_share(self) -> f64 {
        match self {
            Self::Pretrain | Self::FineTune => 1.0,
            Self::Lora => 0.01,
        }
    }
}
