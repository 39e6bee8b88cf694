#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use rackrate::catalog::Catalog;
use rackrate::inference::*;
use rackrate::input::{Value, read};
use serde_json::json;

fn main() {
    let catalog = Catalog::embedded().unwrap();
    let cases = [
        ("llama-3.1-8b", "H100-SXM", json!({"tp":1}), 1, "bf16"),
        ("llama-3.3-70b", "H100-SXM", json!({"tp":8}), 8, "fp8"),
        ("deepseek-v3", "H200-SXM", json!({"tp":8}), 8, "fp8"),
        ("deepseek-v3", "H200-SXM", json!({"tp":1,"dp":8,"ep":8}), 8, "fp8"),
    ];
    for (model, gpu, layout, gpus, precision) in cases {
        for (input, output) in [(1000.0, 300.0), (4000.0, 100.0), (200.0, 1000.0)] {
            for scv in [0.0, 1.0] {
                for u in [0.1, 0.3, 0.5, 0.7, 0.85] {
                    let base = |rate: f64| {
                        let v: Value = serde_json::from_value(json!({"model": model, "gpu": gpu, "gpus": gpus, "layout": layout, "precision": precision,
                            "input_tokens": input, "output_tokens": output, "request_rate": rate})).unwrap();
                        serving_point(catalog, &read(&v).unwrap()).unwrap()
                    };
                    let rate = base(1e-6).sustainable_request_rate * u;
                    let p = base(rate);
                    let l = |m: f64| if scv > 0.0 { json!({"mean_tokens": m, "family": "lognormal", "coefficient_of_variation": f64::sqrt(scv)}) } else { json!({"mean_tokens": m}) };
                    let v: Value = serde_json::from_value(json!({"model": model, "gpu": gpu, "gpus": gpus, "layout": layout, "precision": precision,
                            "input": l(input), "output": l(output), "request_rate": rate, "requests": 8000, "routing": "random"})).unwrap();
                    let t = std::time::Instant::now();
                    let s = simulate(catalog, &read(&v).unwrap()).unwrap();
                    let secs = t.elapsed().as_secs_f64();
                    let tp = s.tpot.unwrap();
                    println!("{model} {layout} in {input} out {output} scv {scv} u {u:.2} rate {rate:.2} B {:.1}/{:.1} busy {:.2} | ttft mean {:.4}/{:.4} p95 {:.4}/{:.4} | tpot mean {:.5}/{:.5} p95 {:.5}/{:.5} | sat {} ev {} {:.0}k/s little {:.3}",
                        s.decode_batch, p.decode_batch, s.busy_share, s.ttft.mean_seconds, p.ttft_seconds, s.ttft.p95_seconds, p.ttft_p95_seconds,
                        tp.mean_seconds, p.tpot_seconds, tp.p95_seconds, p.tpot_p95_seconds, s.saturated, s.events, s.events as f64/secs/1e3,
                        s.concurrency / (s.requests_per_second*s.end_to_end.mean_seconds));
                }
            }
        }
    }
}
