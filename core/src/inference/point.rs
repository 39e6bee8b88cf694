//! One explicit operating point, asked for by name and answered with everything a reader needs.

use crate::catalog::{Catalog, Gpu};
use crate::error::{Error, check_range};
use crate::model::{Architecture, Precision};
use crate::network::Topology;
use crate::quantity::{Interval, Warning, count};

use super::pools;
use super::prefix::{Prefix, PrefixCache};
use super::remarks::Asked;
use super::speculation::{Drafter, Speculation};
use super::steady::{Arrivals, BatchLimit, ServingLoad, SteadyState};
use super::{
    Engine, EngineConstants, Engines, IterationParts, LegalLayout, ReplicaLoad, Residuals, ServingModel,
    ServingPoint, ServingPointRequest,
};

/// Longest prompt or answer that is priced, tokens.
pub(super) const MOST_TOKENS: f64 = 1e7;
/// Widest squared coefficient of variation of lengths.
pub(super) const MOST_SPREAD: f64 = 100.0;

/// Latency, throughput and memory of one explicit operating point.
///
/// `concurrency` and `request_rate` count over all GPUs; replicas share them evenly. Past saturation
/// ([`ServingPoint::saturated`]) latencies are those at the sustainable rate, without the queue that grows without end.
/// Where requests in flight exceed what the KV cache holds, the excess waits and the time to first token says so.
/// A model that does not fit is an answer ([`super::ServingMemory::fits`]): its times are those of a GPU with the memory.
///
/// # Errors
/// With the path of the field: an unknown model, shape or GPU; `shape` and `gpu` both or neither given; a number that the
/// load needs and lacks, or has no use for; an engine's year that was not measured, or a class that does not run on such a
/// GPU; a layout that does not divide the model or needs links which the nodes lack; GPUs that are no multiple of a
/// replica's; a model or precision that is not priced; a number that is NaN, negative or absurd.
pub fn serving_point(catalog: &Catalog, request: &ServingPointRequest) -> Result<ServingPoint, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let target = ServingTarget::of(catalog, request.shape.as_deref(), request.gpu.as_deref())?;
    let arch = catalog.resolve_model("model", &request.model)?;
    check_lengths(request.input_tokens, request.output_tokens)?;
    let engine = Engines::shipped().of(request.engine, &target.gpu)?;
    let tactics = Tactics {
        engine: &engine,
        prefix_cache: request.prefix_cache.as_ref(),
        speculation: request.speculation.as_ref(),
        input_tokens: request.input_tokens,
    };
    let draft = tactics.drafting(catalog, &arch)?;
    let model = tactics.model(&target, &arch, draft.as_ref(), request.precision, request.kv_precision)?;
    let layout = model.layout(request.layout)?;
    check_range("gpus", f64::from(request.gpus), 1.0, 1e7)?;
    let said = Asked {
        engine: request.engine,
        model: &request.model,
        tokens: request.input_tokens + request.output_tokens,
    };
    let endless = |asked: &ReplicaLoad| {
        let arrivals = match *asked {
            ReplicaLoad::Closed(total, _) => Arrivals::Closed(total),
            ReplicaLoad::Poisson(rate) => Arrivals::Poisson(rate),
            _ => Arrivals::Full,
        };
        ServingLoad { input_tokens: request.input_tokens, output_tokens: request.output_tokens, arrivals }
    };
    if let Some(apart) = &request.disaggregated {
        let asked = ReplicaLoad::of(request, 1.0)?;
        steady_only(request, &asked, "disaggregated")?;
        let model = with_spread(model, request, &asked)?;
        let point = pools::point(&target, &model, apart, &layout, request, &endless(&asked))?;
        return Ok(said.told(catalog, &target, point));
    }
    let replicas = whole_replicas("gpus", request.gpus, &layout)?;
    let asked = ReplicaLoad::of(request, f64::from(replicas))?;
    for (field, given) in
        [("prefix_cache", request.prefix_cache.is_some()), ("speculation", request.speculation.is_some())]
    {
        if given {
            steady_only(request, &asked, field)?;
        }
    }
    let model = with_spread(model, request, &asked)?;
    let scv = request.output_spread.unwrap_or(model.engine.output_scv);
    let state = model.under(&layout, request.input_tokens, request.output_tokens, scv, &asked);
    let mut load = endless(&asked);
    if asked == ReplicaLoad::Prefill {
        load.output_tokens = 1.0;
    }
    let mut point = answer(&target, &model, &layout, &load, &state, replicas);
    if request.explain {
        point.operations = model.decode_operations(&layout, &state);
        point.operations.extend(model.prefill_operations(&layout, load.input_tokens));
    }
    Ok(said.told(catalog, &target, point))
}

