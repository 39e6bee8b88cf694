//! The simulation of serving: its laws, its refusals, and how well the closed form of queues agrees with it.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::panic)]

#[path = "support/queues.rs"]
mod support;

use rackrate::catalog::Catalog;
use rackrate::inference::{EngineConstants, ServingPointRequest, SimulationReport, serving_point, simulate};
use rackrate::input::{Value, read};
use serde_json::{Value as Json, json};
use support::{merged, simulated};

fn base() -> Json {
    json!({
        "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "requests": 2000,
        "input": {"mean_tokens": 1000.0, "family": "lognormal", "coefficient_of_variation": 1.0},
        "output": {"mean_tokens": 200.0, "family": "gamma", "coefficient_of_variation": 0.8}
    })
}

fn run(changes: Json) -> SimulationReport {
    simulated(&merged(&base(), changes))
}

fn refused(changes: Json) -> (String, &'static str) {
    let value: Value = serde_json::from_value(merged(&base(), changes)).unwrap();
    let error = read(&value).and_then(|r| simulate(Catalog::embedded().unwrap(), &r)).unwrap_err();
    (error.field().to_owned(), error.code())
}

#[test]
fn the_closed_form_agrees_with_the_simulation() {
    // Half of the cells of METHODS.md, which names the corners that are outside of 15 % (p50) and 25 % (p95).
    let cells = support::cells(support::REQUESTS, &support::SYSTEMS[1..3]);
    assert_eq!(cells.len(), 180);
    for (at, (name, share)) in
        [("TTFT p50", 0.95), ("TTFT p95", 0.98), ("TPOT p50", 0.93), ("TPOT p95", 0.85)]
            .into_iter()
            .enumerate()
    {
        let within = cells.iter().filter(|c| c.errors[at].abs() <= support::HELD[at]).count();
        assert!(within as f64 >= share * cells.len() as f64, "{name}: {within} of {} cells", cells.len());
        let mut errors: Vec<f64> = cells.iter().map(|c| c.errors[at].abs()).collect();
        errors.sort_by(f64::total_cmp);
        assert!(errors[errors.len() / 2] < 0.08, "{name}: median {}", errors[errors.len() / 2]);
    }
}

/// A replica that only reads prompts, as in a pool of its own: 4,000 tokens that spread as Azure's conversations do.
#[test]
fn prompts_alone_wait_and_spread_as_in_the_simulation() {
    let replica = json!({
        "model": "llama-3.3-70b", "shape": "BM.GPU.H100.8", "gpu": null, "gpus": 8, "layout": {"tp": 8},
        "precision": "fp8"
    });
    let spread = 0.922;
    for rate in [0.05, 0.8, 3.0, 6.0] {
        let lengths = json!({
            "input_tokens": 4000.0, "output_tokens": 1.0, "input_spread": spread, "request_rate": rate
        });
        let point = merged(&replica, lengths);
        let point: ServingPointRequest = serde_json::from_value(point).unwrap();
        let point = serving_point(Catalog::embedded().unwrap(), &point).unwrap();
        let run = simulated(&merged(
            &replica,
            json!({
                "request_rate": rate, "requests": 20_000, "output": {"mean_tokens": 1.0}, "phase": "prefill",
                "input": {"mean_tokens": 4000.0, "family": "gamma", "coefficient_of_variation": f64::sqrt(spread)}
            }),
        ));
        let told = point.percentiles.unwrap().ttft;
        let off = |ours: f64, theirs: f64| (ours / theirs - 1.0).abs();
        assert!(off(told.p50_seconds, run.ttft.p50_seconds) < 0.15, "{rate}: {told:?} {:?}", run.ttft);
        assert!(off(told.p95_seconds, run.ttft.p95_seconds) < 0.25, "{rate}: {told:?} {:?}", run.ttft);
        assert_eq!(told.p95_seconds, point.ttft_p95_seconds);
    }
}

#[test]
fn a_seed_gives_its_bits_and_another_seed_others() {
    let at = |seed: u64| run(json!({"request_rate": 8.0, "seed": seed, "list_requests": true}));
    assert_eq!(at(3), at(3));
    assert_ne!(at(3).ttft, at(4).ttft);
}

