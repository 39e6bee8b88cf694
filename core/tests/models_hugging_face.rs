//! Hugging Face configs: released ones count as many parameters as was published, the keys say the same architecture as
//! the preset, and no key is passed over in silence.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used, clippy::panic)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::input::{Value, read};
use rackrate::model::{Architecture, ModelRef, from_hugging_face};

fn config(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// The preset without what a config does not state.
fn bare(name: &str) -> Architecture {
    let mut a = Catalog::embedded().unwrap().model("model", name).unwrap().architecture.clone();
    a.name = String::new();
    a.published_parameters = None;
    a.published_active_parameters = None;
    a.small_parameters.sort_unstable();
    a
}

#[track_caller]
fn reads_as(json: &str, preset: &str) {
    let mut read = from_hugging_face(&config(json)).unwrap();
    read.name = String::new();
    read.check("").unwrap();
    read.notes.clear();
    read.small_parameters.sort_unstable();
    let mut expected = bare(preset);
    // Latent attention and pure mixtures of experts ignore these.
    if read.mla.is_some() {
        expected.kv_heads = read.kv_heads;
    }
    assert_eq!(read, expected, "{preset}");
}

#[test]
fn dense_families() {
    reads_as(
        r#"{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "hidden_act": "silu", "hidden_size": 4096,
            "intermediate_size": 14336, "max_position_embeddings": 131072, "model_type": "llama",
            "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
            "rope_scaling": {"factor": 8.0, "rope_type": "llama3"}, "tie_word_embeddings": false,
            "torch_dtype": "bfloat16", "vocab_size": 128256, "eos_token_id": [128001, 128008]}"#,
        "llama-3.1-8b",
    );
    // The class alone tells the family.
    reads_as(
        r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 16384, "intermediate_size": 53248,
            "num_attention_heads": 128, "num_hidden_layers": 126, "num_key_value_heads": 8, "vocab_size": 128256}"#,
        "llama-3.1-405b",
    );
    reads_as(
        r#"{"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "sliding_window": 4096, "vocab_size": 32000}"#,
        "mistral-7b",
    );
    reads_as(
        r#"{"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "max_window_layers": 28,
            "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4, "sliding_window": 131072,
            "use_sliding_window": false, "vocab_size": 152064, "tie_word_embeddings": false}"#,
        "qwen2.5-7b",
    );
    reads_as(
        r#"{"model_type": "qwen3", "hidden_size": 5120, "head_dim": 128, "intermediate_size": 25600,
            "num_attention_heads": 64, "num_hidden_layers": 64, "num_key_value_heads": 8, "sliding_window": null,
            "use_sliding_window": false, "vocab_size": 151936, "tie_word_embeddings": false}"#,
        "qwen3-32b",
    );
    reads_as(
        r#"{"model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 32, "sliding_window": 2047, "vocab_size": 32064,
            "tie_word_embeddings": false}"#,
        "phi-3-mini-3.8b",
    );
    reads_as(
        r#"{"model_type": "nemotron", "hidden_act": "relu2", "hidden_size": 18432, "intermediate_size": 73728,
            "num_attention_heads": 96, "num_hidden_layers": 96, "num_key_value_heads": 8, "vocab_size": 256000}"#,
        "nemotron-4-340b",
    );
}

#[test]
fn windowed_families() {
    reads_as(
        r#"{"model_type": "gemma2", "head_dim": 256, "hidden_size": 3584, "intermediate_size": 14336,
            "num_attention_heads": 16, "num_hidden_layers": 42, "num_key_value_heads": 8, "sliding_window": 4096,
            "vocab_size": 256000}"#,
        "gemma-2-9b",
    );
    // The text part of a model with an image encoder.
    reads_as(
        r#"{"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "text_config": {
            "model_type": "gemma3_text", "head_dim": 128, "hidden_size": 5376, "intermediate_size": 21504,
            "num_attention_heads": 32, "num_hidden_layers": 62, "num_key_value_heads": 16, "sliding_window": 1024,
            "vocab_size": 262208}, "vision_config": {"hidden_size": 1152}}"#,
        "gemma-3-27b",
    );
    let kinds: Vec<String> = (0..36)
        .map(|i| format!("\"{}\"", if i % 2 == 0 { "sliding_attention" } else { "full_attention" }))
        .collect();
    reads_as(
        &format!(
            r#"{{"model_type": "gpt_oss", "head_dim": 64, "hidden_size": 2880, "intermediate_size": 2880,
                "layer_types": [{}], "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 36,
                "num_key_value_heads": 8, "num_local_experts": 128, "sliding_window": 128,
                "tie_word_embeddings": false, "vocab_size": 201088}}"#,
            kinds.join(",")
        ),
        "gpt-oss-120b",
    );
}

