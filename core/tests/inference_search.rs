//! The serving search against looking at everything.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::inference::{
    Arrivals, FrontierPoint, ServingLayout, ServingLoad, ServingModel, ServingSearch, ServingSearchRequest,
    ServingTarget, search_serving, serving_point,
};
use rackrate::model::Precision;
use serde_json::{Value as Json, json};

fn search(changes: &Json) -> ServingSearch {
    let mut base = json!({
        "model": "deepseek-v3", "shape": "BM.GPU.H200.8", "input_tokens": 2000.0, "output_tokens": 300.0,
        "slo": {"ttft_p95_seconds": 2.0, "tpot_p95_seconds": 0.05}
    });
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    let request: ServingSearchRequest = serde_json::from_value(base).unwrap();
    search_serving(Catalog::embedded().unwrap(), &request).unwrap()
}

/// Interactivity and throughput of every layout and every power of two of requests in flight.
fn everything(
    model: &str,
    shape: &str,
    precision: Precision,
    (input_tokens, output_tokens): (f64, f64),
) -> (Vec<(f64, f64)>, u64) {
    let catalog = Catalog::embedded().unwrap();
    let target = ServingTarget::of(catalog, Some(shape), None).unwrap();
    let arch = &catalog.model("model", model).unwrap().architecture;
    let served = ServingModel::new(arch, &target.gpu, &target.topology, precision, None).unwrap();
    let domain = target.topology.scale_up_domain.max(target.topology.gpus_per_node);
    let most = 2 * domain;
    let powers: Vec<u32> = (0..10).map(|p| 1 << p).collect();
    let (mut out, mut looked) = (Vec::new(), 0);
    for &tp in powers.iter().filter(|tp| **tp <= domain) {
        for &pp in &powers {
            for &dp in powers.iter().filter(|dp| arch.moe.is_some() || **dp == 1) {
                let all = tp * dp;
                let experts = if all == 1 { vec![(1, 0)] } else { vec![(1, 0), (all, 0), (all, all)] };
                for (ep, redundant_experts) in experts {
                    let gpus = tp * pp * dp;
                    let Some(layout) = (gpus <= most)
                        .then(|| served.layout(ServingLayout { tp, pp, ep, dp, redundant_experts }).ok())
                        .flatten()
                    else {
                        continue;
                    };
                    let at = |arrivals| {
                        served.point(&layout, &ServingLoad { input_tokens, output_tokens, arrivals })
                    };
                    let full = at(Arrivals::Full);
                    looked += 1;
                    if !full.memory.fits {
                        continue;
                    }
                    let mut states = vec![full];
                    let mut requests = 1.0;
                    while requests < full.concurrency {
                        states.push(at(Arrivals::Closed(requests)));
                        requests *= 2.0;
                    }
                    looked += states.len() as u64;
                    out.extend(states.iter().map(|s| {
                        (1.0 / s.tpot_seconds, s.requests_per_second * output_tokens / f64::from(gpus))
                    }));
                }
            }
        }
    }
    (out, looked)
}

fn beaten(frontier: &[FrontierPoint], user: f64, gpu: f64, by: f64) -> bool {
    frontier
        .iter()
        .any(|p| p.tokens_per_second_per_user >= user * by && p.output_tokens_per_second_per_gpu >= gpu * by)
}

#[test]
fn the_frontier_is_that_of_looking_at_everything() {
    let (usual, long) = ((2000.0, 300.0), (30_000.0, 50.0));
    for (model, shape, precision, lengths) in [
        ("deepseek-v3", "BM.GPU.H200.8", Precision::Fp8, usual),
        ("deepseek-v3", "Standard_ND128isr_NDR_GB200_v6", Precision::Fp8, usual),
        ("deepseek-v3", "BM.GPU.H200.8", Precision::Fp8, long),
        ("deepseek-v3", "Standard_ND96isr_MI300X_v5", Precision::Fp8, long),
        ("llama-3.1-405b", "BM.GPU.H100.8", Precision::Fp8, usual),
        ("qwen3-235b-a22b", "BM.GPU.B200.8", Precision::Bf16, usual),
        ("llama-3.3-70b", "Standard_ND96isr_MI300X_v5", Precision::Bf16, usual),
        ("llama-3.3-70b", "Standard_ND96isr_MI300X_v5", Precision::Bf16, (500.0, 1.0)),
    ] {
        let (all, looked) = everything(model, shape, precision, lengths);
        let found =
            search(&json!({"model": model, "shape": shape, "precision": precision, "mode": "aggregated",
            "input_tokens": lengths.0, "output_tokens": lengths.1}));
        // Far fewer where there is much to leave out.
        assert!(looked < 1500 || found.considered * 2 < looked, "{model}: {} of {looked}", found.considered);
        for &(user, gpu) in &all {
            assert!(beaten(&found.frontier, user, gpu, 0.999), "{model} on {shape}: {user} {gpu} is missing");
        }
        for point in &found.frontier {
            let (user, gpu) = (point.tokens_per_second_per_user, point.output_tokens_per_second_per_gpu);
            assert!(!all.iter().any(|p| p.0 > user * 1.001 && p.1 > gpu * 1.001), "{point:?} is beaten");
        }
    }
}

