//! The simulation of prefix caching and speculative decoding, held against the closed form and against its own laws.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::panic)]

#[path = "support/queues.rs"]
mod support;

use rackrate::catalog::Catalog;
use rackrate::inference::{EngineConstants, SimulationReport, simulate};
use rackrate::input::{Value, read};
use serde_json::{Value as Json, json};
use support::{merged, point, simulated};

/// Replicas of a dense model with a small one ahead of it, and of experts with their own layers for prediction.
fn systems() -> [(Json, Json); 2] {
    [
        (
            json!({"model": "llama-3.3-70b", "gpu": "H100-SXM", "gpus": 4, "layout": {"tp": 4}, "precision": "fp8"}),
            json!({"draft_tokens": 3, "acceptance": 0.7, "draft": "llama-3.1-8b"}),
        ),
        (
            json!({"model": "deepseek-v3", "gpu": "H200-SXM", "gpus": 8, "layout": {"tp": 8}, "precision": "fp8"}),
            json!({"draft_tokens": 1, "acceptance": 0.85, "draft": "mtp"}),
        ),
    ]
}

/// Closed form over simulation − 1, of TTFT p50, p95, TPOT p50, p95, at `share` of the rate that is sustained.
fn errors(base: &Json, (input, output, spread): (f64, f64, f64), share: f64) -> [f64; 4] {
    let told = json!({
        "input_tokens": input, "output_tokens": output, "input_spread": spread, "output_spread": spread
    });
    let at = |rate: f64| point(&merged(&merged(base, told.clone()), json!({"request_rate": rate})));
    let rate = share * at(1e-6).sustainable_request_rate;
    let ours = at(rate).percentiles.unwrap();
    let lengths = |mean: f64| json!({"mean_tokens": mean, "family": "gamma", "coefficient_of_variation": spread.sqrt()});
    let seen = simulated(&merged(
        base,
        json!({
            "request_rate": rate, "requests": 6000, "routing": "random", "input": lengths(input),
            "output": lengths(output)
        }),
    ));
    let tpot = seen.tpot.unwrap();
    [
        ours.ttft.p50_seconds / seen.ttft.p50_seconds - 1.0,
        ours.ttft.p95_seconds / seen.ttft.p95_seconds - 1.0,
        ours.tpot.p50_seconds / tpot.p50_seconds - 1.0,
        ours.tpot.p95_seconds / tpot.p95_seconds - 1.0,
    ]
}

#[test]
fn the_closed_form_agrees_with_prefix_cache_and_speculation() {
    let caches = [json!({"hit_rate": 0.5}), json!({"hit_rate": 0.6, "shared_tokens": 20_000.0})];
    for (base, speculation) in systems() {
        let tactics = [
            json!({"prefix_cache": caches[0]}),
            json!({"prefix_cache": caches[1]}),
            json!({"speculation": speculation}),
            json!({"prefix_cache": caches[0], "speculation": speculation}),
        ];
        for tactic in tactics {
            for lengths in [(1000.0, 300.0, 0.5), (4000.0, 150.0, 0.5)] {
                for share in [0.3, 0.6, 0.8] {
                    let errors = errors(&merged(&base, tactic.clone()), lengths, share);
                    for (error, held) in errors.iter().zip(support::HELD) {
                        // One cell, drafts behind a cache at 80 % use, lies at 25.3 % in the time per token's tail.
                        assert!(
                            error.abs() < held + 0.01,
                            "{} {tactic} {lengths:?} at {share}: {errors:.3?}",
                            base["model"]
                        );
                    }
                }
            }
        }
    }
}

fn base() -> Json {
    json!({
        "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "requests": 1000,
        "input": {"mean_tokens": 1000.0, "family": "lognormal", "coefficient_of_variation": 1.0},
        "output": {"mean_tokens": 200.0, "family": "gamma", "coefficient_of_variation": 0.8}
    })
}

fn run(changes: Json) -> SimulationReport {
    simulated(&merged(&base(), changes))
}

#[test]
fn nothing_found_and_nothing_accepted_change_nothing_but_the_draft() {
    let plain = run(json!({"request_rate": 8.0}));
    assert_eq!(plain.tokens_per_iteration, Some(1.0));
    let none = run(json!({"request_rate": 8.0, "prefix_cache": {"hit_rate": 0.0}}));
    assert_eq!(SimulationReport { events: plain.events, ..none }, plain);
    let draft = |acceptance: f64| json!({"request_rate": 8.0, "speculation": {"draft_tokens": 2, "acceptance": acceptance, "draft": "llama-3.1-8b"}});
    // Guesses that are never right cost their drafting; those that always are give three tokens a step.
    let (never, always) = (run(draft(0.0)), run(draft(1.0)));
    assert_eq!(never.tokens_per_iteration, Some(1.0));
    assert!(never.tpot.unwrap().p50_seconds > 1.5 * plain.tpot.unwrap().p50_seconds);
    let given = always.tokens_per_iteration.unwrap();
    assert!((2.9..=3.0).contains(&given), "{given}");
}

