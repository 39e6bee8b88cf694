//! What a user sets on an engine's command line: chunk, sequences, memory, graphs.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::{
    Engine, EngineClass, Engines, ServingPoint, ServingPointRequest, SimulationRequest, serving_point,
    simulate,
};
use rackrate::input::{Value, read};
use rackrate::plan::{Scenario, plan};
use rackrate::quantity::Warning;
use serde_json::{Value as Json, json};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

fn merged(mut base: Json, changes: Json) -> Json {
    base.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    base
}

fn point(changes: Json) -> Result<ServingPoint, Error> {
    let base = json!({
        "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {},
        "input_tokens": 1000.0, "output_tokens": 200.0, "concurrency": 64.0,
    });
    let value: Value = serde_json::from_value(merged(base, changes)).unwrap();
    let request: ServingPointRequest = read(&value)?;
    serving_point(catalog(), &request)
}

fn with(family: &str, settings: Json) -> Json {
    json!({"engine": merged(json!({"family": family}), settings)})
}

fn of(family: &str, settings: Json, changes: Json) -> ServingPoint {
    point(merged(with(family, settings), changes)).unwrap()
}

/// Families and GPUs on which they run.
const ENGINES: [(&str, &str); 5] = [
    ("vllm", "H100-SXM"),
    ("vllm", "A100-80GB-SXM"),
    ("tensorrt_llm", "B200-SXM"),
    ("sglang", "H200-SXM"),
    ("rocm_vllm", "MI300X"),
];

/// Settings that repeat what the engine takes by itself change no bit of the answer but the engine's words.
#[test]
fn the_engines_own_defaults_change_nothing() {
    for (family, gpu) in ENGINES {
        let class = EngineClass::ALL.into_iter().find(|class| class.name() == family).unwrap();
        let known = catalog().gpu("gpu", gpu).unwrap();
        let own = Engines::shipped().of(Some(Engine::new(class, 2026)), known).unwrap();
        let mut settings = json!({
            "chunk_tokens": own.chunk_tokens, "max_sequences": own.max_sequences, "decode_graphs": true,
        });
        match family {
            "tensorrt_llm" => settings["memory_share"] = json!(own.memory.of_free),
            "sglang" => {}
            _ => settings["memory_share"] = json!(own.memory.share),
        }
        for load in [json!({"gpu": gpu}), json!({"gpu": gpu, "concurrency": null, "request_rate": 2.0})] {
            let plain = of(family, json!({}), load.clone());
            let set = of(family, settings.clone(), load);
            assert_ne!(set.engine, plain.engine);
            assert_eq!(ServingPoint { engine: plain.engine.clone(), ..set }, plain, "{family} on {gpu}");
        }
    }
}

