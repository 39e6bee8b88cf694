//! The best layouts: every legal one is looked at, layer work is shared, hopeless ones are skipped by proved bounds.

use std::collections::BTreeMap;

use super::check::{Illegal, MOST_GPUS, data_parallel};
use super::job::Job;
use super::layer::{Block, LayerCut, attention};
use super::layout::{Layout, PipelineSchedule, Recompute};
use super::memory::{KeptPerLayer, kept_per_layer, memory};
use super::ranked::Ranked;
use super::step::{Cut, LayerTimes, Layers, StageWork, stragglers};
use crate::error::{Error, check_range};
use crate::order::sort_by;

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
    /// Ways to cut the layers: pipeline stages and virtual stages.
    stages: Vec<(u32, u32)>,
    /// What was worked out of layer cuts.
    timed: Vec<Timed>,
    /// Where in `timed`; none where a group needs a fabric that is not there.
    known: BTreeMap<(LayerKey, bool), Option<usize>>,
    /// Attention and all layers without experts, by all of a layer cut but the experts.
    shared: BTreeMap<LayerKey, Option<Box<(Block, Layers)>>>,
}

/// Of a layer cut: tp, cp, ep (1 where it does not matter) and micro-batch.
type LayerKey = (u32, u32, u32, u32);

/// A layer cut in numbers: all that the layouts which share it need of it.
struct Timed {
    /// By recompute mode, as [`RECOMPUTES`].
    modes: [(KeptPerLayer, LayerTimes); 3],
    logits_bytes: f64,
    /// Seconds of one micro-batch in the quickest kind of layer, nothing done again.
    least_layer_seconds: f64,
}

/// A layer cut to be looked at.
struct Candidate {
    /// Seconds below which none of its layouts lies.
    floor: f64,
    /// Its place among all, which decides between layouts that take as long.
    place: u64,
    layer: LayerCut,
    /// Where its numbers lie: those of most schedules, and those of a pipeline under DualPipe where that is looked at.
    timed: [Option<usize>; 2],
}

impl<'a> Searcher<'a> {
    /// A searcher that knows nothing yet.
    pub fn new(job: &'a Job) -> Self {
        let layers = job.architecture.layers;
        let stages = pipeline_ways(layers).flat_map(|pp| virtual_ways(layers, pp).map(move |vp| (pp, vp)));
        Self {
            job,
            stages: stages.collect(),
            timed: Vec::new(),
            known: BTreeMap::new(),
            shared: BTreeMap::new(),
        }
    }

