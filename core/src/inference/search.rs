//! The best way to serve a model on a shape: every precision, every legal layout, prompts read beside decode or apart, every
//! batch worth looking at.
//!
//! Bounds save most of the work: what a layout could give at best is not looked at where a known point beats it
//! ([`stretch`]), and a layout that misses the targets at the rate that would just beat the best cannot beat it.

use crate::catalog::Catalog;
use crate::error::{Error, check_range};
use crate::model::{Architecture, Precision};
use crate::order::sort_by;

use super::frontier::Frontier;
use super::iteration::Work;
use super::point::{Tactics, answer, check_lengths, replica_gpus};
use super::search_pools::{BestPools, PoolSearch};
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::{
    Engines, FrontierPoint, LatencyTargets, LegalLayout, ServingLayout, ServingMode, ServingModel,
    ServingPoint, ServingSearch, ServingSearchRequest, ServingTarget,
};

/// Steps that halve the interval of request rates in which the targets are met: 2⁻⁷ of the sustainable rate is left.
pub(super) const HALVINGS: u32 = 7;
/// Of the sustainable rate: as good as alone.
pub(super) const ALONE: f64 = 1e-3;
/// Precisions that are looked at where none is asked for.
const PRECISIONS: [Precision; 3] = [Precision::Nvfp4, Precision::Fp8, Precision::Bf16];

/// The frontier of throughput against interactivity, and the point with the highest throughput per GPU whose 95th
/// percentiles under random (Poisson) arrivals keep the targets: on one shape the cheapest.
///
/// Looked at: tensor ranks that divide the heads, powers of two inside the scale-up domain; pipeline stages in powers of
/// two; attention data parallel ranks for mixtures of experts; expert ranks of 1 or all of a stage; replicas of at most
/// `max_replica_gpus`; pools apart of as many GPUs together, with the KV cache sent after the prefill. A frontier point is a
/// closed loop at a power of two of requests in flight, up to the largest batch. If no point keeps the targets, `nearest` is
/// the replica whose worse ratio of percentile to target is least.
///
/// # Errors
/// With the path of the field: unknown names, `shape` and `gpu` both or neither given, an unsupported model or precision,
/// lengths or targets that are not positive numbers; as [`super::serving_point`] for `prefix_cache` and `speculation`.
pub fn search_serving(catalog: &Catalog, request: &ServingSearchRequest) -> Result<ServingSearch, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let target = ServingTarget::of(catalog, request.shape.as_deref(), request.gpu.as_deref())?;
    let arch = catalog.resolve_model("model", &request.model)?;
    check_lengths(request.input_tokens, request.output_tokens)?;
    check_range("slo.ttft_p95_seconds", request.slo.ttft_p95_seconds, 1e-6, 1e6)?;
    check_range("slo.tpot_p95_seconds", request.slo.tpot_p95_seconds, 1e-6, 1e6)?;
    let domain = target.topology.scale_up_domain.max(target.topology.gpus_per_node);
    let most_gpus = match request.max_replica_gpus {
        Some(gpus) => check_range("max_replica_gpus", f64::from(gpus), 1.0, 1e5).map(|_| gpus)?,
        None if target.topology.scale_out_bytes_per_s > 0.0 => domain.saturating_mul(2),
        None => domain,
    };
    let engine = Engines::shipped().of(None, &target.gpu)?;
    let tactics = Tactics {
        engine: &engine,
        prefix_cache: request.prefix_cache.as_ref(),
        speculation: request.speculation.as_ref(),
        input_tokens: request.input_tokens,
    };
    let draft = tactics.drafting(catalog, &arch)?;
    let models = models(request, &tactics, &target, &arch, draft.as_ref())?;
    let load = ServingLoad {
        input_tokens: request.input_tokens,
        output_tokens: request.output_tokens,
        arrivals: Arrivals::Full,
    };

    let layouts: Vec<Vec<LegalLayout>> =
        models.iter().map(|model| layouts(model, &arch, domain.min(most_gpus), most_gpus)).collect();
    let mut replicas = Replicas::new(&models, &layouts, load)?;
    let mut frontier = Frontier::default();
    let mut best: Option<Found<'_, '_>> = None;
    if request.mode != Some(ServingMode::Disaggregated) {
        replicas.extend(&mut frontier);
        best = replicas.best(&request.slo);
    }
    let mut best_pools: Option<BestPools> = None;
    let mut considered = replicas.considered;
    let reading: Vec<ServingModel<'_>> = models.iter().map(ServingModel::with_prompts_read).collect();
    if request.mode != Some(ServingMode::Aggregated) {
        for ((model, reading), layouts) in models.iter().zip(&reading).zip(&layouts) {
            let mut pools = PoolSearch::new(model, reading, layouts, load, most_gpus)?;
            pools.extend(&mut frontier);
            let known = best.map(|found| found.value).into_iter().chain(best_pools.map(|found| found.value));
            if let Some(found) = pools.best(&request.slo, known.fold(0.0, f64::max)) {
                best_pools = Some(found);
            }
            considered += pools.considered;
        }
    }
    // Pools are kept only where they beat the best replica.
    let best = match (best_pools, best) {
        (Some(pools), _) => Some(pools.shown(&target, &load)),
        (None, found) => found.map(|found| found.shown(&target, &load)),
    };
    let nearest = if best.is_none() { replicas.nearest(&request.slo) } else { None };
    Ok(ServingSearch {
        nearest: nearest.map(|found| found.shown(&target, &load)),
        best,
        frontier: frontier.into_points(),
        considered,
    })
}