/// Refuses a load that ends, or has one phase alone, together with `field`.
fn steady_only(request: &ServingPointRequest, asked: &ReplicaLoad, field: &str) -> Result<(), Error> {
    match asked {
        ReplicaLoad::Closed(_, None) | ReplicaLoad::Poisson(_) | ReplicaLoad::Offline(None) => Ok(()),
        ReplicaLoad::Closed(_, Some(_)) => Err(Error::Conflict {
            field: "requests".to_owned(),
            message: format!("a run that ends is not priced together with {field}; leave it out"),
        }),
        _ => Err(Error::Conflict {
            field: "load".to_owned(),
            message: format!(
                "a load of kind {:?} is not priced together with {field}; try closed_loop, poisson or offline \
                 without an end",
                request.load
            ),
        }),
    }
}

/// Replicas of `layout` on `gpus` GPUs.
pub(super) fn whole_replicas(field: &str, gpus: u32, layout: &LegalLayout) -> Result<u32, Error> {
    let size = replica_gpus(layout)?;
    if gpus > 0 && gpus.is_multiple_of(size) {
        return Ok(gpus / size);
    }
    Err(Error::Conflict {
        field: field.to_owned(),
        message: format!(
            "{} cannot be divided into replicas of {size} (tp × pp × dp); try {}",
            count(gpus, "GPU"),
            gpus.max(1).div_ceil(size).saturating_mul(size)
        ),
    })
}

/// What is done beside reading every prompt and giving a token an iteration.
pub(super) struct Tactics<'r> {
    pub engine: &'r EngineConstants,
    pub prefix_cache: Option<&'r PrefixCache>,
    pub speculation: Option<&'r Speculation>,
    pub input_tokens: f64,
}

impl Tactics<'_> {
    /// What of the prompts lies in the cache.
    pub fn prefix(&self) -> Result<Prefix, Error> {
        self.prefix_cache.map_or(Ok(Prefix::NONE), |cache| cache.checked(self.input_tokens))
    }

    /// The architecture that drafts for `arch`, if any does.
    pub fn drafting(&self, catalog: &Catalog, arch: &Architecture) -> Result<Option<Architecture>, Error> {
        self.speculation.map(|speculation| speculation.drafting(catalog, arch)).transpose()
    }

    /// `arch` on `target`, with `draft` ahead of it.
    pub fn model<'a>(
        &self,
        target: &ServingTarget,
        arch: &'a Architecture,
        draft: Option<&'a Architecture>,
        precision: Precision,
        kv_precision: Option<Precision>,
    ) -> Result<ServingModel<'a>, Error> {
        let model = ServingModel::with_engine(
            self.engine,
            arch,
            &target.gpu,
            &target.topology,
            precision,
            kv_precision,
        )?;
        let prefix = self.prefix()?;
        let drafter = match (self.speculation, draft) {
            (Some(speculation), Some(draft)) => Some(Drafter::new(
                speculation,
                &model.engine,
                draft,
                arch,
                (&target.gpu, &target.topology),
                (precision, kv_precision),
            )?),
            _ => None,
        };
        Ok(model.with(prefix, drafter))
    }
}

