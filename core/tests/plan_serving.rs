//! What a service says beyond its model and traffic: engine, cache, speculation, mode, spreads of lengths.
#![allow(clippy::unwrap_used)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::ServingMode;
use rackrate::plan::{Scenario, ServingOption, plan};
use serde_json::{Value as Json, json};

/// A service of Llama 3.3 70B on four shapes.
fn scenario(changes: &Json) -> Scenario {
    let mut scenario = json!({"name": "service", "today": "2026-11-23", "serving": {
        "model": "llama-3.3-70b", "precision": "fp8", "input_tokens": 2000.0, "output_tokens": 300.0,
        "slo": {"ttft_p95_seconds": 1.0, "tpot_p95_seconds": 0.03}, "traffic": {"requests_per_second": 200.0, "peak_to_mean": 2.0},
        "shapes": ["BM.GPU.H100.8", "Standard_ND96isr_H200_v5", "Standard_ND128isr_NDR_GB200_v6", "BM.GPU.B200.8"],
    }});
    let serving = scenario["serving"].as_object_mut().unwrap();
    serving.extend(changes.as_object().unwrap().clone());
    serde_json::from_value(scenario).unwrap()
}

fn options(changes: &Json) -> Vec<ServingOption> {
    let catalog = Catalog::embedded().unwrap();
    plan(catalog, &scenario(changes)).unwrap().serving.unwrap().options
}

/// GPUs of each shape's option.
fn gpus(changes: &Json) -> Vec<(String, f64)> {
    let mut out: Vec<_> =
        options(changes).into_iter().map(|option| (option.shape, f64::from(option.gpus))).collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

#[test]
fn pools_apart_are_counted_and_paid_for_whole() {
    let options = options(&json!({"mode": "disaggregated", "spare_share": 0.1}));
    assert_eq!(options.len(), 4);
    for option in options {
        let name = &option.shape;
        let point = &option.point;
        let pools = point.pools.unwrap();
        assert_eq!(pools.prefill_gpus + pools.decode_gpus, point.gpus, "{name}");
        assert_eq!(point.units(), 1);
        assert!(
            point.ttft_p95_seconds <= 1.0 && point.tpot_p95_seconds <= 0.03 && !point.saturated,
            "{name}"
        );
        // The fleet carries the peak, and rents room for both pools of all its replicas.
        let carried = point.requests_per_second * f64::from(option.replicas);
        assert!((carried / 400.0 - 1.0).abs() < 1e-9, "{name}: {carried}");
        let all = option.replicas + option.spare_replicas;
        let fleet = &option.fleet;
        assert_eq!(fleet.replica_gpus, point.gpus);
        assert_eq!(fleet.prefill_gpus, Some(all * pools.prefill_gpus));
        assert_eq!(fleet.decode_gpus, Some(all * pools.decode_gpus));
        assert!(option.gpus >= all * point.gpus, "{name}");
        let node = option.gpus / option.nodes;
        // What is rented beside what works: less than a node for each replica.
        assert!(option.gpus < all * (point.gpus + node), "{name}");
        if let Some(cost) = &option.cost {
            let hours: f64 = cost.lines.iter().fold(0.0, |sum, line| sum + line.quantity);
            let rented =
                f64::from(if cost.lines[0].unit.contains("node") { option.nodes } else { option.gpus });
            assert!((hours / (rented * 730.0) - 1.0).abs() < 1e-9, "{name}: {hours} {}", cost.lines[0].unit);
            let split = option.usd_per_million_input_tokens.unwrap() * 2000.0;
            let share = split / (split + option.usd_per_million_output_tokens.unwrap() * 300.0);
            let read = f64::from(pools.prefill_gpus) / f64::from(point.gpus);
            assert!((share - read).abs() < 1e-9, "{name}: {share} of the cost, {read} of the GPUs");
        }
    }
}

#[test]
fn without_a_mode_the_better_one_is_taken() {
    let both = gpus(&json!({}));
    let alone = gpus(&json!({"mode": "aggregated"}));
    let apart = gpus(&json!({"mode": "disaggregated"}));
    let mut chosen = 0;
    for ((both, alone), apart) in both.iter().zip(&alone).zip(&apart) {
        let least = alone.1.min(apart.1);
        assert!(both.1 <= least * 1.02, "{both:?} {alone:?} {apart:?}");
        chosen += u32::from(apart.1 < alone.1);
    }
    let pools = options(&json!({})).iter().filter(|option| option.point.pools.is_some()).count();
    assert!(chosen > 0 && pools > 0, "{chosen} {pools}");
    assert!(options(&json!({"mode": "aggregated"})).iter().all(|option| {
        option.point.pools.is_none()
            && option.fleet.prefill_gpus.is_none()
            && option.fleet.decode_gpus.is_none()
    }));
}

#[test]
fn what_makes_serving_cheaper_or_dearer_does() {
    for mode in ["aggregated", "disaggregated"] {
        let with = |mut changes: Json| {
            changes["mode"] = json!(mode);
            gpus(&changes)
        };
        let plain = with(json!({}));
        let less = |changes: Json, least: f64, most: f64| {
            for (one, other) in plain.iter().zip(with(changes.clone())) {
                let ratio = other.1 / one.1;
                assert!((least..most).contains(&ratio), "{mode}: {changes} {one:?} {other:?}");
            }
        };
        less(json!({"engine": {"family": "vllm", "year": 2023}}), 1.01, 3.0);
        less(json!({"prefix_cache": {"hit_rate": 0.7}}), 0.2, 0.95);
        // Every prompt goes through the draft as well: where prompts set the pace, it costs.
        let draft = json!({"speculation": {"draft_tokens": 3, "acceptance": 0.8, "draft": "llama-3.1-8b"}});
        less(draft, 0.3, 1.5);
        less(json!({"input_spread": 4.0, "output_spread": 1.0}), 0.9, 3.0);
    }
    let engine = options(&json!({"engine": {"family": "vllm", "year": 2024}}));
    assert!(engine.iter().all(|option| option.point.engine == "vllm of 2024"));
    let spread = options(&json!({"output_spread": 1.0, "mode": "aggregated"}));
    assert!(spread.iter().all(|option| option.point.percentiles.is_some()));
}

#[test]
fn what_is_wrong_is_named_below_serving() {
    let catalog = Catalog::embedded().unwrap();
    for (changes, field) in [
        (json!({"engine": {"family": "sglang", "year": 2022}}), "serving.engine.year"),
        (json!({"prefix_cache": {"hit_rate": 1.0}}), "serving.prefix_cache.hit_rate"),
        (
            json!({"prefix_cache": {"hit_rate": 0.5, "shared_tokens": 10.0}}),
            "serving.prefix_cache.shared_tokens",
        ),
        (
            json!({"speculation": {"draft_tokens": 0, "acceptance": 0.5, "draft": "llama-3.1-8b"}}),
            "serving.speculation.draft_tokens",
        ),
        (
            json!({"speculation": {"draft_tokens": 2, "acceptance": 0.5, "draft": "mtp"}}),
            "serving.speculation.draft",
        ),
        (
            json!({"speculation": {"draft_tokens": 2, "acceptance": 0.5, "draft": "qwen3-32b"}}),
            "serving.speculation.draft",
        ),
        (json!({"input_spread": f64::from(1000)}), "serving.input_spread"),
        (json!({"output_spread": -0.5}), "serving.output_spread"),
        (json!({"input_tokens": 0.0}), "serving.input_tokens"),
    ] {
        // Whatever the shapes: here none has the format's units.
        for shapes in [json!(["BM.GPU.A100-v2.8"]), json!(["BM.GPU.H100.8"])] {
            let mut asked = changes.clone();
            asked["shapes"] = shapes;
            let error: Error = plan(catalog, &scenario(&asked)).unwrap_err();
            assert_eq!(error.field(), field, "{error}");
        }
    }
}

#[test]
fn a_service_is_saved_with_what_it_says() {
    let scenario = scenario(
        &json!({"mode": "disaggregated", "engine": {"family": "vllm"}, "prefix_cache": {"hit_rate": 0.3}}),
    );
    let text = serde_json::to_string(&scenario).unwrap();
    assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), scenario);
    assert_eq!(scenario.serving.unwrap().mode, Some(ServingMode::Disaggregated));
}