#[test]
fn expert_families() {
    reads_as(
        r#"{"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
            "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8,
            "sliding_window": null, "vocab_size": 32000}"#,
        "mixtral-8x7b",
    );
    reads_as(
        r#"{"model_type": "qwen3_moe", "decoder_sparse_step": 1, "head_dim": 128, "hidden_size": 4096,
            "intermediate_size": 12288, "mlp_only_layers": [], "moe_intermediate_size": 1536,
            "num_attention_heads": 64, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 94,
            "num_key_value_heads": 4, "sliding_window": null, "use_sliding_window": false, "vocab_size": 151936}"#,
        "qwen3-235b-a22b",
    );
    reads_as(
        r#"{"model_type": "deepseek_v3", "first_k_dense_replace": 3, "hidden_size": 7168, "intermediate_size": 18432,
            "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "topk_group": 4,
            "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8,
            "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
            "topk_method": "noaux_tc", "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280,
            "quantization_config": {"quant_method": "fp8"}}"#,
        "deepseek-v3",
    );
    reads_as(
        r#"{"model_type": "deepseek_v2", "first_k_dense_replace": 1, "hidden_size": 2048, "intermediate_size": 10944,
            "kv_lora_rank": 512, "moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2,
            "num_attention_heads": 16, "num_experts_per_tok": 6, "num_hidden_layers": 27,
            "num_key_value_heads": 16, "q_lora_rank": null, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
            "v_head_dim": 128, "vocab_size": 102400}"#,
        "deepseek-v2-lite",
    );
    reads_as(
        r#"{"model_type": "kimi_k2", "first_k_dense_replace": 1, "hidden_size": 7168, "intermediate_size": 18432,
            "kv_lora_rank": 512, "moe_intermediate_size": 2048, "n_routed_experts": 384, "n_shared_experts": 1,
            "num_attention_heads": 64, "num_experts_per_tok": 8, "num_hidden_layers": 61,
            "num_key_value_heads": 64, "num_nextn_predict_layers": 0, "q_lora_rank": 1536, "topk_method": "noaux_tc",
            "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 163840}"#,
        "kimi-k2",
    );
    reads_as(
        r#"{"model_type": "glm4_moe", "attention_bias": true, "first_k_dense_replace": 3, "head_dim": 128,
            "hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536,
            "n_routed_experts": 160, "n_shared_experts": 1, "num_attention_heads": 96, "num_experts_per_tok": 8,
            "num_hidden_layers": 92, "num_key_value_heads": 8, "num_nextn_predict_layers": 1,
            "use_qk_norm": true, "vocab_size": 151552}"#,
        "glm-4.5",
    );
    reads_as(
        r#"{"model_type": "llama4", "text_config": {"model_type": "llama4_text", "attention_chunk_size": 8192,
            "head_dim": 128, "hidden_size": 5120, "interleave_moe_layer_step": 2, "intermediate_size": 8192,
            "intermediate_size_mlp": 16384, "num_attention_heads": 40, "num_experts_per_tok": 1,
            "num_hidden_layers": 48, "num_key_value_heads": 8, "num_local_experts": 128, "vocab_size": 202048}}"#,
        "llama-4-maverick",
    );
}

