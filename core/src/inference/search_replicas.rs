//! Replicas that read prompts where they decode: which layout at which rate. And what both searches, of replicas and of
//! pools, look for rates and for the frontier with.

use crate::error::Error;
use crate::order::sort_by;

use super::aim::{Aim, Worth};
use super::frontier::Frontier;
use super::iteration::Work;
use super::point::{answer, replica_gpus};
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::stream::Stream;
use super::{FrontierPoint, LatencyTargets, LegalLayout, ServingModel, ServingPoint, ServingTarget};

/// Share of a rate to which the highest one within the targets is known.
pub(super) const NEAR: f64 = 1.0 / 128.0;
/// Halvings at most: from a thousandth of the sustainable rate on it takes no more to come so near.
const HALVINGS: u32 = 18;
/// At this share of the sustainable rate a request is as good as alone.
pub(super) const ALONE: f64 = 1e-3;

/// A replica's layout.
#[derive(Debug, Clone, Copy)]
struct Replica<'m, 'a> {
    model: &'m ServingModel<'a>,
    layout: LegalLayout,
    gpus: u32,
    /// GPUs that are paid for ([`Aim::gpus`]).
    rented: f64,
    fits: bool,
    /// Requests per second at random times that it sustains, once it was asked for.
    most: Option<f64>,
}

/// A replica at the highest rate within the targets.
#[derive(Debug, Clone, Copy)]
pub(super) struct BestReplica<'m, 'a> {
    replica: Replica<'m, 'a>,
    state: SteadyState,
    rate: f64,
    pub worth: Worth,
}

/// All replicas that read and decode.
pub(super) struct Replicas<'m, 'a> {
    all: Vec<Replica<'m, 'a>>,
    /// Of those that fit, what they are worth at most, and which it is; the best first. Empty until it is asked for.
    turn: Vec<(Worth, usize)>,
    load: ServingLoad,
    aim: Aim<'m>,
    pub considered: u64,
}

