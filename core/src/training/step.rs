//! One optimiser step: layers, pipeline, exchange of gradients and weights, optimiser.

use super::exchange::{DataExchange, data_exchange, pipeline_message};
use super::job::Job;
use super::layer::{LayerCut, LayerWork, Pass, dense_layer, expert_layer, logits};
use super::layout::{Layout, PipelineSchedule, Recompute, Task};
use super::ledger::{Entry, Ledger, Role};
use super::memory::{OPTIMIZER, RankParameters, kept_per_layer, memory};
use super::offload::{Offload, beyond};
use super::operation::{StepPart, StepPhase, StepStack};
use super::recompute::{Again, RecomputeParts};
use super::report::{StepParts, TrainingMemory};
use super::schedule::{Pipeline, StageTime};
use super::software::Software;
use super::state_space::prediction_layer;
use crate::kernel::{Bound, Cost};

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
    /// Layers on the first stage, which also has the embedding.
    pub first_layers: f64,
    /// Layers on the last stage, which also has the output projection.
    pub last_layers: f64,
    /// ZeRO stage.
    pub zero: u8,
    /// Ranks over which ZeRO shards what tensor parallel ranks share.
    pub shards: f64,
    /// Ranks over which ZeRO shards experts.
    pub expert_shards: f64,
    /// Ranks that hold parts of a layer's routed experts.
    pub expert_ways: f64,
    /// Recomputed activations.
    pub recompute: Recompute,
    /// Of a stage's layers, those done again whole at most.
    pub recompute_layers: f64,
    /// Parts of each layer done again under selective recompute.
    pub recompute_parts: RecomputeParts,
    /// What lies in the host's memory.
    pub offload: Offload,
    /// GPUs in all.
    pub gpus: f64,
}

impl Cut {
    /// The cut of a checked layout.
    #[inline]
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
        let expert_ways = f64::from(layout.ep) * f64::from(layout.expert_ways());
        let expert_shards = (shards * f64::from(layout.tp) / expert_ways).max(1.0);
        Self {
            layer: LayerCut {
                tp: layout.tp,
                cp: layout.cp,
                ep: layout.ep,
                expert_tp: layout.expert_ways(),
                micro_batch: layout.micro_batch,
                sequence_parallel: layout.sequence_parallel && layout.tp > 1,
            },
            pp,
            dp,
            pipeline,
            stage_layers,
            first_layers: (stage_layers - (spare / 2.0).floor()).max(0.0),
            last_layers,
            zero: layout.zero,
            shards,
            expert_shards,
            expert_ways,
            recompute: layout.recompute,
            recompute_layers: layout.recompute_layers.map_or(f64::INFINITY, f64::from),
            recompute_parts: layout
                .recompute_parts
                .unwrap_or_else(|| RecomputeParts::usual(job.keeps_scores())),
            offload: layout.offload,
            gpus: f64::from(layout.tp) * pp * ranks,
        }
    }

    /// Pipeline stages of which each rank holds the weights: two under DualPipe, which runs the pipeline from both ends
    /// (arXiv 2412.19437, table 2).
    pub fn stage_copies(&self) -> u32 {
        if self.pipeline.schedule == PipelineSchedule::DualPipe && self.pp > 1.0 { 2 } else { 1 }
    }

    /// Ranks over which ZeRO shards what a rank holds, tensor parallel cut: under DualPipe both of the stages that it holds
    /// lie on twice as many.
    pub fn shards_of_rank(&self) -> f64 {
        self.shards * f64::from(self.stage_copies())
    }

    /// The same of experts.
    pub fn expert_shards_of_rank(&self) -> f64 {
        self.expert_shards * f64::from(self.stage_copies())
    }

    /// Layers of a stage with so many that do something again.
    pub fn redone_layers(&self, layers: f64) -> f64 {
        match self.recompute {
            Recompute::None => 0.0,
            Recompute::Selective => layers,
            Recompute::Full => layers.min(self.recompute_layers),
        }
    }

    /// Of all layers of a stage, the share that does something again.
    fn redone_share(&self, layers: f64) -> f64 {
        if layers > 0.0 { self.redone_layers(layers) / layers } else { 0.0 }
    }
}

