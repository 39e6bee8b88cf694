//! The best way to serve a model on a shape: every precision, every legal layout, prompts read beside decode or apart,
//! every batch worth looking at.
//!
//! Bounds save most of the work: what a layout could give at best is not looked at where a known point beats it
//! ([`super::search_replicas::stretch`]), and a layout that misses the targets at the rate that would just beat the
//! best cannot beat it ([`super::aim`]).

use crate::catalog::Catalog;
use crate::error::{Error, check_range};
use crate::model::{Architecture, Precision};

use super::aim::Aim;
use super::frontier::Frontier;
use super::point::{MOST_SPREAD, Tactics, check_lengths, checked_spread};
use super::remarks::Asked;
use super::search_pools::{BestPools, PoolSearch};
use super::search_replicas::{BestReplica, Replicas};
use super::steady::{Arrivals, ServingLoad};
use super::{
    Engine, Engines, LatencyTargets, LegalLayout, ServingLayout, ServingMode, ServingModel, ServingSearch,
    ServingSearchRequest, ServingTarget,
};

/// Precisions that are looked at where none is asked for.
const PRECISIONS: [Precision; 3] = [Precision::Nvfp4, Precision::Fp8, Precision::Bf16];

/// GPUs of the largest replica, or pools that work together, that are looked at if nobody says how many: two racks of
/// NVL72, and what published services of mixtures of experts take for one of their pools or both (DeepSeek's decode
/// unit has 144 H800, its inference overview of 2025-03-01; SGLang ran both pools on 96 H100, its large-scale expert
/// parallelism of 2025-05-05).
const USUAL_GPUS: u32 = 144;
/// GPUs of the largest that are looked at: past it nothing is gained.
const MOST_GPUS: f64 = 4096.0;

/// The frontier of throughput against interactivity, and the point with the highest throughput per GPU whose 95th
/// percentiles under random (Poisson) arrivals keep the targets: on one shape the cheapest.
///
/// Looked at: tensor ranks that divide the heads, powers of two inside the scale-up domain; pipeline stages in powers
/// of two; attention data parallel ranks for mixtures of experts; expert ranks of 1 or all of a stage; replicas of at
/// most `max_replica_gpus`; pools apart of as many GPUs together, with the KV cache sent after the prefill. A frontier
/// point is a closed loop at a power of two of requests in flight, up to the largest batch. If no point keeps the
/// targets, `nearest` is the replica whose worse ratio of percentile to target is least.
///
/// # Errors
/// With the path of the field: unknown names, `shape` and `gpu` both or neither given, an unsupported model or
/// precision, lengths or targets that are not positive numbers; as [`super::serving_point`] for `engine`,
/// `prefix_cache`, `speculation`, `input_spread` and `output_spread`.
pub fn search_serving(catalog: &Catalog, request: &ServingSearchRequest) -> Result<ServingSearch, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    search_with(catalog, request, Aim::GPUS)
}

/// [`search_serving`] for the way to serve that is worth most by `aim`. The catalogue has the request's overlay on it.
///
/// # Errors
/// As [`search_serving`].
pub(crate) fn search_with(
    catalog: &Catalog,
    request: &ServingSearchRequest,
    aim: Aim<'_>,
) -> Result<ServingSearch, Error> {
    let target = ServingTarget::of(catalog, request.shape.as_deref(), request.gpu.as_deref())?;
    let arch = catalog.resolve_model("model", &request.model)?;
    let domain = target.topology.scale_up_domain.max(target.topology.gpus_per_node);
    let most_gpus = match request.max_replica_gpus {
        Some(gpus) => check_range("max_replica_gpus", f64::from(gpus), 1.0, MOST_GPUS).map(|_| gpus)?,
        None if target.topology.scale_out_bytes_per_s > 0.0 => domain.saturating_mul(2).max(USUAL_GPUS),
        None => domain,
    };
    let draft = request.check(catalog, &arch)?;
    let models = models(request, &target, &arch, draft.as_ref())?;
    let load = ServingLoad {
        input_tokens: request.input_tokens,
        output_tokens: request.output_tokens,
        arrivals: Arrivals::Full,
    };
    let layouts: Vec<Vec<LegalLayout>> =
        models.iter().map(|model| layouts(model, &arch, domain.min(most_gpus), most_gpus)).collect();
    let reading: Vec<ServingModel<'_>> = models.iter().map(ServingModel::with_prompts_read).collect();
    let mut ways = Ways {
        replicas: Replicas::new(&models, &layouts, load, aim)?,
        pools: Vec::new(),
        aggregated: request.mode != Some(ServingMode::Disaggregated),
        aim,
    };
    if request.mode != Some(ServingMode::Aggregated) {
        for ((model, reading), layouts) in models.iter().zip(&reading).zip(&layouts) {
            ways.pools.push(PoolSearch::new(model, reading, layouts, load, (most_gpus, aim))?);
        }
    }
    let mut frontier = Frontier::default();
    for pools in &mut ways.pools {
        pools.extend(&mut frontier);
    }
    if ways.aggregated {
        ways.replicas.extend(&mut frontier);
    }
    let said = Asked {
        engine: request.engine,
        model: &request.model,
        tokens: request.input_tokens + request.output_tokens,
    };
    let shown = |best: Best<'_, '_>| {
        let point = match best {
            Best::Replica(found) => found.shown(&target, &load),
            Best::Pools(found) => found.shown(&target, &load),
        };
        said.told(catalog, &target, point)
    };
    let best = ways.best(&request.slo, most_gpus).map(shown);
    let nearest = if best.is_none() { ways.replicas.nearest(&request.slo) } else { None };
    Ok(ServingSearch {
        nearest: nearest.map(|found| shown(Best::Replica(Box::new(found)))),
        best,
        frontier: frontier.into_points(),
        considered: ways.considered(),
    })
}

