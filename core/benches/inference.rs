//! One operating point and one search, as a plan asks for them.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rackrate::catalog::Catalog;
use rackrate::inference::{
    Arrivals, ServingLayout, ServingLoad, ServingModel, ServingSearchRequest, ServingTarget,
    SimulationRequest, search_serving, serving_point, simulate,
};
use rackrate::model::Precision;

fn inference(c: &mut Criterion) {
    let Ok(catalog) = Catalog::embedded() else { return };
    for (name, tp) in [("llama-3.3-70b", 8), ("deepseek-v3", 8)] {
        let (Ok(preset), Ok(target)) =
            (catalog.model("model", name), ServingTarget::of(catalog, None, Some("H200-SXM")))
        else {
            return;
        };
        let arch = &preset.architecture;
        let Ok(model) = ServingModel::new(arch, &target.gpu, &target.topology, Precision::Fp8, None) else {
            return;
        };
        let Ok(layout) = model.layout(ServingLayout { tp, pp: 1, ep: 1, dp: 1, redundant_experts: 0 }) else {
            return;
        };
        for (load, arrivals) in [("closed loop", Arrivals::Closed(64.0)), ("random", Arrivals::Poisson(2.0))]
        {
            let load_of = ServingLoad { input_tokens: 1000.0, output_tokens: 500.0, arrivals };
            c.bench_function(&format!("serving point, {name}, {load}"), |b| {
                b.iter(|| model.point(black_box(&layout), black_box(&load_of)));
            });
        }
    }
    ranks_that_meet(c, catalog);
    for model in ["deepseek-v3", "llama-3.1-405b"] {
        for shape in ["BM.GPU.H200.8", "Standard_ND128isr_NDR_GB200_v6"] {
            for mode in [Some("aggregated"), None] {
                let request = serde_json::from_value::<ServingSearchRequest>(serde_json::json!({
                    "model": model, "shape": shape, "input_tokens": 2000.0, "output_tokens": 300.0,
                    "slo": {"ttft_p95_seconds": 2.0, "tpot_p95_seconds": 0.05}, "mode": mode,
                }));
                let Ok(request) = request else { continue };
                let modes = mode.unwrap_or("pools too");
                if search_serving(catalog, &request).is_ok() {
                    c.bench_function(&format!("serving search, {model}, {shape}, {modes}"), |b| {
                        b.iter(|| search_serving(catalog, black_box(&request)));
                    });
                }
            }
        }
    }
    if let Ok(request) = serde_json::from_value(serde_json::json!({
        "model": "deepseek-v3", "shape": "BM.GPU.H200.8", "gpus": 32, "layout": {"dp": 16, "ep": 16},
        "input_tokens": 2000.0, "output_tokens": 300.0, "request_rate": 10.0, "precision": "fp8",
        "disaggregated": {"prefill_layout": {"tp": 8}},
        "speculation": {"draft_tokens": 2, "acceptance": 0.7, "draft": "mtp"},
    })) {
        c.bench_function("serving point, pools apart with speculation", |b| {
            b.iter(|| serving_point(catalog, black_box(&request)));
        });
    }
}

/// Attention ranks that meet in the experts under random arrivals: prompts shorter than an iteration may read, and longer.
fn ranks_that_meet(c: &mut Criterion, catalog: &Catalog) {
    let (Ok(preset), Ok(target)) =
        (catalog.model("model", "deepseek-v3"), ServingTarget::of(catalog, None, Some("H200-SXM")))
    else {
        return;
    };
    let arch = &preset.architecture;
    let Ok(model) = ServingModel::new(arch, &target.gpu, &target.topology, Precision::Fp8, None) else {
        return;
    };
    let Ok(layout) = model.layout(ServingLayout { tp: 1, pp: 1, ep: 16, dp: 16, redundant_experts: 0 })
    else {
        return;
    };
    for (input_tokens, rate) in [(1000.0, 20.0), (12_000.0, 2.0)] {
        let load = ServingLoad { input_tokens, output_tokens: 500.0, arrivals: Arrivals::Poisson(rate) };
        c.bench_function(
            &format!("serving point, deepseek-v3, 16 ranks at random, {input_tokens} tokens"),
            |b| {
                b.iter(|| model.point(black_box(&layout), black_box(&load)));
            },
        );
    }
}

/// Two thousand chat requests at a rate: events a second are `events` of the answer over the time.
fn simulation(c: &mut Criterion) {
    let Ok(catalog) = Catalog::embedded() else { return };
    let request = serde_json::from_value::<SimulationRequest>(serde_json::json!({
        "model": "llama-3.3-70b", "gpu": "H100-SXM", "gpus": 8, "layout": {"tp": 8}, "precision": "fp8", "request_rate": 5.0,
        "input": {"mean_tokens": 1000.0, "family": "lognormal", "coefficient_of_variation": 1.0},
        "output": {"mean_tokens": 300.0, "family": "lognormal", "coefficient_of_variation": 1.0},
    }));
    let Ok(request) = request else { return };
    let Ok(answer) = simulate(catalog, &request) else { return };
    let mut group = c.benchmark_group("simulation");
    group.throughput(Throughput::Elements(answer.events));
    group.bench_function("2,000 requests, llama-3.3-70b", |b| {
        b.iter(|| simulate(catalog, black_box(&request)));
    });
    group.finish();
}

criterion_group!(benches, inference, simulation);
criterion_main!(benches);