/// The layers of a job for one layer cut: all that a search computes once for many layouts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layers<L = ()> {
    /// A dense layer.
    pub dense: LayerWork<L>,
    /// A layer with experts.
    pub expert: LayerWork<L>,
    /// What multi-token prediction runs beside such a layer.
    pub prediction: LayerWork<L>,
    /// Output projection and loss: forward, backward.
    pub logits: (Pass<L>, Pass<L>),
    /// Bytes of the logits.
    pub logits_bytes: f64,
}

impl<L: Ledger> Layers<L> {
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
pub struct Estimate<L = ()> {
    /// Seconds of the step.
    pub seconds: f64,
    /// Its parts.
    pub parts: StepParts,
    /// Memory of the fullest rank.
    pub memory: TrainingMemory,
    /// FLOP of recompute, as a share of the forward pass.
    pub recomputed_share: f64,
    /// Exchange along the data parallel dimension.
    pub data: DataExchange<L>,
    /// Seconds of pipeline sends.
    pub pipeline_send_seconds: f64,
    /// The operations behind all of it.
    pub told: L,
}

/// The step; none where a group needs a fabric that is not there.
pub fn estimate<L: Ledger>(job: &Job, cut: &Cut, layers: &Layers<L>) -> Option<Estimate<L>> {
    let memory = memory(job, cut, &kept_per_layer(job, cut, layers), layers.logits_bytes);
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
    let at = |stage_layers: f64| {
        let share = cut.redone_share(stage_layers);
        (
            LayerSeconds::of(job, cut, StepStack::Dense, &layers.dense, share),
            LayerSeconds::of(job, cut, StepStack::Expert, &layers.expert, share),
        )
    };
    let full = at(cut.stage_layers);
    let stage = |layers: f64, (dense, expert): &(LayerSeconds<L>, LayerSeconds<L>)| {
        dense.scaled(layers * dense_share).plus(&expert.scaled(layers * (1.0 - dense_share)))
    };
    let middle = stage(cut.stage_layers, &full);
    let (dense, expert) = &full;
    let redone_share = cut.redone_share(cut.stage_layers);
    let prediction = LayerSeconds::of(job, cut, StepStack::Prediction, &layers.prediction, redone_share)
        .plus(if sizes.moe_layers > 0.0 { expert } else { dense })
        .plus(&LayerSeconds::output(job, &layers.logits))
        .in_stack(StepStack::Prediction);
    let extra =
        LayerSeconds::output(job, &layers.logits).plus(&prediction.scaled(job.architecture.mtp_runs()));
    let last = stage(cut.last_layers, &at(cut.last_layers)).plus(&extra);
    // Under DualPipe the rank of the last stage has the first one too, and takes half of the micro-batches through each
    // (arXiv 2412.19437, sections 3.2.1 and 3.2.3): it works for as long as the mean of both.
    let end = if cut.stage_copies() > 1 {
        stage(cut.first_layers, &at(cut.first_layers)).plus(&last).scaled(0.5)
    } else {
        last
    };
    let busiest = if cut.pp > 1.0 && middle.total() > end.total() { middle } else { end };

    let m = cut.pipeline.micro_batches;
    let work = busiest.scaled(m);
    let whole = dense.scaled(sizes.dense_layers).plus(&expert.scaled(sizes.moe_layers)).plus(&extra);
    let mean = whole.scaled(1.0 / cut.pp).stage_time();
    let bubble = cut.pipeline.bubble_seconds(&mean);

    let message = pipeline_message(job, cut)?;
    let sends = 2.0 * cut.pipeline.virtual_stages * m;
    let send_seconds = message.map_or(0.0, |(time, _)| time.seconds) * 2.0 * cut.pipeline.virtual_stages * m;
    let rank = RankParameters::of(job, cut);
    let data = data_exchange(job, cut, &rank, &busiest.stage_time(), m)?;
    let mut told = work.told.plus(&data.told);
    let optimizer = optimizer_cost(job, cut, &rank);
    told.note(|| Entry::kernel(StepPart::Optimizer, "optimiser (Adam)", Role::Itself, optimizer));
    let optimizer = optimizer.seconds;
    let offload = offload_seconds(job, cut, layers, &busiest.stage_time(), &mut told)
        + offloaded_optimizer_seconds(job, cut, &rank, optimizer, &mut told);

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
        offload_seconds: offload,
        overhead_seconds: work.gaps + constants.step_overhead_seconds,
    };
    let busy = parts.sum();
    let stragglers = busy * constants.straggler_per_doubling * libm::log2(nodes);
    parts.overhead_seconds += stragglers;
    if let Some((time, _)) = message {
        let waited = parts.pipeline_seconds;
        told.note(|| {
            Entry::sent(StepPart::Pipeline, "sends to the next stage and back", sends, &time, waited)
        });
    }
    let mut wait = |part, name, seconds, bound| told.note(|| Entry::idle(part, name, 1.0, seconds, bound));
    wait(StepPart::Bubble, "pipeline bubble", bubble, Bound::Waiting);
    wait(StepPart::Overhead, "host work of a step", constants.step_overhead_seconds, Bound::Host);
    wait(StepPart::Overhead, "slowest rank", stragglers, Bound::Waiting);
    Some(Estimate {
        seconds: parts.sum(),
        parts,
        memory,
        recomputed_share: recomputed_share(cut, layers, (sizes.dense_layers, sizes.moe_layers)),
        data,
        pipeline_send_seconds: send_seconds,
        told,
    })
}