/// The model in every precision that is asked for, or that the GPU has units for.
fn models<'a>(
    request: &ServingSearchRequest,
    tactics: &Tactics<'_>,
    target: &ServingTarget,
    arch: &'a Architecture,
    draft: Option<&'a Architecture>,
) -> Result<Vec<ServingModel<'a>>, Error> {
    let in_precision = |precision| tactics.model(target, arch, draft, precision, request.kv_precision);
    if let Some(precision) = request.precision {
        return Ok(vec![in_precision(precision)?]);
    }
    let mut models = Vec::new();
    for precision in PRECISIONS {
        match in_precision(precision) {
            Ok(model) => models.push(model),
            // The GPU lacks these units.
            Err(Error::Unsupported { field, .. }) if field == "precision" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(models)
}

/// A replica's layout with its steady state under endless demand.
#[derive(Debug, Clone, Copy)]
struct Replica<'m, 'a> {
    model: &'m ServingModel<'a>,
    layout: LegalLayout,
    gpus: f64,
    full: SteadyState,
}

/// A replica at the highest rate within the targets; `value` is requests per second and GPU.
#[derive(Debug, Clone, Copy)]
struct Found<'m, 'a> {
    replica: Replica<'m, 'a>,
    state: SteadyState,
    rate: f64,
    value: f64,
}

/// All replicas that read and decode, highest throughput per GPU first.
struct Replicas<'m, 'a> {
    all: Vec<Replica<'m, 'a>>,
    load: ServingLoad,
    considered: u64,
}

impl<'m, 'a> Replicas<'m, 'a> {
    fn new(
        models: &'m [ServingModel<'a>],
        layouts: &[Vec<LegalLayout>],
        load: ServingLoad,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (model, layouts) in models.iter().zip(layouts) {
            for layout in layouts {
                let gpus = f64::from(replica_gpus(layout)?);
                all.push(Replica { model, layout: *layout, gpus, full: model.point(layout, &load) });
            }
        }
        sort_by(&mut all, |a, b| {
            let rate = |r: &Replica<'_, '_>| r.full.sustainable_request_rate / r.gpus;
            rate(b).total_cmp(&rate(a))
        });
        let considered = all.len() as u64;
        Ok(Self { all, load, considered })
    }

    /// Puts the points of all layouts that fit on the frontier.
    fn extend(&mut self, frontier: &mut Frontier) {
        let load = self.load;
        let fits = self.all.iter().filter(|replica| replica.full.memory.fits);
        let mut fits: Vec<(f64, &Replica<'_, '_>)> =
            fits.map(|replica| (quickest(replica.model, &replica.layout, &load), replica)).collect();
        // What is good in both measures leaves least of the others.
        sort_by(&mut fits, |a, b| {
            let both =
                |(quickest, r): &(f64, &Replica<'_, '_>)| quickest * r.full.requests_per_second / r.gpus;
            both(b).total_cmp(&both(a))
        });
        for (quickest, replica) in fits {
            let point = |state: &SteadyState| FrontierPoint {
                layout: replica.layout.layout,
                precision: replica.model.precision,
                gpus: replica.gpus as u32,
                prefill_gpus: 0,
                prefill_layout: None,
                concurrency: state.concurrency,
                tokens_per_second_per_user: 1.0 / state.tpot_seconds,
                output_tokens_per_second_per_gpu: state.requests_per_second * load.output_tokens
                    / replica.gpus,
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

    /// The replica and rate with the most requests per GPU within the targets.
    fn best(&mut self, slo: &LatencyTargets) -> Option<Found<'m, 'a>> {
        let mut best: Option<Found<'m, 'a>> = None;
        for replica in &self.all {
            let most = replica.full.sustainable_request_rate;
            let known = best.map_or(0.0, |found| found.value * replica.gpus);
            if most <= known {
                // Nor do those after it.
                break;
            }
            if !replica.full.memory.fits {
                continue;
            }
            let within = |rate: f64| {
                let state = replica.at(&self.load, rate);
                (state, !state.saturated && worst(&state, slo) <= 1.0)
            };
            let (met, tried) = highest((most * ALONE).max(known), most, within);
            self.considered += tried;
            let value = |state: &SteadyState| state.requests_per_second / replica.gpus;
            if let Some((rate, state)) = met.filter(|(_, state)| value(state) * replica.gpus > known) {
                best = Some(Found { replica: *replica, state, rate, value: value(&state) });
            }
        }
        best
    }

    /// Where no replica keeps the targets: the one that alone comes nearest; where none fits, the one that lacks least
    /// memory.
    fn nearest(&mut self, slo: &LatencyTargets) -> Option<Found<'m, 'a>> {
        let mut best: Option<Found<'m, 'a>> = None;
        for replica in &self.all {
            let rate = replica.full.sustainable_request_rate * ALONE;
            let (state, rate, value) = if replica.full.memory.fits {
                self.considered += 1;
                let state = replica.at(&self.load, rate);
                (state, rate, -worst(&state, slo))
            } else {
                let memory = &replica.full.memory;
                (replica.full, 0.0, -1e6 * memory.weights_gib / memory.available_gib.max(1e-9))
            };
            if best.is_none_or(|known| value > known.value) {
                best = Some(Found { replica: *replica, state, rate, value });
            }
        }
        best
    }
}

impl Found<'_, '_> {
    fn shown(&self, target: &ServingTarget, load: &ServingLoad) -> ServingPoint {
        let load = ServingLoad { arrivals: Arrivals::Poisson(self.rate), ..*load };
        answer(target, self.replica.model, &self.replica.layout, &load, &self.state, 1)
    }
}

impl Replica<'_, '_> {
    fn at(&self, load: &ServingLoad, rate: f64) -> SteadyState {
        let load = ServingLoad { arrivals: Arrivals::Poisson(rate), ..*load };
        self.model.point_knowing(&self.layout, &load, Some(self.full.sustainable_request_rate))
    }
}

/// The worse ratio of a percentile to its target.
fn worst(state: &SteadyState, slo: &LatencyTargets) -> f64 {
    (state.ttft_p95_seconds / slo.ttft_p95_seconds).max(state.tpot_p95_seconds / slo.tpot_p95_seconds)
}

/// Halves the interval from `low` to `high` for the highest rate within the targets; none if they are missed at `low`. Also
/// the number of rates tried.
pub(super) fn highest<T>(low: f64, high: f64, within: impl Fn(f64) -> (T, bool)) -> (Option<(f64, T)>, u64) {
    let (state, met) = within(low);
    if !met {
        return (None, 1);
    }
    let mut best = (low, state);
    let (mut low, mut high) = (low, high);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let (state, met) = within(middle);
        if met {
            low = middle;
            best = (middle, state);
        } else {
            high = middle;
        }
    }
    (Some(best), u64::from(HALVINGS) + 1)
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

/// Legal layouts of replicas of at most `most` GPUs, with tensor ranks inside `domain`.
fn layouts(model: &ServingModel<'_>, arch: &Architecture, domain: u32, most: u32) -> Vec<LegalLayout> {
    let powers = |limit: u32| (0..31).map(|p| 1_u32 << p).take_while(move |x| *x <= limit);
    let mut out = Vec::new();
    for tp in powers(domain) {
        for pp in powers(most / tp) {
            // Attention ranks of a dense model would be replicas of their own.
            for dp in powers(if arch.moe.is_some() { most / (tp * pp) } else { 1 }) {
                let stage = tp * dp;
                for ep in if arch.moe.is_some() && stage > 1 { vec![1, stage] } else { vec![1] } {
                    // Layouts that do not divide the model are no candidates.
                    if let Ok(legal) = model.layout(ServingLayout { tp, pp, ep, dp, redundant_experts: 0 }) {
                        out.push(legal);
                    }
                }
            }
        }
    }
    out
}
