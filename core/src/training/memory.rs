//! Memory of the fullest rank.

use super::job::Job;
use super::layer::LayerWork;
use super::layout::{PipelineSchedule, Recompute, Task};
use super::report::TrainingMemory;
use super::step::Cut;
use crate::quantity::GIB;

/// Parameters that one rank holds, before ZeRO.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankParameters {
    /// In layers, tensor parallel cut.
    pub dense: f64,
    /// In routed experts.
    pub experts: f64,
    /// In embedding or output projection, of the stage that holds more of them.
    pub embedding: f64,
}

impl RankParameters {
    /// Of the fullest stage: the most layers, and the larger of embedding and output projection (both without pipeline).
    pub fn of(job: &Job, cut: &Cut) -> Self {
        let sizes = &job.sizes;
        let share = cut.stage_layers / sizes.layers().max(1.0);
        let tp = f64::from(cut.layer.tp);
        let expert_ways = if cut.layer.ep > 1 { f64::from(cut.layer.ep) } else { tp };
        let embedding =
            if cut.pp > 1.0 { sizes.embedding.max(sizes.output) } else { sizes.embedding + sizes.output };
        Self {
            dense: sizes.dense_parameters() * share / tp,
            experts: sizes.expert_parameters() * share / expert_ways,
            embedding: embedding / tp,
        }
    }

    /// All of them.
    pub fn total(&self) -> f64 {
        self.dense + self.experts + self.embedding
    }
}

/// Bytes per parameter of a mixed-precision recipe with Adam (Micikevicius 2017, arXiv 1710.03740; ZeRO, arXiv
/// 1910.02054, section 3.1): 16-bit weights and gradients (as the performance recipes of Megatron-Bridge, FSDP and
/// MaxText keep them; a recipe that sums them in 32 bits needs twice that), 32-bit master weights and two moments.
const WEIGHT: f64 = 2.0;
/// Bytes of a gradient, also on the wire.
pub const GRADIENT: f64 = 2.0;
const OPTIMIZER: f64 = 12.0;

/// Memory of the fullest rank.
///
/// `dense` and `expert` are the layers' work; stages hold `cut.in_flight` micro-batches, in the first stage.
pub fn memory(
    job: &Job,
    cut: &Cut,
    dense: &LayerWork,
    expert: &LayerWork,
    logits_bytes: f64,
) -> TrainingMemory {
    let rank = RankParameters::of(job, cut);
    let parameters = rank.dense + rank.embedding;
    let (shards, expert_shards) = (cut.shards, cut.expert_shards);
    let trained = job.task.trained_share();
    let split = |stage: u8, bytes: f64| -> f64 {
        let ways = |n: f64| if cut.zero >= stage { n } else { 1.0 };
        bytes * (parameters / ways(shards) + rank.experts / ways(expert_shards))
    };
    // Under ZeRO 3 the layer at work is gathered whole, with the next one on its way.
    let layer = (rank.dense + rank.experts) / cut.stage_layers.max(1.0);
    let gathered = if cut.zero >= 3 { 2.0 * layer * WEIGHT } else { 0.0 };
    // Frozen weights need no 16-bit copy beside the one that products read.
    let weight = if job.task == Task::Lora { job.precision.weight_bytes().min(WEIGHT) } else { WEIGHT };
    // DualPipe runs the pipeline from both ends: each rank holds two stages (arXiv 2412.19437, table 2).
    let copies = if cut.pipeline.schedule == PipelineSchedule::DualPipe && cut.pp > 1.0 { 2.0 } else { 1.0 };
    let weights = copies * split(3, weight) + gathered;
    let gradients =
        copies * trained * (split(2, GRADIENT) + if cut.zero >= 3 { layer * WEIGHT } else { 0.0 });
    let optimizer = trained * split(1, OPTIMIZER);

    let mode = match cut.recompute {
        Recompute::None => 0,
        Recompute::Selective => 1,
        Recompute::Full => 2,
    };
    let sizes = &job.sizes;
    let expert_share = sizes.moe_layers / sizes.layers().max(1.0);
    let kept = |mode: usize| {
        (1.0 - expert_share) * dense.activation_bytes[mode] + expert_share * expert.activation_bytes[mode]
    };
    // While a layer is done again, all of its activations stand for a moment.
    let redone = if mode > 0 { kept(0) } else { 0.0 };
    let activations = cut.stage_layers * cut.in_flight * kept(mode) + redone;
    // The last stage has one micro-batch in flight and the logits; the first has the most micro-batches.
    let last = cut.stage_layers * kept(mode) * if cut.pp > 1.0 { cut.last_in_flight } else { cut.in_flight }
        + redone;
    let (activations, logits) = if cut.pp > 1.0 && activations > last + logits_bytes {
        (activations, 0.0)
    } else {
        (last, logits_bytes)
    };
    let workspace = job.constants.context_bytes + job.constants.fragmentation * activations;
    let total = weights + gradients + optimizer + activations + logits + workspace;
    TrainingMemory {
        weights_gib: weights / GIB,
        gradients_gib: gradients / GIB,
        optimizer_gib: optimizer / GIB,
        activations_gib: activations / GIB,
        logits_gib: logits / GIB,
        workspace_gib: workspace / GIB,
        total_gib: total / GIB,
        available_gib: job.memory_bytes / GIB,
        fits: total <= job.memory_bytes,
    }
}
