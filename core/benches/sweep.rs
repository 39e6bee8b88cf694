//! Estimates per second over grids of the three calls, on one core.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rackrate::catalog::Catalog;
use rackrate::sweep::{SweepRequest, sweep_arrays};
use serde_json::json;

fn benches(c: &mut Criterion) {
    let powers = |from: u32, to: u32| (from..to).map(|power| 1_u64 << power).collect::<Vec<_>>();
    let training = json!({
        "call": "training_step",
        "base": {
            "model": "llama-3.1-405b",
            "gpu": "H100-SXM",
            "layout": { "tp": 8, "global_batch": 4032, "recompute": "selective" },
            "sequence_length": 8192,
        },
        "axes": [
            { "field": "gpus", "values": [1008, 2016, 4032, 8064] },
            { "field": "layout.tp", "values": [2, 4, 8] },
            { "field": "layout.pp", "values": [1, 2, 3, 6, 7] },
            { "field": "sequence_length", "values": powers(11, 15) },
        ],
        "outputs": ["step_seconds", "mfu", "memory.total_gib"],
    });
    let serving = json!({
        "call": "serving_point",
        "base": { "model": "llama-3.1-70b", "gpu": "H100-SXM", "gpus": 8, "output_tokens": 256 },
        "axes": [
            { "field": "layout.tp", "values": [2, 4, 8] },
            { "field": "input_tokens", "values": powers(8, 13) },
            { "field": "concurrency", "values": powers(0, 8) },
        ],
        "outputs": ["ttft_seconds", "tpot_seconds", "output_tokens_per_second_per_gpu"],
    });
    let collective = json!({
        "call": "collective",
        "base": { "op": "all_reduce", "shape": "BM.GPU.H100.8" },
        "axes": [
            { "field": "nodes", "values": powers(0, 8) },
            { "field": "bytes", "values": powers(12, 32) },
        ],
        "outputs": ["seconds", "busbw"],
    });
    let mut group = c.benchmark_group("sweep");
    for request in [training, serving, collective] {
        let name = request["call"].as_str().unwrap().to_owned();
        let request: SweepRequest = serde_json::from_value(request).unwrap();
        let cells: usize = request.axes.iter().map(|axis| axis.values.len()).product();
        let catalog = Catalog::embedded().unwrap();
        // Refusals would be cheap cells.
        let answer = sweep_arrays(catalog, &request).unwrap();
        assert!(answer.refused.len() * 10 < cells, "{name}: {} of {cells} refused", answer.refused.len());
        group.throughput(Throughput::Elements(cells as u64));
        group.bench_function(&name, |b| b.iter(|| sweep_arrays(catalog, black_box(&request))));
    }
    group.finish();
}

criterion_group! {
    name = sweep;
    config = Criterion::default().sample_size(20);
    targets = benches
}
criterion_main!(sweep);