/// Highest request rate per GPU within the targets over every pair of layouts and every split of up to `most` GPUs, found
/// by asking for operating points alone.
fn best_pools(model: &str, shape: &str, slo: (f64, f64), most: u32) -> f64 {
    let catalog = Catalog::embedded().unwrap();
    let experts = catalog.model("model", model).unwrap().architecture.moe.is_some();
    let mut cuts: Vec<ServingLayout> = Vec::new();
    for (tp, pp, dp) in (0..64).map(|at| (1 << (at % 4), 1 << (at / 4 % 4), 1 << (at / 16))) {
        if tp * pp * dp < most && (experts || dp == 1) {
            let all = tp * dp;
            let ways = if experts && all > 1 { vec![(1, 0), (all, 0), (all, all)] } else { vec![(1, 0)] };
            cuts.extend(ways.into_iter().map(|(ep, redundant_experts)| ServingLayout {
                tp,
                pp,
                ep,
                dp,
                redundant_experts,
            }));
        }
    }
    let size = |cut: &ServingLayout| cut.tp * cut.pp * cut.dp;
    let mut best = 0.0_f64;
    for (reads, runs) in cuts.iter().flat_map(|reads| cuts.iter().map(move |runs| (reads, runs))) {
        let (from, to) = (size(reads), size(runs));
        for prefill in (1..most).filter(|n| n * from < most) {
            for decode in (1..most).filter(|n| n * to + prefill * from <= most) {
                let gpus = prefill * from + decode * to;
                let at = |rate: f64| {
                    let request = serde_json::from_value(json!({
                        "model": model, "shape": shape, "gpus": gpus, "layout": runs,
                        "input_tokens": 2000.0, "output_tokens": 300.0, "request_rate": rate, "precision": "bf16",
                        "disaggregated": {"prefill_layout": reads, "prefill_gpus": prefill * from}
                    }));
                    serving_point(catalog, &request.unwrap()).unwrap()
                };
                let top = at(1e-3);
                if !top.memory.fits || !top.pools.unwrap().prefill_memory.fits {
                    continue;
                }
                let (mut low, mut high) = (best * f64::from(gpus), top.sustainable_request_rate);
                let met = |rate: f64| {
                    let p = at(rate);
                    !p.saturated && p.ttft_p95_seconds <= slo.0 && p.tpot_p95_seconds <= slo.1
                };
                if low >= high || !met(low.max(1e-3)) {
                    continue;
                }
                for _ in 0..10 {
                    let middle = 0.5 * (low + high);
                    if met(middle) { low = middle } else { high = middle }
                }
                best = best.max(low / f64::from(gpus));
            }
        }
    }
    best
}

/// Rates are halved to 1 part in 128 of a pool's, for each pool.
#[test]
fn the_best_pools_are_those_of_looking_at_everything() {
    for (model, shape, slo, most) in [
        ("llama-3.1-8b", "BM.GPU.H100.8", (0.5, 0.02), 4),
        ("llama-3.1-8b", "BM.GPU.H100.8", (0.2, 0.008), 6),
        ("qwen3-32b", "BM.GPU.H200.8", (1.0, 0.03), 8),
        ("gpt-oss-20b", "BM.GPU.B200.8", (0.3, 0.01), 6),
        ("qwen3-30b-a3b", "BM.GPU.H200.8", (0.3, 0.015), 5),
    ] {
        let everything = best_pools(model, shape, slo, most);
        let found =
            search(&json!({"model": model, "shape": shape, "precision": "bf16", "mode": "disaggregated",
            "max_replica_gpus": most, "slo": {"ttft_p95_seconds": slo.0, "tpot_p95_seconds": slo.1}}));
        let best = found.best.unwrap();
        assert!(best.ttft_p95_seconds <= slo.0 && best.tpot_p95_seconds <= slo.1 && best.gpus <= most);
        let rate = best.requests_per_second / f64::from(best.gpus);
        assert!((rate / everything - 1.0).abs() < 0.02, "{model}: {rate} against {everything}: {best:?}");
    }
}

