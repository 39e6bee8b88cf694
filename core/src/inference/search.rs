//! The best way to serve a model on a shape: every legal layout, every batch worth looking at.

use crate::catalog::Catalog;
use crate::error::{Error, check_range};
use crate::model::Architecture;

use super::point::{answer, check_lengths, replica_gpus};
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::{
    FrontierPoint, LatencyTargets, LegalLayout, ServingLayout, ServingModel, ServingSearch,
    ServingSearchRequest, ServingTarget,
};
use crate::order::sort_by;

/// Steps that halve the interval of request rates in which the targets are met: 2⁻⁷ of the sustainable rate is left.
const HALVINGS: u32 = 7;

/// The frontier of throughput against interactivity, and the point with the highest throughput per GPU of one replica
/// whose 95th percentiles under random (Poisson) arrivals keep the targets.
///
/// Looked at: tensor ranks that divide the heads, powers of two inside the scale-up domain; pipeline stages in powers of
/// two; attention data parallel ranks for mixtures of experts; expert ranks of 1 or all of a stage; replicas of at most
/// `max_replica_gpus`. A frontier point is a closed loop at a power of two of requests in flight, up to the largest batch.
/// If no point keeps the targets, `nearest` is the one whose worse ratio of percentile to target is least.
///
/// # Errors
/// With the path of the field: unknown names, `shape` and `gpu` both or neither given, an unsupported model or precision,
/// lengths or targets that are not positive numbers.
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
    let model =
        ServingModel::new(&arch, &target.gpu, &target.topology, request.precision, request.kv_precision)?;
    let lengths = |arrivals| ServingLoad {
        input_tokens: request.input_tokens,
        output_tokens: request.output_tokens,
        arrivals,
    };

    let mut considered = 0_u64;
    let mut points: Vec<FrontierPoint> = Vec::new();
    let mut best: Option<Candidate> = None;
    let mut nearest: Option<Candidate> = None;
    for layout in layouts(&model, &arch, domain.min(most_gpus), most_gpus) {
        let gpus = f64::from(replica_gpus(&layout)?);
        let full = model.point(&layout, &lengths(Arrivals::Full));
        considered += 1;
        if !full.memory.fits {
            // Kept only if nothing fits at all: it says how far away the memory is.
            let shortfall = full.memory.weights_gib / full.memory.available_gib.max(1e-9);
            let candidate = Candidate { layout, state: full, rate: 0.0, value: -1e6 * shortfall };
            replace_if_better(&mut nearest, candidate);
            continue;
        }
        let mut requests = 1.0;
        while requests < full.concurrency.max(1.0) {
            considered += 1;
            let known = Some(full.sustainable_request_rate);
            let state = model.point_knowing(&layout, &lengths(Arrivals::Closed(requests)), known);
            points.push(frontier_point(&layout, &state, request.output_tokens, gpus));
            requests *= 2.0;
        }
        points.push(frontier_point(&layout, &full, request.output_tokens, gpus));

        // At its sustainable rate a layout is quickest: one that is no better even there cannot win.
        if best.is_some_and(|known| full.sustainable_request_rate / gpus <= known.value) {
            continue;
        }
        let (met, tried, closest) = fastest_within(&model, &layout, &full, &request.slo, lengths);
        considered += tried;
        if let Some(candidate) = met {
            replace_if_better(&mut best, Candidate { value: candidate.value / gpus, ..candidate });
        }
        replace_if_better(&mut nearest, closest);
    }
    let shown =
        |c: Candidate| answer(&target, &model, &c.layout, &lengths(Arrivals::Poisson(c.rate)), &c.state, 1);
    let best = best.map(shown);
    Ok(ServingSearch {
        nearest: if best.is_some() { None } else { nearest.map(shown) },
        best,
        frontier: frontier(points),
        considered,
    })
}

/// A point with what it is judged by: higher is better.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    layout: LegalLayout,
    state: SteadyState,
    rate: f64,
    value: f64,
}

fn replace_if_better(slot: &mut Option<Candidate>, candidate: Candidate) {
    if slot.is_none_or(|known| candidate.value > known.value) {
        *slot = Some(candidate);
    }
}

/// Highest request rate of one replica that keeps the targets, points looked at, and the point nearest to the targets.
fn fastest_within(
    model: &ServingModel<'_>,
    layout: &LegalLayout,
    full: &SteadyState,
    slo: &LatencyTargets,
    lengths: impl Fn(Arrivals) -> ServingLoad,
) -> (Option<Candidate>, u64, Candidate) {
    let at = |rate: f64, known: Option<f64>| {
        let state = model.point_knowing(layout, &lengths(Arrivals::Poisson(rate)), known);
        let ratio = (state.ttft_p95_seconds / slo.ttft_p95_seconds)
            .max(state.tpot_p95_seconds / slo.tpot_p95_seconds);
        (state, ratio)
    };
    // A thousandth of what it sustains: as good as alone. Lengths that spread are sustained at a lower rate than equal ones.
    let (alone, least) = at(full.sustainable_request_rate * 1e-3, None);
    let most = alone.sustainable_request_rate;
    let mut looked = 1;
    let closest = Candidate {
        layout: *layout,
        state: alone,
        rate: full.sustainable_request_rate * 1e-3,
        value: -least,
    };
    if least.is_nan() || least > 1.0 {
        return (None, looked, closest);
    }
    let mut met = Candidate { value: closest.rate, ..closest };
    let (mut low, mut high) = (closest.rate, most);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let (state, ratio) = at(middle, Some(most));
        looked += 1;
        if ratio <= 1.0 && !state.saturated {
            low = middle;
            met = Candidate { layout: *layout, state, rate: middle, value: state.requests_per_second };
        } else {
            high = middle;
        }
    }
    (Some(met), looked, closest)
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
                    if let Ok(legal) = model.layout(ServingLayout { tp, pp, ep, dp }) {
                        out.push(legal);
                    }
                }
            }
        }
    }
    out
}

fn frontier_point(layout: &LegalLayout, state: &SteadyState, output: f64, gpus: f64) -> FrontierPoint {
    FrontierPoint {
        layout: layout.layout,
        concurrency: state.concurrency,
        tokens_per_second_per_user: 1.0 / state.tpot_seconds,
        output_tokens_per_second_per_gpu: state.requests_per_second * output / gpus,
        ttft_seconds: state.ttft_seconds,
    }
}

/// The points that no other beats in both measures, most interactive first.
fn frontier(mut points: Vec<FrontierPoint>) -> Vec<FrontierPoint> {
    points.retain(|p| {
        p.tokens_per_second_per_user.is_finite() && p.output_tokens_per_second_per_gpu.is_finite()
    });
    sort_by(&mut points, |a, b| {
        b.tokens_per_second_per_user
            .total_cmp(&a.tokens_per_second_per_user)
            .then(b.output_tokens_per_second_per_gpu.total_cmp(&a.output_tokens_per_second_per_gpu))
    });
    let mut most = 0.0;
    points.retain(|p| {
        let better = p.output_tokens_per_second_per_gpu > most;
        if better {
            most = p.output_tokens_per_second_per_gpu;
        }
        better
    });
    points
}
