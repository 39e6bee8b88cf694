//! Kinds of load and engines through the public door: what each needs, and how they compare.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::{ServingPoint, ServingPointRequest, serving_point};

/// A 70B model on four H100 with `changes` laid over it.
fn point(changes: serde_json::Value) -> Result<ServingPoint, Error> {
    let mut base = serde_json::json!({
        "model": "llama-3.3-70b", "shape": "BM.GPU.H100.8", "gpus": 4, "layout": {"tp": 4},
        "input_tokens": 1000.0, "output_tokens": 500.0, "precision": "fp8"
    });
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    let request: ServingPointRequest = serde_json::from_value(base).unwrap();
    serving_point(Catalog::embedded().unwrap(), &request)
}

fn good(changes: serde_json::Value) -> ServingPoint {
    point(changes).unwrap()
}

#[test]
fn a_load_names_what_it_lacks_and_what_it_has_no_use_for() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (change, field, code) in [
        (r#"{"load": "closed_loop"}"#, "concurrency", "missing_field"),
        (r#"{"load": "poisson", "concurrency": 4.0}"#, "concurrency", "conflict"),
        (r#"{"load": "poisson", "request_rate": 1.0, "requests": 9.0}"#, "requests", "conflict"),
        (r#"{"load": "offline", "request_rate": 1.0}"#, "request_rate", "conflict"),
        (r#"{"load": "burst"}"#, "requests", "missing_field"),
        (r#"{"load": "burst", "requests": 0.5}"#, "requests", "out_of_range"),
        (r#"{"load": "static_batch"}"#, "concurrency", "missing_field"),
        (r#"{"load": "prefill_only", "concurrency": 4.0}"#, "concurrency", "conflict"),
        (r#"{"load": "decode_only", "requests": 4.0}"#, "concurrency", "missing_field"),
        // A run with an end drains at spreads between alike and exponential.
        (r#"{"concurrency": 4.0, "requests": 9.0, "output_spread": 1.5}"#, "output_spread", "out_of_range"),
        (r#"{"request_rate": 1.0, "output_spread": 101.0}"#, "output_spread", "out_of_range"),
        (r#"{"request_rate": 1.0, "input_spread": -0.1}"#, "input_spread", "out_of_range"),
        (
            r#"{"concurrency": 4.0, "engine": {"family": "vllm", "year": 2022}}"#,
            "engine.year",
            "out_of_range",
        ),
        (
            r#"{"concurrency": 4.0, "engine": {"family": "vllm", "year": 2027}}"#,
            "engine.year",
            "out_of_range",
        ),
    ] {
        let error = point(json(change)).unwrap_err();
        assert_eq!((error.field(), error.code()), (field, code), "{change}");
    }
}

#[test]
fn the_engine_is_said_and_age_costs() {
    let none = good(serde_json::json!({"concurrency": 16.0}));
    assert!(none.engine.contains("current engine") && none.engine.contains("2026"), "{}", none.engine);
    let at = |class: &str, year: u32| {
        good(serde_json::json!({"concurrency": 16.0, "engine": {"family": class, "year": year}}))
    };
    for class in ["tensorrt_llm", "vllm", "sglang"] {
        let (old, new) = (at(class, 2023), at(class, 2026));
        assert!(old.tpot_seconds > new.tpot_seconds && old.ttft_seconds > new.ttft_seconds, "{class}");
        assert!(new.engine.contains(class) && old.engine.contains("2023"));
        // One model for all: a class is a factor near the common engine, not another one.
        let ratio = new.tpot_seconds / none.tpot_seconds;
        assert!((0.5..2.0).contains(&ratio), "{class} {ratio}");
    }
}

#[test]
fn a_run_with_an_end_nears_the_endless_one() {
    let endless = good(serde_json::json!({"load": "offline"})).output_tokens_per_second;
    let mut last = 0.0;
    for requests in [100.0, 1_000.0, 10_000.0, 100_000.0] {
        let p = good(serde_json::json!({"load": "offline", "requests": requests, "output_spread": 0.0}));
        assert!(p.output_tokens_per_second >= last, "{requests}");
        last = p.output_tokens_per_second;
    }
    assert!((last / endless - 1.0).abs() < 0.05, "{last} {endless}");
    let alike = good(serde_json::json!({"load": "burst", "requests": 1000.0, "output_spread": 0.0}));
    let spread = good(serde_json::json!({"load": "burst", "requests": 1000.0}));
    // The longest answer of a spread batch ends the run.
    assert!(spread.output_tokens_per_second < alike.output_tokens_per_second);
}

#[test]
fn a_load_generator_starts_all_at_once() {
    let mixed = good(serde_json::json!({"concurrency": 64.0}));
    let run = |requests: f64, scv: f64| {
        good(serde_json::json!({"concurrency": 64.0, "requests": requests, "output_spread": scv}))
    };
    let (short, long) = (run(64.0, 0.0), run(6_400.0, 0.0));
    assert!(short.ttft_seconds > long.ttft_seconds && long.ttft_seconds > mixed.ttft_seconds);
    assert!(run(6_400.0, 1.0).ttft_seconds < long.ttft_seconds);
    assert_eq!(short.tpot_seconds, mixed.tpot_seconds);
}

#[test]
fn one_phase_alone_is_faster_than_both() {
    let both = good(serde_json::json!({"load": "offline"}));
    let batch = both.decode_batch;
    let decode = good(serde_json::json!({"load": "decode_only", "concurrency": batch}));
    assert!(decode.tpot_seconds < both.tpot_seconds);
    assert!(
        (decode.output_tokens_per_second - batch / decode.tpot_seconds).abs()
            < 1e-6 * batch / decode.tpot_seconds
    );
    let prefill = good(serde_json::json!({"load": "prefill_only"}));
    assert!(prefill.requests_per_second > both.requests_per_second);
    let one = good(serde_json::json!({"load": "static_batch", "concurrency": 8.0}));
    let seconds = one.ttft_seconds + 499.0 * one.tpot_seconds;
    assert!((one.requests_per_second - 8.0 / seconds).abs() < 1e-9);
    let over = good(serde_json::json!({"load": "static_batch", "concurrency": 1e6}));
    assert!(over.warnings.iter().any(|w| w.code == "requests_wait"));
}