/// Input tokens are charged for the share of the replica's time that prompts take, not for that of one of its streams: what
/// prompts and answers take together is no more than there is.
#[test]
fn prompts_are_charged_for_one_of_the_streams_of_a_replica() {
    let changes = json!({
        "model": "deepseek-v3", "mode": "aggregated", "input_tokens": 4000.0, "output_tokens": 500.0,
        "slo": {"ttft_p95_seconds": 3.0, "tpot_p95_seconds": 0.12}, "shapes": ["Standard_ND96isr_H200_v5"]
    });
    let option = options(&changes).remove(0);
    let point = &option.point;
    let streams = f64::from(point.layout.dp * point.layout.pp);
    assert!(streams > 1.0, "{:?}", point.layout);
    let (input, output) =
        (option.usd_per_million_input_tokens.unwrap() * 8.0, option.usd_per_million_output_tokens.unwrap());
    let share = input / (input + output);
    let busy = point.requests_per_second * point.prefill.total_seconds / streams;
    assert!(busy < 1.0, "{busy}");
    let decode = 500.0 / point.tokens_per_iteration * point.decode.total_seconds / point.decode_batch;
    assert!((share - busy / (busy + point.requests_per_second * decode)).abs() < 1e-9, "{share}");
}

#[test]
fn the_largest_replica_is_what_the_service_says() {
    let moe =
        |most: Json| json!({"model": "deepseek-v3", "shapes": ["BM.GPU.H100.8"], "max_replica_gpus": most});
    let (small, usual) = (options(&moe(json!(16))), options(&moe(json!(null))));
    assert!(small[0].point.gpus / small[0].point.units() <= 16);
    assert!(usual[0].point.gpus / usual[0].point.units() > 32);
    assert!(f64::from(usual[0].gpus) < 0.7 * f64::from(small[0].gpus), "{} {}", usual[0].gpus, small[0].gpus);
    for bad in [0, 5000] {
        let error = plan(Catalog::embedded().unwrap(), &scenario(&moe(json!(bad)))).unwrap_err();
        assert_eq!((error.field(), error.code()), ("serving.max_replica_gpus", "out_of_range"));
    }
}