#[test]
fn found_tokens_are_not_read_but_lie_in_the_cache() {
    let fixed = |mean: f64| json!({"mean_tokens": mean});
    for found in [0.0, 0.5, 0.9] {
        let cache = json!({"prefix_cache": {"hit_rate": found}, "concurrency": 1});
        let lone = run(merged(&cache, json!({"input": fixed(8000.0), "output": fixed(2.0), "requests": 20})));
        let asked = json!({
            "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "input_tokens": 8000.0,
            "output_tokens": 2.0
        });
        let engine = EngineConstants::shipped();
        let host = engine.request_s + 8000.0 * engine.request_token_s;
        let alone = host + point(&merged(&asked, cache)).prefill.total_seconds;
        assert!(
            (lone.ttft.p50_seconds / alone - 1.0).abs() < 1e-3,
            "{found}: {} {alone}",
            lone.ttft.p50_seconds
        );
    }
    // Eight in flight hold their prompts in the cache whether these were read or found, but those shared lie there once.
    let held = |cache: Json| {
        let of = json!({"concurrency": 8, "input": fixed(8000.0), "output": fixed(4000.0), "requests": 40, "prefix_cache": cache});
        run(of).kv_used_share
    };
    let read = held(json!({"hit_rate": 0.0}));
    let found = held(json!({"hit_rate": 0.75}));
    let shared = held(json!({"hit_rate": 0.75, "shared_tokens": 6000.0}));
    assert!((found / read - 1.0).abs() < 0.05, "{found} {read}");
    // 6000 once, and 2000 and half an answer for each of eight.
    let expected = (6000.0 + 8.0 * 4000.0) / (8.0 * 10_000.0);
    assert!((shared / found / expected - 1.0).abs() < 0.05, "{shared} {found}");
}

#[test]
fn what_waits_says_for_what() {
    let easy = run(json!({"request_rate": 2.0}));
    assert_eq!((easy.waited_for_cache_share, easy.waited_for_sequences_share), (0.0, 0.0));
    let long = run(json!({
        "burst": true, "requests": 200, "input": {"mean_tokens": 30_000.0}, "output": {"mean_tokens": 200.0}
    }));
    assert!(long.waited_for_cache_share > 0.8 && long.waited_for_sequences_share == 0.0, "{long:?}");
    let many = run(json!({
        "burst": true, "requests": 3000, "input": {"mean_tokens": 10.0}, "output": {"mean_tokens": 50.0}
    }));
    assert!(many.waited_for_sequences_share > 0.5 && many.waited_for_cache_share == 0.0);
}

#[test]
fn speculation_gives_the_same_requests_whatever_the_load() {
    let given = |rate: f64| {
        run(json!({
            "request_rate": rate, "requests": 500, "warmup_requests": 0, "list_requests": true,
            "speculation": {"draft_tokens": 3, "acceptance": 0.6, "draft": "llama-3.1-8b"}
        }))
    };
    let (slow, fast) = (given(1.0), given(4.0));
    assert_eq!(slow.tokens_per_iteration, fast.tokens_per_iteration);
    assert_eq!(slow.request_list.unwrap().output_tokens, fast.request_list.unwrap().output_tokens);
    assert_eq!(given(1.0).ttft, given(1.0).ttft);
}

#[test]
fn tactics_that_cannot_be_are_refused_by_name() {
    let spec = |tokens: u32, acceptance: f64, draft: &str| json!({"burst": true, "speculation": {"draft_tokens": tokens, "acceptance": acceptance, "draft": draft}});
    for (changes, field, code) in [
        (json!({"burst": true, "prefix_cache": {"hit_rate": 1.0}}), "prefix_cache.hit_rate", "out_of_range"),
        (
            // Fewer than a prompt finds among them.
            json!({"burst": true, "prefix_cache": {"hit_rate": 0.5, "shared_tokens": 100.0}}),
            "prefix_cache.shared_tokens",
            "conflict",
        ),
        (
            json!({"burst": true, "prefix_cache": {"hit_rate": 0.5, "shared_tokens": -1.0}}),
            "prefix_cache.shared_tokens",
            "out_of_range",
        ),
        (
            json!({"burst": true, "phase": "decode", "prefix_cache": {"hit_rate": 0.5}}),
            "prefix_cache",
            "conflict",
        ),
        (spec(0, 0.5, "llama-3.1-8b"), "speculation.draft_tokens", "out_of_range"),
        (spec(2, 1.5, "llama-3.1-8b"), "speculation.acceptance", "out_of_range"),
        (spec(2, 0.5, "mtp"), "speculation.draft", "unsupported"),
        (spec(2, 0.5, "qwen3-8b"), "speculation.draft", "conflict"),
        (
            merged(
                &spec(8, 0.1, "llama-3.1-8b"),
                json!({"requests": 900_000, "output": {"mean_tokens": 1e6}}),
            ),
            "requests",
            "conflict",
        ),
    ] {
        let value: Value = serde_json::from_value(merged(&base(), changes.clone())).unwrap();
        let error = read(&value).and_then(|r| simulate(Catalog::embedded().unwrap(), &r)).unwrap_err();
        assert_eq!((error.field(), error.code()), (field, code), "{changes}: {error}");
    }
}
