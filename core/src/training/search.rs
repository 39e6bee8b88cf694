//! The best layouts: every legal one is looked at, layer work is shared, hopeless ones are skipped by proved bounds.

use std::collections::BTreeMap;

use super::check::{MOST_GPUS, data_parallel};
use super::job::Job;
use super::layer::LayerCut;
use super::layout::{Layout, PipelineSchedule, Recompute};
use super::memory::{kept_per_layer, memory};
use super::step::{Cut, Layers, estimate};
use crate::error::{Error, check_range};

/// What a search found, as layouts.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Fastest layouts that fit, fastest first.
    pub best: Vec<Layout>,
    /// Legal layouts looked at.
    pub considered: u64,
    /// Of them, those that fit.
    pub fitting: u64,
    /// The layout that needs least memory, if none fits.
    pub nearest: Option<Layout>,
    /// Layouts that fit and that no other beats in both time and memory, fastest first; empty unless asked for.
    pub front: Vec<Layout>,
}

/// What a search looks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Layouts to keep.
    pub best: usize,
    /// Steps longer than this do not count.
    pub seconds: f64,
    /// Whether the front of time against memory is sought too: less can be skipped then.
    pub front: bool,
    /// Pipeline schedules to look at.
    pub schedules: &'a [PipelineSchedule],
}

/// The fastest layouts of a job on so many GPUs: [`Searcher::find`] with the usual schedule and no limit of time.
///
/// # Errors
/// `OutOfRange` for absurd counts of GPUs or sequences.
pub fn search(job: &Job, gpus: u32, global_batch: u32, best: usize) -> Result<Found, Error> {
    Searcher::new(job).find(gpus, global_batch, &Wanted::fastest(best))
}

impl Wanted<'_> {
    /// So many of the fastest layouts, interleaved or not.
    pub fn fastest(best: usize) -> Self {
        Self {
            best,
            seconds: f64::INFINITY,
            front: false,
            schedules: &[PipelineSchedule::OneForwardOneBackward],
        }
    }
}

/// Searches for one job, on any number of GPUs: a layer's work does not depend on that number and is kept.
pub struct Searcher<'a> {
    job: &'a Job,
    /// By tp, cp, ep and micro-batch; none where a group needs a fabric that is not there.
    layers: BTreeMap<(u32, u32, u32, u32), Option<Layers>>,
}

impl<'a> Searcher<'a> {
    /// A searcher that knows nothing yet.
    pub fn new(job: &'a Job) -> Self {
        Self { job, layers: BTreeMap::new() }
    }

    /// Looks at every layout of powers of two (and of what divides the model where that is not a power of two): tp within
    /// a scale-up domain, pp with interleaving, cp, ep, micro-batch, recompute and ZeRO stage. With a finite limit of time
    /// only what may lie under it is looked at and counted.
    ///
    /// # Errors
    /// `OutOfRange` for absurd counts of GPUs or sequences.
    pub fn find(&mut self, gpus: u32, global_batch: u32, wanted: &Wanted<'_>) -> Result<Found, Error> {
        let job = self.job;
        check_range("gpus", f64::from(gpus), 1.0, f64::from(MOST_GPUS))?;
        check_range("global_batch", f64::from(global_batch), 1.0, 16_777_216.0)?;
        check_range("best", wanted.best as f64, 1.0, 1000.0)?;
        // Some group joins every two GPUs of a job, so one that leaves its domain needs a fabric.
        if gpus > job.topology.scale_up_domain && job.topology.scale_out_bytes_per_s <= 0.0 {
            return Ok(Found::default());
        }
        let mut ranked = Ranked {
            keep: wanted.best,
            limit: wanted.seconds,
            front: wanted.front.then(Vec::new),
            ..Ranked::default()
        };
        for tp in candidates(gpus.min(job.topology.scale_up_domain.min(64)), job.architecture.heads) {
            for cp in candidates((gpus / tp).min(max_context_ranks(job)), gpus) {
                for ep in expert_ways(job, gpus) {
                    for micro_batch in MICRO_BATCHES {
                        let expert_tp = if ep > 1 { 1 } else { tp };
                        let cut = LayerCut { tp, cp, ep, expert_tp, micro_batch, sequence_parallel: tp > 1 };
                        self.layer_cut(gpus, global_batch, cut, wanted.schedules, &mut ranked);
                    }
                }
            }
        }
        Ok(Found {
            best: ranked.best.into_iter().map(|(_, layout)| layout).collect(),
            considered: ranked.considered,
            fitting: ranked.fitting,
            nearest: if ranked.fitting == 0 { ranked.leanest.map(|(_, layout)| layout) } else { None },
            front: ranked.front.unwrap_or_default().into_iter().map(|point| point.layout).collect(),
        })
    }

