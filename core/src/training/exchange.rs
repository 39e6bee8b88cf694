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
/// ZeRO 0: one all-reduce of the gradients. ZeRO 1 and 2: reduce-scatter of gradients, all-gather of weights, hidden
/// under the backward pass of the last micro-batch and the forward pass of the first. ZeRO 3: all-gather of weights in
/// each pass of each micro-batch and reduce-scatter of gradients, hidden under all of the computation.
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
    let trained = job.task.trained_share();
    let dense = Group { ranks: dense_ranks, stride: layer.tp };
    let experts = Group { ranks: expert_ranks, stride: expert_stride };
    let mut total = DataExchange::<L>::default();
    let mut told = L::default();
    let mut exposed = 0.0;
    // Interleaved stages take micro-batches in rounds of as many as there are stages, one virtual stage after the other:
    // while the last round runs, the virtual stages that are through with it exchange.
    let (stages, virtual_stages) = (cut.pp, cut.pipeline.virtual_stages);
    let rounds = if virtual_stages > 1.0 {
        (stages.min(micro_batches) * (1.0 - 1.0 / virtual_stages)).max(1.0)
    } else {
        1.0
    };
    let forward_window = pass.forward * rounds;
    let backward_window = pass.backward * rounds;
    let copies = cut.stage_copies();
    for (parameters, weight_bytes, alone, shards) in [
        (rank.dense + rank.embedding, weight_bytes(job, rank.dense, rank.embedding), dense, cut.shards),
        (rank.experts, weight_bytes(job, rank.experts, 0.0), experts, cut.expert_shards),
    ] {
        let group = both_ways(alone, job, cut);
        if parameters <= 0.0 || group.ranks < 2 {
            continue;
        }
        let exchanged = parameters * trained;
        let bucket = bucket_parameters(f64::from(group.ranks)).min(exchanged);
        let count = (exchanged / bucket).max(1.0);
        let mut once = |op, bytes: f64, group: Group, times: f64| -> Option<Sent> {
            let time = collective_time(op, bytes, group, &job.topology)?;
            total.seconds += time.seconds * times;
            total.scale_up_bytes += time.scale_up_bytes * times;
            total.scale_out_bytes += time.scale_out_bytes * times;
            total.messages += times;
            if bytes >= total.message_bytes {
                total.message_bytes = bytes;
                total.message_seconds = time.seconds;
                total.algorithm = time.algorithm;
            }
            Some(Sent { time, times, seconds: time.seconds * times })
        };
        let gradient_bytes = GRADIENT;
        match cut.zero {
            0 => {
                let all = once(CollectiveOp::AllReduce, bucket * gradient_bytes, group, count)?;
                let waited = hidden_under(all.seconds, job.constants.data_window * backward_window, count);
                exposed += waited;
                all.tell(&mut told, "all-reduce of gradients", waited);
            }
            1 | 2 => {
                let scatter = once(CollectiveOp::ReduceScatter, bucket * gradient_bytes, group, count)?;
                let gather = once(CollectiveOp::AllGather, bucket * weight_bytes, group, count)?;
                let backward =
                    hidden_under(scatter.seconds, job.constants.data_window * backward_window, count);
                let forward = hidden_under(gather.seconds, job.constants.data_window * forward_window, count);
                exposed += backward + forward;
                scatter.tell(&mut told, "reduce-scatter of gradients", backward);
                gather.tell(&mut told, "all-gather of weights", forward);
            }
            _ => {
                // Sharding in smaller groups: weights are gathered inside the group, gradients also summed between groups.
                let shards = alone.ranks.min(shards as u32).max(1);
                let inner = both_ways(Group { ranks: shards, ..alone }, job, cut);
                // The mean of a rank's stages, for as long as all micro-batches last.
                let window = (pass.forward + pass.backward) * micro_batches;
                // Each micro-batch passes through one of a rank's stages.
                let micro_batches = micro_batches / f64::from(copies);
                let layers = (cut.stage_layers * f64::from(copies)).max(1.0);
                let shard = parameters / layers;
                let gather =
                    once(CollectiveOp::AllGather, shard * weight_bytes, inner, 2.0 * layers * micro_batches)?;
                let scatter = once(
                    CollectiveOp::ReduceScatter,
                    shard * gradient_bytes * trained,
                    inner,
                    layers * micro_batches,
                )?;
                let mut all = gather.seconds + scatter.seconds;
                let mut between = None;
                if shards < alone.ranks {
                    let outer =
                        Group { ranks: alone.ranks / shards, stride: alone.stride.saturating_mul(shards) };
                    let sum = once(
                        CollectiveOp::AllReduce,
                        shard * gradient_bytes * trained / f64::from(inner.ranks),
                        outer,
                        layers,
                    )?;
                    all += sum.seconds;
                    between = Some(sum);
                }
                let waited =
                    hidden_under(all, job.constants.data_window * window, 3.0 * layers * micro_batches);
                exposed += waited;
                // What does not hide is shared among them by their length.
                let share = |sent: &Sent| if all > 0.0 { sent.seconds * waited / all } else { 0.0 };
                gather.tell(&mut told, "all-gather of weights", share(&gather));
                scatter.tell(&mut told, "reduce-scatter of gradients", share(&scatter));
                if let Some(sum) = between {
                    sum.tell(&mut told, "all-reduce of gradients between shard groups", share(&sum));
                }
            }
        }
    }
    // What is hidden still takes multiprocessors and memory bandwidth from the computation.
    let hidden = (total.seconds - exposed).max(0.0);
    let contention = job.constants.contention * hidden;
    total.exposed_seconds = exposed + contention;
    told.note(|| Entry::idle(StepPart::DataParallel, SLOW_DOWN, 1.0, contention, Bound::Compute));
    total.told = told;
    Some(total)
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
#[derive(Clone, Copy)]
struct Sent {
    time: CollectiveTime,
    times: f64,
    seconds: f64,
}

impl Sent {
    fn tell<L: Ledger>(&self, told: &mut L, name: &'static str, waited: f64) {
        told.note(|| Entry::sent(StepPart::DataParallel, name, self.times, &self.time, waited));
    }
}

/// What of `seconds` in `count` messages shows when the rest may hide in `window`: at least one message.
fn hidden_under(seconds: f64, window: f64, count: f64) -> f64 {
    (seconds - window).max(seconds / count.max(1.0))
}