/// The model serving lengths that spread as the request says.
fn with_spread<'a>(
    model: ServingModel<'a>,
    request: &ServingPointRequest,
    asked: &ReplicaLoad,
) -> Result<ServingModel<'a>, Error> {
    let usual = if matches!(asked, ReplicaLoad::Poisson(_)) { model.random_spread() } else { (0.0, 0.0) };
    // What drains at a run's end is taken as between alike and exponential.
    let ends = matches!(asked, ReplicaLoad::Closed(_, Some(_)) | ReplicaLoad::Offline(Some(_)));
    let most = if ends { 1.0 } else { MOST_SPREAD };
    let spread = checked_spread((request.input_spread, request.output_spread), usual, most)?;
    Ok(match spread {
        Some((input, output)) => model.with_spread(input, output),
        None => model,
    })
}

/// Squared coefficients of variation of prompts and answers, of which what is not given is `usual`; none without either.
pub(super) fn checked_spread(
    given: (Option<f64>, Option<f64>),
    usual: (f64, f64),
    most_output: f64,
) -> Result<Option<(f64, f64)>, Error> {
    if given == (None, None) {
        return Ok(None);
    }
    let input = check_range("input_spread", given.0.unwrap_or(usual.0), 0.0, MOST_SPREAD)?;
    Ok(Some((input, check_range("output_spread", given.1.unwrap_or(usual.1), 0.0, most_output)?)))
}

/// Where a model is to run: GPU and links, from a shape or from a GPU alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ServingTarget {
    /// The GPU.
    pub gpu: Gpu,
    /// Its links.
    pub topology: Topology,
    /// What had to be assumed.
    pub warnings: Vec<Warning>,
}

impl ServingTarget {
    /// The target that `shape` or `gpu` names.
    ///
    /// # Errors
    /// Both or neither given, or an unknown name.
    pub fn of(catalog: &Catalog, shape: Option<&str>, gpu: Option<&str>) -> Result<Self, Error> {
        let target = catalog.target(shape, gpu, None)?;
        let warnings =
            target.assumed.into_iter().map(|m| Warning::new("assumed_links", &target.gpu.name, m)).collect();
        Ok(Self { gpu: target.gpu.clone(), topology: target.topology, warnings })
    }
}

pub(super) fn check_lengths(input: f64, output: f64) -> Result<(), Error> {
    check_range("input_tokens", input, 1.0, MOST_TOKENS)?;
    check_range("output_tokens", output, 1.0, MOST_TOKENS)?;
    Ok(())
}

/// GPUs of one replica.
pub(super) fn replica_gpus(layout: &LegalLayout) -> Result<u32, Error> {
    let l = layout.layout;
    l.tp.checked_mul(l.pp).and_then(|x| x.checked_mul(l.dp)).ok_or_else(|| Error::Conflict {
        field: "layout".to_owned(),
        message: "tp × pp × dp is more GPUs than there are".to_owned(),
    })
}