#[test]
fn a_higher_rate_is_no_quicker_and_more_replicas_are_no_slower() {
    // The same seed gives the same requests at other times: means differ by little but what the load does.
    let mut last: Option<SimulationReport> = None;
    for rate in [1.0, 3.0, 6.0, 9.0, 12.0] {
        let report = run(json!({"request_rate": rate}));
        if let Some(slower) = &last {
            assert!(report.ttft.mean_seconds >= slower.ttft.mean_seconds * 0.99, "{rate}");
            assert!(report.tpot.unwrap().mean_seconds >= slower.tpot.unwrap().mean_seconds * 0.99, "{rate}");
        }
        last = Some(report);
    }
    let one = run(json!({"request_rate": 10.0}));
    for gpus in [2, 4] {
        for routing in ["least_loaded", "round_robin", "random"] {
            let more = run(json!({"request_rate": 10.0, "gpus": gpus, "routing": routing}));
            assert!(more.ttft.p95_seconds <= one.ttft.p95_seconds, "{gpus} {routing}");
            assert!(more.tpot.unwrap().p95_seconds <= one.tpot.unwrap().p95_seconds, "{gpus} {routing}");
        }
    }
}

#[test]
fn requests_are_conserved() {
    for (load, requests) in [
        (json!({"request_rate": 5.0}), 8000),
        (json!({"request_rate": 10.0, "gpus": 2}), 8000),
        (json!({"concurrency": 40}), 4000),
        (json!({"concurrency": 3, "phase": "decode"}), 2000),
        (json!({"request_rate": 4.0, "phase": "prefill"}), 8000),
    ] {
        let report = run(merged(&load, json!({"requests": requests})));
        // Little's law: in flight = rate × time; the window's ends are a few requests in thousands.
        let by_little = report.requests_per_second * report.end_to_end.mean_seconds;
        assert!(
            (report.concurrency / by_little - 1.0).abs() < 0.03,
            "{load}: {} {by_little}",
            report.concurrency
        );
        assert!(!report.saturated, "{load}");
        assert!(report.busy_share <= 1.0 + 1e-9 && report.kv_used_share <= 1.0);
    }
    let burst = run(json!({"burst": true, "requests": 500}));
    let total = burst.requests_per_second * burst.window_seconds;
    assert!((total - 500.0).abs() < 1e-6, "{total}");
    assert_eq!(burst.requests, 500);
}

#[test]
fn one_request_alone_takes_its_prefill_and_its_steps() {
    let fixed = |mean: f64| json!({"mean_tokens": mean});
    let lone = run(json!({"concurrency": 1, "input": fixed(2000.0), "output": fixed(50.0), "requests": 20}));
    let point = support::point(&json!({
        "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "concurrency": 1.0,
        "input_tokens": 2000.0, "output_tokens": 50.0
    }));
    // The host's work on a request comes before its prompt.
    let engine = EngineConstants::shipped();
    let alone = engine.request_s + 2000.0 * engine.request_token_s + point.prefill.total_seconds;
    assert!((lone.ttft.mean_seconds / alone - 1.0).abs() < 1e-9);
    assert!((lone.tpot.unwrap().mean_seconds / point.tpot_seconds - 1.0).abs() < 0.01);
    let first = run(
        json!({"concurrency": 1, "input": fixed(2000.0), "phase": "prefill", "output": null, "requests": 5}),
    );
    assert!((first.ttft.p50_seconds / lone.ttft.p50_seconds - 1.0).abs() < 1e-9);
    assert_eq!(first.tpot, None);
}

#[test]
fn past_saturation_it_says_so() {
    let report = run(json!({"request_rate": 200.0, "requests": 8000}));
    assert!(report.saturated && report.utilisation.unwrap() > 1.0);
    assert!(report.warnings.iter().any(|w| w.code == "saturated"));
    let peak = report.timeline.waiting.iter().fold(0.0_f64, |a, b| a.max(*b));
    assert!(peak > 100.0, "{peak}");
}

#[test]
fn a_trace_is_replayed() {
    let (_, text) = support::TRACES[1];
    let asked =
        json!({"input": null, "output": null, "requests": null, "trace_csv": text, "list_requests": true});
    let report = run(asked.clone());
    let rows = text.lines().count() - 1;
    assert_eq!(report.requests as usize, rows);
    let list = report.request_list.unwrap();
    assert_eq!(list.input_tokens.len(), rows);
    // The second row of the file.
    let second: Vec<f64> = text.lines().nth(2).unwrap().split(',').map(|c| c.parse().unwrap()).collect();
    assert!((list.arrival_seconds[1] - second[0]).abs() < 1e-9);
    assert_eq!((list.input_tokens[1], list.output_tokens[1]), (second[1], second[2]));
    let faster = run(merged(&asked, json!({"trace_speed": 10.0})));
    assert!(faster.ttft.mean_seconds > report.ttft.mean_seconds);
}

#[test]
fn a_spread_is_the_square_of_a_coefficient_of_variation() {
    let with = |input: Json| run(json!({"request_rate": 4.0, "requests": 500, "input": input}));
    for family in ["uniform", "gamma", "lognormal"] {
        let by_cv = with(json!({"mean_tokens": 1000.0, "family": family, "coefficient_of_variation": 0.5}));
        let squared = with(json!({"mean_tokens": 1000.0, "family": family, "spread": 0.25}));
        assert_eq!(by_cv, squared, "{family}");
    }
}

