#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use rackrate::catalog::Catalog;
use rackrate::inference::*;
use rackrate::input::{Value, read};
use serde_json::json;

fn main() {
    let catalog = Catalog::embedded().unwrap();
    let full = std::env::args().nth(1).is_some();
    let cases = [
        ("llama-3.1-8b", "H100-SXM", json!({"tp":1}), 1, "bf16"),
        ("llama-3.3-70b", "H100-SXM", json!({"tp":8}), 8, "fp8"),
        ("deepseek-v3", "H200-SXM", json!({"tp":8}), 8, "fp8"),
        ("llama-3.3-70b", "H100-SXM", json!({"tp":2, "pp":2}), 4, "fp8"),
    ];
    let mut errors: Vec<(String, [f64; 4])> = vec![];
    for (model, gpu, layout, gpus, precision) in cases {
        for (input, output) in [(1000.0, 300.0), (4000.0, 100.0), (200.0, 1000.0), (2048.0, 28.0)] {
            for scv in [0.0, 0.5, 1.0, 2.0] {
                for u in [0.1, 0.3, 0.5, 0.7, 0.85] {
                    let base = |rate: f64| {
                        let v: Value = serde_json::from_value(json!({"model": model, "gpu": gpu, "gpus": gpus, "layout": layout, "precision": precision,
                            "input_tokens": input, "output_tokens": output, "request_rate": rate, "input_spread": scv, "output_spread": scv})).unwrap();
                        serving_point(catalog, &read(&v).unwrap()).unwrap()
                    };
                    let rate = base(1e-6).sustainable_request_rate * u;
                    let p = base(rate);
                    let l = |m: f64| if scv > 0.0 { json!({"mean_tokens": m, "family": "gamma", "coefficient_of_variation": f64::sqrt(scv)}) } else { json!({"mean_tokens": m}) };
                    let v: Value = serde_json::from_value(json!({"model": model, "gpu": gpu, "gpus": gpus, "layout": layout, "precision": precision,
                            "input": l(input), "output": l(output), "request_rate": rate, "requests": 20000, "routing": "random"})).unwrap();
                    let s = simulate(catalog, &read(&v).unwrap()).unwrap();
                    let tp = s.tpot.unwrap();
                    let q = p.percentiles.unwrap();
                    let e = [q.ttft.p50_seconds/s.ttft.p50_seconds-1.0, q.ttft.p95_seconds/s.ttft.p95_seconds-1.0, q.tpot.p50_seconds/tp.p50_seconds-1.0, q.tpot.p95_seconds/tp.p95_seconds-1.0];
                    let bad = e[0].abs()>0.15 || e[1].abs()>0.25 || e[2].abs()>0.15 || e[3].abs()>0.25;
                    let name = format!("{model} {layout} {input}/{output} scv {scv} u {u:.2}");
                    if bad || full {
                    println!("{name:60} B {:.1}/{:.1} kv {:.2} | ttft mean {:.4}/{:.4} p50 {:.4}/{:.4} p95 {:.4}/{:.4} | tpot mean {:.5}/{:.5} p50 {:.5}/{:.5} p95 {:.5}/{:.5} | {} {:.0?}%",
                        s.decode_batch, p.decode_batch / f64::from(p.layout.pp), s.kv_used_share, s.ttft.mean_seconds, q.ttft.mean_seconds, s.ttft.p50_seconds, q.ttft.p50_seconds, s.ttft.p95_seconds, q.ttft.p95_seconds,
                        tp.mean_seconds, q.tpot.mean_seconds, tp.p50_seconds, q.tpot.p50_seconds, tp.p95_seconds, q.tpot.p95_seconds, if s.saturated {"SAT"} else {""}, e.map(|x| x*100.0));
                    }
                    errors.push((name, e));
                }
            }
        }
    }
    let ok = errors.iter().filter(|(_, e)| !(e[0].abs()>0.15 || e[1].abs()>0.25 || e[2].abs()>0.15 || e[3].abs()>0.25)).count();
    println!("{ok} of {}", errors.len());
    for u in ["u 0.10", "u 0.30", "u 0.50", "u 0.70", "u 0.85"] {
        let max = |i: usize| errors.iter().filter(|(n, _)| n.ends_with(u)).map(|(_, e)| e[i]).fold((0.0_f64, 0.0_f64), |a, x| (a.0.min(x), a.1.max(x)));
        let frac = |i: usize, t: f64| errors.iter().filter(|(n, e)| n.ends_with(u) && e[i].abs() > t).count();
        println!("{u}: ttft50 {:.2?} ({}) ttft95 {:.2?} ({}) tpot50 {:.2?} ({}) tpot95 {:.2?} ({})", max(0), frac(0,0.15), max(1), frac(1, 0.25), max(2), frac(2,0.15), max(3), frac(3,0.25));
    }
}