#[test]
fn older_families() {
    reads_as(
        r#"{"model_type": "falcon", "bias": false, "hidden_size": 8192, "new_decoder_architecture": true,
            "num_attention_heads": 128, "num_hidden_layers": 60, "num_kv_heads": 8, "vocab_size": 65024}"#,
        "falcon-40b",
    );
    reads_as(
        r#"{"model_type": "falcon", "bias": false, "hidden_size": 4544, "multi_query": true,
            "new_decoder_architecture": false, "num_attention_heads": 71, "num_hidden_layers": 32,
            "vocab_size": 65024}"#,
        "falcon-7b",
    );
    reads_as(
        r#"{"architectures": ["GPTNeoXForCausalLM"], "hidden_size": 6144, "intermediate_size": 24576,
            "num_attention_heads": 64, "num_hidden_layers": 44, "tie_word_embeddings": false, "vocab_size": 50432}"#,
        "gpt-neox-20b",
    );
    reads_as(
        r#"{"architectures": ["BloomForCausalLM"], "model_type": "bloom", "n_embed": 14336, "n_layer": 70,
            "num_attention_heads": 112, "vocab_size": 250880}"#,
        "bloom-176b",
    );
    reads_as(
        r#"{"model_type": "opt", "ffn_dim": 36864, "hidden_size": 9216, "max_position_embeddings": 2048,
            "num_attention_heads": 72, "num_hidden_layers": 64, "vocab_size": 50272, "word_embed_proj_dim": 9216}"#,
        "opt-66b",
    );
    reads_as(
        r#"{"model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_inner": null, "n_layer": 28, "rotary_dim": 64,
            "tie_word_embeddings": false, "vocab_size": 50400}"#,
        "gpt-j-6b",
    );
    let gpt2 = from_hugging_face(&config(
        r#"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
            "n_layer": 12, "n_positions": 1024, "vocab_size": 50257}"#,
    ))
    .unwrap();
    // 124,439,808 as the model counts its own.
    assert_eq!(gpt2.parameters(), 124_439_808.0);
}

#[track_caller]
fn refused(json: &str) -> Error {
    from_hugging_face(&config(json)).unwrap_err()
}

const LLAMA: &str = r#""model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "vocab_size": 32000,
    "num_hidden_layers": 32"#;

