//! The best prefill and decode pools: which layouts, how many replicas of each.
//!
//! Pools at rates x_p and x_d of a replica on g_p and g_d GPUs serve at most `1 / (g_p/x_p + g_d/x_d)` requests per
//! second and GPU, whole replicas or not: what that cannot win is not looked at, nor what whole replicas cannot. Of x_p
//! it is known once for all pairs that no first token comes before its own prompt's queue and prefill are over: it is
//! at most the rate at which these alone keep the target.

use crate::error::Error;
use crate::order::sort_by;

use super::aim::{Aim, Worth};
use super::frontier::Frontier;
use super::point::replica_gpus;
use super::pools::{KvTransfer, PoolPair, PoolReplica, PoolsState, of_prompts};
use super::search_replicas::{ALONE, Curve, NEAR, highest, stretch, to_the_step, too_slow};
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::{FrontierPoint, LatencyTargets, LegalLayout, ServingModel, ServingPoint, ServingTarget};

/// Rates that lie no further apart than they are known are alike: of pools that do as well the smallest are taken.
const ALIKE: f64 = 1.0 + NEAR;
/// Stands for the GPUs that read prompts in a point of pools of any ratio.
const IDEAL: u32 = u32::MAX;
/// Of what pools lose by working together, a split may lose less than one that was tried: at most by this factor.
const ROOM: f64 = 1.02;

/// Pools apart of one model in one precision.
pub(super) struct PoolSearch<'m, 'a> {
    /// As it reads prompts.
    model: &'m ServingModel<'a>,
    /// As it has them read, and decodes.
    reading: &'m ServingModel<'a>,
    /// Layouts that read prompts and that no other beats in rate per GPU, size and time alone; highest rate first.
    prefill: Vec<Side>,
    /// Layouts that decode, highest rate per GPU first.
    decode: Vec<Side>,
    load: ServingLoad,
    most_gpus: u32,
    aim: Aim<'m>,
    /// With a fleet in view the numbers of GPUs that fill the nodes that they take.
    sizes: Vec<u32>,
    pub considered: u64,
}

/// One pool's replica with bounds on what it can do.
#[derive(Debug, Clone, Copy)]
struct Side {
    layout: LegalLayout,
    gpus: u32,
    /// Requests per second at random times that it sustains.
    at_random: f64,
    /// Of one that reads prompts: requests per second under endless demand, seconds to the first token of one alone.
    reads: f64,
    alone: f64,
    /// Requests per second that it sustains at most.
    most: f64,
    /// The same within the targets, as far as they were looked at.
    within: f64,
    /// The targets that `within` knows of.
    slo: Option<LatencyTargets>,
}

impl Side {
    /// GPU-seconds that a request takes at least.
    fn gpu_seconds(&self) -> f64 {
        f64::from(self.gpus) / self.most
    }

    /// The same within the targets.
    fn gpu_seconds_within(&self) -> f64 {
        f64::from(self.gpus) / self.within
    }
}

/// Pools at the highest rate within the targets.
#[derive(Debug, Clone, Copy)]
pub(super) struct BestPools<'m, 'a> {
    pair: PoolPair<'m, 'a>,
    /// Replicas that read prompts, and replicas that decode.
    counts: (u32, u32),
    state: PoolsState,
    pub worth: Worth,
}

impl BestPools<'_, '_> {
    pub fn shown(&self, target: &ServingTarget, load: &ServingLoad) -> ServingPoint {
        let load = ServingLoad { arrivals: Arrivals::Poisson(self.state.rate), ..*load };
        self.pair.shown(target, &load, &self.state, self.counts.0, self.counts.1)
    }
}

