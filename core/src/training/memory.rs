//! Memory of the fullest rank.

use super::job::Job;
use super::layer::LayerWork;
use super::layout::Task;
use super::ledger::Ledger;
use super::report::TrainingMemory;
use super::stage::{Place, StageLayers};
use super::step::{Cut, Layers};
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
    /// Of the rank that holds the most, both stages under DualPipe.
    pub fn of(job: &Job, cut: &Cut) -> Self {
        stages(job, cut)
            .map(|stage| Self::at(job, cut, &stage))
            .fold(Self::NONE, |most, rank| if rank.total() > most.total() { rank } else { most })
    }

    const NONE: Self = Self { dense: 0.0, experts: 0.0, embedding: 0.0 };

    fn at(job: &Job, cut: &Cut, stage: &Stage) -> Self {
        let sizes = &job.sizes;
        let tp = f64::from(cut.layer.tp);
        let predictions = if stage.output { 1.0 } else { 0.0 };
        Self {
            dense: (sizes.dense_parameters_of(&stage.layers) + predictions * sizes.prediction_dense) / tp,
            experts: (stage.layers.expert * sizes.experts + predictions * sizes.prediction_experts)
                / cut.expert_ways,
            embedding: stage.embedding / tp,
        }
    }

    /// All of them.
    pub fn total(&self) -> f64 {
        self.dense + self.experts + self.embedding
    }
}

/// What a pipeline rank that may be the fullest holds: a stage, or under DualPipe two.
#[derive(Debug, Clone, Copy)]
struct Stage {
    layers: StageLayers,
    /// Micro-batches whose activations it holds, in units of these layers.
    in_flight: f64,
    /// Parameters of embedding and output projection.
    embedding: f64,
    /// Whether the loss is computed here, and with it the predictions of further tokens.
    output: bool,
}

impl Stage {
    /// Both stages of a rank under DualPipe, each with half of the micro-batches in flight (arXiv 2412.19437, section
    /// 3.2.1).
    fn with(self, other: Self) -> Self {
        Self {
            layers: self.layers.plus(&other.layers),
            in_flight: 0.5 * self.in_flight,
            embedding: self.embedding + other.embedding,
            output: self.output || other.output,
        }
    }
}

/// The first rank, the one after it and the last, as far as they differ: where layers do not divide, the first has fewer
/// than the second. Under DualPipe rank i holds stages i and p − 1 − i: the first and the last, the second and the one
/// before the last.
fn stages(job: &Job, cut: &Cut) -> impl Iterator<Item = Stage> {
    let sizes = &job.sizes;
    let held = |behind| cut.pipeline.in_flight(behind);
    // A tied output projection is held by the last rank too.
    let output = if sizes.output > 0.0 { sizes.output } else { sizes.embedding };
    let alone = cut.pp <= 1.0;
    let first = Stage {
        layers: StageLayers::of(job, cut, Place::First),
        in_flight: held(0.0),
        embedding: if alone { sizes.embedding + sizes.output } else { sizes.embedding },
        output: alone,
    };
    let second = Stage {
        layers: StageLayers::of(job, cut, Place::Inner),
        in_flight: held(1.0),
        embedding: 0.0,
        output: false,
    };
    let last = Stage {
        layers: StageLayers::of(job, cut, Place::Last),
        in_flight: held(cut.pp - 1.0),
        embedding: output,
        output: true,
    };
    let inner = cut.pp > 2.0;
    let ranks = if cut.stage_copies() > 1 {
        [Some(first.with(last)), inner.then(|| second.with(second)), None]
    } else {
        [Some(first), inner.then_some(second), (!alone).then_some(last)]
    };
    ranks.into_iter().flatten()
}

/// Bytes per parameter of a mixed-precision recipe with Adam (Micikevicius 2017, arXiv 1710.03740; ZeRO, arXiv
/// 1910.02054, section 3.1): 16-bit weights and gradients (as the performance recipes of Megatron-Bridge, FSDP and
/// MaxText keep them; a recipe that sums them in 32 bits needs twice that), 32-bit master weights and two moments.
pub const WEIGHT: f64 = 2.0;
/// Bytes of a gradient, also on the wire.
pub const GRADIENT: f64 = 2.0;
/// Bytes of master weight and moments.
pub const OPTIMIZER: f64 = 12.0;

/// Activation bytes of one layer for one micro-batch.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    /// In a layer that does nothing again.
    whole: f64,
    /// Of them, not kept in a layer that does.
    freed: f64,
}

/// Activation bytes of a layer of each kind for one micro-batch.
#[derive(Debug, Clone, Copy)]
pub struct KeptPerLayer {
    dense: Kept,
    expert: Kept,
    /// Of all runs of multi-token prediction, which do again what the layers do.
    predictions: Kept,
}

impl KeptPerLayer {
    /// Of all layers of a stage.
    fn of_stage(&self, cut: &Cut, layers: &StageLayers) -> f64 {
        let redone = cut.redone_share(layers.all());
        let of = |kept: &Kept| kept.whole - redone * kept.freed;
        layers.dense * of(&self.dense) + layers.expert * of(&self.expert)
    }

