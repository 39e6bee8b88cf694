//! Serving through the public door: known points, refusals with their fields, fleets and the search.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::{
    Packing, Redundancy, ServingPoint, ServingPointRequest, ServingSearchRequest, fleet, search_serving,
    serving_point,
};
use rackrate::input::{Value, read};
use rackrate::validate::{ValidationKind, validate};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

/// The request of a 70B model on four H100 with `changes` laid over it; `null` takes a field away.
fn request(changes: serde_json::Value) -> Result<ServingPointRequest, Error> {
    let mut base = serde_json::json!({
        "model": "llama-3.3-70b", "shape": "BM.GPU.H100.8", "gpus": 4, "layout": {"tp": 4},
        "input_tokens": 1000.0, "output_tokens": 500.0, "concurrency": 64.0, "precision": "fp8"
    });
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    let value: Value = serde_json::from_value(base).unwrap();
    read(&value)
}

fn point(changes: serde_json::Value) -> Result<ServingPoint, Error> {
    serving_point(catalog(), &request(changes)?)
}

fn refused(changes: serde_json::Value) -> (String, &'static str) {
    let error = point(changes).unwrap_err();
    (error.field().to_owned(), error.code())
}

#[test]
fn bad_requests_name_their_field() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (change, field, code) in [
        (r#"{"gpus": 6}"#, "gpus", "conflict"),
        (r#"{"gpus": 0}"#, "gpus", "out_of_range"),
        (r#"{"layout": {"tp": 3}, "gpus": 3}"#, "layout.tp", "indivisible"),
        (r#"{"layout": {"tp": 0}}"#, "layout.tp", "out_of_range"),
        (r#"{"layout": {"pp": 81}, "gpus": 81}"#, "layout.pp", "out_of_range"),
        (r#"{"layout": {"tp": 4, "ep": 4}}"#, "layout.ep", "conflict"),
        (r#"{"model": "deepseek-v3", "layout": {"tp": 8, "ep": 3}, "gpus": 8}"#, "layout.ep", "indivisible"),
        (r#"{"model": "deepseek-v3", "layout": {"tp": 8, "ep": 16}, "gpus": 8}"#, "layout.ep", "conflict"),
        (r#"{"layout": {"tp": 4, "dp": 4294967295}}"#, "layout.dp", "out_of_range"),
        (r#"{"request_rate": 1.0}"#, "request_rate", "conflict"),
        (r#"{"concurrency": null}"#, "concurrency", "missing_field"),
        (r#"{"concurrency": -1.0}"#, "concurrency", "out_of_range"),
        (r#"{"concurrency": 1e12}"#, "concurrency", "out_of_range"),
        (r#"{"concurrency": null, "request_rate": 0.0}"#, "request_rate", "out_of_range"),
        (r#"{"input_tokens": 0.0}"#, "input_tokens", "out_of_range"),
        (r#"{"output_tokens": 1e9}"#, "output_tokens", "out_of_range"),
        (r#"{"gpu": "H100-SXM"}"#, "gpu", "conflict"),
        (r#"{"shape": null}"#, "shape", "missing_field"),
        (r#"{"shape": "BM.GPU.H100.9"}"#, "shape", "unknown_name"),
        (r#"{"model": "llama-3.3-71b"}"#, "model", "unknown_name"),
        (r#"{"precision": "nvfp4"}"#, "precision", "unsupported"),
        (r#"{"shape": "BM.GPU.A100-v2.8"}"#, "precision", "unsupported"),
        (r#"{"precision": "fp9"}"#, "precision", "unknown_name"),
    ] {
        assert_eq!(refused(json(change)), (field.to_owned(), code), "{change}");
    }
}

#[test]
fn a_number_that_is_none_is_refused_behind_the_door_too() {
    let good = request(serde_json::json!({})).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let input = ServingPointRequest { input_tokens: bad, ..good.clone() };
        assert_eq!(serving_point(catalog(), &input).unwrap_err().field(), "input_tokens");
        let load = ServingPointRequest { concurrency: Some(bad), ..good.clone() };
        assert_eq!(serving_point(catalog(), &load).unwrap_err().field(), "concurrency");
    }
}

#[test]
fn replicas_share_the_load() {
    let one = point(serde_json::json!({})).unwrap();
    let two = point(serde_json::json!({"gpus": 8, "concurrency": 128.0})).unwrap();
    assert_eq!((one.replicas, two.replicas), (1, 2));
    assert_eq!(one.tpot_seconds, two.tpot_seconds);
    assert!((two.output_tokens_per_second / one.output_tokens_per_second - 2.0).abs() < 1e-12);
    assert_eq!(two.concurrency, 128.0);
}

#[test]
fn past_saturation_is_said() {
    let calm = point(serde_json::json!({"concurrency": null, "request_rate": 1.0})).unwrap();
    assert!(!calm.saturated && calm.sustainable_request_rate > 1.0);
    assert!((calm.requests_per_second - 1.0).abs() < 1e-9);
    let flood = point(serde_json::json!({"concurrency": null, "request_rate": 1000.0})).unwrap();
    assert!(flood.saturated && flood.warnings.iter().any(|w| w.code == "saturated"));
    assert_eq!(flood.requests_per_second, flood.sustainable_request_rate);
    assert_eq!(flood.sustainable_request_rate, calm.sustainable_request_rate);
}

#[test]
fn more_requests_than_the_cache_holds_wait() {
    let p = point(serde_json::json!({"concurrency": 20_000.0})).unwrap();
    assert!(p.warnings.iter().any(|w| w.code == "requests_wait"));
    assert!(p.decode_batch < 20_000.0 && p.ttft_seconds > 10.0);
    assert!(p.memory.kv_used_share <= 1.0);
}

#[test]
fn what_does_not_fit_is_an_answer() {
    let p = point(serde_json::json!({"gpus": 1, "layout": {"tp": 1}, "precision": "bf16"})).unwrap();
    assert!(!p.memory.fits && p.warnings.iter().any(|w| w.code == "does_not_fit"));
    assert!(p.bound_by.contains("does not fit"));
}

#[test]
fn fleets_are_whole() {
    let p = point(serde_json::json!({"concurrency": null, "request_rate": 2.0})).unwrap();
    let one = Redundancy::default();
    let tenth = Redundancy { spare_share: 0.1, ..one };
    let on =
        |replica_gpus| Packing { replica_gpus, gpus_per_node: 8, nodes_per_rack: None, whole_racks: false };
    let f = fleet(&p, 9.0, &tenth, &on(4)).unwrap();
    assert_eq!((f.replicas, f.spare_replicas), (5, 1));
    // Two replicas of four GPUs share a node of eight.
    assert_eq!((f.nodes, f.gpus), (3, 24));
    let exact = fleet(&p, 10.0, &one, &on(4)).unwrap();
    assert_eq!((exact.replicas, exact.spare_replicas, exact.nodes), (5, 0, 3));
    let wide = point(serde_json::json!({"layout": {"tp": 8, "pp": 2}, "gpus": 16, "concurrency": null,
        "request_rate": 2.0}))
    .unwrap();
    assert_eq!(fleet(&wide, 4.0, &one, &on(16)).unwrap().nodes, 4);
    assert_eq!(fleet(&p, f64::NAN, &one, &on(4)).unwrap_err().field(), "traffic.peak_requests_per_second");
    let negative = Redundancy { spare_share: -0.1, ..one };
    assert_eq!(fleet(&p, 1.0, &negative, &on(4)).unwrap_err().field(), "spare_share");
}

#[test]
fn regions_round_up_on_their_own_and_carry_a_lost_one() {
    let p = point(serde_json::json!({"concurrency": null, "request_rate": 2.0})).unwrap();
    let on = Packing { replica_gpus: 4, gpus_per_node: 8, nodes_per_rack: None, whole_racks: false };
    let three = Redundancy { regions: 3, spare_replicas: 1, ..Redundancy::default() };
    // 9 requests a second are 3 a region: two replicas of 2, one spare, two nodes.
    let f = fleet(&p, 9.0, &three, &on).unwrap();
    assert_eq!((f.replicas, f.spare_replicas, f.nodes, f.racks), (6, 3, 6, None));
    // With one region lost the other two carry 4.5 each.
    let lost = Redundancy { survive_region_loss: true, ..three };
    let f = fleet(&p, 9.0, &lost, &on).unwrap();
    assert_eq!((f.replicas, f.spare_replicas, f.nodes), (9, 3, 6));
    // At half its rate a replica carries 1: five a region.
    let half = Redundancy { target_utilisation: 0.5, ..lost };
    assert_eq!(fleet(&p, 9.0, &half, &on).unwrap().replicas, 15);
}

#[test]
fn racks_hold_whole_replicas() {
    let p = point(serde_json::json!({"concurrency": null, "request_rate": 2.0})).unwrap();
    let one = Redundancy::default();
    let rack = |replica_gpus, whole_racks| Packing {
        replica_gpus,
        gpus_per_node: 4,
        nodes_per_rack: Some(18),
        whole_racks,
    };
    // Eight nodes a replica: two in a rack of 18, five replicas in three racks.
    let f = fleet(&p, 10.0, &one, &rack(32, false)).unwrap();
    assert_eq!((f.replicas, f.nodes, f.racks), (5, 40, Some(3)));
    let f = fleet(&p, 10.0, &one, &rack(32, true)).unwrap();
    assert_eq!((f.nodes, f.gpus, f.racks), (54, 216, Some(3)));
    assert_eq!(rack(32, true).replicas_on(54), 6);
    // Replicas wider than a rack take racks of their own.
    assert_eq!(fleet(&p, 4.0, &one, &rack(144, false)).unwrap().racks, Some(4));
    // Two to a node: five take three nodes.
    let f = fleet(&p, 10.0, &one, &rack(2, false)).unwrap();
    assert_eq!((f.nodes, f.racks), (3, Some(1)));
}

fn search(changes: &serde_json::Value) -> ServingSearchRequest {
    let mut base = serde_json::json!({
        "model": "llama-3.3-70b", "shape": "BM.GPU.H100.8", "input_tokens": 1000.0, "output_tokens": 300.0,
        "slo": {"ttft_p95_seconds": 1.0, "tpot_p95_seconds": 0.05}, "precision": "fp8"
    });
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    serde_json::from_value(base).unwrap()
}

#[test]
fn the_search_keeps_its_targets_and_its_frontier() {
    let found = search_serving(catalog(), &search(&serde_json::json!({}))).unwrap();
    let best = found.best.unwrap();
    assert!(best.ttft_p95_seconds <= 1.0 && best.tpot_p95_seconds <= 0.05 && !best.saturated);
    assert!(found.nearest.is_none() && found.considered > 50);
    assert!(found.frontier.len() > 5);
    for pair in found.frontier.windows(2) {
        assert!(pair[0].tokens_per_second_per_user > pair[1].tokens_per_second_per_user);
        assert!(pair[0].output_tokens_per_second_per_gpu < pair[1].output_tokens_per_second_per_gpu);
    }
    // Looser targets never cost throughput.
    let loose = serde_json::json!({"slo": {"ttft_p95_seconds": 5.0, "tpot_p95_seconds": 0.2}});
    let looser = search_serving(catalog(), &search(&loose)).unwrap().best.unwrap();
    assert!(looser.output_tokens_per_second_per_gpu >= 0.98 * best.output_tokens_per_second_per_gpu);
}

#[test]
fn where_nothing_meets_the_targets_the_nearest_is_shown() {
    let hard = serde_json::json!({"slo": {"ttft_p95_seconds": 0.0001, "tpot_p95_seconds": 0.0001}});
    let found = search_serving(catalog(), &search(&hard)).unwrap();
    assert!(found.best.is_none());
    assert!(found.nearest.unwrap().memory.fits);
    let small = serde_json::json!({"model": "deepseek-v3", "max_replica_gpus": 1});
    let nothing = search_serving(catalog(), &search(&small)).unwrap();
    assert!(nothing.best.is_none() && !nothing.nearest.unwrap().memory.fits);
}

/// Bounds on the error against published measurements: what the fit reached, with room for a change of kernels.
#[test]
fn predictions_lie_near_published_measurements() {
    let table = include_str!("../../tests/measured/inference.csv");
    let report = validate(catalog(), ValidationKind::Inference, table, Some("load")).unwrap();
    let median = |quantity: &str, load: &str| {
        let found =
            report.summary.groups.iter().find(|s| s.quantity == quantity && s.group.as_deref() == Some(load));
        let found = found.unwrap();
        assert!(found.answered >= 10, "{quantity} {load}: {} answered", found.answered);
        found.median_absolute_relative_error.unwrap()
    };
    assert!(median("tpot_seconds", "closed_loop") < 0.30, "{}", median("tpot_seconds", "closed_loop"));
    assert!(median("output_tokens_per_second", "offline_max") < 0.15);
    assert!(median("output_tokens_per_second", "static_batch") < 0.30);
    // Every row that is not answered says why.
    assert!(report.rows.iter().all(|r| r.predicted.is_some() != r.refused.is_some()));
}