impl<'m, 'a> PoolSearch<'m, 'a> {
    /// All layouts of `model` for prompts, and of `reading`, which has them read, for decode.
    pub fn new(
        model: &'m ServingModel<'a>,
        reading: &'m ServingModel<'a>,
        layouts: &[LegalLayout],
        load: ServingLoad,
        (most_gpus, aim): (u32, Aim<'m>),
    ) -> Result<Self, Error> {
        let sides = |model: &ServingModel<'_>, load: &ServingLoad, reads: bool| -> Result<Vec<Side>, Error> {
            let mut sides = Vec::new();
            for layout in layouts {
                let gpus = replica_gpus(layout)?;
                // Weights alone tell most of what does not fit.
                if gpus >= most_gpus
                    || model.weight_bytes(&layout.cut) > model.memory_bytes
                    || !model.fits(layout, load)
                {
                    continue;
                }
                let at_random = model.sustainable_rate(layout, &load.at_random(0.0));
                let (reads, alone) = if reads {
                    (model.sustainable_rate(layout, load), model.prompt_alone(layout, load))
                } else {
                    (0.0, 0.0)
                };
                // Endless demand is a closed loop's, whose prompts do not come at random: it may sustain more.
                let most = at_random.max(reads);
                let layout = *layout;
                sides.push(Side {
                    layout,
                    gpus,
                    at_random,
                    reads,
                    alone,
                    most,
                    within: at_random,
                    slo: None,
                });
            }
            sort_by(&mut sides, |a, b| a.gpu_seconds().total_cmp(&b.gpu_seconds()));
            Ok(sides)
        };
        let mut prefill: Vec<Side> = Vec::new();
        for side in sides(model, &of_prompts(&load), true)? {
            let better = |known: &Side| known.gpus <= side.gpus && known.alone <= side.alone;
            if !prefill.iter().any(better) {
                prefill.push(side);
            }
        }
        let decode = sides(reading, &load, false)?;
        let considered = 2 * layouts.len() as u64;
        Ok(Self {
            model,
            reading,
            prefill,
            decode,
            load,
            most_gpus,
            aim,
            sizes: aim.sizes(most_gpus),
            considered,
        })
    }

    /// Puts the points of all pools on the frontier.
    ///
    /// Bounds take whole pools of any ratio; points that survive them are asked for as whole replicas.
    pub fn extend(&mut self, frontier: &mut Frontier) {
        let Some(least) = self.prefill.first().map(Side::gpu_seconds) else { return };
        let output = self.load.output_tokens;
        // What pools of any ratio would give beyond what is known.
        let mut bound = frontier.clone();
        let mut looked = 0;
        for decode in &self.decode {
            let layout = &decode.layout;
            let point = |arrivals: Arrivals| {
                // What it sustains is not asked for.
                let known = if arrivals == Arrivals::Full { None } else { Some(f64::INFINITY) };
                let load = ServingLoad { arrivals, ..self.load };
                let state = self.reading.point_knowing(layout, &load, known);
                FrontierPoint {
                    layout: layout.layout,
                    precision: self.model.precision,
                    gpus: decode.gpus,
                    prefill_gpus: IDEAL,
                    prefill_layout: None,
                    concurrency: state.concurrency,
                    tokens_per_second_per_user: 1.0 / state.tpot_seconds,
                    output_tokens_per_second_per_gpu: output
                        / (least + f64::from(decode.gpus) / state.requests_per_second),
                    ttft_seconds: state.ttft_seconds,
                }
            };
            looked += stretch(&mut bound, &Curve::of(self.reading, layout, &self.load, least), point);
        }
        for ideal in bound.into_points().iter().filter(|point| point.prefill_gpus == IDEAL) {
            if frontier.beats(ideal.tokens_per_second_per_user, ideal.output_tokens_per_second_per_gpu) {
                continue;
            }
            let decode = self.decode.iter().find(|side| side.layout.layout == ideal.layout);
            if let Some((pair, counts, requests)) = decode.and_then(|side| self.whole(side, ideal)) {
                let state = pair.state(counts.0, counts.1, Arrivals::Closed(requests));
                let gpus = counts.0 * pair.prefill_gpus + counts.1 * pair.decode_gpus;
                looked += 1;
                frontier.add(FrontierPoint {
                    layout: ideal.layout,
                    precision: self.model.precision,
                    gpus,
                    prefill_gpus: counts.0 * pair.prefill_gpus,
                    prefill_layout: Some(pair.prefill_layout()),
                    concurrency: state.concurrency,
                    tokens_per_second_per_user: 1.0 / state.decode.tpot_seconds,
                    output_tokens_per_second_per_gpu: state.rate * output / f64::from(gpus),
                    ttft_seconds: state.ttft,
                });
            }
        }
        self.considered += looked;
    }