/// The answer for `replicas` like the one in `state`.
pub(super) fn answer(
    target: &ServingTarget,
    model: &ServingModel<'_>,
    layout: &LegalLayout,
    load: &ServingLoad,
    state: &SteadyState,
    replicas: u32,
) -> ServingPoint {
    let l = layout.layout;
    let gpus = l.tp * l.pp * l.dp * replicas;
    let copies = f64::from(replicas);
    let requests = state.requests_per_second * copies;
    let output = requests * load.output_tokens;
    let total = requests * (load.input_tokens + load.output_tokens);
    let mut warnings = target.warnings.clone();
    warnings.extend(model.arch.notes.iter().cloned());
    if !state.memory.fits {
        warnings.push(Warning::new(
            "does_not_fit",
            "memory",
            format!(
                "{} and one request need more than the {:.0} GiB of a {}: times are those of a GPU that had them",
                model.name(), state.memory.available_gib, target.gpu.name
            ),
        ));
    }
    if state.saturated {
        warnings.push(Warning::new(
            "saturated",
            "request_rate",
            format!(
                "past the sustainable rate of {:.3} requests/s: the queue grows without end; latencies are those at \
                 that rate, without the queue",
                state.sustainable_request_rate * copies
            ),
        ));
    }
    if state.waiting {
        warnings.push(Warning::new(
            "requests_wait",
            "concurrency",
            format!(
                "{} in flight, but {}: the others wait before their first token",
                count(format_args!("{:.0}", state.concurrency * copies), "request"),
                match state.limit {
                    BatchLimit::KvCache => format!("the KV cache holds {:.0}", state.decode_batch * copies),
                    BatchLimit::Sequences =>
                        format!("the engine runs at most {:.0}", state.decode_batch * copies),
                    BatchLimit::Prefill =>
                        format!("prompts are read only as fast as {:.0} decode", state.decode_batch * copies),
                }
            ),
        ));
    }
    if l.tp > 1 && f64::from(l.tp) > f64::from(target.topology.scale_up_domain) {
        warnings.push(Warning::new(
            "tensor_parallel_across_nodes",
            "layout.tp",
            format!("{} tensor ranks leave the scale-up domain of {}", l.tp, target.topology.scale_up_domain),
        ));
    }
    let prefill = model.prefill(layout, load.input_tokens);
    let residuals = Residuals::tpot();
    let tpot = state.tpot_seconds;
    ServingPoint {
        layout: l,
        gpu: target.gpu.name.clone(),
        engine: Engine::describe(None),
        precision: model.precision,
        gpus,
        replicas,
        ttft_seconds: state.ttft_seconds,
        ttft_p95_seconds: state.ttft_p95_seconds,
        tpot_seconds: tpot,
        tpot_p95_seconds: state.tpot_p95_seconds,
        tpot_interval: Interval {
            low: tpot * residuals.low,
            high: tpot * residuals.high,
            coverage: residuals.coverage,
            basis: format!(
                "measured over predicted time per output token in {} published measurements of {} groups",
                residuals.rows, residuals.groups
            ),
        },
        output_tokens_per_second: output,
        output_tokens_per_second_per_gpu: output / f64::from(gpus),
        total_tokens_per_second_per_gpu: total / f64::from(gpus),
        requests_per_second: requests,
        concurrency: state.concurrency * copies,
        decode_batch: state.decode_batch,
        saturated: state.saturated,
        sustainable_request_rate: state.sustainable_request_rate * copies,
        decode: state.decode,
        prefill,
        memory: state.memory,
        percentiles: state.percentiles,
        pools: None,
        operations: Vec::new(),
        tokens_per_iteration: model.accepted_tokens(),
        bound_by: bound_by(model, layout, load, state, &prefill),
        warnings,
    }
}

fn bound_by(
    model: &ServingModel<'_>,
    layout: &LegalLayout,
    load: &ServingLoad,
    state: &SteadyState,
    prefill: &IterationParts,
) -> String {
    if !state.memory.fits {
        return "memory: it does not fit".to_owned();
    }
    if load.output_tokens <= 1.0 {
        return format!("prefill: {}", prefill_bound(model, layout, load.input_tokens));
    }
    if state.waiting || state.saturated || load.arrivals == Arrivals::Full {
        match state.limit {
            BatchLimit::KvCache => return "KV cache capacity".to_owned(),
            BatchLimit::Sequences => return "the engine's limit on sequences".to_owned(),
            BatchLimit::Prefill => {}
        }
    }
    let decode = (load.output_tokens - 1.0).max(0.0) / model.accepted_tokens() * state.decode.total_seconds
        / state.decode_batch.max(1.0);
    let reads = prefill.total_seconds > decode && state.requests_per_second > 0.0 && state.decode_batch > 1.5;
    if reads {
        format!("prefill: {}", prefill_bound(model, layout, load.input_tokens))
    } else {
        format!("decode: {}", decode_bound(model, layout, state))
    }
}

/// What a decode iteration spends most on.
pub(super) fn decode_bound(
    model: &ServingModel<'_>,
    layout: &LegalLayout,
    state: &SteadyState,
) -> &'static str {
    model.spent(layout, &state.decode_work).most()
}

/// What the prefill of a prompt spends most on.
pub(super) fn prefill_bound(model: &ServingModel<'_>, layout: &LegalLayout, input: f64) -> &'static str {
    model.spent(layout, &model.prefill_chunk(layout, input).0).most()
}