impl<'m, 'a> Replicas<'m, 'a> {
    pub fn new(
        models: &'m [ServingModel<'a>],
        layouts: &[Vec<LegalLayout>],
        load: ServingLoad,
        aim: Aim<'m>,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (model, layouts) in models.iter().zip(layouts) {
            for layout in layouts {
                let gpus = replica_gpus(layout)?;
                let fits = model.fits(layout, &load);
                let rented = aim.gpus(gpus);
                all.push(Replica { model, layout: *layout, gpus, rented, fits, most: None });
            }
        }
        let considered = all.len() as u64;
        Ok(Self { all, turn: Vec::new(), load, aim, considered })
    }

    /// Puts the points of all layouts that fit on the frontier.
    pub fn extend(&mut self, frontier: &mut Frontier) {
        let load = self.load;
        let fits = self.all.iter().filter(|replica| replica.fits);
        let mut fits: Vec<(Curve<'_>, &Replica<'_, '_>)> =
            fits.map(|replica| (Curve::of(replica.model, &replica.layout, &load, 0.0), replica)).collect();
        // What is good in both measures leaves least of the others.
        sort_by(&mut fits, |(a, _), (b, _)| b.both().total_cmp(&a.both()));
        for (curve, replica) in fits {
            let point = |arrivals: Arrivals| {
                // What it sustains is not asked for.
                let known = if arrivals == Arrivals::Full { None } else { Some(f64::INFINITY) };
                let load = ServingLoad { arrivals, ..load };
                let state = replica.model.point_knowing(&replica.layout, &load, known);
                FrontierPoint {
                    layout: replica.layout.layout,
                    precision: replica.model.precision,
                    gpus: replica.gpus,
                    prefill_gpus: 0,
                    prefill_layout: None,
                    concurrency: state.concurrency,
                    tokens_per_second_per_user: 1.0 / state.tpot_seconds,
                    output_tokens_per_second_per_gpu: state.requests_per_second * load.output_tokens
                        / f64::from(replica.gpus),
                    ttft_seconds: state.ttft_seconds,
                }
            };
            self.considered += stretch(frontier, &curve, point);
        }
    }

    /// The replica of at most `most_gpus` at its highest rate within the targets that is worth most, if that is more
    /// than `known`.
    pub fn best(
        &mut self,
        slo: &LatencyTargets,
        most_gpus: u32,
        known: Worth,
    ) -> Option<BestReplica<'m, 'a>> {
        let mut best: Option<BestReplica<'m, 'a>> = None;
        let mut ready = Vec::new();
        let mut passed = 0;
        loop {
            let known = best.map_or(known, |found| found.worth);
            let Some((replica, most)) = self.next(&mut passed, &mut ready, (slo, most_gpus, known)) else {
                break;
            };
            if !self.aim.worth(replica.gpus, most).beats(&known) {
                // Nor do those after it.
                break;
            }
            let least = (most * ALONE).max(self.aim.rate_to_beat(replica.gpus, most, &known));
            if too_slow(replica.model, &replica.layout, &self.load, least, slo) {
                continue;
            }
            let within = |rate: f64| {
                let state = replica.at(&self.load, rate);
                (state, !state.saturated && worst(&state, slo) <= 1.0)
            };
            let (met, tried) = highest(least, most, within);
            self.considered += tried;
            let Some(met) = met else { continue };
            let ((rate, state), tried) = to_the_step((self.aim, replica.gpus), met, most, within);
            self.considered += tried;
            let worth = self.aim.worth(replica.gpus, state.requests_per_second);
            if worth.beats(&known) {
                best = Some(BestReplica { replica, state, rate, worth });
            }
        }
        best
    }

    /// The replica of at most `most_gpus` that is worth most at the rate it sustains, of those that have not had their
    /// turn, with that rate; none where none is left that could keep the targets and beat `known`.
    ///
    /// Bounds stand in `turn`, of which so many were `passed`; a replica gets its price when its bound is the best that
    /// is left, and is `ready` until no bound is better than it.
    fn next(
        &mut self,
        passed: &mut usize,
        ready: &mut Vec<(Worth, usize)>,
        (slo, most_gpus, known): (&LatencyTargets, u32, Worth),
    ) -> Option<(Replica<'m, 'a>, f64)> {
        self.bound();
        loop {
            let waiting = self.turn.get(*passed).copied().filter(|(bound, _)| bound.beats(&known));
            if let Some(&(worth, at)) = ready.last()
                && waiting.is_none_or(|(bound, _)| worth.beats(&bound))
            {
                ready.pop();
                let replica = self.all.get(at)?;
                return Some((*replica, replica.most?));
            }
            let (bound, at) = waiting?;
            *passed += 1;
            let (load, aim) = (self.load, self.aim);
            let wins = |replica: &Replica<'_, '_>| {
                if replica.gpus > most_gpus {
                    return false;
                }
                let least = aim.rate_to_beat(replica.gpus, bound.value * replica.rented, &known);
                !too_slow(replica.model, &replica.layout, &load, least, slo)
            };
            if let Some(replica) = self.all.get_mut(at).filter(|replica| wins(replica)) {
                let most = replica.priced(&load.at_random(0.0));
                let worth = aim.worth(replica.gpus, most);
                // The best last; of like ones the first last.
                let place = ready.partition_point(|(known, from)| {
                    known.order(&worth).reverse().then(at.cmp(from)).is_lt()
                });
                ready.insert(place, (worth, at));
            }
        }
    }

    /// Bounds what replicas are worth by decode alone, the best first.
    fn bound(&mut self) {
        if !self.turn.is_empty() {
            return;
        }
        let load = self.load.at_random(0.0);
        let fits = self.all.iter().enumerate().filter(|(_, replica)| replica.fits);
        self.turn = fits
            .map(|(at, replica)| {
                let rate = replica.model.decode_rate(&replica.layout, &load);
                (self.aim.worth(replica.gpus, rate * BOUND), at)
            })
            .collect();
        sort_by(&mut self.turn, |a, b| a.0.order(&b.0));
    }

    /// Where no replica keeps the targets: the one that alone comes nearest; where none fits, the one that lacks least
    /// memory. Of like ones the one that sustains the highest rate per GPU.
    pub fn nearest(&mut self, slo: &LatencyTargets) -> Option<BestReplica<'m, 'a>> {
        let load = self.load;
        let mut best: Option<(BestReplica<'m, 'a>, f64)> = None;
        for replica in &mut self.all {
            let known = best.map_or(f64::NEG_INFINITY, |(found, _)| found.worth.value);
            let bound = if replica.fits {
                let alone = quickest(replica.model, &replica.layout, &load, 1.0);
                -1.0 / (alone * slo.tpot_p95_seconds)
            } else {
                let memory = Stream::new(replica.model, &replica.layout.cut, &load).memory(0.0);
                -1e6 * memory.weights_gib / memory.available_gib.max(1e-9)
            };
            if bound < known {
                continue;
            }
            let most = replica.priced(&load.at_random(0.0));
            let (state, rate, value) = if replica.fits {
                self.considered += 1;
                let rate = most * ALONE;
                let state = replica.at(&load, rate);
                (state, rate, -worst(&state, slo))
            } else {
                (replica.model.point(&replica.layout, &load), 0.0, bound)
            };
            let each = most / replica.rented;
            if best.is_none_or(|(_, other)| value > known || (value == known && each > other)) {
                // No fleet's: the nearer to the targets the higher.
                let worth = Worth { cost: 0.0, value };
                best = Some((BestReplica { replica: *replica, state, rate, worth }, each));
            }
        }
        best.map(|(found, _)| found)
    }
}