    /// The whole replicas that come nearest to an ideal point, and the requests in flight: its decode batches and a
    /// prompt in each stream of the prefill replicas.
    fn whole(&self, decode: &Side, ideal: &FrontierPoint) -> Option<(PoolPair<'m, 'a>, (u32, u32), f64)> {
        let output = self.load.output_tokens;
        let least = self.prefill.first()?.gpu_seconds();
        let rate = f64::from(decode.gpus) / (output / ideal.output_tokens_per_second_per_gpu - least);
        let (side, counts, _) = self
            .prefill
            .iter()
            .filter_map(|side| {
                let (split, worth) = most_per_gpu(side, decode, (side.reads, rate), self.most_gpus)?;
                Some((side, split.counts, worth.value))
            })
            .max_by(|a, b| a.2.total_cmp(&b.2))?;
        let pair = self.pair(side, decode);
        let streams = f64::from(side.layout.layout.pp * side.layout.layout.dp);
        let requests = f64::from(counts.1) * ideal.concurrency + f64::from(counts.0) * streams;
        Some((pair, counts, requests))
    }

    fn pair(&self, prefill: &Side, decode: &Side) -> PoolPair<'m, 'a> {
        let replica = |model: &ServingModel<'_>, side: &Side, load: &ServingLoad| PoolReplica {
            layout: side.layout,
            gpus: side.gpus,
            full: model.point(&side.layout, load),
            at_random: side.at_random,
        };
        let reads = replica(self.model, prefill, &of_prompts(&self.load));
        let runs = replica(self.reading, decode, &self.load);
        PoolPair::of((self.model, &reads), (self.reading, &runs), &self.load, KvTransfer::AfterPrefill)
    }

    /// The pools of at most `most_gpus` at their highest rate within the targets that are worth most, if that is more
    /// than `known`.
    pub fn best(&mut self, slo: &LatencyTargets, most_gpus: u32, known: Worth) -> Option<BestPools<'m, 'a>> {
        let mut tried = 0;
        let least =
            self.prefill.iter().fold(f64::INFINITY, |least, side| least.min(side.gpu_seconds_within()));
        let decode = self.decode.first()?;
        if !self.aim.may_beat(1.0 / (least + decode.gpu_seconds()), &known) {
            return None;
        }
        self.bound_prompts(slo, &mut tried);
        let best = self.best_of_pairs(slo, most_gpus, known, &mut tried);
        self.considered += tried;
        best
    }

    /// Bounds the rates at which prompts are read by their own first tokens' target.
    fn bound_prompts(&mut self, slo: &LatencyTargets, tried: &mut u64) {
        let prompts = of_prompts(&self.load);
        for side in self.prefill.iter_mut().filter(|side| side.slo != Some(*slo)) {
            side.within = side.at_random;
            side.slo = Some(*slo);
            let (met, looked) = in_time(self.model, side, &prompts, (0.0, slo.ttft_p95_seconds));
            *tried += looked;
            // The highest rate is no more than this above the one that is found.
            side.within = met.map_or(0.0, |rate| (rate * (1.0 + NEAR)).min(side.at_random));
        }
    }

    /// [`Self::best`] once the rates are bounded at which prompts are read.
    fn best_of_pairs(
        &self,
        slo: &LatencyTargets,
        most_gpus: u32,
        known: Worth,
        tried: &mut u64,
    ) -> Option<BestPools<'m, 'a>> {
        let mut best: Option<BestPools<'m, 'a>> = None;
        let least = |room: u32| {
            let room = self.prefill.iter().filter(|side| side.gpus <= room);
            room.fold(f64::INFINITY, |least, side| least.min(side.gpu_seconds_within()))
        };
        let least_of_all = least(most_gpus.saturating_sub(1));
        for decode in self.decode.iter().filter(|side| side.gpus < most_gpus) {
            let known = best.map_or(known, |found| found.worth);
            if !self.aim.may_beat(1.0 / (least_of_all + decode.gpu_seconds()), &known) {
                // Nor do those after it.
                break;
            }
            if !self.prefill.iter().any(|side| self.could_win(side, decode, (decode.most, most_gpus, known)))
            {
                continue;
            }
            let beside = least(most_gpus - decode.gpus);
            let Some((runs, run)) = self.fastest_decode(decode, slo, (known, beside), tried) else {
                continue;
            };
            for prefill in &self.prefill {
                let known = best.map_or(known, |found| found.worth);
                if self.could_win(prefill, decode, (runs, most_gpus, known)) {
                    let asked = (slo, most_gpus, known);
                    best = self.together(prefill, decode, (runs, &run), asked, tried).or(best);
                }
            }
        }
        best
    }

    /// Whether whole replicas of both on at most `most_gpus` can beat `known`, where one that decodes `runs` so many
    /// requests per second.
    fn could_win(&self, prefill: &Side, decode: &Side, (runs, most_gpus, known): (f64, u32, Worth)) -> bool {
        let ideal = 1.0 / (prefill.gpu_seconds_within() + f64::from(decode.gpus) / runs);
        if !self.aim.may_beat(ideal, &known) {
            return false;
        }
        if self.sizes.is_empty() {
            let best = most_per_gpu(prefill, decode, (prefill.within, runs), most_gpus);
            return best.is_some_and(|(_, worth)| worth.beats(&known));
        }
        let rates = (prefill.within, runs * self.aim.most_of(NEAR));
        self.filling(prefill, decode, rates, most_gpus).any(|split| {
            self.aim.may_beat(split.rate / self.aim.gpus(split.gpus), &known)
                && self.aim.worth(split.gpus, split.rate).beats(&known)
        })
    }

    /// Highest rate of one decode replica within the targets, if it could win over `known` beside prompts that take the
    /// `least` GPU-seconds.
    fn fastest_decode(
        &self,
        decode: &Side,
        slo: &LatencyTargets,
        (known, least): (Worth, f64),
        tried: &mut u64,
    ) -> Option<(f64, SteadyState)> {
        let most = decode.most;
        // Below this rate even the best prefill pool beside it does not win.
        let needed = rate_to_win(decode, self.aim.value_to_beat(&known), least).max(most * ALONE);
        if needed > most || too_slow(self.reading, &decode.layout, &self.load, needed, slo) {
            return None;
        }
        let within = |rate: f64| {
            let load = self.load.at_random(rate);
            let state = self.reading.point_knowing(&decode.layout, &load, Some(most));
            let met = !state.saturated
                && state.tpot_p95_seconds <= slo.tpot_p95_seconds
                && state.ttft_p95_seconds <= slo.ttft_p95_seconds;
            (state, met)
        };
        let (met, looked) = highest(needed, most, within);
        *tried += looked;
        met
    }

    /// Both pools within the targets, if they win.
    fn together(
        &self,
        prefill: &Side,
        decode: &Side,
        (runs, run): (f64, &SteadyState),
        (slo, most_gpus, known): (&LatencyTargets, u32, Worth),
        tried: &mut u64,
    ) -> Option<BestPools<'m, 'a>> {
        let pair = self.pair(prefill, decode);
        let reads = if self.aim.has_fleet() {
            // Where less is decoded than could be, prompts have more of the target: only both at once tell how much.
            prefill.within
        } else {
            // What the first token's target leaves for queue and prefill.
            let sent = pair.transfer(1, 1, 0.0)?;
            let left = slo.ttft_p95_seconds - run.ttft_p95_seconds - sent.exposed;
            if left <= prefill.alone {
                return None;
            }
            let needed = rate_to_win(prefill, self.aim.value_to_beat(&known), f64::from(decode.gpus) / runs);
            let (met, looked) = in_time(self.model, prefill, &of_prompts(&self.load), (needed, left));
            *tried += looked;
            met?
        };
        let rates = (reads, runs * self.aim.most_of(NEAR));
        let mut best: Option<BestPools<'m, 'a>> = None;
        // Share of what both would serve by themselves that they are taken to serve together.
        let mut share = 1.0;
        for split in self.promising(prefill, decode, (rates, most_gpus), known) {
            let known = best.map_or(known, |found| found.worth);
            if !self.aim.worth(split.gpus, share * split.rate).beats(&known) {
                continue;
            }
            let (reached, found) = self.at_once(&pair, &split, (slo, known), tried);
            best = found.or(best);
            share = share.min(ROOM * reached / split.rate);
        }
        best
    }

    /// Splits whose pools would beat `known` if neither held up the other, the best first: with a fleet in view
    /// several, for one may need less of what they lose together.
    fn promising(
        &self,
        prefill: &Side,
        decode: &Side,
        (rates, most_gpus): ((f64, f64), u32),
        known: Worth,
    ) -> Vec<Split> {
        let mut found: Vec<(Split, Worth)> = if self.sizes.is_empty() {
            most_per_gpu(prefill, decode, rates, most_gpus).into_iter().collect()
        } else {
            self.filling(prefill, decode, rates, most_gpus)
                .filter(|split| self.aim.may_beat(split.rate / self.aim.gpus(split.gpus), &known))
                .map(|split| (split, self.aim.worth(split.gpus, split.rate)))
                .collect()
        };
        found.retain(|(_, worth)| worth.beats(&known));
        sort_by(&mut found, |a, b| a.1.order(&b.1));
        found.into_iter().map(|(split, _)| split).collect()
    }

    /// To each number of GPUs that fills the nodes that it takes the split with the highest rate, where one `reads` and
    /// one `runs` so many requests per second: others are rented as many and serve less.
    fn filling(
        &self,
        prefill: &Side,
        decode: &Side,
        (reads, runs): (f64, f64),
        most_gpus: u32,
    ) -> impl Iterator<Item = Split> {
        let (from, to) = (prefill.gpus, decode.gpus);
        let sizes = self.sizes.iter().copied().filter(move |size| *size <= most_gpus && *size >= from + to);
        sizes.filter_map(move |size| {
            let of = |decoding: u32| {
                let reading = (size - decoding * to) / from;
                let rate = (f64::from(reading) * reads).min(f64::from(decoding) * runs);
                let gpus = reading * from + decoding * to;
                Split { counts: (reading, decoding), gpus, rate }
            };
            // With more to decode than in the last of these fewer are read, with less in the first fewer decoded.
            let even = f64::from(size) / (f64::from(to) + f64::from(from) * runs / reads);
            let mut decoding = (libm::ceil(even) as u32).clamp(1, (size - from) / to);
            let mut best = of(decoding);
            while decoding > 1 && f64::from(decoding) * runs > f64::from(of(decoding).counts.0) * reads {
                decoding -= 1;
                let split = of(decoding);
                if split.rate > best.rate {
                    best = split;
                }
            }
            (best.rate > 0.0).then_some(best)
        })
    }

    /// Both pools at once, with the transfer's own wait: the highest rate up to the split's within the targets, and
    /// what it is worth if that beats `known`; else a rate that is too much for them.
    fn at_once(
        &self,
        pair: &PoolPair<'m, 'a>,
        split: &Split,
        (slo, known): (&LatencyTargets, Worth),
        tried: &mut u64,
    ) -> (f64, Option<BestPools<'m, 'a>>) {
        let (counts, gpus) = (split.counts, split.gpus);
        let within = |rate: f64| {
            let state = pair.state(counts.0, counts.1, Arrivals::Poisson(rate));
            let met = !state.saturated
                && state.ttft_p95 <= slo.ttft_p95_seconds
                && state.decode.tpot_p95_seconds <= slo.tpot_p95_seconds;
            (state, met)
        };
        let hope = split.rate;
        let (state, met) = within(hope);
        *tried += 1;
        let (rate, state) = if met {
            (hope, state)
        } else {
            let least = self.aim.rate_to_beat(gpus, hope, &known).max(hope * ALONE);
            let (met, looked) = highest(least, hope, within);
            *tried += looked;
            let Some(met) = met else {
                // How far they come tells what other splits may.
                let fails = if self.aim.has_fleet() { too_much(least, tried, within) } else { least };
                return (fails, None);
            };
            met
        };
        let ((rate, state), looked) = to_the_step((self.aim, gpus), (rate, state), f64::INFINITY, within);
        *tried += looked;
        let worth = self.aim.worth(gpus, rate);
        (rate, worth.beats(&known).then_some(BestPools { pair: *pair, counts, state, worth }))
    }
}