    /// All layouts that share one layer cut.
    fn layer_cut(
        &mut self,
        gpus: u32,
        global_batch: u32,
        layer: LayerCut,
        schedules: &[PipelineSchedule],
        ranked: &mut Ranked,
    ) {
        let job = self.job;
        let base = Layout {
            tp: layer.tp,
            cp: layer.cp,
            ep: layer.ep,
            micro_batch: layer.micro_batch,
            ..Layout::data_parallel(global_batch)
        };
        let key = (layer.tp, layer.cp, layer.ep, layer.micro_batch);
        let ranks = gpus / (layer.tp * layer.cp);
        for pp in pipeline_ways(job, ranks) {
            // What most layouts fail, before an error is put into words for each.
            let samples = u64::from(ranks / pp) * u64::from(layer.micro_batch);
            if !ranks.is_multiple_of(pp) || !u64::from(global_batch).is_multiple_of(samples) {
                continue;
            }
            let rounds = (u64::from(global_batch) / samples).is_multiple_of(u64::from(pp));
            for vp in virtual_ways(job, pp).filter(|&vp| vp == 1 || rounds) {
                for &schedule in schedules {
                    // Without a pipeline every schedule is the same.
                    if pp == 1 && schedules.first() != Some(&schedule) {
                        continue;
                    }
                    let layout = Layout { pp, vp, schedule, ..base };
                    let Ok(dp) = data_parallel(job, &layout, gpus) else { continue };
                    let layers = self.layers.entry(key).or_insert_with(|| Layers::new(job, &layer));
                    let Some(layers) = layers else { return };
                    stage_cut(job, &layout, dp, layers, ranked);
                }
            }
        }
    }
}

/// All layouts that share their stages: recompute and ZeRO stage.
fn stage_cut(job: &Job, layout: &Layout, dp: u32, layers: &Layers, ranked: &mut Ranked) {
    let floor = seconds_at_least(&Cut::new(job, layout, dp), layers);
    if ranked.limit.is_finite() && ranked.beaten(floor) {
        return;
    }
    for recompute in [Recompute::None, Recompute::Selective, Recompute::Full] {
        let mut fitted = false;
        for zero in zero_stages(layout.pp) {
            let layout = Layout { recompute, zero, ..*layout };
            let cut = Cut::new(job, &layout, dp);
            let memory = memory(job, &cut, &kept_per_layer(job, &cut, layers), layers.logits_bytes);
            ranked.considered += 1;
            if !memory.fits {
                ranked.lean(&layout, memory.total_gib);
                continue;
            }
            ranked.fitting += 1;
            fitted |= zero == 1;
            if ranked.beaten(floor) && ranked.dominated(floor, memory.total_gib) {
                continue;
            }
            if let Some(found) = estimate(job, &cut, layers) {
                ranked.offer(&layout, found.seconds, memory.total_gib);
            }
        }
        // More recompute only adds time to a layout that fits with less; but it saves memory.
        if fitted && ranked.front.is_none() {
            break;
        }
    }
}

/// Seconds below which no layout with these layers lies: every part of a step is at least 0, and its busiest stage
/// computes at least its layers for each micro-batch.
fn seconds_at_least(cut: &Cut, layers: &Layers) -> f64 {
    let least = [&layers.dense, &layers.expert]
        .into_iter()
        .map(|work| work.forward.compute() + work.backward.compute())
        .filter(|seconds| *seconds > 0.0)
        .fold(f64::INFINITY, f64::min);
    cut.pipeline.micro_batches * cut.stage_layers * least
}

