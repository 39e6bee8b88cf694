//! What a person reads who writes a request otherwise than it is: the field, what was given, the form to write.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use rackrate::catalog::Catalog;
use rackrate::inference::{EngineClass, ServingPointRequest, serving_point};
use rackrate::input::{Value, read};
use rackrate::plan::{FleetPolicy, Scenario};
use rackrate::training::TrainingStepRequest;
use rackrate::{Error, api};
use serde_json::{Value as Json, json};

fn merged(mut base: Json, changes: Json) -> Value {
    base.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

fn point(changes: Json) -> Result<(), Error> {
    let request: ServingPointRequest = read(&merged(
        json!({
            "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 8, "layout": {"tp": 8},
            "input_tokens": 1000.0, "output_tokens": 500.0, "concurrency": 16.0,
        }),
        changes,
    ))?;
    serving_point(Catalog::embedded().unwrap(), &request).map(|_| ())
}

fn scenario(changes: Json) -> Result<Scenario, Error> {
    let serving = merged(
        json!({
            "model": "llama-3.1-8b", "input_tokens": 1000.0, "output_tokens": 500.0,
            "slo": {"ttft_p95_seconds": 1.0, "tpot_p95_seconds": 0.1}, "traffic": {"requests_per_second": 1.0},
        }),
        changes,
    );
    read(&Value::Object(vec![
        ("name".to_owned(), Value::Text("x".to_owned())),
        ("serving".to_owned(), serving),
    ]))
}

#[test]
fn the_form_to_write_stands_in_the_error() {
    for (changes, said) in [
        (json!({"engine": "vllm"}), r#"engine: "vllm" given, an object such as {"family": "vllm"} expected"#),
        (
            json!({"disaggregated": true}),
            r#"disaggregated: true given, an object such as {"prefill_layout": {"tp": 8}} expected"#,
        ),
        (
            json!({"disaggregated": {}}),
            r#"disaggregated.prefill_layout: missing; how a replica that reads prompts is cut, such as {"tp": 8}"#,
        ),
        (
            json!({"layout": "tp8"}),
            r#"layout: "tp8" given, an object with named fields (tp, pp, ep, dp, redundant_experts) expected"#,
        ),
        (
            json!({"prefix_cache": 0.5}),
            "prefix_cache: 0.5 given, an object with named fields (hit_rate, shared_tokens) expected",
        ),
    ] {
        assert_eq!(point(changes).unwrap_err().to_string(), said);
    }
    for family in ["trtllm", "TensorRT-LLM", "tensorrt-llm", "trt-llm", "vLLM", "SGLang", "vllm-rocm"] {
        let error = point(json!({"engine": {"family": family}})).unwrap_err();
        assert_eq!((error.field(), error.code()), ("engine.family", "unknown_name"));
        let meant = match family.chars().next().unwrap() {
            't' | 'T' => "tensorrt_llm",
            'S' => "sglang",
            _ => "vllm",
        };
        assert!(error.hint().unwrap().ends_with(meant), "{error}");
    }
    for class in EngineClass::ALL {
        let said = point(json!({"engine": class.name()})).unwrap_err().to_string();
        assert!(said.contains(&format!(r#"{{"family": "{}"}}"#, class.name())), "{said}");
    }
    let error = point(json!({"engine": "trtllm"})).unwrap_err();
    assert!(error.to_string().contains("tensorrt_llm"), "{error}");
    let error = scenario(json!({"traffic": {"shape": [1.0, 2.0]}})).unwrap_err();
    assert_eq!(error.field(), "serving.traffic.shape");
    assert!(error.to_string().contains("hour_factors"), "{error}");
}

#[test]
fn limits_of_the_machine_are_not_told_as_those_of_the_question() {
    for (given, said) in [
        (json!(-1), "gpus: -1 is negative"),
        (json!(0), "gpus: 0 is outside 1 to 10000000"),
        (json!(1e8), "gpus: 100000000 is outside 1 to 10000000"),
    ] {
        assert_eq!(point(json!({"gpus": given})).unwrap_err().to_string(), said);
    }
    let huge = point(json!({"input_tokens": 1e300})).unwrap_err();
    assert_eq!(huge.to_string(), "input_tokens: 1e300 is outside 1 to 10000000");
    let layout = json!({"layout": {"tp": 1, "dp": 0}});
    assert_eq!(point(layout).unwrap_err().to_string(), "layout.dp: 0 is outside 1 to 4096");
    let experts = point(json!({"layout": {"tp": 8, "ep": 0}})).unwrap_err();
    assert_eq!(
        (experts.to_string().as_str(), experts.hint().as_deref()),
        ("layout.ep: 0 is too small; at least 1", Some("1"))
    );
}

/// A number that its type cannot hold is refused as one that it can hold and the field cannot take.
#[test]
fn a_number_too_large_to_be_read_is_told_the_limit_of_its_field() {
    type Call = fn(&Value) -> Option<Error>;
    let point = json!({
        "model": "deepseek-v3", "gpu": "H200-SXM", "gpus": 16, "layout": {"tp": 1, "dp": 16, "ep": 16},
        "input_tokens": 1000, "output_tokens": 500, "concurrency": 16,
    });
    let run = json!({
        "model": "deepseek-v3", "gpu": "H200-SXM", "gpus": 16, "layout": {"tp": 1, "dp": 16, "ep": 16},
        "input": {"mean_tokens": 1000}, "output": {"mean_tokens": 500}, "concurrency": 16, "requests": 100,
    });
    let search = json!({
        "model": "llama-3.1-8b", "shape": "Standard_ND96isr_H100_v5", "gpus": 8, "sequence_length": 4096, "global_batch": 8,
    });
    let scenario = json!({
        "training": {
            "model": "llama-3.1-8b", "tokens": 1e12, "sequence_length": 8192, "global_batch": 512, "deadline_days": 30,
        },
        "serving": {
            "model": "llama-3.1-8b", "input_tokens": 1000, "output_tokens": 300,
            "slo": {"ttft_p95_seconds": 1, "tpot_p95_seconds": 0.05}, "traffic": {"requests_per_second": 10},
            "fleet": {},
        },
    });
    let collective =
        json!({"op": "all_reduce", "bytes": 1e9, "shape": "Standard_ND96isr_H100_v5", "nodes": 2});
    let calls: [(&Json, Call, &[&str]); 5] = [
        (
            &point,
            |v| api::serving_point(v).err(),
            &["gpus", "layout.tp", "layout.pp", "layout.dp", "layout.redundant_experts"],
        ),
        (
            &run,
            |v| api::simulate(v).err(),
            &["gpus", "layout.dp", "concurrency", "requests", "warmup_requests"],
        ),
        (&search, |v| api::search_layouts(v).err(), &["gpus", "sequence_length", "global_batch", "best"]),
        (
            &scenario,
            |v| api::plan(v).err(),
            &[
                "training.gpus",
                "training.sequence_length",
                "training.global_batch",
                "serving.max_replica_gpus",
                "serving.fleet.spare_replicas",
                "serving.fleet.regions",
            ],
        ),
        (&collective, |v| api::collective(v).err(), &["nodes", "gpus_per_node"]),
    ];
    for (base, call, fields) in calls {
        for field in fields {
            let with = |number: f64| {
                let mut request = base.clone();
                let (parents, last) =
                    field.rsplit_once('.').map_or(("", *field), |(parents, last)| (parents, last));
                let mut place = &mut request;
                for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
                    place = &mut place[parent];
                }
                place[last] = json!(number);
                call(&serde_json::from_value(request).unwrap()).unwrap().to_string()
            };
            let (readable, larger) = (with(f64::from(u32::MAX)), with(1e10));
            assert!(readable.starts_with(&format!("{field}: 4294967295 is ")), "{readable}");
            assert_eq!(larger, readable.replace("4294967295", "10000000000"));
        }
    }
    // Where something else is wrong first, the type's own limit stands.
    let mut unknown = point.clone();
    unknown["gpus"] = json!(1e10);
    unknown["model"] = json!("no-such-model");
    let error = api::serving_point(&serde_json::from_value(unknown).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "gpus: 10000000000 is too large; at most 4294967295");
}

/// Whatever has a default takes it for `null` as if it were left out; what has none is missing.
#[test]
fn null_is_a_field_left_out() {
    let plain = scenario(json!({})).unwrap();
    let nulls = json!({"fleet": null, "shapes": null, "months": null, "spare_share": null, "precision": null, "mode": null, "cloud": null});
    assert_eq!(scenario(nulls).unwrap(), plain);
    assert_eq!(plain.serving.unwrap().fleet, FleetPolicy::default());
    let missing = scenario(json!({"slo": null})).unwrap_err();
    assert_eq!((missing.field(), missing.code()), ("serving.slo", "missing_field"));
    let step = json!({
        "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 8, "sequence_length": 4096,
        "layout": {"tp": 8, "pp": null, "micro_batch": null, "global_batch": 8, "offload": null}, "network": null, "software": null,
    });
    let request: TrainingStepRequest = read(&serde_json::from_value(step).unwrap()).unwrap();
    assert_eq!((request.layout.tp, request.layout.pp, request.layout.micro_batch), (8, 1, 1));
    // A list has as many entries as are given.
    assert_eq!(scenario(json!({"shapes": [null]})).unwrap_err().field(), "serving.shapes[0]");
}