#[test]
fn what_cannot_be_read_is_named() {
    let family = refused(r#"{"model_type": "mamba2", "hidden_size": 4096}"#);
    assert_eq!((family.field(), family.code()), ("model_type", "unsupported"));
    let near = refused(r#"{"model_type": "lama"}"#);
    assert!(near.to_string().contains("the nearest is \"llama\""), "{near}");
    let size = refused(&format!("{{{LLAMA}}}"));
    assert_eq!((size.field(), size.code()), ("num_attention_heads", "missing_field"));
    let text = refused(&format!("{{{LLAMA}, \"num_attention_heads\": true}}"));
    assert_eq!((text.field(), text.code()), ("num_attention_heads", "wrong_type"));
    let width = refused(&format!("{{{LLAMA}, \"num_attention_heads\": 33}}"));
    assert_eq!((width.field(), width.code()), ("head_dim", "conflict"));
    assert_eq!(refused(&format!("{{{LLAMA}, \"num_attention_heads\": 0}}")).code(), "conflict");
    let indexer = refused(&format!("{{{LLAMA}, \"num_attention_heads\": 32, \"index_topk\": 2048}}"));
    assert_eq!((indexer.field(), indexer.code()), ("index_topk", "unsupported"));
    let linear = refused(&format!(
        "{{{LLAMA}, \"num_attention_heads\": 32, \"layer_types\": [\"full_attention\", \"linear_attention\"]}}"
    ));
    assert_eq!(linear.field(), "layer_types[1]");
    let inner = refused(r#"{"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}"#);
    assert_eq!(inner.field(), "text_config.hidden_size");
    assert_eq!(refused("{}").field(), "model_type");
    let part = refused(&format!("{{{LLAMA}, \"num_attention_heads\": 32, \"text_config\": 7}}"));
    assert_eq!((part.field(), part.code()), ("text_config", "wrong_type"));
    let hint = refused(r#"{"model_type": "mamba3"}"#);
    assert!(hint.to_string().contains("nearest is \"mamba\", and recurrent"), "{hint}");
    // Absurd sizes neither panic nor pass.
    let absurd = format!("{{{LLAMA}, \"num_attention_heads\": 1, \"num_key_value_heads\": 4000000000}}");
    assert_eq!(
        from_hugging_face(&config(&absurd)).unwrap().check("model").unwrap_err().field(),
        "model.kv_heads"
    );
}

/// One row of `configs/published.csv`: a released config reduced to what decides counts (`configs/NAME.json`), and what
/// was published about the model, in billions as printed.
#[derive(serde::Deserialize)]
struct Published {
    config: String,
    /// Where the config was read: a public repository that copies it; the sizes of our own table, which names its source;
    /// or recalled, and held against the totals alone.
    config_source: String,
    total_b: String,
    /// What prints it. `recalled` behind it: from memory of that document, not read again here; the count of the class built
    /// without weights (`class_total`) stands beside it.
    total_source: String,
    /// Parameters that the published total counts beside the language model, and what they are.
    beside_b: Option<f64>,
    beside: String,
    active_b: String,
    /// What the published active count counts: all, no input embedding, or no embeddings (neither input nor output).
    active_counts: String,
    active_source: String,
    /// The class of Hugging Face transformers 5.23 (PyTorch 2.15) for the config, or the one of the same structure, and its
    /// parameters when built without weights (of all tensors, the router's correction biases among them, which it keeps
    /// as buffers).
    class: String,
    class_total: Option<f64>,
}

impl Published {
    fn read(&self) -> Architecture {
        let path = format!("{}/tests/configs/{}.json", env!("CARGO_MANIFEST_DIR"), self.config);
        let read = from_hugging_face(&config(&std::fs::read_to_string(path).unwrap()));
        let architecture = read.unwrap_or_else(|e| panic!("{}: {e}", self.config));
        architecture.check("").unwrap();
        architecture
    }
}

fn published() -> Vec<Published> {
    let mut reader = csv::Reader::from_reader(include_str!("configs/published.csv").as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

/// `counted` is what was printed: within 1 %, or it comes to the printed digits when rounded, or cut off where `cut`.
#[track_caller]
fn agrees(what: &str, counted: f64, printed_b: &str, cut: bool) {
    let printed: f64 = printed_b.parse().unwrap();
    let decimals = printed_b.split_once('.').map_or(0, |(_, digits)| digits.len());
    let last_digit = 10_f64.powi(-i32::try_from(decimals).unwrap());
    let error = counted / 1e9 - printed;
    let above = if cut { last_digit } else { 0.5 * last_digit };
    assert!(
        error.abs() <= 0.01 * printed || (-0.5 * last_digit..=above).contains(&error),
        "{what}: {:.3} B counted, {printed_b} B published",
        counted / 1e9
    );
}

#[test]
fn released_configs_count_the_published_totals() {
    for row in published() {
        let a = row.read();
        agrees(&row.config, a.parameters() + 1e9 * row.beside_b.unwrap_or(0.0), &row.total_b, false);
        assert!(!row.total_source.is_empty() && !row.config_source.is_empty(), "{}", row.config);
        assert_eq!(row.beside_b.is_some(), !row.beside.is_empty(), "{}", row.config);
    }
}

#[test]
fn released_configs_count_what_their_classes_hold() {
    let mut compared = 0;
    for row in published() {
        assert_eq!(row.class_total.is_some(), !row.class.is_empty(), "{}", row.config);
        if let Some(total) = row.class_total {
            compared += 1;
            assert_eq!(row.read().parameters(), total, "{} ({})", row.config, row.class);
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn released_configs_count_the_published_active_parameters() {
    let mut compared = 0;
    for row in published() {
        let a = row.read();
        assert_eq!(a.moe.is_some(), !row.active_b.is_empty(), "{}", row.config);
        if a.moe.is_none() {
            assert_eq!(a.active_parameters(), a.parameters(), "{}", row.config);
            continue;
        }
        compared += 1;
        let left_out = match row.active_counts.as_str() {
            "all" => 0.0,
            "no input embedding" => a.embedding_parameters(),
            "no embeddings" => a.embedding_parameters() + a.output_parameters(),
            other => panic!("{}: {other}", row.config),
        };
        // Active counts are names rather than measures: some are cut off ("3.3B" of 3.35).
        agrees(&row.config, a.active_parameters() - left_out, &row.active_b, true);
        assert!(!row.active_source.is_empty(), "{}", row.config);
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn released_configs_say_what_presets_of_the_name_say() {
    let mut compared = 0;
    for row in published() {
        if !Catalog::embedded().unwrap().models.iter().any(|m| m.architecture.name == row.config) {
            continue;
        }
        compared += 1;
        let mut expected = bare(&row.config);
        let mut read = row.read();
        read.name = String::new();
        read.notes.clear();
        read.small_parameters.sort_unstable();
        // Latent attention and pure mixtures of experts ignore these.
        if read.mla.is_some() {
            expected.kv_heads = read.kv_heads;
        }
        if read.dense_layers() == 0 {
            expected.ffn = read.ffn;
        }
        assert_eq!(read, expected, "{}", row.config);
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn every_config_has_a_row_and_every_key_a_reader() {
    let mut names: Vec<String> = std::fs::read_dir(format!("{}/tests/configs", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    names.sort();
    let rows = published();
    assert_eq!(names, rows.iter().map(|row| row.config.clone()).collect::<Vec<_>>());
    for row in rows {
        for note in row.read().notes {
            assert_ne!(note.code, "unread_config_key", "{}: {}", row.config, note.message);
        }
    }
}

#[test]
fn what_is_left_out_is_noted() {
    let codes = |json: &str| -> Vec<(String, String)> {
        from_hugging_face(&config(json)).unwrap().notes.into_iter().map(|n| (n.code, n.message)).collect()
    };
    let plain = format!("{{{LLAMA}, \"num_attention_heads\": 32, \"rope_theta\": 1e6, \"eos_token_id\": 2}}");
    assert_eq!(codes(&plain), []);
    let odd =
        plain.replace("\"rope_theta\": 1e6", "\"hyper_width\": 3, \"sliding_window\": 4096, \"off\": null");
    let found = codes(&odd);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "unread_config_key"));
    assert!(found[0].1.ends_with("hyper_width, sliding_window"), "{}", found[0].1);
    let stored = plain.replace("\"eos_token_id\": 2", "\"quantization_config\": {\"quant_method\": \"fp8\"}");
    let found = codes(&stored);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "stored_precision"));
    assert!(found[0].1.contains("(fp8)"), "{}", found[0].1);
    let seeing = format!("{{\"model_type\": \"llava\", \"text_config\": {plain}, \"vision_config\": {{}}}}");
    let found = codes(&seeing);
    assert_eq!((found.len(), found[0].0.as_str()), (1, "only_text_counted"));
    assert!(found[0].1.contains("vision_config"), "{}", found[0].1);
    answers_repeat_notes(&odd);
}

/// Every estimator's answer about the model in `json` warns of what was not read.
#[track_caller]
fn answers_repeat_notes(json: &str) {
    let catalog = Catalog::embedded().unwrap();
    let step = format!(
        "{{\"model\": {json}, \"gpu\": \"H100-SXM\", \"gpus\": 8, \"sequence_length\": 4096,
        \"layout\": {{\"tp\": 8, \"global_batch\": 8}}}}"
    );
    let step = rackrate::training::training_step(catalog, &read(&config(&step)).unwrap()).unwrap();
    let point = format!(
        "{{\"model\": {json}, \"gpu\": \"H100-SXM\", \"gpus\": 8, \"layout\": {{\"tp\": 8}},
        \"input_tokens\": 1000, \"output_tokens\": 100, \"concurrency\": 8}}"
    );
    let point = rackrate::inference::serving_point(catalog, &read(&config(&point)).unwrap()).unwrap();
    let plan = format!(
        "{{\"name\": \"noted\", \"training\": {{\"model\": {json}, \"tokens\": 1e12, \"sequence_length\": 4096,
        \"global_batch_tokens\": 4194304, \"gpus\": 256, \"cloud\": \"azure\"}}}}"
    );
    let plan = rackrate::plan::plan(catalog, &read(&config(&plan)).unwrap()).unwrap();
    for (call, warnings) in
        [("training_step", step.warnings), ("serving_point", point.warnings), ("plan", plan.warnings)]
    {
        assert!(warnings.iter().any(|w| w.code == "unread_config_key"), "{call}: {warnings:?}");
    }
}

#[test]
fn features_that_change_counts_are_refused() {
    let with = |extra: &str| refused(&format!("{{{LLAMA}, \"num_attention_heads\": 32, {extra}}}"));
    for key in ["mamba_d_state", "num_kv_shared_layers", "zero_expert_num", "hidden_size_per_layer_input"] {
        let error = with(&format!("\"{key}\": 16"));
        assert_eq!((error.field(), error.code()), (key, "unsupported"));
    }
    let encoder = with("\"is_encoder_decoder\": true");
    assert_eq!((encoder.field(), encoder.code()), ("is_encoder_decoder", "unsupported"));
    // Switched off, they are nothing.
    for off in ["false", "0", "null", "[]"] {
        let json = format!("{{{LLAMA}, \"num_attention_heads\": 32, \"altup_num_inputs\": {off}}}");
        assert_eq!(from_hugging_face(&config(&json)).unwrap().notes, [], "{off}");
    }
    for (family, what) in [
        ("mamba2", "recurrent"),
        ("jamba", "state-space"),
        ("qwen3_next", "linear-attention"),
        ("deepseek_v32", "sparse attention"),
        ("nemotron-nas", "different sizes"),
        ("t5", "encoder"),
    ] {
        let error = refused(&format!("{{\"model_type\": \"{family}\"}}"));
        assert!(error.to_string().contains(what), "{error}");
    }
    let mllama = refused(r#"{"model_type": "mllama", "text_config": {"model_type": "mllama_text_model"}}"#);
    assert!(mllama.to_string().contains("cross-attention"), "{mllama}");
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let tied = refused(&format!(
        "{{\"model_type\": \"llava\", \"tie_word_embeddings\": true, \"text_config\": {{{LLAMA},
        \"num_attention_heads\": 32, \"tie_word_embeddings\": false}}}}"
    ));
    assert_eq!((tied.field(), tied.code()), ("text_config.tie_word_embeddings", "conflict"));
    let listed = refused(
        r#"{"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "sliding_window": 4096, "vocab_size": 32000,
        "layer_types": ["full_attention"]}"#,
    );
    assert_eq!((listed.field(), listed.code()), ("layer_types", "conflict"));
    // Llama has as many key and value heads as query heads unless stated; the class of Mistral fills in 8.
    let unstated = refused(
        r#"{"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
        "num_hidden_layers": 32, "vocab_size": 32000}"#,
    );
    assert_eq!((unstated.field(), unstated.code()), ("num_key_value_heads", "missing_field"));
    let dense = refused(
        r#"{"model_type": "deepseek", "hidden_size": 2048, "intermediate_size": 10944, "num_attention_heads": 16,
        "num_hidden_layers": 3, "vocab_size": 102400, "n_routed_experts": 64, "moe_intermediate_size": 1408,
        "num_experts_per_tok": 6, "first_k_dense_replace": 1, "mlp_layer_types": ["dense", "dense", "sparse"]}"#,
    );
    assert_eq!((dense.field(), dense.code()), ("mlp_layer_types", "conflict"));
    let pattern = refused(
        r#"{"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "sliding_window": 1024, "sliding_window_pattern": 0}"#,
    );
    assert_eq!((pattern.field(), pattern.code()), ("sliding_window_pattern", "out_of_range"));
}

fn resolve(json: &str) -> Result<Architecture, Error> {
    #[derive(serde::Deserialize)]
    struct Request {
        model: ModelRef,
    }
    let request: Request = read(&config(json))?;
    Catalog::embedded()?.resolve_model("model", &request.model)
}

#[test]
fn a_request_names_or_describes_its_model() {
    assert_eq!(resolve(r#"{"model": "Llama-3.1-70B"}"#).unwrap().name, "llama-3.1-70b");
    assert_eq!(resolve(r#"{"model": "llama-4-70b"}"#).unwrap_err().field(), "model");
    let own = r#"{"model": {"name": "mine", "layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8,
        "head_dim": 128, "ffn": 14336, "gated": true, "vocab": 128256}}"#;
    assert!((resolve(own).unwrap().parameters() / 8.03e9 - 1.0).abs() < 1e-3);
    let slip = resolve(&own.replace("\"ffn\"", "\"fnn\"")).unwrap_err();
    assert_eq!((slip.field(), slip.hint().as_deref()), ("model.fnn", Some("ffn")));
    let kv = resolve(&own.replace("\"kv_heads\": 8", "\"kv_heads\": 7")).unwrap_err();
    assert_eq!((kv.field(), kv.hint().as_deref()), ("model.kv_heads", Some("8")));
    let hf = format!("{{\"model\": {{{LLAMA}, \"num_attention_heads\": 32}}}}");
    assert!((resolve(&hf).unwrap().parameters() / 6.74e9 - 1.0).abs() < 1e-3);
    let missing = resolve(&format!("{{\"model\": {{{LLAMA}}}}}")).unwrap_err();
    assert_eq!(missing.field(), "model.num_attention_heads");
    let refused = resolve(r#"{"model": "qwen3.5-397b-a17b"}"#).unwrap_err();
    assert_eq!((refused.field(), refused.code()), ("model", "unsupported"));
    assert!(refused.to_string().contains("qwen3.5-397b-a17b"), "{refused}");
    let number = resolve(r#"{"model": 70}"#).unwrap_err();
    assert_eq!((number.field(), number.code()), ("model", "wrong_type"));
}

#[test]
fn a_model_reference_survives_json() {
    for json in [r#""llama-3.1-8b""#, r#"{"model_type":"llama","hidden_size":4096.0,"eos":[1.0,null,true]}"#]
    {
        let model: ModelRef = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&model).unwrap(), json);
    }
}
