//! Hybrids with state-space layers and latent experts: counts, configs, laws of a training step, refusals.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::serving_point;
use rackrate::input::Value;
use rackrate::kernel::{Device, ScanShape};
use rackrate::model::{Architecture, from_hugging_face};
use rackrate::training::{TrainingStep, training_step};

const HYBRIDS: [&str; 5] = [
    "nemotron-h-56b",
    "nemotron-3-nano-30b-a3b",
    "nemotron-3-super-120b-a12b",
    "nemotron-3-ultra-550b-a55b",
    "nemotron-3.5-lightning-30b-a3b",
];

fn model(name: &str) -> Architecture {
    Catalog::embedded().unwrap().model("model", name).unwrap().architecture.clone()
}

fn read(json: &str) -> Result<Architecture, Error> {
    from_hugging_face(&serde_json::from_str::<Value>(json).unwrap())
}

/// A step of Nemotron 3 Nano on 8 B200, changed by some keys of the request and of its layout.
fn step(request: &str, layout: &str) -> Result<TrainingStep, Error> {
    let mut base: serde_json::Value = serde_json::from_str(
        r#"{"model": "nemotron-3-nano-30b-a3b", "gpu": "B200", "gpus": 8, "sequence_length": 8192,
            "precision": "mxfp8", "layout": {"ep": 8, "micro_batch": 2, "global_batch": 512}}"#,
    )
    .unwrap();
    let changes: serde_json::Value = serde_json::from_str(request).unwrap();
    let of_layout: serde_json::Value = serde_json::from_str(layout).unwrap();
    base.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    base["layout"].as_object_mut().unwrap().extend(of_layout.as_object().unwrap().clone());
    training_step(Catalog::embedded().unwrap(), &serde_json::from_value(base).unwrap())
}

#[test]
fn layers_of_all_kinds_add_up() {
    let kinds =
        |a: &Architecture| (a.state_space_layers(), a.attention_layers(), a.moe_layers(), a.dense_layers());
    let expected = [(54, 10, 0, 54), (23, 6, 23, 0), (40, 8, 40, 0), (48, 12, 48, 0), (23, 6, 23, 0)];
    for (name, kinds_of) in HYBRIDS.iter().zip(expected) {
        assert_eq!(kinds(&model(name)), kinds_of, "{name}");
    }
    // A model without such layers has attention in all of them.
    assert_eq!(kinds(&model("deepseek-v3")), (0, 61, 58, 3));
}

#[test]
fn totals_are_those_of_the_released_weights() {
    // Written out for Nemotron 3 Nano: 23 state-space layers of 64 heads 64 wide, 8 groups of state 128, convolution over 4.
    let (hidden, inner, groups) = (2688.0, 4096.0, 2.0 * 8.0 * 128.0);
    let channels = inner + groups;
    let state_space =
        hidden * (inner + channels + 64.0) + 4.0 * channels + channels + 3.0 * 64.0 + inner + inner * hidden;
    let attention = hidden * 128.0 * (2.0 * 32.0 + 2.0 * 2.0);
    let experts = 128.0 * 2.0 * hidden * 1856.0 + 2.0 * hidden * 3712.0 + 128.0 * (hidden + 1.0);
    let total = 23.0 * state_space
        + 6.0 * attention
        + 23.0 * experts
        + 52.0 * hidden
        + 2.0 * 131_072.0 * hidden
        + hidden;
    let nano = model("nemotron-3-nano-30b-a3b");
    assert_eq!(nano.state_space_parameters(), state_space);
    assert_eq!(nano.parameters(), total);
    for (name, billions) in [("nemotron-h-56b", 56.3), ("nemotron-3-super-120b-a12b", 120.5)] {
        let counted = model(name).parameters() / 1e9;
        assert!((counted / billions - 1.0).abs() < 0.01, "{name}: {counted}");
    }
    // With the layers for multi-token prediction the weights of Ultra hold 561 B.
    let ultra = model("nemotron-3-ultra-550b-a55b");
    assert!(((ultra.parameters() + ultra.mtp_parameters()) / 561e9 - 1.0).abs() < 0.01);
}

