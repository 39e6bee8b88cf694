//! One explicit operating point, asked for by name and answered with everything a reader needs.

use crate::catalog::{Catalog, Gpu};
use crate::error::{Error, check_range};
use crate::network::Topology;
use crate::quantity::{Interval, Warning};

use super::steady::{Arrivals, BatchLimit, ServingLoad, SteadyState};
use super::{IterationParts, LegalLayout, Residuals, ServingModel, ServingPoint, ServingPointRequest};

/// Longest prompt or answer that is priced, tokens.
pub(super) const MOST_TOKENS: f64 = 1e7;
/// Widest squared coefficient of variation of lengths.
const MOST_SPREAD: f64 = 100.0;

/// Latency, throughput and memory of one explicit operating point.
///
/// `concurrency` and `request_rate` count over all GPUs; replicas share them evenly. Past saturation
/// ([`ServingPoint::saturated`]) latencies are those at the sustainable rate, without the queue that grows without end.
/// Where requests in flight exceed what the KV cache holds, the excess waits and the time to first token says so.
/// A model that does not fit is an answer ([`super::ServingMemory::fits`]): its times are those of a GPU with the memory.
///
/// # Errors
/// With the path of the field: an unknown model, shape or GPU; `shape` and `gpu`, or `concurrency` and `request_rate`,
/// both or neither given; a layout that does not divide the model or needs links which the nodes lack; GPUs that are no
/// multiple of a replica's; a model or precision that is not priced; a number that is NaN, negative or absurd.
pub fn serving_point(catalog: &Catalog, request: &ServingPointRequest) -> Result<ServingPoint, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let target = ServingTarget::of(catalog, request.shape.as_deref(), request.gpu.as_deref())?;
    let arch = catalog.resolve_model("model", &request.model)?;
    check_lengths(request.input_tokens, request.output_tokens)?;
    let model =
        ServingModel::new(&arch, &target.gpu, &target.topology, request.precision, request.kv_precision)?;
    let layout = model.layout(request.layout)?;
    let replicas = whole_replicas(request.gpus, replica_gpus(&layout)?)?;
    let arrivals = match (request.concurrency, request.request_rate) {
        (Some(total), None) => {
            check_range("concurrency", total, 1e-6, 1e9)?;
            Arrivals::Closed(total / f64::from(replicas))
        }
        (None, Some(rate)) => {
            check_range("request_rate", rate, 1e-9, 1e9)?;
            Arrivals::Poisson(rate / f64::from(replicas))
        }
        (Some(_), Some(_)) => {
            return Err(Error::Conflict {
                field: "request_rate".to_owned(),
                message: "given together with concurrency; give one of the two".to_owned(),
            });
        }
        (None, None) => {
            return Err(Error::MissingField {
                field: "concurrency".to_owned(),
                expected: "requests in flight, or request_rate in requests per second".to_owned(),
            });
        }
    };
    let load =
        ServingLoad { input_tokens: request.input_tokens, output_tokens: request.output_tokens, arrivals };
    let model = with_spread(model, request, arrivals)?;
    let state = model.point(&layout, &load);
    Ok(answer(&target, &model, &layout, &load, &state, replicas))
}

/// The model serving lengths that spread as the request says.
fn with_spread<'a>(
    model: ServingModel<'a>,
    request: &ServingPointRequest,
    arrivals: Arrivals,
) -> Result<ServingModel<'a>, Error> {
    if request.input_spread.is_none() && request.output_spread.is_none() {
        return Ok(model);
    }
    let usual = if matches!(arrivals, Arrivals::Poisson(_)) { model.engine.length_scv } else { 0.0 };
    let of = |field: &str, given: Option<f64>| check_range(field, given.unwrap_or(usual), 0.0, MOST_SPREAD);
    let (input, output) =
        (of("input_spread", request.input_spread)?, of("output_spread", request.output_spread)?);
    Ok(model.with_spread(input, output))
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

/// Replicas of `size` GPUs that `gpus` are.
pub(super) fn whole_replicas(gpus: u32, size: u32) -> Result<u32, Error> {
    check_range("gpus", f64::from(gpus), 1.0, 1e7)?;
    if !gpus.is_multiple_of(size) {
        return Err(Error::Conflict {
            field: "gpus".to_owned(),
            message: format!(
                "{gpus} GPUs are not whole replicas of {size} (tp × pp × dp); try {}",
                gpus.div_ceil(size).saturating_mul(size)
            ),
        });
    }
    Ok(gpus / size)
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
                 that rate",
                state.sustainable_request_rate * copies
            ),
        ));
    }
    if state.waiting {
        warnings.push(Warning::new(
            "requests_wait",
            "concurrency",
            format!(
                "{:.0} requests in flight, but {}: the others wait before their first token",
                state.concurrency * copies,
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
        bound_by: bound_by(load, state, &prefill),
        warnings,
    }
}

fn bound_by(load: &ServingLoad, state: &SteadyState, prefill: &IterationParts) -> String {
    if !state.memory.fits {
        return "memory: it does not fit".to_owned();
    }
    if state.waiting || state.saturated || load.arrivals == Arrivals::Full {
        match state.limit {
            BatchLimit::KvCache => return "KV cache capacity".to_owned(),
            BatchLimit::Sequences => return "the engine's limit on sequences".to_owned(),
            BatchLimit::Prefill => {}
        }
    }
    let rate = state.requests_per_second;
    let decode =
        (load.output_tokens - 1.0).max(0.0) * state.decode.total_seconds / state.decode_batch.max(1.0);
    let (phase, parts) = if prefill.total_seconds > decode && rate > 0.0 && state.decode_batch > 1.5 {
        ("prefill", prefill)
    } else {
        ("decode", &state.decode)
    };
    format!("{phase}: {}", largest(parts))
}

fn largest(parts: &IterationParts) -> &'static str {
    [
        (parts.matmul_seconds, "matrix products and reading weights"),
        (parts.attention_seconds, "attention and reading the KV cache"),
        (parts.memory_bound_seconds, "memory bandwidth beside products and attention"),
        (parts.all_reduce_seconds, "tensor parallel all-reduce"),
        (parts.all_to_all_seconds, "expert exchange"),
        (parts.pipeline_seconds, "pipeline sends"),
        (parts.engine_seconds, "engine overhead"),
    ]
    .into_iter()
    .max_by(|a, b| a.0.total_cmp(&b.0))
    .map_or("", |(_, name)| name)
}
