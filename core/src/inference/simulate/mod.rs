//! A seeded simulation of requests on serving engines, iteration by iteration.
//!
//! Continuous batching with chunked prefill, first come first served: an iteration gives every decoding sequence of a rank a
//! token and fills what is left of its tokens with prompts in their order. A request is admitted when the engine's limit on
//! sequences and the KV cache allow (whole answers put aside, or the share that the engine's constants say; nobody is thrown
//! out again), its first token comes at the end of the iteration that reads the end of its prompt. Iterations last what
//! [`super::ServingModel`] says of the sequences and prompts that they hold, so the simulation shares the model's times and
//! none of its assumptions about queues.

mod engine;
mod lengths;
mod random;
mod report;
mod run;
mod trace;

pub use lengths::{LengthFamily, Lengths};
pub use random::Random;
pub use report::{
    RequestRouting, SimulatedRequests, SimulationPhase, SimulationReport, SimulationRequest,
    SimulationTimeline,
};
pub use trace::RequestTrace;

use std::borrow::Cow;

use super::point::{ServingTarget, whole_replicas};
use super::steady::{Arrivals, ServingLoad};
use super::stream::Stream;
use super::{Engine, Engines, LegalLayout, Percentiles, ServingModel};
use crate::catalog::Catalog;
use crate::error::{Error, check_range};
use crate::quantity::Warning;
use engine::{Job, Limits};
use lengths::Sampler;
use run::{Come, MOST_EVENTS, Outcome, Plan, Source};

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
    let model = ServingModel::with_engine(
        &engine,
        &arch,
        &target.gpu,
        &target.topology,
        request.precision,
        request.kv_precision,
    )?;
    let layout = model.layout(request.layout)?;
    check_range("gpus", f64::from(request.gpus), 1.0, 1e7)?;
    let replicas = whole_replicas("gpus", request.gpus, &layout)?;
    let trace = trace_of(request)?;
    let source = source_of(request, trace.as_deref())?;
    let come = come_of(request, trace.as_deref())?;
    let (mean, spread) = moments_of(&source, request.phase);
    let model = model.with_spread(spread.0, spread.1);
    let steady = |arrivals| {
        let load = ServingLoad { input_tokens: mean.0, output_tokens: mean.1, arrivals };
        model.point(&layout, &load)
    };
    let (warmup, measured) = counts(request, come, trace.as_deref(), || {
        let rate = request.request_rate.unwrap_or_default() / f64::from(replicas);
        steady(Arrivals::Poisson(rate)).concurrency * f64::from(replicas)
    })?;
    let full = ServingLoad { input_tokens: mean.0, output_tokens: mean.1, arrivals: Arrivals::Full };
    let stream = Stream::new(&model, &layout.cut, &full);
    let (groups, ranks) = groups_of(&model, &layout, replicas)?;
    let plan = Plan {
        limits: Limits {
            model: &model,
            cut: &layout.cut,
            phase: request.phase,
            capacity: stream.capacity,
            sequences: (model.engine.max_sequences / layout.cut.pp).max(1.0),
        },
        come,
        source,
        routing: request.routing,
        seed: request.seed,
        warmup,
        measured,
        // Those that only decode were taken in by the GPUs that read them.
        request_s: if request.phase == SimulationPhase::Decode { 0.0 } else { model.engine.request_s },
        groups,
        ranks,
    };
    let outcome = plan.run().ok_or_else(|| Error::Conflict {
        field: "requests".to_owned(),
        message: format!(
            "{measured} requests of these lengths take more than {MOST_EVENTS} events; ask for fewer"
        ),
    })?;
    let sustainable = steady(Arrivals::Full).sustainable_request_rate * f64::from(replicas);
    let fits = stream.capacity >= model.kv_bytes(&layout.cut, mean.0 + mean.1) / layout.cut.pp;
    let mut warnings = target.warnings.clone();
    warnings.extend(arch.notes.iter().cloned());
    if !fits {
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
    let frame = Frame { request, gpu: target.gpu.name.clone(), replicas, sustainable, warnings };
    Ok(report(&plan, outcome, frame))
}

/// Groups of ranks that run together, and ranks of each: attention ranks meet only in layers of experts.
fn groups_of(model: &ServingModel<'_>, layout: &LegalLayout, replicas: u32) -> Result<(usize, usize), Error> {
    let l = layout.layout;
    let all = f64::from(l.pp) * f64::from(l.dp) * f64::from(replicas);
    if all > MOST_RANKS {
        return Err(Error::Conflict {
            field: "gpus".to_owned(),
            message: format!("{all} ranks (pp × dp × replicas), but at most {MOST_RANKS} are simulated"),
        });
    }
    let (pp, dp, replicas) = (l.pp as usize, l.dp as usize, replicas as usize);
    Ok(if model.sizes.moe.is_some() { (pp * replicas, dp) } else { (pp * dp * replicas, 1) })
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

/// What the answer says beside what the simulation saw.
struct Frame<'a> {
    request: &'a SimulationRequest,
    gpu: String,
    replicas: u32,
    sustainable: f64,
    warnings: Vec<Warning>,
}

