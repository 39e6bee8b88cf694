//! One optimiser step: layers, pipeline, exchange of gradients and weights, optimiser.

use super::exchange::{DataExchange, data_exchange};
use super::job::Job;
use super::layer::{LayerCut, LayerWork, Pass, dense_layer, expert_layer, logits};
use super::layout::{Layout, PipelineSchedule, Recompute, Task};
use super::memory::{RankParameters, memory};
use super::report::{StepParts, TrainingMemory};
use super::schedule::{Pipeline, StageTime};
use super::state_space::prediction_layer;

/// A layout with everything derived from it that the formulas use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// What decides a layer's work.
    pub layer: LayerCut,
    /// Pipeline stages.
    pub pp: f64,
    /// Data parallel ranks.
    pub dp: u32,
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Layers on the fullest stage.
    pub stage_layers: f64,
    /// Layers on the last stage, which also has the output projection.
    pub last_layers: f64,
    /// Micro-batches held by the first stage.
    pub in_flight: f64,
    /// Micro-batches held by the last stage.
    pub last_in_flight: f64,
    /// ZeRO stage.
    pub zero: u8,
    /// Ranks over which ZeRO shards what tensor parallel ranks share.
    pub shards: f64,
    /// Ranks over which ZeRO shards experts.
    pub expert_shards: f64,
    /// Recomputed activations.
    pub recompute: Recompute,
    /// GPUs in all.
    pub gpus: f64,
}

impl Cut {
    /// The cut of a checked layout.
    pub fn new(job: &Job, layout: &Layout, dp: u32) -> Self {
        let layers = job.sizes.layers();
        let (pp, vp) = (f64::from(layout.pp), f64::from(layout.vp));
        let stage_layers = (layers / (pp * vp)).ceil() * vp;
        // Where layers do not divide, the first and the last stage get fewer, in equal parts.
        let spare = (stage_layers * pp - layers).max(0.0);
        let last_layers = (stage_layers - (spare / 2.0).ceil()).max(0.0);
        let ranks = f64::from(dp) * f64::from(layout.cp);
        let shards = layout.shard_group.map_or(ranks, f64::from).min(ranks);
        let micro_batches = f64::from(layout.global_batch) / (f64::from(dp) * f64::from(layout.micro_batch));
        let pipeline = Pipeline { stages: pp, virtual_stages: vp, micro_batches, schedule: layout.schedule };
        let ep = f64::from(layout.ep);
        let expert_shards =
            if layout.ep > 1 { (shards * f64::from(layout.tp) / ep).max(1.0) } else { shards };
        Self {
            layer: LayerCut {
                tp: layout.tp,
                cp: layout.cp,
                ep: layout.ep,
                micro_batch: layout.micro_batch,
                sequence_parallel: layout.sequence_parallel && layout.tp > 1,
            },
            pp,
            dp,
            pipeline,
            stage_layers,
            last_layers,
            in_flight: pipeline.in_flight(),
            last_in_flight: if vp > 1.0 { (pp / vp).max(1.0).min(micro_batches) } else { 1.0 },
            zero: layout.zero,
            shards,
            expert_shards,
            recompute: layout.recompute,
            gpus: f64::from(layout.tp) * pp * ranks,
        }
    }
}

/// The layers of a job for one layer cut: all that a search computes once for many layouts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layers {
    /// A dense layer.
    pub dense: LayerWork,
    /// A layer with experts.
    pub expert: LayerWork,
    /// What multi-token prediction runs beside such a layer.
    pub prediction: LayerWork,
    /// Output projection and loss: forward, backward.
    pub logits: (Pass, Pass),
    /// Bytes of the logits.
    pub logits_bytes: f64,
}

impl Layers {
    /// The layers; none where a group needs a fabric that is not there.
    pub fn new(job: &Job, cut: &LayerCut) -> Option<Self> {
        let dense = if job.sizes.dense_layers > 0.0 { dense_layer(job, cut)? } else { LayerWork::default() };
        let expert = if job.sizes.moe_layers > 0.0 { expert_layer(job, cut)? } else { LayerWork::default() };
        let prediction =
            if job.architecture.mtp_layers > 0 { prediction_layer(job, cut)? } else { LayerWork::default() };
        let (forward, backward, logits_bytes) = logits(job, cut);
        Some(Self { dense, expert, prediction, logits: (forward, backward), logits_bytes })
    }
}

/// Time and memory of one step, without the words of a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Seconds of the step.
    pub seconds: f64,
    /// Its parts.
    pub parts: StepParts,
    /// Memory of the fullest rank.
    pub memory: TrainingMemory,
    /// FLOP of recompute, as a share of the forward pass.
    pub recomputed_share: f64,
    /// Exchange along the data parallel dimension.
    pub data: DataExchange,
    /// Seconds of pipeline sends.
    pub pipeline_send_seconds: f64,
}