impl BestReplica<'_, '_> {
    pub fn shown(&self, target: &ServingTarget, load: &ServingLoad) -> ServingPoint {
        let load = ServingLoad { arrivals: Arrivals::Poisson(self.rate), ..*load };
        answer(target, self.replica.model, &self.replica.layout, &load, &self.state, 1)
    }
}

impl Replica<'_, '_> {
    /// Requests per second at random times that it sustains.
    fn priced(&mut self, load: &ServingLoad) -> f64 {
        *self.most.get_or_insert_with(|| self.model.sustainable_rate(&self.layout, load))
    }

    fn at(&self, load: &ServingLoad, rate: f64) -> SteadyState {
        let load = ServingLoad { arrivals: Arrivals::Poisson(rate), ..*load };
        self.model.point_knowing(&self.layout, &load, self.most)
    }
}

/// The worse ratio of a percentile to its target.
fn worst(state: &SteadyState, slo: &LatencyTargets) -> f64 {
    (state.ttft_p95_seconds / slo.ttft_p95_seconds).max(state.tpot_p95_seconds / slo.tpot_p95_seconds)
}

/// Near saturation, and where a product needs one more wave of tiles, the percentile lies below what the mean batch
/// alone gives: by less than this factor (a test looks for more).
const BELOW_MEAN: f64 = 1.25;

/// Whether a token takes far longer than its target already at the mean batch where `rate` requests per second come.
///
/// Little's law: at that rate and a time per token so many sequences decode. If an iteration with them takes longer
/// still, more of them are there.
pub(super) fn too_slow(
    model: &ServingModel<'_>,
    layout: &LegalLayout,
    load: &ServingLoad,
    rate: f64,
    slo: &LatencyTargets,
) -> bool {
    let stream = Stream::new(model, &layout.cut, &load.at_random(rate));
    let target = BELOW_MEAN * slo.tpot_p95_seconds * model.accepted_tokens();
    let each = rate / (layout.cut.pp * layout.cut.dp);
    let sequences = each * stream.steps * target;
    stream.steps > 0.0 && sequences < stream.most && stream.pace_beyond(sequences, each, target)
}

/// Halves the interval from `low` to `high` for the highest rate within the targets, to 1 part in 128 below; none if
/// they are missed at `low`. Also the number of rates tried.
pub(super) fn highest<T>(low: f64, high: f64, within: impl Fn(f64) -> (T, bool)) -> (Option<(f64, T)>, u64) {
    let (state, met) = within(low);
    if !met {
        return (None, 1);
    }
    let mut best = (low, state);
    let (mut low, mut high) = (low, high);
    let mut tried = 1;
    while high - low > NEAR * low && tried <= u64::from(HALVINGS) {
        let middle = 0.5 * (low + high);
        let (state, met) = within(middle);
        tried += 1;
        if met {
            low = middle;
            best = (middle, state);
        } else {
            high = middle;
        }
    }
    (Some(best), tried)
}

/// Share of a rate to which it is known where a fleet costs less at a higher one: its steps may lie close by.
const FINE: f64 = NEAR / 16.0;

/// A rate within the targets, known to 1 part in 128, or one above it that is known more closely where the fleet of so
/// many GPUs costs less at it. Also the number of rates tried.
pub(super) fn to_the_step<T>(
    (aim, gpus): (Aim<'_>, u32),
    mut met: (f64, T),
    most: f64,
    within: impl Fn(f64) -> (T, bool),
) -> ((f64, T), u64) {
    let mut high = most.min(met.0 * (1.0 + NEAR));
    let mut tried = 0;
    while high - met.0 > FINE * met.0
        && let Some(step) = aim.next_step(gpus, (met.0, high))
    {
        // Below the step nothing is gained; where steps lie close, the interval is halved.
        let rate = step.max(0.5 * (met.0 + high));
        let (state, kept) = within(rate);
        tried += 1;
        if kept {
            met = (rate, state);
        } else {
            high = rate * (1.0 - 2.0 * Aim::CLOSE);
        }
    }
    (met, tried)
}

/// What bounds the points of one layout from no request in flight to endless demand.
pub(super) struct Curve<'m> {
    model: &'m ServingModel<'m>,
    layout: &'m LegalLayout,
    load: ServingLoad,
    gpus: f64,
    /// GPU-seconds of an output token beside those of the replica.
    beside: f64,
    /// Output tokens over decoded ones: the first comes with the prompt.
    tokens: f64,
    /// Tokens per second that the user of a request alone sees.
    quickest: f64,
    /// Whether answers have a token to decode.
    decodes: bool,
    /// Requests in flight under endless demand.
    requests: f64,
    /// Output tokens per second and GPU at most.
    most: f64,
}