#[test]
fn latent_experts_are_smaller_and_their_projections_count() {
    let latent = model("nemotron-3-super-120b-a12b");
    assert_eq!(latent.expert_parameters(), 2.0 * 1024.0 * 2688.0);
    assert_eq!(latent.latent_projection_parameters(), 2.0 * 4096.0 * 1024.0);
    let mut full = latent.clone();
    full.moe.as_mut().unwrap().latent = 0;
    assert_eq!(full.expert_parameters(), 4.0 * latent.expert_parameters());
    assert_eq!(full.latent_projection_parameters(), 0.0);
}

#[test]
fn flop_of_a_token_include_the_scan() {
    let nano = model("nemotron-3-nano-30b-a3b");
    // Half of a chunk of 128 positions, 8 groups of 128, 4096 wide: arXiv 2405.21060, section 6.
    let layer = 4.0 * 128.0 * 4096.0 + 128.0 * (8.0 * 128.0 + 4096.0);
    assert_eq!(nano.scan_flop_per_token(8192.0), 23.0 * layer);
    let without = 6.0 * nano.matrix_parameters_per_token() + 3.0 * nano.attention_flop_per_token(8192.0);
    assert_eq!(nano.training_flop_per_token(8192.0), without + 3.0 * 23.0 * layer);
    // A recurrence costs every token the same, however long the sequence; a chunk is never longer than it.
    assert_eq!(nano.scan_flop_per_token(1e6), nano.scan_flop_per_token(128.0));
    assert!(nano.scan_flop_per_token(64.0) < nano.scan_flop_per_token(128.0));
    assert_eq!(model("llama-3.1-8b").scan_flop_per_token(8192.0), 0.0);
}

const NANO: &str = r#""model_type": "nemotron_h", "attention_bias": false, "chunk_size": 128, "conv_kernel": 4, "expand": 2,
    "head_dim": 128, "hidden_size": 2688, "intermediate_size": 1856, "layer_norm_epsilon": 1e-05, "mamba_head_dim": 64,
    "mamba_hidden_act": "silu", "mamba_num_heads": 64, "mamba_proj_bias": false, "mamba_ssm_cache_dtype": "float32",
    "max_position_embeddings": 262144, "mlp_bias": false, "mlp_hidden_act": "relu2", "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712, "n_group": 1, "n_groups": 8, "n_routed_experts": 128,
    "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 32, "num_experts_per_tok": 6,
    "num_key_value_heads": 2, "rescale_prenorm_residual": true, "residual_in_fp32": false, "rope_theta": 10000,
    "routed_scaling_factor": 2.5, "sliding_window": null, "ssm_state_size": 128, "tie_word_embeddings": false,
    "time_step_floor": 0.0001, "time_step_max": 0.1, "time_step_min": 0.001, "topk_group": 1, "use_bias": false,
    "use_cache": true, "use_conv_bias": true, "use_mamba_kernels": true, "vocab_size": 131072"#;
const PATTERN: &str = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME";