/// A layout of the front.
struct FrontPoint {
    seconds: f64,
    gib: f64,
    layout: Layout,
}

#[derive(Default)]
struct Ranked {
    keep: usize,
    /// Steps longer than this do not count.
    limit: f64,
    best: Vec<(f64, Layout)>,
    /// Undominated layouts, fastest first, so that each needs less memory than the one before; none if not sought.
    front: Option<Vec<FrontPoint>>,
    leanest: Option<(f64, Layout)>,
    considered: u64,
    fitting: u64,
}

impl Ranked {
    /// A layout that does not fit.
    fn lean(&mut self, layout: &Layout, gib: f64) {
        if self.leanest.as_ref().is_none_or(|(least, _)| gib < *least) {
            self.leanest = Some((gib, *layout));
        }
    }

    /// Whether a layout that takes at least so many seconds cannot be among the best.
    fn beaten(&self, seconds: f64) -> bool {
        seconds > self.limit
            || self.best.len() == self.keep
                && self.best.last().is_some_and(|(slowest, _)| *slowest <= seconds)
    }

    /// Whether a layout that takes at least so many seconds and so much memory cannot be on the front.
    fn dominated(&self, seconds: f64, gib: f64) -> bool {
        let Some(front) = &self.front else { return true };
        let faster = front.partition_point(|point| point.seconds <= seconds);
        // The last of those as fast needs least memory of them.
        seconds > self.limit || faster.checked_sub(1).and_then(|i| front.get(i)).is_some_and(|p| p.gib <= gib)
    }

    fn offer(&mut self, layout: &Layout, seconds: f64, gib: f64) {
        if !self.dominated(seconds, gib)
            && let Some(front) = &mut self.front
        {
            front.retain(|point| point.seconds < seconds || point.gib < gib);
            let at = front.partition_point(|point| point.seconds < seconds);
            front.insert(at, FrontPoint { seconds, gib, layout: *layout });
        }
        if self.beaten(seconds) {
            return;
        }
        let at = self.best.partition_point(|(s, _)| *s <= seconds);
        self.best.insert(at, (seconds, *layout));
        self.best.truncate(self.keep);
    }
}

/// Divisors of `whole` up to `most` that are 1, 2, 4… times a part that is not a power of two only if `whole` needs it.
fn candidates(most: u32, whole: u32) -> impl Iterator<Item = u32> {
    (0..16)
        .map(|power| 1u32 << power)
        .take_while(move |&n| n <= most)
        .filter(move |&n| whole.is_multiple_of(n))
}

/// Sequences of a micro-batch; those that the batch does not divide fall away.
const MICRO_BATCHES: [u32; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

/// Sequences are cut so that every rank keeps at least 1,024 tokens, as in the shortest published parts (MLPerf's LoRA on
/// GB200): shorter ones only add exchange.
fn max_context_ranks(job: &Job) -> u32 {
    (job.sequence / 1024.0).max(1.0) as u32
}

fn expert_ways(job: &Job, gpus: u32) -> Vec<u32> {
    let Some(moe) = job.architecture.moe else { return vec![1] };
    candidates(gpus.min(moe.experts), moe.experts).collect()
}

/// Pipelines of every divisor of the layers, and of powers of two.
fn pipeline_ways(job: &Job, most: u32) -> impl Iterator<Item = u32> {
    let layers = job.architecture.layers;
    (1..=most.min(layers).min(64)).filter(move |&pp| pp.is_power_of_two() || layers.is_multiple_of(pp))
}

fn virtual_ways(job: &Job, pp: u32) -> impl Iterator<Item = u32> {
    let per_stage = job.architecture.layers.div_ceil(pp);
    let most = if pp > 1 { per_stage } else { 1 };
    (1..=most).filter(move |&vp| per_stage.is_multiple_of(vp))
}

/// Gathering weights for every micro-batch of a pipeline does not pay: ZeRO 3 goes without pipeline stages.
fn zero_stages(pp: u32) -> impl Iterator<Item = u8> {
    [1, 2, 3].into_iter().filter(move |&zero| pp == 1 || zero < 2)
}
