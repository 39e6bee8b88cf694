//! What is said of a question beside its times: engines and the GPUs they run on, lengths past the model's context.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::{
    ServingPoint, ServingPointRequest, ServingSearchRequest, SimulationRequest, search_serving,
    serving_point, simulate,
};
use rackrate::plan::{Plan, Scenario, plan};
use rackrate::quantity::Warning;
use rackrate::training::{LayoutSearchRequest, TrainingStepRequest, search_layouts, training_step};
use serde_json::{Value as Json, json};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

fn point(gpu: &str, changes: Json) -> Result<ServingPoint, Error> {
    let mut base = json!({
        "model": "llama-3.1-8b", "gpu": gpu, "gpus": 8, "layout": {"tp": 8},
        "input_tokens": 1000.0, "output_tokens": 500.0, "concurrency": 16.0,
    });
    base.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let request: ServingPointRequest = serde_json::from_value(base).unwrap();
    serving_point(catalog(), &request)
}

fn search(gpu: &str, changes: Json) -> ServingPoint {
    let mut base = json!({
        "model": "llama-3.1-8b", "gpu": gpu, "input_tokens": 1000.0, "output_tokens": 500.0,
        "slo": {"ttft_p95_seconds": 20.0, "tpot_p95_seconds": 1.0},
    });
    base.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let request: ServingSearchRequest = serde_json::from_value(base).unwrap();
    search_serving(catalog(), &request).unwrap().best.unwrap()
}

fn engine(family: &str) -> Json {
    json!({"engine": {"family": family}})
}

fn coded<'w>(warnings: &'w [Warning], code: &str) -> Vec<&'w str> {
    warnings.iter().filter(|warning| warning.code == code).map(|warning| warning.about.as_str()).collect()
}

#[test]
fn an_engine_runs_on_its_vendors_gpus_only() {
    for (family, gpu, others) in [
        ("tensorrt_llm", "MI300X", "vllm or sglang or rocm_vllm"),
        ("rocm_vllm", "H100-SXM", "tensorrt_llm or vllm or sglang"),
    ] {
        let error = point(gpu, engine(family)).unwrap_err();
        assert_eq!((error.field(), error.code()), ("engine.family", "unsupported"));
        let said = error.to_string();
        assert!(
            said.contains(family) && said.contains(gpu) && said.ends_with(&format!("try {others}")),
            "{said}"
        );
    }
    for (family, gpu) in [
        ("tensorrt_llm", "H100-SXM"),
        ("vllm", "H100-SXM"),
        ("sglang", "MI300X"),
        ("vllm", "MI300X"),
        ("rocm_vllm", "MI300X"),
    ] {
        assert_eq!(point(gpu, engine(family)).unwrap().engine, format!("{family} of 2026"));
    }
}

/// vLLM on AMD GPUs is one engine, whatever it is called; SGLang was not measured there, and the answer says so.
#[test]
fn engines_on_amd_gpus_are_what_was_measured_there() {
    let (vllm, rocm) =
        (point("MI300X", engine("vllm")).unwrap(), point("MI300X", engine("rocm_vllm")).unwrap());
    assert_eq!(ServingPoint { engine: rocm.engine.clone(), ..vllm }, rocm);
    let on_nvidia = point("H100-SXM", engine("vllm")).unwrap().decode.matmul_seconds;
    let common = point("H100-SXM", json!({})).unwrap().decode.matmul_seconds;
    let slower = rocm.decode.matmul_seconds / point("MI300X", json!({})).unwrap().decode.matmul_seconds;
    assert!(slower > 1.1 && (on_nvidia / common - slower).abs() > 0.01, "{slower}");
    for (family, gpu, warned) in
        [("sglang", "MI300X", 1), ("sglang", "H100-SXM", 0), ("vllm", "MI300X", 0), ("vllm", "H100-SXM", 0)]
    {
        for point in [point(gpu, engine(family)).unwrap(), search(gpu, engine(family))] {
            assert_eq!(coded(&point.warnings, "unmeasured_engine").len(), warned, "{family} {gpu}");
        }
    }
}

fn planned(changes: Json) -> Plan {
    let mut serving = json!({
        "model": "llama-3.3-70b", "precision": "fp8", "input_tokens": 2000.0, "output_tokens": 300.0,
        "slo": {"ttft_p95_seconds": 5.0, "tpot_p95_seconds": 0.1}, "traffic": {"requests_per_second": 20.0},
        "shapes": ["BM.GPU.H100.8", "Standard_ND96isr_MI300X_v5"],
    });
    serving.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let scenario: Scenario = serde_json::from_value(json!({"name": "service", "serving": serving})).unwrap();
    plan(catalog(), &scenario).unwrap()
}

