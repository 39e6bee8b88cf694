//! Replicas that read prompts where they decode: which layout at which rate.

use crate::error::Error;
use crate::order::sort_by;

use super::frontier::Frontier;
use super::iteration::Work;
use super::point::{answer, replica_gpus};
use super::search::Rented;
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::stream::Stream;
use super::{FrontierPoint, LatencyTargets, LegalLayout, ServingModel, ServingPoint, ServingTarget};

/// Share of a rate to which the highest one within the targets is found.
pub(super) const NEAR: f64 = 1.0 / 128.0;
/// Halvings at most: from a thousandth of the sustainable rate on it takes no more to come so near.
const HALVINGS: u32 = 18;
/// Of the sustainable rate: as good as alone.
pub(super) const ALONE: f64 = 1e-3;

/// A replica's layout with its steady state under endless demand.
#[derive(Debug, Clone, Copy)]
struct Replica<'m, 'a> {
    model: &'m ServingModel<'a>,
    layout: LegalLayout,
    gpus: u32,
    /// GPUs that are paid for.
    rented: f64,
    full: SteadyState,
    /// Requests per second at random times that it sustains.
    most: f64,
}

/// A replica at the highest rate within the targets.
#[derive(Debug, Clone, Copy)]
pub(super) struct BestReplica<'m, 'a> {
    replica: Replica<'m, 'a>,
    state: SteadyState,
    rate: f64,
    /// Requests per second and GPU that is paid for.
    pub value: f64,
}

/// All replicas that read and decode, highest throughput per GPU first.
pub(super) struct Replicas<'m, 'a> {
    all: Vec<Replica<'m, 'a>>,
    load: ServingLoad,
    pub considered: u64,
}

impl<'m, 'a> Replicas<'m, 'a> {
    pub fn new(
        models: &'m [ServingModel<'a>],
        layouts: &[Vec<LegalLayout>],
        load: ServingLoad,
        rented: Rented,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (model, layouts) in models.iter().zip(layouts) {
            for layout in layouts {
                let gpus = replica_gpus(layout)?;
                let full = model.point(layout, &load);
                let most = model.sustainable_rate(layout, &load.at_random(0.0));
                let rented = rented.gpus(gpus);
                all.push(Replica { model, layout: *layout, gpus, rented, full, most });
            }
        }
        sort_by(&mut all, |a, b| {
            let rate = |r: &Replica<'_, '_>| r.most / r.rented;
            rate(b).total_cmp(&rate(a))
        });
        let considered = all.len() as u64;
        Ok(Self { all, load, considered })
    }

    /// Puts the points of all layouts that fit on the frontier.
    pub fn extend(&mut self, frontier: &mut Frontier) {
        let load = self.load;
        let fits = self.all.iter().filter(|replica| replica.full.memory.fits);
        let mut fits: Vec<(f64, &Replica<'_, '_>)> =
            fits.map(|replica| (quickest(replica.model, &replica.layout, &load), replica)).collect();
        // What is good in both measures leaves least of the others.
        sort_by(&mut fits, |a, b| {
            let both = |(quickest, r): &(f64, &Replica<'_, '_>)| {
                quickest * r.full.requests_per_second / f64::from(r.gpus)
            };
            both(b).total_cmp(&both(a))
        });
        for (quickest, replica) in fits {
            let point = |state: &SteadyState| FrontierPoint {
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
            };
            let at = |requests: f64| {
                let known = Some(replica.full.sustainable_request_rate);
                let load = ServingLoad { arrivals: Arrivals::Closed(requests), ..load };
                point(&replica.model.point_knowing(&replica.layout, &load, known))
            };
            self.considered += stretch(frontier, point(&replica.full), quickest, at);
        }
    }

    /// The replica of at most `most_gpus` and the rate with the most requests per GPU within the targets, if that is more
    /// than `known`.
    pub fn best(&mut self, slo: &LatencyTargets, most_gpus: u32, known: f64) -> Option<BestReplica<'m, 'a>> {
        let mut best: Option<BestReplica<'m, 'a>> = None;
        for replica in self.all.iter().filter(|replica| replica.gpus <= most_gpus) {
            let most = replica.most;
            let known = best.map_or(known, |found| found.value) * replica.rented;
            if most <= known {
                // Nor do those after it.
                break;
            }
            if !replica.full.memory.fits {
                continue;
            }
            let least = (most * ALONE).max(known);
            if too_slow(replica.model, &replica.layout, &self.load, least, slo) {
                continue;
            }
            let within = |rate: f64| {
                let state = replica.at(&self.load, rate);
                (state, !state.saturated && worst(&state, slo) <= 1.0)
            };
            let (met, tried) = highest(least, most, within);
            self.considered += tried;
            let value = |state: &SteadyState| state.requests_per_second / replica.rented;
            if let Some((rate, state)) = met.filter(|(_, state)| value(state) * replica.rented > known) {
                best = Some(BestReplica { replica: *replica, state, rate, value: value(&state) });
            }
        }
        best
    }

    /// Where no replica keeps the targets: the one that alone comes nearest; where none fits, the one that lacks least
    /// memory.
    pub fn nearest(&mut self, slo: &LatencyTargets) -> Option<BestReplica<'m, 'a>> {
        let mut best: Option<BestReplica<'m, 'a>> = None;
        for replica in &self.all {
            let rate = replica.most * ALONE;
            let (state, rate, value) = if replica.full.memory.fits {
                self.considered += 1;
                let state = replica.at(&self.load, rate);
                (state, rate, -worst(&state, slo))
            } else {
                let memory = &replica.full.memory;
                (replica.full, 0.0, -1e6 * memory.weights_gib / memory.available_gib.max(1e-9))
            };
            if best.is_none_or(|known| value > known.value) {
                best = Some(BestReplica { replica: *replica, state, rate, value });
            }
        }
        best
    }
}

