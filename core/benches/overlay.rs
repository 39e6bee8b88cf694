//! What an overlay adds to a call: the first time, when its catalogue is laid, and every further time.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rackrate::api;
use rackrate::catalog::{Catalog, Overlay};
use rackrate::input::{Value, read};
use serde_json::json;

fn benches(c: &mut Criterion) {
    let row = json!({"shape": "BM.GPU.H100.8", "region": "all-commercial", "term": "payg", "usd_per_gpu_hour": 2.75});
    let whole = api::table("prices", None).unwrap();
    let overlays = [
        ("without", json!(null)),
        ("one_price", json!({ "prices": [row] })),
        ("all_prices", json!({ "prices": whole })),
    ];
    for (name, overlay) in overlays {
        let request = json!({
            "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 64, "sequence_length": 8192, "overlay": overlay,
            "layout": {"tp": 2, "dp": 32, "global_batch": 128, "recompute": "selective"},
        });
        let request: Value = serde_json::from_value(request).unwrap();
        c.bench_function(&format!("training_step/overlay_{name}"), |b| {
            b.iter(|| api::training_step(black_box(&request)));
        });
        let value: Value = serde_json::from_value(overlay).unwrap();
        if let Some(overlay) = read::<Option<Overlay>>(&value).unwrap() {
            let catalog = Catalog::embedded().unwrap();
            c.bench_function(&format!("lay/{name}"), |b| b.iter(|| catalog.overlaid(black_box(&overlay))));
        }
    }
}

criterion_group!(overlay, benches);
criterion_main!(overlay);