impl<'m> Curve<'m> {
    /// That of a replica that serves such a load, beside GPUs that take so many seconds of each request.
    pub fn of(model: &'m ServingModel<'_>, layout: &'m LegalLayout, load: &ServingLoad, beside: f64) -> Self {
        let (gpus, output) = (layout.layout.tp * layout.layout.pp * layout.layout.dp, load.output_tokens);
        let mut curve = Self {
            model,
            layout,
            load: *load,
            gpus: f64::from(gpus),
            beside: beside / output,
            tokens: 1.0,
            quickest: quickest(model, layout, load, 1.0),
            decodes: output > 1.0,
            requests: 0.0,
            most: 0.0,
        };
        let rate = if curve.decodes {
            let stream = Stream::new(model, &layout.cut, load);
            curve.tokens = output / (output - 1.0);
            curve.requests = stream.most * layout.cut.pp * layout.cut.dp;
            BOUND * model.decode_rate(layout, load)
        } else {
            // Nothing decodes.
            let full = model.point(layout, load);
            curve.requests = full.concurrency;
            full.requests_per_second
        };
        curve.most = curve.per_gpu(rate * output);
        curve
    }

    /// How good it can be in both measures of the frontier.
    fn both(&self) -> f64 {
        self.quickest * self.most
    }

    /// Output tokens per second and GPU where the replica gives so many.
    fn per_gpu(&self, tokens_per_second: f64) -> f64 {
        1.0 / (self.gpus / tokens_per_second + self.beside)
    }

    /// The same at most with so many requests in flight of users who see no more than this.
    fn at_most(&self, requests: f64, user: f64) -> f64 {
        self.per_gpu(requests * user * self.tokens).min(self.most)
    }

    /// Sequences in decode that give so many output tokens per second and GPU where users see this.
    fn needed(&self, per_gpu: f64, user: f64) -> f64 {
        self.gpus / (1.0 / per_gpu - self.beside) / (user * self.tokens)
    }

    /// The most that a user sees with at least so many sequences in decode.
    fn user(&self, sequences: f64) -> f64 {
        let cut = &self.layout.cut;
        let each = sequences / (cut.pp * cut.dp);
        if each < 1.0 {
            return quickest(self.model, self.layout, &self.load, sequences);
        }
        let stream = Stream::new(self.model, cut, &self.load);
        BOUND * self.model.accepted_tokens() / stream.pace(each, each).tpot
    }
}

/// Bounds are taken this much higher: sums of the same in another order differ by less.
const BOUND: f64 = 1.0 + 1e-9;

/// Puts the points of one layout on the frontier, of powers of two of requests in flight and of endless demand. Returns
/// how many points were looked at.
///
/// With n requests in flight no more than n users' tokens come per second, and no more than under endless demand; with
/// more of them a user sees no more. Loads at which the frontier has all that these bounds leave are passed over. Of
/// what users see, the frontier says how many sequences have to decode for a point that it does not beat; with as many,
/// users see less.
pub(super) fn stretch(
    frontier: &mut Frontier,
    curve: &Curve<'_>,
    at: impl Fn(Arrivals) -> FrontierPoint,
) -> u64 {
    let (mut user, mut requests, mut looked) = (curve.quickest, 1.0, 0);
    while requests < curve.requests {
        if frontier.beats(user, curve.most) {
            return looked;
        }
        if frontier.beats(user, curve.at_most(requests, user)) {
            requests *= 2.0;
            continue;
        }
        let beaten = curve.needed(frontier.throughput(user), user);
        if beaten > 1.0 && curve.decodes {
            let less = curve.user(beaten);
            if less < user && frontier.beats(less, curve.at_most(requests, less)) {
                user = less;
                continue;
            }
        }
        let point = at(Arrivals::Closed(requests));
        looked += 1;
        user = point.tokens_per_second_per_user;
        frontier.add(point);
        requests *= 2.0;
    }
    if !frontier.beats(user, curve.most) {
        frontier.add(at(Arrivals::Full));
    }
    looked
}

