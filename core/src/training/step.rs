//! One optimiser step: layers, pipeline, exchange of gradients and weights, optimiser.

use super::exchange::{DataExchange, data_exchange, pipeline_message};
use super::job::Job;
use super::layer::{Block, LayerCut, LayerWork, Pass, attention, dense_layer, expert_layer, logits};
use super::layer_seconds::LayerSeconds;
use super::layout::{Layout, PipelineSchedule, Recompute};
use super::ledger::{Entry, Ledger, Role};
use super::memory::{KeptPerLayer, OPTIMIZER, RankParameters, kept_per_layer, memory};
use super::offload::{Offload, beyond};
use super::operation::{StepPart, StepStack};
use super::recompute::RecomputeParts;
use super::report::{StepParts, TrainingMemory};
use super::schedule::{Pipeline, StageTime};
use super::stage::{Place, StageLayers};
use super::state_space::prediction_layer;
use crate::kernel::{Bound, Cost};
use crate::network::CollectiveTime;

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

    /// Whether each micro-batch's gradients are scattered, so that nobody holds them whole: under ZeRO 2 and 3. Under ZeRO 2
    /// with a pipeline they add up whole until the last micro-batch, as Llama 3's did (arXiv 2407.21783, section 3.3.2).
    pub fn scatters_each(&self) -> bool {
        self.zero >= 3 || self.zero == 2 && self.pp <= 1.0
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
    pub fn redone_share(&self, layers: f64) -> f64 {
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
        let attention = attention(job, cut)?;
        let mut layers = Self::without_experts(job, cut, &attention)?;
        layers.set_experts(job, cut, &attention)?;
        Some(layers)
    }

    /// All but the layers with experts: what does not depend on where experts lie.
    pub fn without_experts(job: &Job, cut: &LayerCut, attention: &Block<L>) -> Option<Self> {
        let dense = if job.sizes.dense_layers > 0.0 {
            dense_layer(job, cut, attention)?
        } else {
            LayerWork::default()
        };
        let prediction =
            if job.architecture.mtp_layers > 0 { prediction_layer(job, cut)? } else { LayerWork::default() };
        let (forward, backward, logits_bytes) = logits(job, cut);
        let expert = LayerWork::default();
        Some(Self { dense, expert, prediction, logits: (forward, backward), logits_bytes })
    }

    /// Puts the layers with experts into their place, if the model has any.
    pub fn set_experts(&mut self, job: &Job, cut: &LayerCut, attention: &Block<L>) -> Option<()> {
        if job.sizes.moe_layers > 0.0 {
            self.expert = expert_layer(job, cut, attention)?;
        }
        Some(())
    }
}

/// Time and memory of one step, without the words of a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate<L = ()> {
    /// Its time.
    pub step: StepEstimate<L>,
    /// Memory of the fullest rank.
    pub memory: TrainingMemory,
    /// FLOP of recompute, as a share of the forward pass.
    pub recomputed_share: f64,
}

/// Time of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepEstimate<L = ()> {
    /// Seconds of the step.
    pub seconds: f64,
    /// Its parts.
    pub parts: StepParts,
    /// What the busiest stage works on.
    pub busy: [Busy; 2],
    /// Exchange along the data parallel dimension.
    pub data: DataExchange<L>,
    /// One send to the next stage with its size; none without a pipeline.
    pub message: Option<(CollectiveTime, f64)>,
    /// Seconds of pipeline sends.
    pub pipeline_send_seconds: f64,
    /// The operations behind all of it.
    pub told: L,
}

/// The step; none where a group needs a fabric that is not there.
pub fn estimate<L: Ledger>(job: &Job, cut: &Cut, layers: &Layers<L>) -> Option<Estimate<L>> {
    let kept = kept_per_layer(job, cut, layers);
    let redone_share = cut.redone_share(cut.stage_layers);
    let full = LayerTimes::of(job, cut, layers, redone_share);
    // Where only some layers are done again, they are another share of a stage with fewer layers.
    let other = |stage_layers: f64| {
        let share = cut.redone_share(stage_layers);
        (share != redone_share).then(|| LayerTimes::of(job, cut, layers, share))
    };
    let (first, last) = (other(cut.first_layers), other(cut.last_layers));
    let ends = (first.as_ref().unwrap_or(&full), last.as_ref().unwrap_or(&full));
    let work = StageWork::of(job, cut, &full, ends);
    Some(Estimate {
        memory: memory(job, cut, &kept, layers.logits_bytes),
        recomputed_share: recomputed_share(cut, layers, (job.sizes.dense_layers, job.sizes.moe_layers)),
        step: work.step(job, cut, &kept)?,
    })
}