/// Multiprocessors that DeepSeek-V3's exchange of experts keeps for itself (arXiv 2412.19437, section 3.2.2).
const DUAL_PIPE_MULTIPROCESSORS: f64 = 20.0;

/// Seconds of one micro-batch in one layer (or several), as they are waited for.
#[derive(Debug, Clone, Copy, Default)]
struct LayerSeconds<L> {
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
    told: L,
}

impl<L: Ledger> LayerSeconds<L> {
    /// One layer, of which `redone_share` does again what the recompute mode says.
    fn of(job: &Job, cut: &Cut, stack: StepStack, work: &LayerWork<L>, redone_share: f64) -> Self {
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
        // Of tiles, layers say themselves what shows.
        let Software { tensor_overlap, tensor_tiles, .. } = job.software;
        let shares = tensor_overlap && !(tensor_tiles && cut.layer.sequence_parallel);
        let tensor_exposed = if shares { c.tensor_exposed } else { 1.0 };
        let captured = job.software.captured;
        let forward_waits = f.tensor * tensor_exposed + f.context + f.expert * expert_exposed;
        let Again { pass: redo, .. } = work.again(cut.recompute, cut.recompute_parts).scaled(redone_share);
        let redo = redo.on(job.device.sm_count, aside);
        let gap = if captured { c.captured_gap_seconds } else { c.kernel_gap_seconds };
        let routed = if captured { 0.0 } else { c.routing_seconds };
        let weight_gradient = if job.task == Task::Lora { 0.0 } else { b.matmul / 2.0 };
        let mut told = L::default();
        let passes = [(StepPhase::Forward, f), (StepPhase::Backward, b), (StepPhase::Recompute, &redo)];
        for (when, pass) in passes {
            told.take(&pass.told, |entry| {
                entry.of(stack, when);
                entry.waits(StepPart::TensorParallel, tensor_exposed);
                entry.waits(StepPart::ExpertParallel, expert_exposed);
            });
            told_gaps(&mut told, (stack, when), pass, gap, routed);
        }
        Self {
            compute: f.matmul + f.attention + b.matmul + b.attention,
            memory: f.memory + b.memory,
            recompute: redo.compute(),
            tensor: (f.tensor + b.tensor + redo.tensor) * tensor_exposed,
            context: f.context + b.context + redo.context,
            expert: (f.expert + b.expert + redo.expert) * expert_exposed,
            gaps: gap * (f.kernels + b.kernels + redo.kernels)
                + routed * (f.routings + b.routings + redo.routings)
                + f.idle
                + b.idle
                + redo.idle,
            forward: f.compute() + forward_waits + gap * f.kernels + routed * f.routings + f.idle,
            weight_gradient,
            told,
        }
    }

    fn output(job: &Job, (forward, backward): &(Pass<L>, Pass<L>)) -> Self {
        let gap = job.constants.kernel_gap_seconds;
        let mut told = L::default();
        for (when, pass) in [(StepPhase::Forward, forward), (StepPhase::Backward, backward)] {
            told.take(&pass.told, |entry| entry.of(StepStack::Output, when));
            told_gaps(&mut told, (StepStack::Output, when), pass, gap, 0.0);
        }
        Self {
            compute: forward.matmul + backward.matmul,
            memory: forward.memory + backward.memory,
            gaps: gap * (forward.kernels + backward.kernels),
            forward: forward.compute() + gap * forward.kernels,
            weight_gradient: backward.matmul / 2.0,
            told,
            ..Self::default()
        }
    }