impl BestReplica<'_, '_> {
    pub fn shown(&self, target: &ServingTarget, load: &ServingLoad) -> ServingPoint {
        let load = ServingLoad { arrivals: Arrivals::Poisson(self.rate), ..*load };
        answer(target, self.replica.model, &self.replica.layout, &load, &self.state, 1)
    }
}

impl Replica<'_, '_> {
    fn at(&self, load: &ServingLoad, rate: f64) -> SteadyState {
        let load = ServingLoad { arrivals: Arrivals::Poisson(rate), ..*load };
        self.model.point_knowing(&self.layout, &load, Some(self.most))
    }
}

/// The worse ratio of a percentile to its target.
fn worst(state: &SteadyState, slo: &LatencyTargets) -> f64 {
    (state.ttft_p95_seconds / slo.ttft_p95_seconds).max(state.tpot_p95_seconds / slo.tpot_p95_seconds)
}

/// Near saturation, and where a product needs one more wave of tiles, the percentile lies below what the mean batch alone
/// gives: by less than this factor (a test looks for more).
const BELOW_MEAN: f64 = 1.25;

/// Whether a token takes far longer than its target already at the mean batch where `rate` requests per second come.
///
/// Little's law: at that rate and a time per token so many sequences decode. If an iteration with them takes longer still,
/// more of them are there.
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
    sequences < stream.most && stream.pace_at(sequences, each).tpot > target
}

/// Halves the interval from `low` to `high` for the highest rate within the targets, to 1 part in 128 below; none if they are
/// missed at `low`. Also the number of rates tried.
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

/// Puts the points of one layout on the frontier: `full` and, at powers of two of requests in flight below its, `at`;
/// `quickest` is the most tokens per second that one user can see. Points looked at.
///
/// With n requests in flight no more than n users' tokens come per second, and no more than under endless demand; with
/// more of them a user sees no more. Loads at which the frontier has all that these bounds leave are passed over.
pub(super) fn stretch(
    frontier: &mut Frontier,
    full: FrontierPoint,
    quickest: f64,
    at: impl Fn(f64) -> FrontierPoint,
) -> u64 {
    let most = full.output_tokens_per_second_per_gpu;
    let per_user = 1.0 / f64::from(full.gpus);
    let (mut user, mut requests, mut looked) = (quickest, 1.0, 0);
    while requests < full.concurrency {
        if frontier.beats(user, most) {
            return looked;
        }
        if !frontier.beats(user, requests * user * per_user) {
            let point = at(requests);
            looked += 1;
            user = point.tokens_per_second_per_user;
            frontier.add(point);
        }
        requests *= 2.0;
    }
    frontier.add(full);
    looked
}

/// Tokens per second that a request alone on a replica sees.
pub(super) fn quickest(model: &ServingModel<'_>, layout: &LegalLayout, load: &ServingLoad) -> f64 {
    let cut = &layout.cut;
    let alone = Work {
        sequences: 1.0,
        keys: load.input_tokens + 0.5 * load.output_tokens,
        prompt_tokens: 0.0,
        prompt_length: load.input_tokens,
        busy: 1.0 / (cut.pp * cut.dp),
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
}