/// Seconds of one micro-batch in each kind of layer, what it does again included, and in what the last stage has beside
/// its layers: all of a step's time that a search works out once for many layouts.
#[derive(Debug, Clone, Copy)]
pub struct LayerTimes<L = ()> {
    dense: LayerSeconds<L>,
    expert: LayerSeconds<L>,
    /// Output projection, loss and multi-token prediction.
    extra: LayerSeconds<L>,
    /// Of the layers, the share that does something again.
    redone_share: f64,
}

impl<L: Ledger> LayerTimes<L> {
    /// Where `redone_share` of the layers do again what the recompute mode says.
    pub fn of(job: &Job, cut: &Cut, layers: &Layers<L>, redone_share: f64) -> Self {
        let sizes = &job.sizes;
        let of = |stack, work, some: f64| {
            // A kind of layer that the model lacks takes no time.
            if some > 0.0 {
                LayerSeconds::of(job, cut, stack, work, redone_share)
            } else {
                LayerSeconds::default()
            }
        };
        let dense = of(StepStack::Dense, &layers.dense, sizes.dense_layers);
        let expert = of(StepStack::Expert, &layers.expert, sizes.moe_layers);
        let mut extra = LayerSeconds::output(job, &layers.logits);
        let runs = job.architecture.mtp_runs();
        if runs > 0.0 {
            let prediction = of(StepStack::Prediction, &layers.prediction, runs)
                .plus(if sizes.moe_layers > 0.0 { &expert } else { &dense })
                .plus(&extra)
                .in_stack(StepStack::Prediction);
            extra = extra.plus(&prediction.scaled(runs));
        }
        Self { dense, expert, extra, redone_share }
    }

    /// The layers of a stage.
    fn stage(&self, layers: &StageLayers) -> LayerSeconds<L> {
        self.dense.scaled(layers.dense).plus(&self.expert.scaled(layers.expert))
    }

    /// Seconds of a layer of the fullest stage, with a pipeline or without.
    pub fn least_layer_seconds(&self, job: &Job) -> f64 {
        let of = |pipeline| self.stage(&StageLayers::among(job, 1.0, pipeline, Place::Inner)).total();
        of(false).min(of(true))
    }
}

/// Work of one kind on the busiest stage: a stage's layers, and whether it runs multi-token prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Busy {
    /// Its layers.
    pub layers: StageLayers,
    /// Of them, the share that does something again.
    pub redone_share: f64,
    /// Runs of multi-token prediction for each micro-batch.
    pub predictions: f64,
}

impl Busy {
    fn scaled(self, by: f64) -> Self {
        Self { layers: self.layers.scaled(by), predictions: self.predictions * by, ..self }
    }
}

/// What the stages of a pipeline work on one micro-batch, and how they wait for each other: a step without what is sent
/// between stages and between data parallel ranks, and without the optimiser.
#[derive(Debug, Clone, Copy)]
pub struct StageWork<L = ()> {
    /// One micro-batch on the busiest stage.
    busiest: LayerSeconds<L>,
    /// What it works on: a stage, or under DualPipe two.
    busy: [Busy; 2],
    /// Seconds of a step that it waits while the pipeline fills and drains.
    bubble: f64,
}

impl<L: Ledger> StageWork<L> {
    /// The work of stages with these layers; `first` and `last` are those of the ends.
    pub fn of(
        job: &Job,
        cut: &Cut,
        full: &LayerTimes<L>,
        (first, last): (&LayerTimes<L>, &LayerTimes<L>),
    ) -> Self {
        let sizes = &job.sizes;
        let on = |place, times: &LayerTimes<L>, predictions| {
            let layers = StageLayers::of(job, cut, place);
            (times.stage(&layers), Busy { layers, redone_share: times.redone_share, predictions })
        };
        let (end, at_end) = on(Place::Last, last, job.architecture.mtp_runs());
        let end = end.plus(&full.extra);
        // Under DualPipe the rank of the last stage has the first one too, and takes half of the micro-batches through each
        // (arXiv 2412.19437, sections 3.2.1 and 3.2.3): it works for as long as the mean of both.
        let (end, at_end) = if cut.stage_copies() > 1 {
            let (start, at_start) = on(Place::First, first, 0.0);
            (start.plus(&end).scaled(0.5), [at_start.scaled(0.5), at_end.scaled(0.5)])
        } else {
            (end, [at_end, Busy::default()])
        };
        let (middle, inside) = if cut.pp > 1.0 {
            on(Place::Inner, full, 0.0)
        } else {
            (LayerSeconds::default(), Busy::default())
        };
        let (busiest, busy) =
            if middle.total() > end.total() { (middle, [inside, Busy::default()]) } else { (end, at_end) };
        let layers = full.dense.scaled(sizes.dense_layers).plus(&full.expert.scaled(sizes.moe_layers));
        let mean = layers.plus(&full.extra).scaled(1.0 / cut.pp).stage_time();
        Self { busiest, busy, bubble: cut.pipeline.bubble_seconds(&mean) }
    }