#[test]
fn a_hugging_face_config_reads_as_its_preset() {
    let preset = model("nemotron-3-nano-30b-a3b");
    let by_pattern =
        read(&format!(r#"{{{NANO}, "num_hidden_layers": 52, "hybrid_override_pattern": "{PATTERN}"}}"#))
            .unwrap();
    assert_eq!(by_pattern.notes, []);
    let same = Architecture {
        name: preset.name.clone(),
        published_parameters: preset.published_parameters,
        published_active_parameters: preset.published_active_parameters,
        ..by_pattern
    };
    assert_eq!(same, preset);
    // Newer configs name each layer.
    let names: Vec<&str> = PATTERN
        .chars()
        .map(|kind| match kind {
            'M' => "linear_attention",
            '*' => "full_attention",
            _ => "moe",
        })
        .collect();
    let by_name = read(&format!(r#"{{{NANO}, "layers_block_type": {names:?}}}"#)).unwrap();
    assert_eq!(by_name.parameters(), preset.parameters());
    let with_prediction = read(&format!(
        r#"{{{NANO}, "hybrid_override_pattern": "{PATTERN}", "num_nextn_predict_layers": 1,
            "mtp_hybrid_override_pattern": "*E", "moe_latent_size": 512}}"#
    ))
    .unwrap();
    assert_eq!((with_prediction.mtp_layers, with_prediction.moe.unwrap().latent), (1, 512));
}

#[test]
fn configs_that_cannot_be_are_refused() {
    let refused = |extra: &str| {
        let error = read(&format!("{{{NANO}, {extra}}}")).unwrap_err();
        (error.field().to_owned(), error.code())
    };
    let at = |field: &str, code| (field.to_owned(), code);
    assert_eq!(refused(r#""num_hidden_layers": 52"#), at("hybrid_override_pattern", "missing_field"));
    assert_eq!(
        refused(r#""hybrid_override_pattern": "MEX""#),
        at("hybrid_override_pattern[2]", "unsupported")
    );
    assert_eq!(refused(r#""hybrid_override_pattern": "*E""#), at("hybrid_override_pattern", "unsupported"));
    let short = r#""hybrid_override_pattern": "ME", "num_hidden_layers": 52"#;
    assert_eq!(refused(short), at("num_hidden_layers", "conflict"));
    let two = r#""hybrid_override_pattern": "ME", "layers_block_type": ["mamba"]"#;
    assert_eq!(refused(two), at("layers_block_type", "conflict"));
    let prediction = r#""hybrid_override_pattern": "ME", "num_nextn_predict_layers": 1,
        "mtp_hybrid_override_pattern": "MM""#;
    assert_eq!(refused(prediction), at("mtp_hybrid_override_pattern", "unsupported"));
}

#[test]
fn architectures_that_contradict_themselves_are_refused() {
    let broken = |change: &dyn Fn(&mut Architecture)| {
        let mut a = model("nemotron-3-nano-30b-a3b");
        change(&mut a);
        let error = a.check("m").unwrap_err();
        (error.field().to_owned(), error.code())
    };
    let at = |field: &str, code| (field.to_owned(), code);
    let space = |change: fn(&mut rackrate::model::StateSpace)| {
        broken(&move |a: &mut Architecture| change(a.state_space.as_mut().unwrap()))
    };
    assert_eq!(space(|s| s.layers = 53), at("m.state_space.layers", "out_of_range"));
    assert_eq!(space(|s| s.attention_layers = 30), at("m.state_space.attention_layers", "out_of_range"));
    assert_eq!(space(|s| s.attention_layers = 29), at("m.state_space.layers", "conflict"));
    assert_eq!(space(|s| s.groups = 7), at("m.state_space.groups", "indivisible"));
    assert_eq!(space(|s| s.chunk = 0), at("m.state_space.chunk", "out_of_range"));
    assert_eq!(broken(&|a| a.mtp_passes = 2), at("m.mtp_layers", "out_of_range"));
}

#[test]
fn a_scan_grows_with_what_it_scans_and_is_above_its_floor() {
    let device = Device::new(Catalog::embedded().unwrap().gpu("gpu", "H100-SXM-80GB").unwrap()).unwrap();
    let shape =
        ScanShape { tokens: 16_384.0, heads: 64.0, head_dim: 64.0, state: 128.0, groups: 8.0, chunk: 128.0 };
    let (forward, backward) = (device.scan(&shape), device.scan_backward(&shape));
    // Inputs are read and outputs written, and products take their FLOP at the peak.
    let bytes = 2.0 * 2.0 * shape.tokens * shape.heads * shape.head_dim;
    let flop = 4.0 * shape.tokens * shape.heads * shape.head_dim * shape.state;
    assert!(forward > (bytes / device.memory_bytes_per_s).max(flop / device.peak.half));
    assert!(backward > 2.0 * forward, "{forward} {backward}");
    for larger in [
        ScanShape { tokens: 32_768.0, ..shape },
        ScanShape { heads: 128.0, ..shape },
        ScanShape { state: 256.0, ..shape },
        ScanShape { groups: 16.0, ..shape },
    ] {
        assert!(device.scan(&larger) > forward && device.scan_backward(&larger) > backward, "{larger:?}");
    }
}

#[test]
fn every_hybrid_trains() {
    for name in HYBRIDS {
        let ep = if name == "nemotron-h-56b" { 1 } else { 8 };
        let answer = step(
            &format!(r#"{{"model": "{name}", "gpus": 64}}"#),
            &format!(r#"{{"ep": {ep}, "micro_batch": 1, "tp": 2}}"#),
        )
        .unwrap();
        assert!(answer.step_seconds > 0.0 && answer.mfu > 0.02 && answer.mfu < 0.6, "{name} {}", answer.mfu);
        assert!(answer.memory.weights_gib > 0.0 && answer.memory.activations_gib > 0.0, "{name}");
    }
}

#[test]
fn state_space_layers_cost_time_and_memory() {
    let described = |change: &dyn Fn(&mut Architecture)| {
        let mut a = model("nemotron-3-nano-30b-a3b");
        change(&mut a);
        step(&format!(r#"{{"model": {}}}"#, serde_json::to_string(&a).unwrap()), "{}").unwrap()
    };
    let base = described(&|_| {});
    let larger: [&dyn Fn(&mut Architecture); 4] = [
        &|a| a.state_space.as_mut().unwrap().state = 256,
        &|a| a.state_space.as_mut().unwrap().heads = 128,
        &|a| {
            a.layers += 10;
            a.state_space.as_mut().unwrap().layers += 10;
        },
        &|a| a.mtp_layers = 1,
    ];
    for (at, change) in larger.into_iter().enumerate() {
        let answer = described(change);
        assert!(answer.step_seconds > base.step_seconds, "{at}");
        assert!(at == 3 || answer.memory.activations_gib > base.memory.activations_gib, "{at}");
    }
    // A second pass of the same prediction layer takes time and no parameters.
    let (one, two) =
        (described(&|a| a.mtp_layers = 1), described(&|a| (a.mtp_layers, a.mtp_passes) = (1, 2)));
    let extra = [one.step_seconds - base.step_seconds, two.step_seconds - one.step_seconds];
    assert!((extra[1] / extra[0] - 1.0).abs() < 0.05, "{extra:?}");
    assert_eq!(one.memory.weights_gib, two.memory.weights_gib);
}

#[test]
fn a_pipeline_of_a_hybrid_holds_mean_stages_and_says_so() {
    let answer = step(r#"{"gpus": 16}"#, r#"{"pp": 2, "micro_batch": 1}"#).unwrap();
    assert!(answer.warnings.iter().any(|w| w.code == "mean_stages"), "{:?}", answer.warnings);
    let whole = step(r#"{"gpus": 16}"#, r#"{"micro_batch": 1}"#).unwrap();
    assert!(whole.warnings.iter().all(|w| w.code != "mean_stages"));
    // Every stage holds half of all kinds of layers.
    let share = answer.parts.compute_seconds / whole.parts.compute_seconds;
    assert!((0.85..1.3).contains(&share), "{share}");
}

#[test]
fn what_is_not_priced_says_so() {
    let refused = |request: &str, layout: &str| {
        let error = step(request, layout).unwrap_err();
        (error.field().to_owned(), error.code(), error.to_string())
    };
    let (field, code, words) = refused("{}", r#"{"cp": 2, "ep": 4}"#);
    assert_eq!((field.as_str(), code), ("layout.cp", "unsupported"));
    assert!(words.contains("state-space"), "{words}");
    let mut one_group = model("nemotron-3-nano-30b-a3b");
    one_group.state_space.as_mut().unwrap().groups = 1;
    let described = format!(r#"{{"model": {}}}"#, serde_json::to_string(&one_group).unwrap());
    let (field, code, words) = refused(&described, r#"{"tp": 2}"#);
    assert_eq!((field.as_str(), code), ("layout.tp", "indivisible"));
    assert!(words.contains("groups of state-space heads"), "{words}");
    let request = serde_json::from_str(
        r#"{"model": "nemotron-3-nano-30b-a3b", "gpu": "H100-SXM-80GB", "gpus": 8, "layout": {"tp": 8},
            "input_tokens": 1024.0, "output_tokens": 128.0, "concurrency": 8.0}"#,
    )
    .unwrap();
    let error = serving_point(Catalog::embedded().unwrap(), &request).unwrap_err();
    assert_eq!((error.field(), error.code()), ("model", "unsupported"), "{error}");
    assert!(error.to_string().contains("state-space"), "{error}");
}