/// By each engine's own arithmetic.
#[test]
fn a_memory_share_means_what_the_engine_means() {
    let capacity = |family: &str, settings: Json| {
        let memory = of(family, settings, json!({})).memory;
        (memory.kv_capacity_gib, memory.workspace_gib, memory.available_gib, memory.weights_gib)
    };
    // vLLM: ten points of all memory go to the cache whole.
    let ((less, _, all, _), (more, ..)) =
        (capacity("vllm", json!({"memory_share": 0.8})), capacity("vllm", json!({"memory_share": 0.9})));
    assert!((more - less - 0.1 * all).abs() < 1e-9, "{less} {more} of {all}");
    assert_eq!(more, capacity("vllm", json!({})).0);
    // TensorRT-LLM: the cache is the share of what is free.
    let ((half, ..), (most, ..)) = (
        capacity("tensorrt_llm", json!({"memory_share": 0.45})),
        capacity("tensorrt_llm", json!({"memory_share": 0.9})),
    );
    assert!((most - 2.0 * half).abs() < 1e-9, "{half} {most}");
    // SGLang: weights and cache take the share, all else the rest.
    let (cache, rest, all, weights) = capacity("sglang", json!({"memory_share": 0.7}));
    assert!((rest - 0.3 * all).abs() < 1e-9 && (cache + weights - 0.7 * all).abs() < 1e-9);
    // Without a share it keeps less for a smaller chunk, with one the same.
    let small = json!({"chunk_tokens": 2048});
    assert!(capacity("sglang", small).0 > capacity("sglang", json!({})).0 + 9.0);
    assert_eq!(capacity("sglang", json!({"chunk_tokens": 2048, "memory_share": 0.7})).0, cache);
    // vLLM measures itself with as many sequences as it may run, and runs no more of them than tokens.
    let cache = |settings: Json| capacity("vllm", settings).0;
    assert!(cache(json!({"max_sequences": 16})) > cache(json!({})) + 2.0);
    assert_eq!(
        cache(json!({"chunk_tokens": 256})),
        cache(json!({"chunk_tokens": 256, "max_sequences": 256}))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_smaller_share_never_holds_more(
        (family, gpu) in prop::sample::select(&ENGINES[..]),
        model in prop::sample::select(&["llama-3.1-8b", "gpt-oss-120b", "qwen3-32b"][..]),
        share in 0.02..1.0_f64,
        part in 0.5..1.0_f64,
        tp in prop::sample::select(&[1_u32, 2, 8][..]),
    ) {
        let asked = json!({"gpu": gpu, "model": model, "gpus": tp, "layout": {"tp": tp}});
        let tokens = |share: f64| of(family, json!({"memory_share": share}), asked.clone()).memory.kv_capacity_tokens;
        prop_assert!(tokens((share * part).max(0.01)) <= tokens(share));
    }

    /// Every chunk reads the weights again and pays for an iteration. What is left of a
    /// prompt may fill a kernel's tiles by up to 3 % better or worse than whole chunks do.
    #[test]
    fn smaller_chunks_never_bring_a_long_prompt_sooner(
        (family, gpu) in prop::sample::select(&ENGINES[..]),
        model in prop::sample::select(&["llama-3.1-8b", "gpt-oss-120b", "qwen3-32b"][..]),
        chunk in 9_u32..17,
        part in 1_u32..4,
        input in 20_000.0..100_000.0_f64,
        at_random in any::<bool>(),
    ) {
        let load = if at_random { json!({"request_rate": 1e-4}) } else { json!({"concurrency": 1.0}) };
        let base = json!({"gpu": gpu, "model": model, "gpus": 4, "layout": {"tp": 4}, "input_tokens": input,
            "concurrency": null});
        let ttft = |chunk: u32| {
            let settings = json!({"chunk_tokens": chunk, "max_sequences": 64});
            of(family, settings, merged(base.clone(), load.clone())).ttft_seconds
        };
        let (small, large) = (ttft(1 << (chunk - part)), ttft(1 << chunk));
        prop_assert!(small >= 0.97 * large, "{small} s, {large} s");
    }
}

/// One sequence at a time: the others wait, in the closed form as in the simulation.
#[test]
fn one_sequence_at_most_is_one_after_the_other() {
    let one = json!({"max_sequences": 1});
    let alone = of("vllm", one.clone(), json!({"concurrency": 1.0}));
    let eight = of("vllm", one.clone(), json!({"concurrency": 8.0}));
    assert!(eight.decode_batch <= 1.0, "{}", eight.decode_batch);
    assert!((eight.tpot_seconds / alone.tpot_seconds - 1.0).abs() < 0.02);
    // Of a request alone the host's part goes beside the others': 50 ms of 1.5 s.
    let gain = eight.requests_per_second / alone.requests_per_second;
    assert!((1.0..1.05).contains(&gain), "{gain}");
    let service = 1.0 / eight.requests_per_second;
    assert!((eight.ttft_seconds / (7.0 * service) - 1.0).abs() < 0.1, "{} {service}", eight.ttft_seconds);
    // Eight fit into a batch otherwise.
    assert!(
        of("vllm", json!({}), json!({"concurrency": 8.0})).requests_per_second
            > 5.0 * eight.requests_per_second
    );

    let request: SimulationRequest = serde_json::from_value(merged(
        json!({
            "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "concurrency": 8, "requests": 100,
            "input": {"mean_tokens": 1000.0, "family": "fixed"}, "output": {"mean_tokens": 200.0, "family": "fixed"},
        }),
        with("vllm", one),
    ))
    .unwrap();
    let seen = simulate(catalog(), &request).unwrap();
    assert!(seen.decode_batch <= 1.0 && seen.waited_for_sequences_share > 0.9);
    assert!((seen.requests_per_second / eight.requests_per_second - 1.0).abs() < 0.03);
    assert_eq!(seen.engine, "vllm of 2026: at most 1 sequence");
}

/// Without graphs the host starts every kernel: 0.28 ms a layer and more, whatever the GPU could do.
#[test]
fn decode_without_graphs_is_never_quicker() {
    for (family, gpu) in ENGINES {
        let tpot = |graphs: bool| {
            of(family, json!({"decode_graphs": graphs}), json!({"gpu": gpu, "concurrency": 1.0})).tpot_seconds
        };
        assert!(tpot(false) >= tpot(true) && tpot(false) > 32.0 * 0.28e-3, "{family} {gpu} {}", tpot(false));
    }
    let ttft = |graphs: bool| {
        of("vllm", json!({"decode_graphs": graphs}), json!({"output_tokens": 1.0, "concurrency": 1.0}))
            .ttft_seconds
    };
    assert_eq!(ttft(true), ttft(false));
}

#[test]
fn what_is_set_is_said() {
    let settings = json!({"year": 2025, "chunk_tokens": 4096, "max_sequences": 64, "memory_share": 0.85, "decode_graphs": false});
    assert_eq!(
        of("vllm", settings, json!({})).engine,
        "vllm of 2025: at most 4096 tokens an iteration, at most 64 sequences, memory share 0.85, decode without \
         captured graphs"
    );
    assert_eq!(of("vllm", json!({}), json!({})).engine, "vllm of 2026");
}

#[test]
fn settings_that_no_engine_takes_are_refused() {
    for (family, settings, field, code, said) in [
        (
            "vllm",
            json!({"chunk_tokens": 0}),
            "engine.chunk_tokens",
            "out_of_range",
            "0 is outside 1 to 10000000",
        ),
        ("vllm", json!({"chunk_tokens": -1}), "engine.chunk_tokens", "out_of_range", "-1"),
        (
            "sglang",
            json!({"max_sequences": 0}),
            "engine.max_sequences",
            "out_of_range",
            "0 is outside 1 to 1000000",
        ),
        ("sglang", json!({"max_sequences": 1.5}), "engine.max_sequences", "wrong_type", "1.5"),
        (
            "tensorrt_llm",
            json!({"memory_share": 90.0}),
            "engine.memory_share",
            "out_of_range",
            "90 is outside 0.01 to 1",
        ),
        (
            "tensorrt_llm",
            json!({"memory_share": 0.0}),
            "engine.memory_share",
            "out_of_range",
            "0 is outside 0.01 to 1",
        ),
        ("vllm", json!({"memory_share": "most"}), "engine.memory_share", "wrong_type", "most"),
        ("vllm", json!({"decode_graphs": 0}), "engine.decode_graphs", "wrong_type", "0"),
        (
            "vllm",
            json!({"chunk_tokens": 512, "max_sequences": 600}),
            "engine.chunk_tokens",
            "conflict",
            "try 600 or more",
        ),
        ("vllm", json!({"max_sequences": 10_000}), "engine.max_sequences", "conflict", "try 8192 or fewer"),
    ] {
        let error = point(with(family, settings.clone())).unwrap_err();
        assert_eq!((error.field(), error.code()), (field, code), "{settings}: {error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    // The others run more sequences than tokens of an iteration, one after the other.
    point(with("tensorrt_llm", json!({"chunk_tokens": 512, "max_sequences": 600}))).unwrap();
}

/// The engines' own names of what is set lead to ours.
#[test]
fn flags_of_the_engines_are_recognised() {
    for (flag, meant) in [
        ("max_num_batched_tokens", "chunk_tokens"),
        ("max_num_tokens", "chunk_tokens"),
        ("--chunked-prefill-size", "chunk_tokens"),
        ("--max-num-seqs", "max_sequences"),
        ("max_batch_size", "max_sequences"),
        ("max-running-requests", "max_sequences"),
        ("gpu_memory_utilization", "memory_share"),
        ("free_gpu_memory_fraction", "memory_share"),
        ("--mem-fraction-static", "memory_share"),
    ] {
        let error = point(with("vllm", json!({flag: 1}))).unwrap_err();
        assert_eq!((error.code(), error.hint().as_deref()), ("unknown_field", Some(meant)), "{error}");
        assert_eq!(error.field(), format!("engine.{flag}"));
    }
    // A flag that turns graphs off is not taken for the field that turns them on.
    for flag in ["enforce_eager", "disable_cuda_graph"] {
        let error = point(with("vllm", json!({flag: true}))).unwrap_err();
        assert_ne!(error.hint().as_deref(), Some("decode_graphs"), "{error}");
        assert!(error.to_string().contains("decode_graphs"), "{error}");
    }
}

/// SGLang takes the share at its word, and runs out of memory where it leaves too little.
#[test]
fn sglang_is_warned_of_too_little_memory_beside_the_cache() {
    let codes = |warnings: &[Warning]| -> Vec<(String, String)> {
        warnings.iter().map(|warning| (warning.code.clone(), warning.about.clone())).collect()
    };
    let told = ("engine_memory".to_owned(), "engine.memory_share".to_owned());
    for (family, share, warned) in
        [("sglang", 0.95, true), ("sglang", 0.8, false), ("vllm", 0.95, false), ("tensorrt_llm", 0.95, false)]
    {
        let settings = json!({"memory_share": share});
        let point = of(family, settings.clone(), json!({}));
        assert_eq!(codes(&point.warnings).contains(&told), warned, "{family} {share}");
        let request: SimulationRequest = serde_json::from_value(merged(
            json!({
                "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "burst": true, "requests": 1,
                "input": {"mean_tokens": 10.0, "family": "fixed"}, "output": {"mean_tokens": 2.0, "family": "fixed"},
            }),
            with(family, settings),
        ))
        .unwrap();
        assert_eq!(codes(&simulate(catalog(), &request).unwrap().warnings).contains(&told), warned);
    }
    // A smaller chunk needs less beside.
    let small = of("sglang", json!({"memory_share": 0.95, "chunk_tokens": 1024}), json!({}));
    assert!(!codes(&small.warnings).contains(&told));
}

/// A plan's service is sized by the settings, pools apart included, and a refusal names the scenario's field.
#[test]
fn a_plan_serves_by_the_settings() {
    let planned = |engine: Json| {
        let scenario: Scenario = serde_json::from_value(json!({"serving": {
            "model": "llama-3.3-70b", "precision": "fp8", "input_tokens": 2000.0, "output_tokens": 300.0,
            "slo": {"ttft_p95_seconds": 5.0, "tpot_p95_seconds": 0.1}, "traffic": {"requests_per_second": 20.0},
            "shapes": ["BM.GPU.H100.8"], "engine": engine,
        }}))
        .unwrap();
        plan(catalog(), &scenario)
    };
    let gpus = |engine: Json| planned(engine).unwrap().serving.unwrap().options[0].gpus;
    let usual = gpus(json!({"family": "vllm"}));
    assert!(gpus(json!({"family": "vllm", "max_sequences": 2})) > usual);
    assert!(gpus(json!({"family": "vllm", "memory_share": 0.6})) >= usual);
    let option = &planned(json!({"family": "vllm", "max_sequences": 2})).unwrap().serving.unwrap().options[0];
    assert_eq!(option.point.engine, "vllm of 2026: at most 2 sequences");
    for (engine, field) in [
        (json!({"family": "vllm", "memory_share": 2.0}), "serving.engine.memory_share"),
        (json!({"family": "vllm", "max_sequences": 9000}), "serving.engine.max_sequences"),
    ] {
        assert_eq!(planned(engine).unwrap_err().field(), field);
    }
}