    /// The whole step; none where a group needs a fabric that is not there.
    pub fn step(&self, job: &Job, cut: &Cut, kept: &KeptPerLayer) -> Option<StepEstimate<L>> {
        let constants = &job.constants;
        let (busiest, bubble) = (&self.busiest, self.bubble);
        let m = cut.pipeline.micro_batches;
        let work = busiest.scaled(m);
        let message = pipeline_message(job, cut)?;
        let sends = 2.0 * cut.pipeline.virtual_stages * m;
        let send_seconds =
            message.map_or(0.0, |(time, _)| time.seconds) * 2.0 * cut.pipeline.virtual_stages * m;
        let rank = RankParameters::of(job, cut);
        let data = data_exchange(job, cut, &rank, &busiest.stage_time(), m)?;
        let mut told = work.told.plus(&data.told);
        let optimizer = optimizer_cost(job, cut, &rank);
        told.note(|| Entry::kernel(StepPart::Optimizer, "optimiser (Adam)", Role::Itself, optimizer));
        let optimizer = optimizer.seconds;
        let offload = offload_seconds(job, cut, kept, &busiest.stage_time(), &mut told)
            + offloaded_optimizer_seconds(job, cut, &rank, optimizer, &mut told);

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
        let stragglers = stragglers(job, parts.sum(), cut.gpus);
        parts.overhead_seconds += stragglers;
        if let Some((time, _)) = message {
            let waited = parts.pipeline_seconds;
            told.note(|| {
                Entry::sent(StepPart::Pipeline, "sends to the next stage and back", sends, &time, waited)
            });
        }
        let mut wait =
            |part, name, seconds, bound| told.note(|| Entry::idle(part, name, 1.0, seconds, bound));
        wait(StepPart::Bubble, "pipeline bubble", bubble, Bound::Waiting);
        wait(StepPart::Overhead, "host work of a step", constants.step_overhead_seconds, Bound::Host);
        wait(StepPart::Overhead, "slowest rank", stragglers, Bound::Waiting);
        Some(StepEstimate {
            seconds: parts.sum(),
            parts,
            busy: self.busy,
            data,
            message,
            pipeline_send_seconds: send_seconds,
            told,
        })
    }

    /// Seconds of this work in a step: no less than these, for they are parts of it and none of the others is negative.
    pub fn seconds(&self, cut: &Cut) -> f64 {
        self.busiest.total() * cut.pipeline.micro_batches + self.bubble
    }
}

/// Seconds that a step of so many `busy` seconds waits for its slowest rank.
pub fn stragglers(job: &Job, busy: f64, gpus: f64) -> f64 {
    let nodes = (gpus / f64::from(job.topology.gpus_per_node.max(1))).max(1.0);
    busy * job.constants.straggler_per_doubling * libm::log2(nodes)
}

/// Seconds by which copies of activations to the host outlast the forward passes, and copies back the backward passes.
fn offload_seconds<L: Ledger>(
    job: &Job,
    cut: &Cut,
    kept: &KeptPerLayer,
    pass: &StageTime,
    told: &mut L,
) -> f64 {
    let away = f64::from(cut.offload.activation_layers).min(cut.stage_layers);
    if away <= 0.0 {
        return 0.0;
    }
    let bytes = away * kept.on_average(job, cut);
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
    job.trained_share()
        * ((rank.dense + rank.embedding) / ways(cut.shards_of_rank())
            + rank.experts / ways(cut.expert_shards_of_rank()))
}

/// Adam on the rank's shard: 32-bit gradient, master weight and two moments read, the last three and the 16-bit weight
/// written: 30 bytes a parameter; and all gradients read once for their norm.
fn optimizer_cost(job: &Job, cut: &Cut, rank: &RankParameters) -> Cost {
    let shard = trained_shard(job, cut, rank);
    let gradients = if cut.zero >= 1 { shard } else { job.trained_share() * rank.total() };
    job.device.memory_bound_cost(30.0 * shard + 4.0 * gradients)
}
