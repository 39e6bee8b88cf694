//! The best layouts: every legal one is looked at, layer work is shared, hopeless ones are skipped by proved bounds.

use super::check::{Illegal, MOST_GPUS, data_parallel};
use super::job::Job;
use super::layer::LayerCut;
use super::layer_cuts::{LayerCuts, RECOMPUTES, Timed, layout_of};
use super::layout::{Layout, PipelineSchedule};
use super::memory::memory;
use super::ranked::Ranked;
use super::step::{Cut, StageWork, stragglers};
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
    cuts: LayerCuts<'a>,
}

impl<'a> Searcher<'a> {
    /// A searcher that knows nothing yet.
    pub fn new(job: &'a Job) -> Self {
        let layers = job.architecture.layers;
        let stages = pipeline_ways(layers).flat_map(|pp| virtual_ways(layers, pp).map(move |vp| (pp, vp)));
        Self { job, stages: stages.collect(), cuts: LayerCuts::new(job) }
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
        for (floor, place) in self.by_floor(&question, &ranked) {
            if ranked.too_slow(floor) {
                break;
            }
            self.layer_cut(&question, (floor, place), &mut ranked);
        }
        Ok(ranked.into_found())
    }

    /// The places of the layer cuts that may have layouts within the limit of time, each after its floor, lowest first.
    fn by_floor(&mut self, question: &Question<'_>, ranked: &Ranked) -> Vec<(f64, usize)> {
        let dual_pipe = question.schedules.contains(&PipelineSchedule::DualPipe);
        let mut out = Vec::new();
        for place in 0..self.cuts.len() {
            let Some(layer) = self.cuts.layer(place) else { continue };
            if !question.may_have(layer) {
                continue;
            }
            let Some(seconds) = self.cuts.least_seconds_per_sequence(place, dual_pipe) else { continue };
            let floor =
                question.at_least(f64::from(question.global_batch) * seconds / f64::from(question.gpus));
            if !ranked.too_slow(floor) {
                out.push((floor, place));
            }
        }
        sort_by(&mut out, |a, b| a.0.total_cmp(&b.0));
        out
    }

    /// All layouts that share one layer cut.
    fn layer_cut(&self, question: &Question<'_>, (floor, place): (f64, usize), ranked: &mut Ranked) {
        let Some(layer) = self.cuts.layer(place) else { return };
        let mut place_of_layout = (place as u64) << 32;
        for (layout, dp) in question.stage_cuts(layer, &self.stages) {
            // Without a pipeline no exchange runs beside another micro-batch.
            let dual_pipe = layout.schedule == PipelineSchedule::DualPipe && layout.pp > 1;
            if let Some(timed) = self.cuts.timed(place, dual_pipe) {
                stage_cut(question, (&layout, dp), timed, (floor, place_of_layout), ranked);
            }
            place_of_layout += LAYOUTS_OF_A_STAGE_CUT;
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
    /// What every layout of a layer cut asks of the numbers of GPUs and sequences.
    fn may_have(&self, layer: &LayerCut) -> bool {
        self.gpus.is_multiple_of(layer.tp * layer.cp)
            && layer.ep <= self.gpus
            && self.global_batch.is_multiple_of(layer.micro_batch)
    }

    /// The cuts of a layer cut's layers into stages, each as a layout with its data parallel ranks. Not all are legal.
    fn stage_cuts(&self, layer: &LayerCut, stages: &[(u32, u32)]) -> impl Iterator<Item = (Layout, u32)> {
        let base = layout_of(layer, self.global_batch);
        let ranks = self.gpus / (layer.tp * layer.cp);
        let batch = u64::from(self.global_batch);
        // What most fail.
        let divides = move |pp: u32, vp: u32| {
            let samples = u64::from(ranks / pp) * u64::from(base.micro_batch);
            batch.is_multiple_of(samples) && (vp == 1 || (batch / samples).is_multiple_of(u64::from(pp)))
        };
        let stages = stages.iter().filter(move |&&(pp, vp)| ranks.is_multiple_of(pp) && divides(pp, vp));
        stages.flat_map(move |&(pp, vp)| {
            // Without a pipeline every schedule is the same.
            let schedules =
                if pp == 1 { self.schedules.get(..1).unwrap_or_default() } else { self.schedules };
            schedules.iter().map(move |&schedule| (Layout { pp, vp, schedule, ..base }, ranks / pp))
        })
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
    let work = |cut: &Cut, times| StageWork::of(job, cut, times, (times, times));
    let floor_of = |cut: &Cut, work: &StageWork| question.at_least(work.seconds(cut));
    // Nothing is done again in `base`: the others take longer.
    if ranked.is_limited() && ranked.too_slow(floor_of(&base, &work(&base, &timed.modes[0].1))) {
        return;
    }
    if data_parallel::<Illegal>(job, layout, question.gpus).is_err() {
        return;
    }
    for (recompute, (kept, times)) in RECOMPUTES.into_iter().zip(&timed.modes) {
        let mut known = None;
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
            let work = known.get_or_insert_with(|| work(&cut, times));
            if ranked.hopeless(floor_of(&cut, work), memory.total_gib) {
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

/// More than the recompute modes and ZeRO stages of one cut into stages.
const LAYOUTS_OF_A_STAGE_CUT: u64 = 16;

/// Floors are sums in another order than the steps that they bound: rounding may lift them by far less than this.
const ROUNDING: f64 = 1.0 - 1e-12;

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