    /// The same, told as part of another stack.
    fn in_stack(self, stack: StepStack) -> Self {
        Self { told: self.told.each(|entry| entry.in_stack(stack)), ..self }
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
            told: self.told.scaled(by),
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
            told: self.told.plus(&other.told),
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

/// What a pass waits for between its kernels.
fn told_gaps<L: Ledger>(
    told: &mut L,
    (stack, when): (StepStack, StepPhase),
    pass: &Pass<L>,
    gap: f64,
    routing: f64,
) {
    let mut wait = |name, count, seconds, bound| {
        told.note(|| {
            let mut entry = Entry::idle(StepPart::Overhead, name, count, seconds, bound);
            entry.of(stack, when);
            entry
        });
    };
    wait("gaps between kernels", pass.kernels, gap * pass.kernels, Bound::Launch);
    wait("routing counts to the host", pass.routings, routing * pass.routings, Bound::Host);
    wait("launches of experts' kernels", pass.routings, pass.idle, Bound::Host);
}

/// Seconds by which copies of activations to the host outlast the forward passes, and copies back the backward passes.
fn offload_seconds<L: Ledger>(
    job: &Job,
    cut: &Cut,
    layers: &Layers<L>,
    pass: &StageTime,
    told: &mut L,
) -> f64 {
    let away = f64::from(cut.offload.activation_layers).min(cut.stage_layers);
    if away <= 0.0 {
        return 0.0;
    }
    let bytes = away * kept_per_layer(job, cut, layers).on_average(cut);
    let one = |seconds| beyond(bytes, job.host_bytes_per_s, seconds);
    let (forward, backward) = (one(pass.forward), one(pass.backward));
    let m = cut.pipeline.micro_batches;
    let each = bytes / job.host_bytes_per_s;
    told.note(|| Entry::copies("activations to the host", m, each, forward));
    told.note(|| Entry::copies("activations from the host", m, each, backward));
    m * (forward + backward)
}

/// Seconds by which an offloaded optimiser's state, streaming each way at once, outlasts the optimiser's work.
fn offloaded_optimizer_seconds<L: Ledger>(
    job: &Job,
    cut: &Cut,
    rank: &RankParameters,
    optimizer: f64,
    told: &mut L,
) -> f64 {
    if !cut.offload.optimizer {
        return 0.0;
    }
    let bytes = OPTIMIZER * trained_shard(job, cut, rank);
    let waited = beyond(bytes, job.host_bytes_per_s, optimizer);
    told.note(|| {
        Entry::copies("optimiser state from and to the host", 1.0, bytes / job.host_bytes_per_s, waited)
    });
    waited
}

/// Products and attention done again, as a share of the layers' forward pass.
fn recomputed_share<L: Ledger>(cut: &Cut, layers: &Layers<L>, (dense, expert): (f64, f64)) -> f64 {
    let products = |pass: &Pass<L>| pass.matmul + pass.attention;
    let again = |work: &LayerWork<L>| products(&work.again(cut.recompute, cut.recompute_parts).pass);
    let forward = dense * products(&layers.dense.forward) + expert * products(&layers.expert.forward);
    if forward <= 0.0 {
        return 0.0;
    }
    cut.redone_share(cut.stage_layers) * (dense * again(&layers.dense) + expert * again(&layers.expert))
        / forward
}

/// Trained parameters whose optimiser state a rank holds.
fn trained_shard(job: &Job, cut: &Cut, rank: &RankParameters) -> f64 {
    let ways = |n: f64| if cut.zero >= 1 { n } else { 1.0 };
    job.task.trained_share()
        * ((rank.dense + rank.embedding) / ways(cut.shards_of_rank())
            + rank.experts / ways(cut.expert_shards_of_rank()))
}

/// Adam on the rank's shard: 32-bit gradient, master weight and two moments read, the last three and the 16-bit weight
/// written: 30 bytes a parameter; and all gradients read once for their norm.
fn optimizer_cost(job: &Job, cut: &Cut, rank: &RankParameters) -> Cost {
    let shard = trained_shard(job, cut, rank);
    let gradients = if cut.zero >= 2 { shard } else { job.task.trained_share() * rank.total() };
    job.device.memory_bound_cost(30.0 * shard + 4.0 * gradients)
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
            + self.offload_seconds
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