/// All ways to serve that are looked at.
struct Ways<'m, 'a> {
    replicas: Replicas<'m, 'a>,
    /// Pools apart in each precision; none where prompts are to be read where answers are written.
    pools: Vec<PoolSearch<'m, 'a>>,
    /// Whether prompts may be read where answers are written.
    aggregated: bool,
    aim: Aim<'m>,
}

/// The best of the ways to serve.
enum Best<'m, 'a> {
    Replica(Box<BestReplica<'m, 'a>>),
    Pools(Box<BestPools<'m, 'a>>),
}

impl<'m, 'a> Ways<'m, 'a> {
    /// The way of at most `most_gpus` that is worth most within the targets. Pools come first, for they mostly
    /// give more: then little is left to look at.
    fn best(&mut self, slo: &LatencyTargets, most_gpus: u32) -> Option<Best<'m, 'a>> {
        let (mut known, mut best) = (self.aim.nothing(), None);
        for pools in &mut self.pools {
            if let Some(found) = pools.best(slo, most_gpus, known) {
                known = found.worth;
                best = Some(Best::Pools(Box::new(found)));
            }
        }
        let replica = if self.aggregated { self.replicas.best(slo, most_gpus, known) } else { None };
        replica.map(|found| Best::Replica(Box::new(found))).or(best)
    }

    fn considered(&self) -> u64 {
        self.pools.iter().fold(self.replicas.considered, |sum, pools| sum + pools.considered)
    }
}

impl ServingSearchRequest {
    /// Refuses what no shape makes right; the architecture that drafts, if any does.
    pub(crate) fn check(
        &self,
        catalog: &Catalog,
        arch: &Architecture,
    ) -> Result<Option<Architecture>, Error> {
        check_lengths(self.input_tokens, self.output_tokens)?;
        check_range("slo.ttft_p95_seconds", self.slo.ttft_p95_seconds, 1e-6, 1e6)?;
        check_range("slo.tpot_p95_seconds", self.slo.tpot_p95_seconds, 1e-6, 1e6)?;
        Engine::check(self.engine)?;
        let common = Engines::shipped().common;
        let tactics = self.tactics(&common);
        tactics.prefix()?;
        self.spread(&common)?;
        tactics.drafting(catalog, arch)
    }

    fn tactics<'r>(&'r self, engine: &'r super::EngineConstants) -> Tactics<'r> {
        Tactics {
            engine,
            prefix_cache: self.prefix_cache.as_ref(),
            speculation: self.speculation.as_ref(),
            input_tokens: self.input_tokens,
        }
    }

    /// Squared coefficients of variation of the lengths, if they are known.
    fn spread(&self, engine: &super::EngineConstants) -> Result<Option<(f64, f64)>, Error> {
        let usual = (engine.input_scv, engine.output_scv);
        checked_spread((self.input_spread, self.output_spread), usual, MOST_SPREAD)
    }
}

/// The model in every precision that is asked for, or that the GPU has units for.
fn models<'a>(
    request: &ServingSearchRequest,
    target: &ServingTarget,
    arch: &'a Architecture,
    draft: Option<&'a Architecture>,
) -> Result<Vec<ServingModel<'a>>, Error> {
    let engine = Engines::shipped().of(request.engine, &target.gpu)?;
    let spread = request.spread(&engine)?;
    let in_precision = |precision| {
        let tactics = request.tactics(&engine);
        let model = tactics.model(target, arch, draft, precision, request.kv_precision)?;
        Ok(match spread {
            Some((input, output)) => model.with_spread(input, output),
            None => model,
        })
    };
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

/// Expert ranks up to which layouts without copies are looked at too, for copies may not fit beside much of the model; over more
/// ranks they take a small share of a GPU and even out loads of twice the mean.
const FEW_EXPERT_RANKS: u32 = 16;

/// Ways to lay experts on the GPUs of a stage, as expert ranks and copies: cut over all of them; spread with a copy for each
/// rank of the experts sought most, over few ranks as they are too; with the fewest copies that divide where those do not.
fn experts_on(stage: u32, arch: &Architecture) -> Vec<(u32, u32)> {
    let Some(moe) = arch.moe.filter(|_| stage > 1) else { return vec![(1, 0)] };
    match (stage - moe.experts % stage) % stage {
        0 if stage <= FEW_EXPERT_RANKS => vec![(1, 0), (stage, 0), (stage, stage)],
        0 => vec![(1, 0), (stage, stage)],
        fewest => vec![(1, 0), (stage, fewest)],
    }
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
                for (ep, redundant_experts) in experts_on(stage, arch) {
                    // Layouts that do not divide the model are no candidates.
                    if let Ok(legal) = model.layout(ServingLayout { tp, pp, ep, dp, redundant_experts }) {
                        out.push(legal);
                    }
                }
            }
        }
    }
    out
}
