//! What ranks exchange beyond a layer: gradients and weights along the data parallel dimension, activations between
//! pipeline stages.

use super::job::Job;
use super::ledger::{Entry, Ledger};
use super::memory::{GRADIENT, RankParameters, WEIGHT};
use super::operation::StepPart;
use super::schedule::StageTime;
use super::step::Cut;
use crate::kernel::Bound;
use crate::network::{Algorithm, CollectiveOp, CollectiveTime, Group, collective_time};

/// Exchange of gradients and weights in a step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DataExchange<L = ()> {
    /// Seconds in all.
    pub seconds: f64,
    /// Of them, waited for.
    pub exposed_seconds: f64,
    /// Bytes over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes into the fabric.
    pub scale_out_bytes: f64,
    /// Collectives.
    pub messages: f64,
    /// Size of one, bytes.
    pub message_bytes: f64,
    /// Seconds of one.
    pub message_seconds: f64,
    /// How the library runs them.
    pub algorithm: Algorithm,
    /// The operations behind it.
    pub told: L,
}

/// One send to the next stage with its size, nothing without a pipeline, none without a fabric that it needs: each tensor parallel rank sends its part. Where the sequence is not cut, the
/// receiving ranks then gather the parts over the scale-up link (Narayanan 2021, arXiv 2104.04473, section 4.1).
pub fn pipeline_message(job: &Job, cut: &Cut) -> Option<Option<(CollectiveTime, f64)>> {
    if cut.pp <= 1.0 {
        return Some(None);
    }
    let layer = &cut.layer;
    let rows = f64::from(layer.micro_batch) * job.sequence / f64::from(layer.cp);
    let whole = rows * f64::from(job.architecture.hidden) * 2.0;
    let bytes = whole / f64::from(layer.tp);
    // Ranks are numbered tensor, context, data, pipeline, as Megatron-Core does.
    let stride = layer.tp.saturating_mul(layer.cp).saturating_mul(cut.dp);
    let mut time = collective_time(CollectiveOp::SendRecv, bytes, Group { ranks: 2, stride }, &job.topology)?;
    if layer.tp > 1 && !layer.sequence_parallel {
        let group = Group { ranks: layer.tp, stride: 1 };
        let gather = collective_time(CollectiveOp::AllGather, whole, group, &job.topology)?;
        time.seconds += gather.seconds;
        time.scale_up_bytes += gather.scale_up_bytes;
        time.scale_out_bytes += gather.scale_out_bytes;
    }
    Some(Some((time, bytes)))
}

/// Parameters in one bucket of the exchange: Megatron-Core's 40 million, or a million for each rank.
fn bucket_parameters(ranks: f64) -> f64 {
    (1e6 * ranks).max(4e7)
}

/// Gradients and weights over dp × cp ranks (experts: over the ranks that hold the same experts).
///
/// ZeRO 0: one all-reduce of the gradients, hidden under the backward pass of the last micro-batch. ZeRO 1: reduce-scatter
/// of gradients there, all-gather of weights under the forward pass of the first. ZeRO 2: the same, but without a pipeline
/// each micro-batch's gradients are scattered, under all backward passes: whoever keeps a shard alone adds them up there.
/// ZeRO 3: all-gather of weights in each pass of each micro-batch and reduce-scatter of gradients, hidden under all of the
/// computation. What dense layers and experts exchange at the same time hides in the same passes.
pub fn data_exchange<L: Ledger>(
    job: &Job,
    cut: &Cut,
    rank: &RankParameters,
    pass: &StageTime,
    micro_batches: f64,
) -> Option<DataExchange<L>> {
    let layer = &cut.layer;
    let dense_ranks = cut.dp.saturating_mul(layer.cp);
    let expert_stride = layer.ep.saturating_mul(layer.expert_tp);
    let expert_ranks = (dense_ranks.saturating_mul(layer.tp) / expert_stride).max(1);
    let dense = Group { ranks: dense_ranks, stride: layer.tp };
    let experts = Group { ranks: expert_ranks, stride: expert_stride };
    let mut windows = Windows::<L>::of(job, cut, pass, micro_batches);
    for (parameters, weight_bytes, alone, shards) in [
        (rank.dense + rank.embedding, weight_bytes(job, rank.dense, rank.embedding), dense, cut.shards),
        (rank.experts, weight_bytes(job, rank.experts, 0.0), experts, cut.expert_shards),
    ] {
        let held = Held { parameters, weight_bytes, alone, shards };
        if parameters > 0.0 && both_ways(alone, job, cut).ranks > 1 {
            held.exchange(job, cut, micro_batches, &mut windows)?;
        }
    }
    Some(windows.total(job))
}