fn report(plan: &Plan<'_>, outcome: Outcome, mut frame: Frame<'_>) -> SimulationReport {
    let jobs = outcome.jobs.get(plan.warmup..plan.warmup + plan.measured).unwrap_or_default();
    let all = |of: fn(&Job) -> f64| -> Vec<f64> { jobs.iter().map(of).collect() };
    let tpot: Vec<f64> =
        jobs.iter().filter(|j| j.output > 1.0).map(|j| (j.end - j.first) / (j.output - 1.0)).collect();
    let (sums, window) = (outcome.sums, outcome.window.1 - outcome.window.0);
    // One request alone, or all at one time, has no window.
    let per_second = |x: f64| if window > 0.0 { x / window } else { 0.0 };
    let ranks = (plan.groups * plan.ranks) as f64;
    let gpus = f64::from(frame.request.gpus);
    let cache = plan.limits.capacity * ranks;
    let backlog = sums.arrivals - sums.requests;
    let open = matches!(plan.come, Come::Rate(_) | Come::Logged(_));
    // What is in flight on average stays behind in any window; four standard deviations of a Poisson number are chance.
    let saturated = matches!(plan.come, Come::Rate(_))
        && backlog > (0.05 * sums.arrivals).max(4.0 * libm::sqrt(sums.arrivals));
    if saturated {
        frame.warnings.push(Warning::new(
            "saturated",
            "request_rate",
            format!(
                "{:.0} requests came while {:.0} were answered: the queue grows, and latencies with the number of \
                 requests simulated",
                sums.arrivals, sums.requests
            ),
        ));
    }
    SimulationReport {
        layout: frame.request.layout,
        gpu: frame.gpu,
        engine: Engine::describe(frame.request.engine),
        gpus: frame.request.gpus,
        replicas: frame.replicas,
        requests: jobs.len() as u32,
        ttft: percentiles(all(|j| j.first - j.arrival)),
        tpot: (!tpot.is_empty()).then(|| percentiles(tpot)),
        end_to_end: percentiles(all(|j| j.end - j.arrival)),
        mean_input_tokens: mean(&all(|j| j.input)),
        mean_output_tokens: mean(&all(|j| j.output)),
        window_seconds: window,
        requests_per_second: per_second(sums.requests),
        output_tokens_per_second: per_second(sums.output_tokens),
        output_tokens_per_second_per_gpu: per_second(sums.output_tokens) / gpus,
        total_tokens_per_second_per_gpu: per_second(sums.input_tokens + sums.output_tokens) / gpus,
        busy_share: per_second(sums.busy) / ranks,
        utilisation: (open && plan.limits.phase == SimulationPhase::Both)
            .then(|| per_second(sums.arrivals) / frame.sustainable),
        // Little's law for those on the host's way to an engine.
        concurrency: per_second(sums.in_flight) + per_second(sums.requests) * plan.request_s,
        decode_batch: per_second(sums.decoding) / ranks,
        kv_used_share: if cache > 0.0 { per_second(sums.kv_bytes) / cache } else { 0.0 },
        saturated,
        events: outcome.events,
        timeline: outcome.timeline,
        request_list: frame.request.list_requests.then(|| SimulatedRequests {
            arrival_seconds: all(|j| j.arrival),
            input_tokens: all(|j| j.input),
            output_tokens: all(|j| j.output),
            ttft_seconds: all(|j| j.first - j.arrival),
            end_to_end_seconds: all(|j| j.end - j.arrival),
        }),
        warnings: frame.warnings,
    }
}

/// Mean and percentiles of at least one value, linear between neighbours (Hyndman and Fan 1996, type 7).
fn percentiles(mut values: Vec<f64>) -> Percentiles {
    let mean_seconds = mean(&values);
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (values.len().max(1) - 1) as f64;
        let low = place.floor();
        let value = |i: f64| values.get(i as usize).copied().unwrap_or(mean_seconds);
        value(low) + (place - low) * (value(place.ceil()) - value(low))
    };
    Percentiles {
        mean_seconds,
        p50_seconds: at(0.5),
        p90_seconds: at(0.9),
        p95_seconds: at(0.95),
        p99_seconds: at(0.99),
    }
}