/// A rate that misses the targets, less than a thirty-second of `fails`, which does too, above one that keeps them.
fn too_much<T>(fails: f64, tried: &mut u64, within: impl Fn(f64) -> (T, bool)) -> f64 {
    let (mut low, mut high) = (0.0, fails);
    for _ in 0..5 {
        let middle = 0.5 * (low + high);
        if within(middle).1 {
            low = middle;
        } else {
            high = middle;
        }
        *tried += 1;
    }
    high
}

/// Replicas of both pools.
#[derive(Debug, Clone, Copy)]
struct Split {
    /// Those that read prompts, and those that decode.
    counts: (u32, u32),
    gpus: u32,
    /// Requests per second that they would serve if neither held up the other.
    rate: f64,
}

/// Replicas of both pools on at most `most_gpus` with the most requests per second and GPU, where one `reads` and one
/// `runs` so many; and what they are worth. Of pools that do as well the smallest.
fn most_per_gpu(
    prefill: &Side,
    decode: &Side,
    (reads, runs): (f64, f64),
    most_gpus: u32,
) -> Option<(Split, Worth)> {
    let mut best: Option<(Split, Worth)> = None;
    for decoding in 1..=most_gpus / decode.gpus {
        let even = f64::from(decoding) * runs / reads;
        // Where prompts need more than there is room for, as many as there is: decode then waits for them.
        let room = f64::from((most_gpus - decoding * decode.gpus) / prefill.gpus);
        for reading in [libm::floor(even).min(room), libm::ceil(even)] {
            let gpus = reading * f64::from(prefill.gpus) + f64::from(decoding * decode.gpus);
            if reading < 1.0 || gpus > f64::from(most_gpus) {
                continue;
            }
            let (gpus, rate) = (gpus as u32, (reading * reads).min(f64::from(decoding) * runs));
            let worth = Aim::GPUS.worth(gpus, rate);
            if best.is_none_or(|(_, known)| worth.value > known.value * ALIKE) {
                best = Some((Split { counts: (reading as u32, decoding), gpus, rate }, worth));
            }
        }
    }
    best
}

/// Requests per second that one replica has to serve so that pools beat `known`, where the other pool takes so many
/// GPU-seconds of each.
fn rate_to_win(side: &Side, known: f64, others: f64) -> f64 {
    if known > 0.0 { f64::from(side.gpus) / (1.0 / known - others) } else { 0.0 }
}

/// Highest rate, from `least` on, at which 95 % of the first tokens of prompts come from one replica within so many
/// seconds; none if it is below. Also the number of rates tried.
fn in_time(
    model: &ServingModel<'_>,
    side: &Side,
    prompts: &ServingLoad,
    (least, seconds): (f64, f64),
) -> (Option<f64>, u64) {
    let most = side.within;
    let least = least.max(side.at_random * ALONE);
    if least > most {
        return (None, 0);
    }
    let (met, tried) = highest(least, most, |rate| {
        let state = model.point(&side.layout, &prompts.at_random(rate));
        ((), !state.saturated && state.ttft_p95_seconds <= seconds)
    });
    (met.map(|(rate, ())| rate), tried)
}