/// What a rank shares with a group of others.
struct Held {
    parameters: f64,
    weight_bytes: f64,
    /// The group, of one stage's ranks.
    alone: Group,
    /// Ranks over which ZeRO shards.
    shards: f64,
}

impl Held {
    /// Puts its collectives into the windows in which they hide; none where a group needs a fabric that is not there.
    fn exchange<L: Ledger>(
        &self,
        job: &Job,
        cut: &Cut,
        micro_batches: f64,
        windows: &mut Windows<L>,
    ) -> Option<()> {
        let Self { parameters, weight_bytes, alone, shards } = *self;
        let trained = job.trained_share();
        let copies = f64::from(cut.stage_copies());
        let sent = |name, op, bytes: f64, group: Group, times: f64| -> Option<Sent> {
            let time = collective_time(op, bytes, group, &job.topology)?;
            Some(Sent { name, time, bytes, times })
        };
        if cut.zero < 3 {
            let group = both_ways(alone, job, cut);
            let exchanged = parameters * trained;
            let bucket = bucket_parameters(f64::from(group.ranks)).min(exchanged);
            let count = (exchanged / bucket).max(1.0);
            if cut.zero == 0 {
                windows
                    .gradients(&sent(SUM, CollectiveOp::AllReduce, bucket * GRADIENT, group, count)?, count);
                return Some(());
            }
            let times = if cut.scatters_each() { count * micro_batches } else { count };
            let scatter = sent(SCATTER, CollectiveOp::ReduceScatter, bucket * GRADIENT, group, times)?;
            windows.gradients(&scatter, times);
            windows
                .weights(&sent(GATHER, CollectiveOp::AllGather, bucket * weight_bytes, group, count)?, count);
            return Some(());
        }
        // Sharding in smaller groups: weights are gathered inside the group, gradients also summed between groups.
        let shards = alone.ranks.min(shards as u32).max(1);
        let inner = both_ways(Group { ranks: shards, ..alone }, job, cut);
        let layers = (cut.stage_layers * copies).max(1.0);
        let passes = layers * micro_batches / copies;
        let shard = parameters / layers;
        let gradient = shard * GRADIENT * trained;
        let gather = sent(GATHER, CollectiveOp::AllGather, shard * weight_bytes, inner, 2.0 * passes)?;
        let scatter = sent(SCATTER, CollectiveOp::ReduceScatter, gradient, inner, passes)?;
        windows.gradients(&gather, 3.0 * passes);
        windows.gradients(&scatter, 3.0 * passes);
        if shards < alone.ranks {
            let outer = Group { ranks: alone.ranks / shards, stride: alone.stride.saturating_mul(shards) };
            let bytes = gradient / f64::from(inner.ranks);
            windows
                .gradients(&sent(SUM_BETWEEN, CollectiveOp::AllReduce, bytes, outer, layers)?, 3.0 * passes);
        }
        Some(())
    }
}

const SUM: &str = "all-reduce of gradients";
const SCATTER: &str = "reduce-scatter of gradients";
const GATHER: &str = "all-gather of weights";
const SUM_BETWEEN: &str = "all-reduce of gradients between shard groups";

/// What is exchanged, and the passes of a step under which it hides.
struct Windows<L> {
    /// Gradients: the last micro-batch's backward pass, or all of them; with weights that are sharded, all passes.
    backward: Window<L>,
    /// Weights: the first micro-batch's forward pass.
    forward: Window<L>,
    total: DataExchange<L>,
}

impl<L: Ledger> Windows<L> {
    fn of(job: &Job, cut: &Cut, pass: &StageTime, micro_batches: f64) -> Self {
        // Interleaved stages take micro-batches in rounds of as many as there are stages, one virtual stage after the other:
        // while the last round runs, the virtual stages that are through with it exchange.
        let virtual_stages = cut.pipeline.virtual_stages;
        let rounds = if virtual_stages > 1.0 {
            (cut.pp.min(micro_batches) * (1.0 - 1.0 / virtual_stages)).max(1.0)
        } else {
            1.0
        };
        let backward = match cut.zero {
            3.. => (pass.forward + pass.backward) * micro_batches,
            _ if cut.scatters_each() => pass.backward * micro_batches,
            _ => pass.backward * rounds,
        };
        let window = |passes| Window { passes: job.constants.data_window * passes, ..Window::default() };
        Self {
            backward: window(backward),
            forward: window(pass.forward * rounds),
            total: DataExchange::default(),
        }
    }

