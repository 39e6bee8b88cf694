//! How a training job is cut over GPUs.

use serde::{Deserialize, Serialize};

use super::offload::Offload;
use super::recompute::RecomputeParts;

/// Cut of a training job: how many ways along each dimension, and how a rank works through its share.
///
/// `tp × pp × cp × dp` is the number of GPUs; expert-parallel ranks lie inside `dp × cp × tp`, in groups of
/// `ep × expert_tp`.
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
    /// Ranks that cut each routed expert along its width; if not given, 1 with expert parallel ranks, and `tp` without
    /// (Megatron-Core's `expert_tensor_parallel_size`).
    #[serde(default)]
    pub expert_tp: Option<u32>,
    /// Sequences that a rank works on at a time.
    #[serde(default = "one")]
    pub micro_batch: u32,
    /// Sequences in an optimiser step, over all ranks.
    pub global_batch: u32,
    /// Activations computed again in the backward pass.
    #[serde(default)]
    pub recompute: Recompute,
    /// Layers of each pipeline rank that `recompute: full` does again; if not given, all. The others keep everything
    /// (Megatron-Core's `recompute_num_layers` under its block method).
    #[serde(default)]
    pub recompute_layers: Option<u32>,
    /// Parts of every layer that `recompute: selective` does again; if not given, the cheap and large ones.
    #[serde(default)]
    pub recompute_parts: Option<RecomputeParts>,
    /// What lies in the host's memory.
    #[serde(default)]
    pub offload: Offload,
    /// ZeRO stage (arXiv 1910.02054): 0 replicates, 1 shards the optimiser state over dp × cp, 2 the gradients too, which
    /// are then scattered after each micro-batch (with a pipeline they add up whole until the last), 3 the weights too
    /// (FSDP).
    #[serde(default = "one_u8")]
    pub zero: u8,
    /// GPUs over which ZeRO shards, if fewer than dp × cp (hybrid sharding).
    #[serde(default)]
    pub shard_group: Option<u32>,
}

impl Layout {
    /// Data parallel only, with everything else at its default, for a step of so many sequences.
    pub fn data_parallel(global_batch: u32) -> Self {
        Self {
            tp: 1,
            sequence_parallel: true,
            pp: 1,
            vp: 1,
            schedule: PipelineSchedule::default(),
            dp: None,
            cp: 1,
            ep: 1,
            expert_tp: None,
            micro_batch: 1,
            global_batch,
            recompute: Recompute::default(),
            recompute_layers: None,
            recompute_parts: None,
            offload: Offload::default(),
            zero: 1,
            shard_group: None,
        }
    }

    /// Ranks that cut each routed expert.
    pub fn expert_ways(&self) -> u32 {
        self.expert_tp.unwrap_or(if self.ep > 1 { 1 } else { self.tp })
    }
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
    /// Parts of each layer (arXiv 2205.05198, section 5): those of `recompute_parts`.
    Selective,
    /// Whole layers, of which only the input is kept.
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
