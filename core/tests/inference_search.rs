//! The serving search against looking at everything.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::inference::{
    Arrivals, FrontierPoint, ServingLayout, ServingLoad, ServingModel, ServingSearch, ServingSearchRequest,
    ServingTarget, search_serving,
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
fn everything(model: &str, shape: &str, precision: Precision) -> (Vec<(f64, f64)>, u64) {
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
                for ep in if tp * dp == 1 { vec![1] } else { vec![1, tp * dp] } {
                    let gpus = tp * pp * dp;
                    let Some(layout) = (gpus <= most)
                        .then(|| served.layout(ServingLayout { tp, pp, ep, dp }).ok())
                        .flatten()
                    else {
                        continue;
                    };
                    let at = |arrivals| {
                        served.point(
                            &layout,
                            &ServingLoad { input_tokens: 2000.0, output_tokens: 300.0, arrivals },
                        )
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
                    out.extend(
                        states
                            .iter()
                            .map(|s| (1.0 / s.tpot_seconds, s.requests_per_second * 300.0 / f64::from(gpus))),
                    );
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
    for (model, shape, precision) in [
        ("deepseek-v3", "BM.GPU.H200.8", Precision::Fp8),
        ("deepseek-v3", "Standard_ND128isr_NDR_GB200_v6", Precision::Fp8),
        ("llama-3.1-405b", "BM.GPU.H100.8", Precision::Fp8),
        ("qwen3-235b-a22b", "BM.GPU.B200.8", Precision::Bf16),
        ("llama-3.3-70b", "Standard_ND96isr_MI300X_v5", Precision::Bf16),
    ] {
        let (all, looked) = everything(model, shape, precision);
        let found =
            search(&json!({"model": model, "shape": shape, "precision": precision, "mode": "aggregated"}));
        println!("{model} {shape}: {looked} against {}", found.considered);
        for &(user, gpu) in &all {
            assert!(beaten(&found.frontier, user, gpu, 0.999), "{model} on {shape}: {user} {gpu} is missing");
        }
        for point in &found.frontier {
            let (user, gpu) = (point.tokens_per_second_per_user, point.output_tokens_per_second_per_gpu);
            assert!(!all.iter().any(|p| p.0 > user * 1.001 && p.1 > gpu * 1.001), "{point:?} is beaten");
        }
    }
}

#[test]
fn show() {
    for shape in ["BM.GPU.H200.8", "Standard_ND128isr_NDR_GB200_v6"] {
        for mode in ["aggregated", "disaggregated"] {
            let started = std::time::Instant::now();
            let found = search(&json!({"shape": shape, "mode": mode}));
            println!("{shape} {mode} {:?} considered {}", started.elapsed(), found.considered);
            for p in &found.frontier {
                println!(
                    "{:?} {:?} {} {} {:?} {:.1} {:.1} {:.1} {:.3}",
                    p.layout,
                    p.precision,
                    p.gpus,
                    p.prefill_gpus,
                    p.prefill_layout,
                    p.concurrency,
                    p.tokens_per_second_per_user,
                    p.output_tokens_per_second_per_gpu,
                    p.ttft_seconds
                );
            }
            if let Some(b) = found.best {
                println!(
                    "best {:?} {:?} {} {:?} {} {} {}",
                    b.layout,
                    b.precision,
                    b.gpus,
                    b.pools,
                    b.output_tokens_per_second_per_gpu,
                    b.ttft_p95_seconds,
                    b.tpot_p95_seconds
                );
            }
        }
    }
}