    /// Under the window of gradients, each kind in so many messages.
    fn gradients(&mut self, sent: &Sent, messages: f64) {
        self.backward.push(sent, messages);
        self.count(sent);
    }

    /// Under the window of weights.
    fn weights(&mut self, sent: &Sent, messages: f64) {
        self.forward.push(sent, messages);
        self.count(sent);
    }

    fn count(&mut self, sent: &Sent) {
        let (total, Sent { time, times, bytes, .. }) = (&mut self.total, sent);
        total.seconds += time.seconds * times;
        total.scale_up_bytes += time.scale_up_bytes * times;
        total.scale_out_bytes += time.scale_out_bytes * times;
        total.messages += times;
        if *bytes >= total.message_bytes {
            total.message_bytes = *bytes;
            total.message_seconds = time.seconds;
            total.algorithm = time.algorithm;
        }
    }

    fn total(self, job: &Job) -> DataExchange<L> {
        let Self { backward, forward, mut total } = self;
        for window in [backward, forward] {
            let waited = window.waited();
            let share = if window.seconds > 0.0 { waited / window.seconds } else { 0.0 };
            total.exposed_seconds += waited;
            total.told.take(&window.told, |entry| entry.waits(StepPart::DataParallel, share));
        }
        // What is hidden still takes multiprocessors and memory bandwidth from the computation.
        let hidden = (total.seconds - total.exposed_seconds).max(0.0);
        let contention = job.constants.contention * hidden;
        total.exposed_seconds += contention;
        total.told.note(|| Entry::idle(StepPart::DataParallel, SLOW_DOWN, 1.0, contention, Bound::Compute));
        total
    }
}

/// Passes, and what runs beside them.
#[derive(Default)]
struct Window<L> {
    /// Seconds of the passes.
    passes: f64,
    /// Seconds of what runs beside them.
    seconds: f64,
    /// Seconds of one message of each kind.
    last: f64,
    told: L,
}

impl<L: Ledger> Window<L> {
    fn push(&mut self, sent: &Sent, messages: f64) {
        let seconds = sent.time.seconds * sent.times;
        self.seconds += seconds;
        self.last += seconds / messages.max(1.0);
        self.told.note(|| Entry::sent(StepPart::DataParallel, sent.name, sent.times, &sent.time, seconds));
    }

    /// What shows of all together: what outlasts the passes, and of each kind one message at least, for the last waits for
    /// what it carries.
    fn waited(&self) -> f64 {
        (self.seconds - self.passes).max(self.last)
    }
}

/// Bytes of a gathered weight, the mean over so many in layers and in embedding and output projection: these stay in 16 bits.
fn weight_bytes(job: &Job, layers: f64, ends: f64) -> f64 {
    if job.software.fp8_weight_gather && layers > 0.0 {
        (layers + ends * WEIGHT) / (layers + ends)
    } else {
        WEIGHT
    }
}

/// The ranks that exchange what `alone`, a group of one stage's ranks, holds. DualPipe's stages lie on the ranks of stage
/// p − 1 − i too: twice as many, and where the first and the last stage's are a scale-up domain or more apart, no domain holds
/// more of them than before.
fn both_ways(alone: Group, job: &Job, cut: &Cut) -> Group {
    let copies = cut.stage_copies();
    let stage = f64::from(cut.layer.tp) * f64::from(cut.layer.cp) * f64::from(cut.dp);
    let domain = job.topology.scale_up_domain;
    let apart = copies > 1 && (cut.pp - 1.0) * stage >= f64::from(domain);
    let stride = if apart { alone.stride.max(domain.div_ceil(alone.ranks.max(1))) } else { alone.stride };
    Group { ranks: alone.ranks.saturating_mul(copies), stride }
}

const SLOW_DOWN: &str = "slow-down of computation beside the exchange";

/// Collectives of one kind.
struct Sent {
    name: &'static str,
    time: CollectiveTime,
    /// Bytes of one.
    bytes: f64,
    times: f64,
}