    /// Of what the last stage predicts beside its layers.
    fn of_predictions(&self, cut: &Cut, layers: &StageLayers) -> f64 {
        self.predictions.whole - cut.redone_share(layers.all()) * self.predictions.freed
    }

    /// What the layers of a stage do again one after the other, of one of them.
    fn freed(&self, layers: &StageLayers) -> f64 {
        (layers.dense * self.dense.freed + layers.expert * self.expert.freed) / layers.all().max(1.0)
    }

    /// Of one layer of the fullest stage, on average.
    pub fn on_average(&self, job: &Job, cut: &Cut) -> f64 {
        let layers = StageLayers::of(job, cut, Place::Inner);
        self.of_stage(cut, &layers) / layers.all().max(1.0)
    }
}

/// What layers keep.
pub fn kept_per_layer<L: Ledger>(job: &Job, cut: &Cut, layers: &Layers<L>) -> KeptPerLayer {
    let kept = |work: &LayerWork<L>| Kept {
        whole: work.kept_bytes,
        freed: work.again(cut.recompute, cut.recompute_parts).freed_bytes,
    };
    let (dense, expert) = (kept(&layers.dense), kept(&layers.expert));
    let runs = job.architecture.mtp_runs();
    let predictions = if runs > 0.0 {
        let (own, layer) =
            (kept(&layers.prediction), if job.sizes.moe_layers > 0.0 { expert } else { dense });
        Kept { whole: runs * (own.whole + layer.whole), freed: runs * (own.freed + layer.freed) }
    } else {
        Kept::default()
    };
    KeptPerLayer { dense, expert, predictions }
}

/// Memory of the fullest rank.
///
/// A stage holds as many micro-batches as its place in the schedule says.
pub fn memory(job: &Job, cut: &Cut, kept: &KeptPerLayer, logits_bytes: f64) -> TrainingMemory {
    stages(job, cut).map(|stage| of_stage(job, cut, &stage, kept, logits_bytes)).fold(
        TrainingMemory::default(),
        |most, stage| if stage.total_gib > most.total_gib { stage } else { most },
    )
}

fn of_stage(job: &Job, cut: &Cut, stage: &Stage, kept: &KeptPerLayer, logits_bytes: f64) -> TrainingMemory {
    let rank = RankParameters::at(job, cut, stage);
    let parameters = rank.dense + rank.embedding;
    let (shards, expert_shards) = (cut.shards_of_rank(), cut.expert_shards_of_rank());
    let trained = job.trained_share();
    let held_layers = stage.layers.all();
    let split = |sharded: bool, bytes: f64| -> f64 {
        let ways = |n: f64| if sharded { n } else { 1.0 };
        bytes * (parameters / ways(shards) + rank.experts / ways(expert_shards))
    };
    // Under ZeRO 3 the layer at work is gathered whole, with the next one on its way.
    let layer = (rank.dense + rank.experts) / held_layers.max(1.0);
    let gathered = if cut.zero >= 3 { 2.0 * layer * WEIGHT } else { 0.0 };
    // Frozen weights need no 16-bit copy beside the one that products read.
    let weight = if job.task == Task::Lora { job.precision.weight_bytes().min(WEIGHT) } else { WEIGHT };
    let copies = f64::from(cut.stage_copies());
    let weights = split(cut.zero >= 3, weight) + gathered;
    let gradients = trained
        * (split(cut.scatters_each(), GRADIENT) + if cut.zero >= 3 { copies * layer * WEIGHT } else { 0.0 });
    let state = trained * split(cut.zero >= 1, OPTIMIZER);
    let optimizer = cut.offload.optimizer_on_gpu(state, held_layers);

    let of_one = stage.layers.scaled(1.0 / copies);
    // Predictions are made and done with by one micro-batch after the other.
    let predictions = if stage.output { kept.of_predictions(cut, &of_one) } else { 0.0 };
    let made = copies * kept.of_stage(cut, &of_one) * stage.in_flight;
    let stands = cut.offload.share_on_gpu(held_layers, stage.in_flight);
    // The first layer of the backward pass does its parts again while all others are still kept; with some layers kept
    // whole, those go first.
    let again = cut.redone_layers(of_one.all());
    let redone = if again > 0.0 && again >= of_one.all() { kept.freed(&of_one) } else { 0.0 };
    let activations = made * stands + predictions + redone;
    // Those of further tokens stand beside until the backward pass of all.
    let runs = job.architecture.mtp_runs();
    let logits = if stage.output { (1.0 + runs) * logits_bytes } else { 0.0 };
    let workspace = job.constants.context_bytes + job.constants.fragmentation * activations;
    let total = weights + gradients + optimizer + activations + logits + workspace;
    let host = if cut.offload.optimizer { state } else { 0.0 } + made * cut.offload.share_away(held_layers);
    TrainingMemory {
        weights_gib: weights / GIB,
        gradients_gib: gradients / GIB,
        optimizer_gib: optimizer / GIB,
        activations_gib: activations / GIB,
        logits_gib: logits / GIB,
        workspace_gib: workspace / GIB,
        total_gib: total / GIB,
        host_gib: host / GIB,
        available_gib: job.memory_bytes / GIB,
        fits: total <= job.memory_bytes,
    }
}