#[test]
fn a_plan_lists_the_shapes_that_an_engine_does_not_run_on() {
    for (family, cannot) in [
        ("tensorrt_llm", vec!["Standard_ND96isr_MI300X_v5"]),
        ("rocm_vllm", vec!["BM.GPU.H100.8"]),
        ("vllm", vec![]),
        ("sglang", vec![]),
    ] {
        let serving = planned(engine(family)).serving.unwrap();
        let refused: Vec<&str> = serving.refused.iter().map(|refused| refused.shape.as_str()).collect();
        assert_eq!((refused, serving.options.len()), (cannot.clone(), 2 - cannot.len()), "{family}");
        assert!(
            serving.refused.iter().all(|refused| refused.reason.contains("GPUs only")),
            "{:?}",
            serving.refused
        );
    }
}

/// Llama 3.1's context ends at 131,072 tokens, Llama 3.3's too (their configurations).
#[test]
fn sequences_past_the_models_context_are_warned_of_everywhere() {
    let most = catalog().model("model", "llama-3.1-8b").unwrap().max_positions.unwrap();
    for (more, warned) in [(0.0, vec![]), (1.0, vec!["input_tokens"])] {
        let lengths = json!({"input_tokens": f64::from(most) - 500.0 + more});
        let points = [point("H200-SXM", lengths.clone()).unwrap(), search("H200-SXM", lengths)];
        let apart = json!({"input_tokens": f64::from(most) - 500.0 + more, "gpus": 16, "disaggregated": {"prefill_layout": {"tp": 8}}});
        for point in points.into_iter().chain(point("H200-SXM", apart)) {
            assert_eq!(coded(&point.warnings, "past_model_context"), warned);
        }
    }
    for (input, by_trace, warned) in [
        (f64::from(most) - 500.0, false, vec![]),
        (f64::from(most), false, vec!["input.mean_tokens"]),
        (f64::from(most), true, vec!["trace.input_tokens"]),
    ] {
        let mut asked = json!({"model": "llama-3.1-8b", "gpu": "H200-SXM", "gpus": 8, "layout": {"tp": 8}, "burst": true});
        if by_trace {
            asked["trace"] = json!({"input_tokens": [input], "output_tokens": [200.0]});
        } else {
            asked["input"] = json!({"mean_tokens": input, "family": "fixed"});
            asked["output"] = json!({"mean_tokens": 200.0, "family": "fixed"});
        }
        asked["requests"] = json!(1);
        let request: SimulationRequest = serde_json::from_value(asked).unwrap();
        let seen = simulate(catalog(), &request).unwrap();
        assert_eq!(coded(&seen.warnings, "past_model_context"), warned);
    }
    for (length, warned) in [(131_072, vec![]), (262_144, vec!["sequence_length"])] {
        let mut asked = json!({"model": "llama-3.1-8b", "gpu": "H200-SXM", "gpus": 8, "sequence_length": length, "layout": {"tp": 8, "global_batch": 8}});
        let request: TrainingStepRequest = serde_json::from_value(asked.clone()).unwrap();
        let step = training_step(catalog(), &request).unwrap();
        assert_eq!(coded(&step.warnings, "past_model_context"), warned);
        asked.as_object_mut().unwrap().remove("layout");
        asked["global_batch"] = json!(8);
        let request: LayoutSearchRequest = serde_json::from_value(asked).unwrap();
        let found = search_layouts(catalog(), &request).unwrap();
        for step in found.best.iter().chain(&found.nearest) {
            assert_eq!(coded(&step.warnings, "past_model_context"), warned);
        }
    }
    // A plan says it once, of its question.
    let plan = planned(
        json!({"input_tokens": 140_000.0, "slo": {"ttft_p95_seconds": 200.0, "tpot_p95_seconds": 1.0}}),
    );
    assert_eq!(coded(&plan.warnings, "past_model_context"), ["serving.input_tokens"]);
    let options = plan.serving.unwrap().options;
    assert!(!options.is_empty());
    assert!(options.iter().all(|option| coded(&option.warnings, "past_model_context").is_empty()));
}

#[test]
fn fewer_shared_tokens_than_found_are_refused_with_the_reason() {
    let cache = |shared: f64| json!({"prefix_cache": {"hit_rate": 0.5, "shared_tokens": shared}});
    let error = point("H100-SXM", cache(100.0)).unwrap_err();
    assert_eq!((error.field(), error.code()), ("prefix_cache.shared_tokens", "conflict"));
    let said = error.to_string();
    assert!(
        said.contains("100 given") && said.contains("finds 500") && said.contains("give 500 or more"),
        "{said}"
    );
    point("H100-SXM", cache(500.0)).unwrap();
}
