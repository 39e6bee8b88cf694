//! Pools apart, prefix caching and speculation: known points, refusals, laws.
#![allow(clippy::unwrap_used)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::{ServingPoint, ServingPointRequest, serving_point};
use rackrate::input::{Value, read};
use serde_json::{Value as Json, json};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

/// DeepSeek-V3 on two nodes of H200 with `changes` laid over it; `null` takes a field away.
fn point(changes: &Json) -> Result<ServingPoint, Error> {
    let mut base = json!({
        "model": "deepseek-v3", "shape": "BM.GPU.H200.8", "gpus": 16, "layout": {"tp": 8},
        "input_tokens": 2000.0, "output_tokens": 300.0, "request_rate": 1.0, "precision": "fp8"
    });
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    let value: Value = serde_json::from_value(base).unwrap();
    let request: ServingPointRequest = read(&value)?;
    serving_point(catalog(), &request)
}

fn apart() -> Json {
    json!({"disaggregated": {"prefill_layout": {"tp": 8}, "prefill_gpus": 8}})
}

/// `changes` and `more`.
fn with(changes: &Json, more: Json) -> Json {
    let mut out = changes.clone();
    for (key, value) in more.as_object().unwrap() {
        out[key] = value.clone();
    }
    out
}

#[test]
fn bad_requests_name_their_field() {
    let llama = json!({"model": "llama-3.3-70b", "layout": {"tp": 4}});
    let spec = |draft: &str| json!({"speculation": {"draft_tokens": 3, "acceptance": 0.7, "draft": draft}});
    let pools = |prefill: Json| json!({"disaggregated": prefill});
    for (change, field, code) in [
        (json!({"prefix_cache": {"hit_rate": 1.0}}), "prefix_cache.hit_rate", "out_of_range"),
        (json!({"prefix_cache": {"hit_rate": -0.1}}), "prefix_cache.hit_rate", "out_of_range"),
        (
            json!({"prefix_cache": {"hit_rate": 0.5, "shared_tokens": 10.0}}),
            "prefix_cache.shared_tokens",
            "out_of_range",
        ),
        (json!({"prefix_cache": {}}), "prefix_cache.hit_rate", "missing_field"),
        (
            json!({"speculation": {"draft_tokens": 0, "acceptance": 0.7, "draft": "mtp"}}),
            "speculation.draft_tokens",
            "out_of_range",
        ),
        (
            json!({"speculation": {"draft_tokens": 3, "acceptance": 1.1, "draft": "mtp"}}),
            "speculation.acceptance",
            "out_of_range",
        ),
        (
            json!({"speculation": {"draft_tokens": 3, "acceptance": 0.7}}),
            "speculation.draft",
            "missing_field",
        ),
        (with(&llama, spec("mtp")), "speculation.draft", "unsupported"),
        (with(&llama, spec("llama-3.2-2b")), "speculation.draft", "unknown_name"),
        (with(&llama, spec("qwen3-8b")), "speculation.draft", "conflict"),
        (pools(json!({"prefill_layout": {"tp": 3}})), "disaggregated.prefill_layout.tp", "indivisible"),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "prefill_gpus": 0})),
            "disaggregated.prefill_gpus",
            "out_of_range",
        ),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "prefill_gpus": 4})),
            "disaggregated.prefill_gpus",
            "conflict",
        ),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "prefill_gpus": 16})),
            "disaggregated.prefill_gpus",
            "out_of_range",
        ),
        (pools(json!({"prefill_layout": {"tp": 16}})), "gpus", "conflict"),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "decode_gpus": 8})),
            "disaggregated.decode_gpus",
            "unknown_field",
        ),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "transfer": "never"})),
            "disaggregated.transfer",
            "unknown_name",
        ),
    ] {
        let error = point(&change).unwrap_err();
        assert_eq!((error.field(), error.code()), (field, code), "{change}: {error}");
    }
}

#[test]
fn show() {
    let plain = point(&json!({})).unwrap();
    println!("{:#?}", (plain.ttft_seconds, plain.tpot_seconds, plain.sustainable_request_rate));
    let p = point(&apart()).unwrap();
    println!("{p:#?}");
    let qwen = json!({"model": "qwen3-32b", "shape": null, "gpu": "B200-SXM", "gpus": 64, "layout": {"tp": 4},
        "input_tokens": 15000.0, "output_tokens": 500.0, "request_rate": null, "concurrency": 480.0, "precision": "nvfp4",
        "disaggregated": {"prefill_layout": {"tp": 1}, "prefill_gpus": 40}});
    let p = point(&qwen).unwrap();
    println!("qwen measured ttft 1.436 tpot 10.6ms; {:#?}", p);
    for (k, a, rate) in [(0, 0.0, 60.4), (2, 0.696, 81.5), (3, 0.6625, 82.0)] {
        let mut r = json!({"gpus": 32, "layout": {"tp":1,"dp":16,"ep":16}, "input_tokens": 65536.0, "output_tokens": 4096.0,
            "request_rate": null, "concurrency": 32.0,
            "disaggregated": {"prefill_layout": {"tp":1,"dp":16,"ep":16}, "prefill_gpus": 16}});
        if k > 0 {
            r["speculation"] = json!({"draft_tokens": k, "acceptance": a, "draft": "mtp"});
        }
        let p = point(&r).unwrap();
        println!(
            "k {k} measured {rate} predicted {} tpi {} {:?}",
            2.0 / p.tpot_seconds,
            p.tokens_per_iteration,
            p.decode
        );
    }
}
