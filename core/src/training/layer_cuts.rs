//! The ways to cut a job's layers that a search looks at, each worked out once however many layouts share it.

use std::collections::BTreeMap;

use super::check::{Illegal, data_parallel};
use super::job::Job;
use super::layer::{Block, LayerCut, attention};
use super::layout::{Layout, PipelineSchedule, Recompute};
use super::memory::{KeptPerLayer, kept_per_layer};
use super::step::{Cut, LayerTimes, Layers};

/// Every layer cut of a job, in the order in which layouts are named where they take as long.
pub struct LayerCuts<'a> {
    job: &'a Job,
    cuts: Vec<Known>,
    shared: Shared,
}

/// Attention and all layers without experts, by tp, cp and micro-batch: the same wherever experts lie. None where a group
/// needs a fabric that is not there.
type Shared = BTreeMap<(u32, u32, u32), Option<Box<(Block, Layers)>>>;

struct Known {
    layer: LayerCut,
    /// Of most schedules, and of a pipeline under DualPipe; none of them before it is asked for.
    timed: [Option<Worked>; 2],
}

/// Worked out; none where no layout has this cut or a group needs a fabric that is not there.
type Worked = Option<Box<Timed>>;

/// A layer cut in numbers: all that the layouts which share it need of it.
pub struct Timed {
    /// What a layer keeps and what it takes, by recompute mode as in [`RECOMPUTES`].
    pub modes: [(KeptPerLayer, LayerTimes); 3],
    /// Bytes of the logits.
    pub logits_bytes: f64,
    /// GPU-seconds in which layers compute a sequence at least.
    least_seconds_per_sequence: f64,
}

/// Recompute modes, least work first.
pub const RECOMPUTES: [Recompute; 3] = [Recompute::None, Recompute::Selective, Recompute::Full];

impl<'a> LayerCuts<'a> {
    /// All of them, none worked out.
    pub fn new(job: &'a Job) -> Self {
        let mut cuts = Vec::new();
        let experts = job.architecture.moe.map_or(1, |moe| moe.experts);
        for tp in powers_dividing(job.topology.scale_up_domain.min(64), job.architecture.heads) {
            for cp in powers_up_to(max_context_ranks(job)) {
                for ep in powers_dividing(experts, experts) {
                    for micro_batch in MICRO_BATCHES {
                        let expert_tp = if ep > 1 { 1 } else { tp };
                        let layer =
                            LayerCut { tp, cp, ep, expert_tp, micro_batch, sequence_parallel: tp > 1 };
                        cuts.push(Known { layer, timed: [None, None] });
                    }
                }
            }
        }
        Self { job, cuts, shared: Shared::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cuts.len()
    }

    /// The one at a place.
    pub fn layer(&self, place: usize) -> Option<&LayerCut> {
        self.cuts.get(place).map(|known| &known.layer)
    }

    /// The numbers of the one at a place that were worked out, of a pipeline under DualPipe or of all others.
    pub fn timed(&self, place: usize, dual_pipe: bool) -> Option<&Timed> {
        self.cuts.get(place)?.timed[usize::from(dual_pipe)].as_ref()?.as_deref()
    }

    /// GPU-seconds in which the layers of the one at a place compute a sequence at least, under DualPipe too if that is
    /// looked at; worked out if need be, none where no layout has the cut.
    pub fn least_seconds_per_sequence(&mut self, place: usize, dual_pipe: bool) -> Option<f64> {
        let mut least: Option<f64> = None;
        for dual_pipe in [false, true].into_iter().take(1 + usize::from(dual_pipe)) {
            let Known { layer, timed } = self.cuts.get_mut(place)?;
            let timed = timed[usize::from(dual_pipe)].get_or_insert_with(|| {
                if is_legal(self.job, layer) {
                    work_out(self.job, &mut self.shared, layer, dual_pipe)
                } else {
                    None
                }
            });
            let seconds = timed.as_ref()?.least_seconds_per_sequence;
            least = Some(least.map_or(seconds, |least| least.min(seconds)));
        }
        least
    }
}

/// Whether some layout has the cut: one on the fewest GPUs is legal.
fn is_legal(job: &Job, layer: &LayerCut) -> bool {
    // All are powers of two, but for the micro-batch.
    let gpus = (layer.tp * layer.cp).max(layer.ep);
    let batch = gpus / (layer.tp * layer.cp) * layer.micro_batch;
    data_parallel::<Illegal>(job, &layout_of(layer, batch), gpus).is_ok()
}

fn work_out(job: &Job, shared: &mut Shared, layer: &LayerCut, dual_pipe: bool) -> Worked {
    let shared = shared.entry((layer.tp, layer.cp, layer.micro_batch)).or_insert_with(|| {
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
    // Each of tp × cp ranks computes its part of a micro-batch in every layer, on one pipeline stage or another; what is
    // done again only adds to it.
    let ranks = f64::from(layer.tp * layer.cp);
    let per_micro_batch = modes[0].1.least_layer_seconds(job) * job.sizes.layers() * ranks;
    Some(Box::new(Timed {
        modes,
        logits_bytes: layers.logits_bytes,
        least_seconds_per_sequence: per_micro_batch / f64::from(layer.micro_batch),
    }))
}

/// The layout of a layer cut without a pipeline.
pub fn layout_of(layer: &LayerCut, global_batch: u32) -> Layout {
    Layout {
        tp: layer.tp,
        cp: layer.cp,
        ep: layer.ep,
        micro_batch: layer.micro_batch,
        ..Layout::data_parallel(global_batch)
    }
}

/// Powers of two up to `most`.
fn powers_up_to(most: u32) -> impl Iterator<Item = u32> {
    (0..16).map(|power| 1u32 << power).take_while(move |&n| n <= most)
}

/// Powers of two up to `most` that divide `whole`.
fn powers_dividing(most: u32, whole: u32) -> impl Iterator<Item = u32> {
    powers_up_to(most).filter(move |&n| whole.is_multiple_of(n))
}

/// Sequences of a micro-batch; those that the batch does not divide fall away.
const MICRO_BATCHES: [u32; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

/// Sequences are cut so that every rank keeps at least 1,024 tokens, as in the shortest published parts (MLPerf's LoRA on
/// GB200): shorter ones only add exchange.
fn max_context_ranks(job: &Job) -> u32 {
    (job.sequence / 1024.0).max(1.0) as u32
}