    /// Looks at every layout of powers of two (and of what divides the model where that is not a power of two): tp within
    /// a scale-up domain, pp with interleaving, cp, ep, micro-batch, recompute and ZeRO stage. With a finite limit of time
    /// only what may lie under it is looked at and counted.
    ///
    /// Layer cuts come in the order of their floors, so that the best layouts are soon known and prove most others not to be
    /// among them. A floor lies strictly below what it bounds: what it rules out is worse, never as good, and the answer is
    /// that of looking at everything in any order.
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
        let question = Question {
            job,
            gpus,
            global_batch,
            schedules: wanted.schedules,
            slower: (1.0 + stragglers(job, 1.0, f64::from(gpus))) * ROUNDING,
        };
        let mut ranked = Ranked::new(wanted.best, wanted.seconds, wanted.front);
        for candidate in self.candidates(&question, &ranked) {
            if ranked.too_slow(candidate.floor) {
                break;
            }
            self.layer_cut(&question, &candidate, &mut ranked);
        }
        Ok(ranked.into_found())
    }

    /// The layer cuts that have layouts which may lie within the limit of time, that with the lowest floor first.
    fn candidates(&mut self, question: &Question<'_>, ranked: &Ranked) -> Vec<Candidate> {
        let Question { job, gpus, .. } = *question;
        let mut out = Vec::new();
        let mut place = 0;
        let experts = expert_ways(job, gpus);
        for tp in powers_dividing(gpus.min(job.topology.scale_up_domain.min(64)), job.architecture.heads) {
            for cp in powers_dividing((gpus / tp).min(max_context_ranks(job)), gpus) {
                for &ep in &experts {
                    for micro_batch in MICRO_BATCHES {
                        place += 1;
                        let expert_tp = if ep > 1 { 1 } else { tp };
                        let layer =
                            LayerCut { tp, cp, ep, expert_tp, micro_batch, sequence_parallel: tp > 1 };
                        let timed = self.timed(question, &layer);
                        let known = timed.iter().flatten().filter_map(|&at| self.timed.get(at));
                        let floor =
                            known.map(|timed| question.floor(&layer, timed)).fold(f64::INFINITY, f64::min);
                        if floor < f64::INFINITY && !ranked.too_slow(floor) {
                            out.push(Candidate { floor, place, layer, timed });
                        }
                    }
                }
            }
        }
        sort_by(&mut out, |a, b| a.floor.total_cmp(&b.floor));
        out
    }

    /// Where the numbers of a layer cut lie that some layout has; see [`Candidate`].
    fn timed(&mut self, question: &Question<'_>, layer: &LayerCut) -> [Option<usize>; 2] {
        let key = (layer.tp, layer.cp, layer.ep, layer.micro_batch);
        let mut legal = None;
        [false, true].map(|dual_pipe| {
            if dual_pipe && !question.schedules.contains(&PipelineSchedule::DualPipe) {
                return None;
            }
            if let Some(known) = self.known.get(&(key, dual_pipe)) {
                return *known;
            }
            if !*legal.get_or_insert_with(|| question.layouts(layer, &self.stages).next().is_some()) {
                return None;
            }
            let at = self.work_out(layer, dual_pipe).map(|timed| {
                self.timed.push(timed);
                self.timed.len() - 1
            });
            self.known.insert((key, dual_pipe), at);
            at
        })
    }

    fn work_out(&mut self, layer: &LayerCut, dual_pipe: bool) -> Option<Timed> {
        let job = self.job;
        let shared = self.shared.entry((layer.tp, layer.cp, 1, layer.micro_batch)).or_insert_with(|| {
            let attention = attention(job, layer)?;
            let layers = Layers::without_experts(job, layer, &attention)?;
            Some(Box::new((attention, layers)))
        });
        let (attention, layers) = &mut **shared.as_mut()?;
        layers.set_experts(job, layer, attention)?;
        let schedule =
            if dual_pipe { PipelineSchedule::DualPipe } else { PipelineSchedule::OneForwardOneBackward };
        let layout = Layout { pp: 2, schedule, ..layout_of(layer, 1) };
        let modes = RECOMPUTES.map(|recompute| {
            let cut = Cut::new(job, &Layout { recompute, ..layout }, 1);
            let redone_share = if recompute == Recompute::None { 0.0 } else { 1.0 };
            (kept_per_layer(job, &cut, layers), LayerTimes::of(job, &cut, layers, redone_share))
        });
        let least_layer_seconds = modes[0].1.least_layer_seconds(job);
        Some(Timed { modes, logits_bytes: layers.logits_bytes, least_layer_seconds })
    }

    /// All layouts that share one layer cut.
    fn layer_cut(&self, question: &Question<'_>, candidate: &Candidate, ranked: &mut Ranked) {
        let [usual, dual_pipe] = candidate.timed.map(|at| at.and_then(|at| self.timed.get(at)));
        let mut place = candidate.place << 32;
        for (layout, dp) in question.layouts(&candidate.layer, &self.stages) {
            // Without a pipeline no exchange runs beside another micro-batch.
            let dual = layout.schedule == PipelineSchedule::DualPipe && layout.pp > 1;
            if let Some(timed) = if dual { dual_pipe } else { usual } {
                stage_cut(question, (&layout, dp), timed, (candidate.floor, place), ranked);
            }
            place += 16;
        }
    }
}

/// What is asked of one search.
struct Question<'a> {
    job: &'a Job,
    gpus: u32,
    global_batch: u32,
    schedules: &'a [PipelineSchedule],
    /// Times as long as its work a step takes at least: it waits for its slowest rank.
    slower: f64,
}

