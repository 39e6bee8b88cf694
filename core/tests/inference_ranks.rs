//! Attention ranks that meet in the experts under random arrivals: the closed form beside the simulation, and its laws.
#![allow(clippy::unwrap_used)]

#[path = "support/queues.rs"]
mod support;

use serde_json::{Value as Json, json};
use support::{merged, point, simulated};

/// Model, GPU, tensor and attention ranks, precision.
const SYSTEMS: [(&str, &str, u32, u32, &str); 3] = [
    ("deepseek-v3", "H200-SXM", 1, 8, "fp8"),
    ("gpt-oss-120b", "H100-SXM", 1, 4, "bf16"),
    ("deepseek-v3", "GB200", 1, 32, "nvfp4"),
];

fn replica((model, gpu, tp, dp, precision): (&str, &str, u32, u32, &str)) -> Json {
    json!({
        "model": model, "gpu": gpu, "gpus": tp * dp, "layout": {"tp": tp, "dp": dp, "ep": tp * dp}, "precision": precision
    })
}

/// Closed form over simulation − 1 of TTFT p50, p95, TPOT p50, p95, at every load below 85 % of the sustainable rate.
#[test]
fn the_closed_form_agrees_with_the_simulation() {
    let mut cells: Vec<[f64; 4]> = Vec::new();
    for system in SYSTEMS {
        let base = replica(system);
        for (input, output) in [(1000.0, 300.0), (4000.0, 100.0), (200.0, 1000.0)] {
            for spread in [0.0_f64, 0.5, 1.0] {
                let told = json!({
                    "input_tokens": input, "output_tokens": output, "input_spread": spread, "output_spread": spread
                });
                let at =
                    |rate: f64| point(&merged(&merged(&base, told.clone()), json!({"request_rate": rate})));
                let most = at(1e-6).sustainable_request_rate;
                let lengths = |mean: f64| match spread > 0.0 {
                    true => {
                        json!({"mean_tokens": mean, "family": "gamma", "coefficient_of_variation": spread.sqrt()})
                    }
                    false => json!({"mean_tokens": mean}),
                };
                for utilisation in [0.1, 0.4, 0.7] {
                    let rate = utilisation * most;
                    let asked = json!({
                        "input": lengths(input), "output": lengths(output), "request_rate": rate, "requests": 4000
                    });
                    let (ours, seen) = (at(rate).percentiles.unwrap(), simulated(&merged(&base, asked)));
                    let tpot = seen.tpot.unwrap();
                    cells.push([
                        ours.ttft.p50_seconds / seen.ttft.p50_seconds - 1.0,
                        ours.ttft.p95_seconds / seen.ttft.p95_seconds - 1.0,
                        ours.tpot.p50_seconds / tpot.p50_seconds - 1.0,
                        ours.tpot.p95_seconds / tpot.p95_seconds - 1.0,
                    ]);
                }
            }
        }
    }
    for (at, (name, share, median)) in [
        ("TTFT p50", 0.85, 0.05),
        ("TTFT p95", 0.88, 0.08),
        ("TPOT p50", 0.82, 0.06),
        ("TPOT p95", 0.9, 0.06),
    ]
    .into_iter()
    .enumerate()
    {
        let mut errors: Vec<f64> = cells.iter().map(|cell| cell[at].abs()).collect();
        errors.sort_by(f64::total_cmp);
        let within = errors.iter().filter(|e| **e <= support::HELD[at]).count();
        let middle = errors[errors.len() / 2];
        assert!(within as f64 >= share * errors.len() as f64, "{name}: {within} of {}", errors.len());
        assert!(middle < median, "{name}: {middle}");
    }
}

/// Under endless demand as many requests are answered as the closed form takes as sustainable: prompts shorter and longer than an
/// iteration may read, of few ranks and of many, with and without hits in a prefix cache. More hits mean less work but, as long as one
/// rank reads as much as it may, no shorter iterations: tokens that are read attend to those that are found.
#[test]
fn endless_demand_gets_the_sustainable_rate() {
    let mut errors = Vec::new();
    for (dp, input, output) in
        [(4, 2000.0, 300.0), (8, 12_000.0, 500.0), (16, 9000.0, 300.0), (32, 16_000.0, 100.0)]
    {
        for (spread, hits) in [(0.05_f64, 0.0), (0.922, 0.0), (0.922, 0.5)] {
            let base = merged(
                &replica(("deepseek-v3", if dp == 4 { "GB200" } else { "H200-SXM" }, 1, dp, "fp8")),
                json!({"prefix_cache": {"hit_rate": hits}}),
            );
            let told = json!({
                "input_tokens": input, "output_tokens": output, "input_spread": spread, "output_spread": spread
            });
            let at = |rate: f64| point(&merged(&merged(&base, told.clone()), json!({"request_rate": rate})));
            let most = at(1e-6).sustainable_request_rate;
            let in_flight = at(2.0 * most).decode_batch;
            let of = |mean: f64| json!({"mean_tokens": mean, "family": "gamma", "coefficient_of_variation": spread.sqrt()});
            let seen = simulated(&merged(
                &base,
                json!({
                    "input": of(input), "output": of(output), "request_rate": 2.0 * most,
                    "warmup_requests": (5.0 * in_flight) as u32, "requests": (2.5 * in_flight).max(2000.0) as u32
                }),
            ));
            errors.push((most / seen.requests_per_second - 1.0, dp, input, spread, hits));
        }
    }
    println!("{errors:.3?}");
    assert!(errors.iter().all(|error| error.0.abs() < 0.1), "{errors:.3?}");
}

/// One rank's prompt holds up all: tokens come more slowly than from ranks that read at the same time, and no quicker at a higher
/// rate.
#[test]
fn a_rank_that_reads_holds_up_the_others() {
    let base = merged(
        &replica(SYSTEMS[0]),
        json!({"input_tokens": 2048.0, "output_tokens": 128.0, "input_spread": 0.0, "output_spread": 0.0}),
    );
    let mut last = 0.0;
    for rate in [0.01, 0.5, 1.0, 2.0, 4.0, 8.0] {
        let point = point(&merged(&base, json!({"request_rate": rate})));
        assert!(!point.saturated && point.warnings.iter().all(|w| w.code != "ranks_aligned"));
        assert!(point.tpot_seconds >= last * 0.999, "{rate}: {} {last}", point.tpot_seconds);
        last = point.tpot_seconds;
        // Almost alone nobody is held up; at 4 a second each of the answer's iterations may be.
        let stalled = point.tpot_seconds / point.decode.total_seconds;
        assert!(if rate < 0.1 { stalled < 1.05 } else { stalled > 1.0 }, "{rate}: {stalled}");
        if rate >= 4.0 {
            assert!(stalled > 1.5, "{rate}: {stalled}");
        }
    }
}