/// The step; none where a group needs a fabric that is not there.
pub fn estimate(job: &Job, cut: &Cut, layers: &Layers) -> Option<Estimate> {
    let memory = memory(job, cut, &layers.dense, &layers.expert, layers.logits_bytes);
    let sizes = &job.sizes;
    let constants = &job.constants;
    // A stage's layers: with a pipeline, the fullest stage has no dense layers where the model has expert layers, unless
    // layers of all kinds alternate.
    let alternate = job.architecture.state_space.is_some();
    let dense_share = if cut.pp > 1.0 && sizes.moe_layers > 0.0 && !alternate {
        0.0
    } else {
        sizes.dense_layers / sizes.layers().max(1.0)
    };
    let dense = LayerSeconds::of(job, cut, &layers.dense);
    let expert = LayerSeconds::of(job, cut, &layers.expert);
    let middle = dense
        .scaled(cut.stage_layers * dense_share)
        .plus(&expert.scaled(cut.stage_layers * (1.0 - dense_share)));
    let prediction = LayerSeconds::of(job, cut, &layers.prediction)
        .plus(if sizes.moe_layers > 0.0 { &expert } else { &dense })
        .plus(&LayerSeconds::output(job, &layers.logits));
    let extra =
        LayerSeconds::output(job, &layers.logits).plus(&prediction.scaled(job.architecture.mtp_runs()));
    let last = middle.scaled(cut.last_layers / cut.stage_layers.max(1.0)).plus(&extra);
    let busiest = if cut.pp > 1.0 && middle.total() > last.total() { middle } else { last };

    let m = cut.pipeline.micro_batches;
    let work = busiest.scaled(m);
    let whole = dense.scaled(sizes.dense_layers).plus(&expert.scaled(sizes.moe_layers)).plus(&extra);
    let mean = whole.scaled(1.0 / cut.pp).stage_time();
    let bubble = cut.pipeline.bubble_seconds(&mean);

    let sends = super::exchange::pipeline_send(job, cut)?;
    let send_seconds = sends * 2.0 * cut.pipeline.virtual_stages * m;
    let rank = RankParameters::of(job, cut);
    let data = data_exchange(job, cut, &rank, &busiest.stage_time(), m)?;
    let optimizer = optimizer_seconds(job, cut, &rank);

    let nodes = (cut.gpus / f64::from(job.topology.gpus_per_node.max(1))).max(1.0);
    let mut parts = StepParts {
        compute_seconds: work.compute,
        memory_bound_seconds: work.memory,
        recompute_seconds: work.recompute,
        tensor_parallel_seconds: work.tensor,
        context_parallel_seconds: work.context,
        expert_parallel_seconds: work.expert,
        pipeline_seconds: send_seconds * constants.pipeline_exposed,
        bubble_seconds: bubble,
        data_parallel_seconds: data.exposed_seconds,
        optimizer_seconds: optimizer,
        overhead_seconds: work.gaps + constants.step_overhead_seconds,
    };
    let busy = parts.sum();
    parts.overhead_seconds += busy * constants.straggler_per_doubling * libm::log2(nodes);
    Some(Estimate {
        seconds: parts.sum(),
        parts,
        memory,
        recomputed_share: if cut.recompute == Recompute::Full { 1.0 } else { 0.0 },
        data,
        pipeline_send_seconds: send_seconds,
    })
}

/// Multiprocessors that DeepSeek-V3's exchange of experts keeps for itself (arXiv 2412.19437, section 3.2.2).
const DUAL_PIPE_MULTIPROCESSORS: f64 = 20.0;

/// Seconds of one micro-batch in one layer (or several), as they are waited for.
#[derive(Debug, Clone, Copy, Default)]
struct LayerSeconds {
    compute: f64,
    memory: f64,
    recompute: f64,
    tensor: f64,
    context: f64,
    expert: f64,
    gaps: f64,
    /// Of all: forward.
    forward: f64,
    /// Of all: weight gradients.
    weight_gradient: f64,
}