impl Question<'_> {
    /// Every legal layout of a layer cut with its data parallel ranks, but for recompute and ZeRO stage.
    fn layouts(&self, layer: &LayerCut, stages: &[(u32, u32)]) -> impl Iterator<Item = (Layout, u32)> {
        let base = layout_of(layer, self.global_batch);
        let ranks = self.gpus / (layer.tp * layer.cp);
        let batch = u64::from(self.global_batch);
        let fits = move |pp: u32, vp: u32| {
            // What most layouts fail.
            let samples = u64::from(ranks / pp) * u64::from(base.micro_batch);
            ranks.is_multiple_of(pp)
                && batch.is_multiple_of(samples)
                && (vp == 1 || (batch / samples).is_multiple_of(u64::from(pp)))
        };
        let stages = stages.iter().filter(move |&&(pp, vp)| pp <= ranks && fits(pp, vp));
        stages.flat_map(move |&(pp, vp)| {
            // Without a pipeline every schedule is the same.
            let schedules =
                if pp == 1 { self.schedules.get(..1).unwrap_or_default() } else { self.schedules };
            schedules.iter().filter_map(move |&schedule| {
                let layout = Layout { pp, vp, schedule, ..base };
                let dp = data_parallel::<Illegal>(self.job, &layout, self.gpus).ok()?;
                Some((layout, dp))
            })
        })
    }

    /// Seconds below which no layout of a layer cut lies: some stage computes its share of the layers, or more, for each
    /// micro-batch of a rank.
    fn floor(&self, layer: &LayerCut, timed: &Timed) -> f64 {
        let ranks = f64::from(self.gpus) / f64::from(layer.tp * layer.cp);
        let micro_batches = f64::from(self.global_batch) / f64::from(layer.micro_batch);
        self.at_least(micro_batches * self.job.sizes.layers() / ranks * timed.least_layer_seconds)
    }

    /// Seconds below which no step lies that works for so many.
    fn at_least(&self, work: f64) -> f64 {
        (work + self.job.constants.step_overhead_seconds) * self.slower
    }
}

/// All layouts that share their stages: recompute and ZeRO stage. `floor` holds for all of them, `place` is that of the
/// first.
fn stage_cut(
    question: &Question<'_>,
    (layout, dp): (&Layout, u32),
    timed: &Timed,
    (floor, mut place): (f64, u64),
    ranked: &mut Ranked,
) {
    let job = question.job;
    let base = Cut::new(job, layout, dp);
    for (recompute, (kept, times)) in RECOMPUTES.into_iter().zip(&timed.modes) {
        let mut work = None;
        let mut fitted = false;
        for zero in zero_stages(layout.pp) {
            let cut = Cut { recompute, zero, ..base };
            let memory = memory(job, &cut, kept, timed.logits_bytes);
            let found = Layout { recompute, zero, ..*layout };
            place += 1;
            ranked.considered += 1;
            if !memory.fits {
                ranked.lean(found, place, memory.total_gib);
                continue;
            }
            ranked.fitting += 1;
            fitted |= zero == 1;
            if ranked.hopeless(floor, memory.total_gib) {
                continue;
            }
            let work = work.get_or_insert_with(|| StageWork::of(job, &cut, times, (times, times)));
            if ranked.hopeless(question.at_least(work.seconds(&cut)), memory.total_gib) {
                continue;
            }
            if let Some(step) = work.step(job, &cut, kept) {
                ranked.offer(found, place, step.seconds, memory.total_gib);
            }
        }
        // More recompute only adds time to a layout that fits with less; but it saves memory.
        if fitted && !ranked.seeks_front() {
            break;
        }
    }
}

/// Recompute modes, least work first.
const RECOMPUTES: [Recompute; 3] = [Recompute::None, Recompute::Selective, Recompute::Full];

/// Floors are sums in another order than the steps that they bound: rounding may lift them by far less than this.
const ROUNDING: f64 = 1.0 - 1e-12;

/// The layout of a layer cut without a pipeline.
fn layout_of(layer: &LayerCut, global_batch: u32) -> Layout {
    Layout {
        tp: layer.tp,
        cp: layer.cp,
        ep: layer.ep,
        micro_batch: layer.micro_batch,
        ..Layout::data_parallel(global_batch)
    }
}

/// Divisors of `whole` up to `most` that are 1, 2, 4… times a part that is not a power of two only if `whole` needs it.
fn powers_dividing(most: u32, whole: u32) -> impl Iterator<Item = u32> {
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
    powers_dividing(gpus.min(moe.experts), moe.experts).collect()
}

/// Pipelines of every divisor of the layers, and of powers of two.
fn pipeline_ways(layers: u32) -> impl Iterator<Item = u32> {
    (1..=layers.min(64)).filter(move |&pp| pp.is_power_of_two() || layers.is_multiple_of(pp))
}

fn virtual_ways(layers: u32, pp: u32) -> impl Iterator<Item = u32> {
    let per_stage = layers.div_ceil(pp);
    let most = if pp > 1 { per_stage } else { 1 };
    (1..=most).filter(move |&vp| per_stage.is_multiple_of(vp))
}

/// Gathering weights for every micro-batch of a pipeline does not pay: ZeRO 3 goes without pipeline stages.
fn zero_stages(pp: u32) -> impl Iterator<Item = u8> {
    [1, 2, 3].into_iter().filter(move |&zero| pp == 1 || zero < 2)
}