#[test]
fn bad_requests_name_their_field() {
    for (changes, field, code) in [
        (json!({}), "request_rate", "missing_field"),
        (json!({"request_rate": 1.0, "burst": true}), "request_rate", "conflict"),
        (json!({"request_rate": 0.0}), "request_rate", "out_of_range"),
        (json!({"concurrency": 0}), "concurrency", "out_of_range"),
        (json!({"burst": true, "requests": 0}), "requests", "out_of_range"),
        (json!({"burst": true, "requests": 2_000_000}), "requests", "out_of_range"),
        (json!({"burst": true, "warmup_requests": 1_000_000}), "warmup_requests", "out_of_range"),
        (json!({"burst": true, "trace_speed": 2.0}), "trace_speed", "conflict"),
        (json!({"burst": true, "input": null}), "input", "missing_field"),
        (json!({"burst": true, "input": {"mean_tokens": 0.5}}), "input.mean_tokens", "out_of_range"),
        (
            json!({"burst": true, "input": {"mean_tokens": 5.0, "coefficient_of_variation": 1.0}}),
            "input.coefficient_of_variation",
            "conflict",
        ),
        (
            json!({"burst": true, "input": {"mean_tokens": 5.0, "family": "gamma"}}),
            "input.coefficient_of_variation",
            "missing_field",
        ),
        (
            json!({"burst": true, "input": {
                "mean_tokens": 5.0, "family": "gamma", "coefficient_of_variation": 1.0, "spread": 1.0
            }}),
            "input.spread",
            "conflict",
        ),
        (
            json!({"burst": true, "input": {"mean_tokens": 5.0, "family": "gamma", "spread": 101.0}}),
            "input.spread",
            "out_of_range",
        ),
        (
            json!({"burst": true, "input": {"mean_tokens": 5.0, "family": "gama"}}),
            "input.family",
            "unknown_name",
        ),
        (json!({"burst": true, "trace_csv": "input_tokens,output_tokens\n1,1\n"}), "input", "conflict"),
        (json!({"burst": true, "gpus": 0}), "gpus", "out_of_range"),
        (json!({"burst": true, "seed": -1}), "seed", "out_of_range"),
        (json!({"burst": true, "gpus": 100_000}), "gpus", "conflict"),
        (json!({"burst": true, "model": "llama-9"}), "model", "unknown_name"),
    ] {
        assert_eq!(refused(changes.clone()), (field.to_owned(), code), "{changes}");
    }
}

#[test]
fn the_closed_form_stands_beside_it() {
    let report = run(json!({"request_rate": 8.0}));
    let beside = report.beside.unwrap();
    let point = support::point(&json!({
        "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "request_rate": 8.0,
        "input_tokens": 1000.0, "output_tokens": 200.0, "input_spread": 1.0, "output_spread": 0.8 * 0.8
    }));
    assert_eq!(beside.latencies, point.percentiles);
    assert_eq!((beside.request_rate, beside.saturated), (8.0, false));
    // A trace's own rate, as it is replayed: four requests in three seconds.
    let trace = json!({
        "arrival_seconds": [5.0, 6.0, 7.0, 8.0], "input_tokens": [10.0, 20.0, 30.0, 40.0],
        "output_tokens": [9.0, 9.0, 9.0, 9.0]
    });
    let asked = json!({"input": null, "output": null, "requests": null, "trace": trace});
    let beside = |changes: Json| run(merged(&asked, changes)).beside.map(|b| b.request_rate);
    assert_eq!(beside(json!({})), Some(1.0));
    assert_eq!(beside(json!({"trace_speed": 3.0})), Some(3.0));
    assert_eq!(run(json!({"burst": true})).beside, None);
    assert_eq!(run(json!({"request_rate": 8.0, "phase": "decode"})).beside, None);
    let full = run(json!({"request_rate": 500.0})).beside.unwrap();
    assert!(full.saturated && full.latencies.is_none());
}

#[test]
fn the_distribution_is_that_of_its_percentiles() {
    let report = run(json!({"request_rate": 8.0}));
    let told = &report.distribution;
    assert_eq!((told.share.len(), told.share[95], told.share[100]), (101, 0.95, 1.0));
    assert_eq!(told.ttft_seconds[95], report.ttft.p95_seconds);
    assert_eq!(told.tpot_seconds[50], report.tpot.unwrap().p50_seconds);
    assert_eq!(told.end_to_end_seconds[99], report.end_to_end.p99_seconds);
    assert!(told.ttft_seconds.is_sorted() && told.end_to_end_seconds.is_sorted());
    let prompts = run(json!({"request_rate": 8.0, "phase": "prefill"}));
    assert!(prompts.distribution.tpot_seconds.is_empty());
}