impl LayerSeconds {
    fn of(job: &Job, cut: &Cut, work: &LayerWork) -> Self {
        let c = &job.constants;
        let (f, b) = (&work.forward, &work.backward);
        // One micro-batch's exchange runs under another's computation. DualPipe hides it whole and sets multiprocessors
        // aside for it; elsewhere overlap is what published steps show of it.
        let (expert_exposed, aside) = match cut.pipeline.schedule {
            PipelineSchedule::DualPipe if cut.pp > 1.0 && work.routed => (0.0, DUAL_PIPE_MULTIPROCESSORS),
            _ if job.software.expert_overlap => (c.expert_overlapped, 0.0),
            _ => (c.expert_exposed, 0.0),
        };
        let (f, b) = (&f.on(job.device.sm_count, aside), &b.on(job.device.sm_count, aside));
        let tensor_exposed = if job.software.tensor_overlap { c.tensor_exposed } else { 1.0 };
        let captured = job.software.captured;
        let forward_waits = f.tensor * tensor_exposed + f.context + f.expert * expert_exposed;
        let (redo, redo_kernels) = match cut.recompute {
            Recompute::None => (0.0, 0.0),
            Recompute::Selective => (work.selective_seconds, 4.0),
            Recompute::Full => (f.compute(), f.kernels),
        };
        let (redo_tensor, redo_expert, redo_context) = if cut.recompute == Recompute::Full {
            (f.tensor * tensor_exposed, f.expert * expert_exposed, f.context)
        } else {
            (0.0, 0.0, 0.0)
        };
        let gap = if captured { c.captured_gap_seconds } else { c.kernel_gap_seconds };
        let routed = if work.routed && !captured { c.routing_seconds } else { 0.0 };
        let passes = if cut.recompute == Recompute::Full { 3.0 } else { 2.0 };
        let weight_gradient = if job.task == Task::Lora { 0.0 } else { b.matmul / 2.0 };
        let idle = if cut.recompute == Recompute::Full { 2.0 * f.idle } else { f.idle } + b.idle;
        Self {
            compute: f.matmul + f.attention + b.matmul + b.attention,
            memory: f.memory + b.memory,
            recompute: redo,
            tensor: (f.tensor + b.tensor) * tensor_exposed + redo_tensor,
            context: f.context + b.context + redo_context,
            expert: (f.expert + b.expert) * expert_exposed + redo_expert,
            gaps: gap * (f.kernels + b.kernels + redo_kernels) + passes * routed + idle,
            forward: f.compute() + forward_waits + gap * f.kernels + routed + f.idle,
            weight_gradient,
        }
    }

    fn output(job: &Job, (forward, backward): &(Pass, Pass)) -> Self {
        let gap = job.constants.kernel_gap_seconds;
        Self {
            compute: forward.matmul + backward.matmul,
            memory: forward.memory + backward.memory,
            gaps: gap * (forward.kernels + backward.kernels),
            forward: forward.compute() + gap * forward.kernels,
            weight_gradient: backward.matmul / 2.0,
            ..Self::default()
        }
    }

    fn scaled(&self, by: f64) -> Self {
        Self {
            compute: self.compute * by,
            memory: self.memory * by,
            recompute: self.recompute * by,
            tensor: self.tensor * by,
            context: self.context * by,
            expert: self.expert * by,
            gaps: self.gaps * by,
            forward: self.forward * by,
            weight_gradient: self.weight_gradient * by,
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            compute: self.compute + other.compute,
            memory: self.memory + other.memory,
            recompute: self.recompute + other.recompute,
            tensor: self.tensor + other.tensor,
            context: self.context + other.context,
            expert: self.expert + other.expert,
            gaps: self.gaps + other.gaps,
            forward: self.forward + other.forward,
            weight_gradient: self.weight_gradient + other.weight_gradient,
        }
    }

    fn total(&self) -> f64 {
        self.compute + self.memory + self.recompute + self.tensor + self.context + self.expert + self.gaps
    }

    fn stage_time(&self) -> StageTime {
        StageTime {
            forward: self.forward,
            backward: self.total() - self.forward,
            weight_gradient: self.weight_gradient,
        }
    }
}

/// Adam on the rank's shard: 32-bit gradient, master weight and two moments read, the last three and the 16-bit weight
/// written: 30 bytes a parameter; and all gradients read once for their norm.
fn optimizer_seconds(job: &Job, cut: &Cut, rank: &RankParameters) -> f64 {
    let trained = job.task.trained_share();
    let ways = |n: f64| if cut.zero >= 1 { n } else { 1.0 };
    let shard = (rank.dense + rank.embedding) / ways(cut.shards) + rank.experts / ways(cut.expert_shards);
    let gradients = if cut.zero >= 2 { shard } else { rank.total() };
    job.device.memory_bound(trained * (30.0 * shard + 4.0 * gradients))
}

impl StepParts {
    /// Their sum: the step's seconds.
    pub fn sum(&self) -> f64 {
        self.compute_seconds
            + self.memory_bound_seconds
            + self.recompute_seconds
            + self.communication()
            + self.bubble_seconds
            + self.optimizer_seconds
            + self.overhead_seconds
    }

    /// Seconds of communication that is waited for.
    pub fn communication(&self) -> f64 {
        self.tensor_parallel_seconds
            + self.context_parallel_seconds
            + self.expert_parallel_seconds
            + self.pipeline_seconds
            + self.data_parallel_seconds
    }
}