#[test]
fn both_modes_and_all_precisions_are_at_least_each_alone() {
    let all = search(&json!({}));
    let best = all.best.unwrap().output_tokens_per_second_per_gpu;
    for only in [
        json!({"mode": "aggregated"}),
        json!({"mode": "disaggregated"}),
        json!({"precision": "fp8"}),
        json!({"precision": "bf16"}),
    ] {
        let found = search(&only);
        for p in &found.frontier {
            let (user, gpu) = (p.tokens_per_second_per_user, p.output_tokens_per_second_per_gpu);
            // Pools are tried as whole replicas where pools of any ratio would win.
            assert!(beaten(&all.frontier, user, gpu, 0.97), "{only}: {p:?} is missing");
        }
        assert!(found.best.is_none_or(|p| p.output_tokens_per_second_per_gpu <= best * 1.01), "{only}");
    }
    // A GPU without 8-bit units is asked for 16-bit only.
    let old = search(&json!({"model": "llama-3.3-70b", "shape": "BM.GPU.A100-v2.8"}));
    assert!(old.best.unwrap().precision == Precision::Bf16);
}

#[test]
fn what_the_search_shows_is_what_a_point_says() {
    let best = search(&json!({"mode": "disaggregated"})).best.unwrap();
    let pools = best.pools.unwrap();
    let request = serde_json::from_value(json!({
        "model": "deepseek-v3", "shape": "BM.GPU.H200.8", "gpus": best.gpus, "layout": best.layout,
        "input_tokens": 2000.0, "output_tokens": 300.0, "request_rate": best.requests_per_second,
        "precision": best.precision,
        "disaggregated": {"prefill_layout": pools.prefill_layout, "prefill_gpus": pools.prefill_gpus}
    }));
    assert_eq!(serving_point(Catalog::embedded().unwrap(), &request.unwrap()).unwrap(), best);
}

/// Wide expert parallelism wants more than two nodes: what is looked at if nobody says how many holds it, and a smaller most
/// is kept.
#[test]
fn pools_of_many_nodes_are_looked_at() {
    let at = |most: Json| search(&json!({"shape": "BM.GPU.H100.8", "max_replica_gpus": most})).best.unwrap();
    let (two_nodes, usual) = (at(json!(16)), at(json!(null)));
    assert!(
        two_nodes.gpus <= 16 && usual.gpus > 32 && usual.gpus <= 144,
        "{} {}",
        two_nodes.gpus,
        usual.gpus
    );
    assert!(usual.layout.ep >= 16);
    let gain = usual.output_tokens_per_second_per_gpu / two_nodes.output_tokens_per_second_per_gpu;
    assert!(gain > 1.5, "{gain}");
    // Of sizes that do as well, to 1 part in 128, the smallest is taken: all that are smaller do worse than that.
    for model in ["llama-3.1-8b", "llama-3.3-70b"] {
        let of = |most: Json| {
            search(&json!({"model": model, "mode": "disaggregated", "max_replica_gpus": most})).best.unwrap()
        };
        let taken = of(json!(null));
        let smaller = of(json!(taken.gpus - 1));
        let gain = taken.output_tokens_per_second_per_gpu / smaller.output_tokens_per_second_per_gpu;
        assert!(gain > 1.0 + 1.0 / 128.0, "{model}: {gain} on {} instead of {}", taken.gpus, smaller.gpus);
    }
}

/// Prompts alone: nothing decodes, so no time per token is too long for a layout.
#[test]
fn answers_of_one_token_are_served_by_the_best_layout() {
    let catalog = Catalog::embedded().unwrap();
    for (model, shape, slo) in [
        ("llama-3.3-70b", "BM.GPU.H200.8", (0.3, 0.012)),
        ("llama-3.1-8b", "BM.GPU.A10.4", (2.0, 0.05)),
        ("qwen3-235b-a22b", "BM.GPU.H200.8", (2.0, 0.05)),
    ] {
        let changes = json!({"model": model, "shape": shape, "input_tokens": 500.0, "output_tokens": 1.0,
            "mode": "aggregated", "slo": {"ttft_p95_seconds": slo.0, "tpot_p95_seconds": slo.1}});
        let best = search(&changes).best.unwrap();
        let found = best.requests_per_second / f64::from(best.gpus);
        for (tp, pp) in [(1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (1, 4)] {
            let at = |rate: f64| {
                let request = serde_json::from_value(json!({
                    "model": model, "shape": shape, "gpus": tp * pp, "layout": {"tp": tp, "pp": pp},
                    "input_tokens": 500.0, "output_tokens": 1.0, "request_rate": rate, "precision": best.precision,
                }));
                serving_point(catalog, &request.unwrap())
            };
            // Rates are known to 1 part in 128.
            let Ok(point) = at(1.02 * found * f64::from(tp * pp)) else { continue };
            let met = !point.saturated && point.ttft_p95_seconds <= slo.0 && point.tpot_p95_seconds <= slo.1;
            assert!(!met || !point.memory.fits, "{model}: {found} beside {point:?}");
        }
    }
}
