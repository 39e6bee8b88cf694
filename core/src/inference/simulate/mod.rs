//! A seeded simulation of requests on serving engines, iteration by iteration.
//!
//! Continuous batching with chunked prefill, first come first served: an iteration gives every decoding sequence of a rank a
//! token and fills what is left of its tokens with prompts in their order. A request is admitted when the engine's limit on
//! sequences and the KV cache allow (whole answers put aside, or the share that the engine's constants say; nobody is thrown
//! out again), its first token comes at the end of the iteration that reads the end of its prompt. Iterations last what
//! [`super::ServingModel`] says of the sequences and prompts that they hold, so the simulation shares the model's times and
//! none of its assumptions about queues.
//!
//! Where prompts are read in a pool of their own, a prompt's cache goes to the decode rank with the fewest requests when it
//! is read, over the links of both ranks, one prompt after the other on each; it is decoded from the next iteration with a
//! place for it. The rank that read it is free of it at once: caches that wait for links or for a place lie nowhere. An
//! answer of one token is given with its prompt: nothing is sent for it.

mod acceptance;
mod answer;
mod engine;
mod lengths;
mod pools;
mod random;
mod report;
mod run;
mod timeline;
mod trace;

pub use lengths::{LengthFamily, Lengths};
pub use random::Random;
pub use report::{
    RequestRouting, SimulatedPools, SimulatedRequests, SimulationDistribution, SimulationPhase,
    SimulationReport, SimulationRequest, SimulationTimeline, SteadyBeside,
};
pub use trace::RequestTrace;

use std::borrow::Cow;

use super::point::{ServingTarget, Tactics, whole_replicas};
use super::steady::{Arrivals, ServingLoad};
use super::{Engine, Engines};
use crate::catalog::Catalog;
use crate::error::{Error, check_range};
use crate::quantity::{Warning, count};
use acceptance::Acceptance;
use answer::Frame;
use lengths::Sampler;
use pools::{Apart, Replicas};
use run::{Come, MOST_EVENTS, Plan, Source};

/// Requests measured if nothing else is said.
const REQUESTS: u32 = 2_000;
/// Requests of a simulation at most, warm-up included.
const MOST_REQUESTS: u32 = 1_000_000;
/// Ranks of a simulation at most.
const MOST_RANKS: f64 = 16_384.0;

/// Latencies, throughput and queues that requests see on the replicas of a served model.
///
/// The same request gives the same bits on every machine. Percentiles are of the measured requests, interpolated between
/// neighbours in order.
///
/// # Errors
/// With the path of the field: what [`super::serving_point`] refuses about model, target and layout; not exactly one way for
/// requests to arrive; lengths missing, given twice or out of range; a trace whose lists do not match; more than a million
/// requests; a simulation of more than 20 million events.
pub fn simulate(catalog: &Catalog, request: &SimulationRequest) -> Result<SimulationReport, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let target = ServingTarget::of(catalog, request.shape.as_deref(), request.gpu.as_deref())?;
    let arch = catalog.resolve_model("model", &request.model)?;
    let engine = Engines::shipped().of(request.engine, &target.gpu)?;
    let trace = trace_of(request)?;
    let source = source_of(request, trace.as_deref())?;
    let come = come_of(request, trace.as_deref())?;
    let (mean, spread) = moments_of(&source, request.phase);
    check_prefix(request)?;
    let tactics = Tactics {
        engine: &engine,
        prefix_cache: request.prefix_cache.as_ref(),
        speculation: request.speculation.as_ref(),
        input_tokens: mean.0,
    };
    let draft = tactics.drafting(catalog, &arch)?;
    let model = tactics.model(&target, &arch, draft.as_ref(), request.precision, request.kv_precision)?;
    let model = model.with_spread(spread.0, spread.1);
    let layout = model.layout(request.layout)?;
    check_range("gpus", f64::from(request.gpus), 1.0, 1e7)?;
    let load = |arrivals| ServingLoad { input_tokens: mean.0, output_tokens: mean.1, arrivals };
    let (full, random) = (load(Arrivals::Full), load(Arrivals::Poisson(0.0)));
    let decoding = model.with_prompts_read();
    let replicas = match Apart::of(request, &model, &decoding, &layout, &random)? {
        Some(apart) => Replicas::Apart(Box::new(apart)),
        None => {
            Replicas::Alike { model: &model, layout, count: whole_replicas("gpus", request.gpus, &layout)? }
        }
    };
    let (warmup, measured) = counts(request, come, trace.as_deref(), || {
        replicas.in_flight(&random, request.request_rate.unwrap_or_default())
    })?;
    let plan = Plan {
        pools: replicas.pools(request.phase, &full)?,
        apart: replicas.apart(),
        come,
        source,
        routing: request.routing,
        seed: request.seed,
        warmup,
        measured,
        // Those that only decode were taken in by the GPUs that read them.
        request_s: if request.phase == SimulationPhase::Decode {
            0.0
        } else {
            model.engine.request_seconds(mean.0)
        },
        acceptance: request.speculation.as_ref().map(Acceptance::of),
    };
    let outcome = plan.run().ok_or_else(|| Error::Conflict {
        field: "requests".to_owned(),
        message: format!(
            "to simulate {} of these lengths takes more than {MOST_EVENTS} events; ask for fewer",
            count(measured, "request")
        ),
    })?;
    let mut warnings = target.warnings.clone();
    warnings.extend(arch.notes.iter().cloned());
    warnings.extend(Engine::warnings(request.engine, &target));
    let about = match (&request.trace, &request.trace_csv) {
        (Some(_), _) => "trace.input_tokens",
        (None, Some(_)) => "trace_csv",
        (None, None) => "input.mean_tokens",
    };
    warnings.extend(catalog.past_context(about, &request.model, mean.0 + mean.1));
    if !plan.pools.iter().all(|pool| pool.limits.fits(&full)) {
        warnings.push(Warning::new(
            "does_not_fit",
            "memory",
            format!(
                "{} and one request need more than the {:.0} GiB of a {}: times are those of a GPU that had them",
                model.name(),
                target.gpu.memory_gib,
                target.gpu.name
            ),
        ));
    }
    let beside = rate_of(come, trace.as_deref(), &plan).filter(|_| request.phase != SimulationPhase::Decode);
    let frame = Frame {
        request,
        gpu: target.gpu.name.clone(),
        replicas: replicas.count(),
        sustainable: replicas.sustainable(&full),
        beside: beside.map(|rate| replicas.beside(&random, rate)),
        warnings,
    };
    Ok(frame.report(&plan, outcome))
}