/// Tokens per second that each of so many requests sees of which each is alone on its stream.
fn quickest(model: &ServingModel<'_>, layout: &LegalLayout, load: &ServingLoad, requests: f64) -> f64 {
    let cut = &layout.cut;
    let alone = Work {
        sequences: 1.0,
        keys: load.input_tokens + 0.5 * load.output_tokens,
        prompt_tokens: 0.0,
        prompt_length: load.input_tokens,
        busy: requests / (cut.pp * cut.dp),
        reading: 0.0,
    };
    model.accepted_tokens() / model.iteration(cut, &alone).total_seconds
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::inference::ServingLayout;
    use crate::model::Precision;

    /// What is passed over unseen misses the target where it is looked at, and much is passed over.
    #[test]
    fn what_is_too_slow_misses_its_target() {
        let catalog = Catalog::embedded().unwrap();
        let (mut passed, mut missed) = (0, 0);
        for (name, gpu, cuts) in [
            (
                "deepseek-v3",
                "H200-SXM",
                vec![(8, 1, 1, 1), (8, 2, 1, 1), (1, 1, 16, 16), (4, 1, 16, 4), (1, 2, 8, 8)],
            ),
            ("qwen3-235b-a22b", "B200-SXM", vec![(4, 1, 1, 1), (1, 1, 8, 8), (2, 2, 1, 2)]),
            ("llama-3.3-70b", "H100-SXM", vec![(2, 1, 1, 1), (8, 1, 1, 1), (4, 2, 1, 1)]),
        ] {
            let arch = &catalog.model("model", name).unwrap().architecture;
            let target = catalog.target(None, Some(gpu), None).unwrap();
            let model = ServingModel::new(arch, target.gpu, &target.topology, Precision::Fp8, None).unwrap();
            for model in [&model, &model.with_prompts_read(), &model.clone().with_spread(4.0, 3.0)] {
                for &(tp, pp, ep, dp) in &cuts {
                    let layout =
                        model.layout(ServingLayout { tp, pp, ep, dp, redundant_experts: 0 }).unwrap();
                    for (input, output) in
                        [(2000.0, 300.0), (100.0, 2000.0), (1.0, 1000.0), (500.0, 500.0), (30_000.0, 5.0)]
                    {
                        let load = ServingLoad {
                            input_tokens: input,
                            output_tokens: output,
                            arrivals: Arrivals::Full,
                        };
                        let most = model.sustainable_rate(&layout, &load.at_random(0.0));
                        for share in [0.001, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99] {
                            let state = model.point(&layout, &load.at_random(share * most));
                            for target in [0.2, 0.4, 0.6, 0.79, 1.0, 1.1] {
                                let slo = LatencyTargets {
                                    ttft_p95_seconds: 1e6,
                                    tpot_p95_seconds: target * state.tpot_p95_seconds,
                                };
                                let slow = too_slow(model, &layout, &load, share * most, &slo);
                                let at = (share * most, target);
                                assert!(!slow || target < 1.0, "{name} {:?} {load:?} {at:?}", layout.layout);
                                passed += u32::from(slow);
                                missed += u32::from(target < 1.0);
                            }
                        }
                    }
                }
            }
        }
        assert!(2 * passed > missed, "{passed} of {missed}");
    }

    /// What a replica decodes bounds what it sustains.
    #[test]
    fn rates_lie_below_their_bound() {
        let catalog = Catalog::embedded().unwrap();
        for (name, gpu) in
            [("deepseek-v3", "H200-SXM"), ("qwen3-235b-a22b", "B200-SXM"), ("gpt-oss-120b", "H100-SXM")]
        {
            let arch = &catalog.model("model", name).unwrap().architecture;
            let target = catalog.target(None, Some(gpu), None).unwrap();
            let model = ServingModel::new(arch, target.gpu, &target.topology, Precision::Fp8, None).unwrap();
            for (tp, pp, ep, dp) in [(4, 1, 8, 2), (1, 1, 16, 16), (2, 2, 1, 4), (1, 1, 64, 64)] {
                let layout = model.layout(ServingLayout { tp, pp, ep, dp, redundant_experts: 0 }).unwrap();
                for (input, output) in [(2000.0, 300.0), (100.0, 2000.0), (500.0, 500.0)] {
                    let arrivals = Arrivals::Poisson(0.0);
                    let load = ServingLoad { input_tokens: input, output_tokens: output, arrivals };
                    let most = model.sustainable_rate(&layout, &load);
                    let decode = model.decode_rate(&layout, &load);
                    let told = format!("{name} {:?} {load:?}: {most} {decode}", layout.layout);
                    assert!(most <= decode * BOUND, "{told}");
                }
            }
        }
    }
}