/// Refuses a cache that makes no difference: prompts that come read have nothing left to find.
fn check_prefix(request: &SimulationRequest) -> Result<(), Error> {
    match (&request.prefix_cache, request.phase) {
        (Some(cache), SimulationPhase::Decode) if cache.shared_tokens.is_none() => Err(Error::Conflict {
            field: "prefix_cache".to_owned(),
            message: "prompts of the phase decode come read, and without shared_tokens each holds all of its cache; \
                      leave it out"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The trace that was given, as lists or as text.
fn trace_of(request: &SimulationRequest) -> Result<Option<Cow<'_, RequestTrace>>, Error> {
    let (trace, field) = match (&request.trace, &request.trace_csv) {
        (Some(_), Some(_)) => {
            return Err(Error::Conflict {
                field: "trace_csv".to_owned(),
                message: "given together with trace; give one of the two".to_owned(),
            });
        }
        (Some(trace), None) => (Cow::Borrowed(trace), "trace"),
        (None, Some(text)) => (Cow::Owned(RequestTrace::from_csv(text)?), "trace_csv"),
        (None, None) => return Ok(None),
    };
    trace.check(field)?;
    Ok(Some(trace))
}

fn source_of<'a>(request: &SimulationRequest, trace: Option<&'a RequestTrace>) -> Result<Source<'a>, Error> {
    if let Some(trace) = trace {
        for (field, given) in [("input", request.input.is_some()), ("output", request.output.is_some())] {
            if given {
                return Err(Error::Conflict {
                    field: field.to_owned(),
                    message: "given together with a trace, which has its own lengths".to_owned(),
                });
            }
        }
        return Ok(Source::Trace(trace));
    }
    let missing = |field: &str| Error::MissingField {
        field: field.to_owned(),
        expected: "lengths as {mean_tokens, family, coefficient_of_variation}, or a trace".to_owned(),
    };
    let input = request.input.as_ref().ok_or_else(|| missing("input"))?.sampler("input")?;
    let output = match (&request.output, request.phase) {
        (Some(lengths), _) => lengths.sampler("output")?,
        (None, SimulationPhase::Prefill) => Sampler::ONE,
        (None, _) => return Err(missing("output")),
    };
    Ok(Source::Drawn(input, output))
}

fn come_of(request: &SimulationRequest, trace: Option<&RequestTrace>) -> Result<Come, Error> {
    let logged = trace.is_some_and(|t| t.arrival_seconds.is_some());
    let given = [
        ("request_rate", request.request_rate.is_some()),
        ("concurrency", request.concurrency.is_some()),
        ("burst", request.burst),
        ("trace.arrival_seconds", logged),
    ];
    let mut names = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let first = names.next().ok_or_else(|| Error::MissingField {
        field: "request_rate".to_owned(),
        expected: "requests per second, or concurrency, burst, or a trace with arrivals".to_owned(),
    })?;
    if let Some(second) = names.next() {
        return Err(Error::Conflict {
            field: first.to_owned(),
            message: format!("given together with {second}; requests arrive in one way"),
        });
    }
    if request.trace_speed.is_some() && !logged {
        return Err(Error::Conflict {
            field: "trace_speed".to_owned(),
            message: "no trace with arrivals is given that could be replayed faster".to_owned(),
        });
    }
    if let Some(rate) = request.request_rate {
        return Ok(Come::Rate(check_range("request_rate", rate, 1e-9, 1e9)?));
    }
    if let Some(requests) = request.concurrency {
        check_range("concurrency", f64::from(requests), 1.0, f64::from(MOST_REQUESTS))?;
        return Ok(Come::Closed(requests as usize));
    }
    if request.burst {
        return Ok(Come::Burst);
    }
    let speed = request.trace_speed.unwrap_or(1.0);
    Ok(Come::Logged(check_range("trace_speed", speed, 1e-6, 1e6)?))
}

/// Requests per second over all GPUs: the one asked for, or that of a trace as it is replayed; none where they come
/// otherwise, or all at one time.
fn rate_of(come: Come, trace: Option<&RequestTrace>, plan: &Plan<'_>) -> Option<f64> {
    match come {
        Come::Rate(rate) => Some(rate),
        Come::Closed(_) | Come::Burst => None,
        Come::Logged(speed) => {
            let times = trace?.arrival_seconds.as_ref()?.get(..plan.warmup + plan.measured)?;
            let seconds = (times.last()? - times.first()?) / speed;
            (seconds > 0.0).then(|| (times.len() - 1) as f64 / seconds)
        }
    }
}

/// Requests before the measured ones, and the measured ones.
fn counts(
    request: &SimulationRequest,
    come: Come,
    trace: Option<&RequestTrace>,
    in_flight: impl Fn() -> f64,
) -> Result<(usize, usize), Error> {
    let rows = match (come, trace) {
        (Come::Logged(_), Some(trace)) => trace.input_tokens.len(),
        _ => MOST_REQUESTS as usize,
    };
    let most = rows.min(MOST_REQUESTS as usize);
    let measured = match (request.requests, come) {
        (Some(requests), _) => {
            check_range("requests", f64::from(requests), 1.0, most as f64)?;
            requests as usize
        }
        (None, Come::Logged(_)) => {
            let rows = rows.saturating_sub(request.warmup_requests.unwrap_or(0) as usize);
            check_range("requests", rows as f64, 1.0, most as f64)? as usize
        }
        (None, _) => REQUESTS as usize,
    };
    let warmup = request.warmup_requests.map_or_else(
        || match come {
            // Engines begin empty: what is in flight must have come and gone.
            Come::Rate(_) => (measured / 10).max((4.0 * in_flight()).min(1e9) as usize),
            Come::Closed(requests) => (measured / 10).max(2 * requests),
            Come::Burst | Come::Logged(_) => 0,
        },
        |given| given as usize,
    );
    check_range("warmup_requests", warmup as f64, 0.0, most.saturating_sub(measured) as f64)?;
    Ok((warmup, measured))
}

/// Mean prompt and answer, tokens, and their squared coefficients of variation.
fn moments_of(source: &Source<'_>, phase: SimulationPhase) -> ((f64, f64), (f64, f64)) {
    let (input, output) = match source {
        Source::Drawn(input, output) => (input.moments(), output.moments()),
        Source::Trace(trace) => (moments(&trace.input_tokens), moments(&trace.output_tokens)),
    };
    let output = if phase == SimulationPhase::Prefill { (1.0, 0.0) } else { output };
    ((input.0, output.0), (input.1, output.1))
}

/// Mean and squared coefficient of variation.
fn moments(of: &[f64]) -> (f64, f64) {
    let mean = mean(of);
    let squares = of.iter().fold(0.0, |sum, x| sum + (x - mean) * (x - mean));
    (mean, squares / (of.len() as f64).max(1.0) / (mean * mean))
}

fn mean(of: &[f64]) -> f64 {
    of.iter().fold(0.0, |sum, x| sum + x) / (of.len() as f64).max(1.0)
}
