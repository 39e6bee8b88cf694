//! Keys that no family reads: those that decide nothing here, those that name a feature which cannot be priced, and the
//! rest, which an answer names.

use super::config::unsupported;
use crate::error::Error;
use crate::input::{Value, read};

/// Keys under which a config says how its weights are stored.
pub(super) const STORED_PRECISION: [&str; 2] = ["quantization_config", "compression_config"];

pub(super) fn is_stored_precision(key: &str) -> bool {
    STORED_PRECISION.contains(&key)
}

/// Features that change what a layer computes and that no estimator here knows: the key, and what it switches on unless
/// it is null, false, zero or empty.
const REFUSED: &[(&str, &str)] = &[
    ("index_topk", "sparse attention with an indexer"),
    ("sparse_attention_config", "sparse attention"),
    ("ssm_state_size", "state-space layers"),
    ("ssm_cfg", "state-space layers"),
    ("mamba_num_heads", "state-space layers"),
    ("mamba_d_state", "state-space layers"),
    ("hybrid_override_pattern", "layers of different kinds"),
    ("layers_block_type", "layers of different kinds"),
    ("linear_num_key_heads", "linear attention"),
    ("linear_attn_config", "linear attention"),
    ("cross_attention_layers", "cross-attention layers"),
    ("add_cross_attention", "cross-attention layers"),
    ("is_encoder_decoder", "an encoder beside the decoder"),
    ("moe_latent_size", "latent experts"),
    ("zero_expert_num", "experts that compute nothing"),
    ("block_configs", "layers of different sizes"),
    ("layerwise_ffn", "layers of different sizes"),
    ("pruned_heads", "pruned heads"),
    ("num_kv_shared_layers", "caches shared between layers"),
    ("hidden_size_per_layer_input", "embeddings for each layer"),
    ("altup_num_inputs", "several residual streams"),
    ("laurel_rank", "low-rank residual layers"),
    ("o_lora_rank", "a low-rank output projection"),
    ("attn_output_gate", "gated attention"),
    ("use_attn_output_gate", "gated attention"),
    ("attention_output_gate", "gated attention"),
    ("use_bidirectional_attention", "attention that is not causal"),
    ("num_mem_blocks", "shared blocks"),
];

/// Keys that decide neither parameters nor FLOP nor memory, by what they are about.
const HARMLESS: &[&str] = &[
    // What the file is.
    "architectures",
    "auto_map",
    "model_type",
    "transformers_version",
    "tokenizer_class",
    "torch_dtype",
    "dtype",
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "prefix",
    "task_specific_params",
    "custom_pipelines",
    "transformers.js_config",
    "max_position_embeddings",
    "original_max_position_embeddings",
    "max_sequence_length",
    "max_seq_len",
    "model_max_length",
    "initial_context_length",
    "seq_length",
    "seq_len",
    "n_positions",
    "n_ctx",
    // How the implementation runs it.
    "use_cache",
    "cache_implementation",
    "chunk_size_feed_forward",
    "pretraining_tp",
    "ep_size",
    "attn_implementation",
    "attn_impl",
    "use_flash_attn",
    "flash_attn",
    "flash_rotary",
    "fused_dense",
    "use_fused_rms_norm",
    "fuse_rms_norm",
    "fuse_linear",
    "fuse_ln",
    "fuse_rope",
    "fuse_softmax_mask",
    "init_device",
    "verbose",
    "gradient_checkpointing",
    "slow_but_exact",
    "skip_bias_add",
    "skip_bias_add_qkv",
    "masked_softmax_fusion",
    "bias_dropout_fusion",
    "unk_bias",
    "attention_softmax_in_fp32",
    "scale_attention_softmax_in_fp32",
    "reorder_and_upcast_attn",
    "fp32_residual_connection",
    "residual_in_fp32",
    "apply_query_key_layer_scaling",
    "runner_max_sequence_length",
    "use_bfloat16",
    "bf16",
    "fp16",
    "fp32",
    "torchscript",
    "tf_legacy_loss",
    "return_dict",
    "return_dict_in_generate",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "output_router_logits",
    "is_decoder",
    "tie_encoder_decoder",
    // How text is generated.
    "temperature",
    "top_p",
    "top_k",
    "typical_p",
    "do_sample",
    "num_beams",
    "num_beam_groups",
    "num_return_sequences",
    "max_length",
    "min_length",
    "max_new_tokens",
    "early_stopping",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "begin_suppress_tokens",
    "suppress_tokens",
    "remove_invalid_values",
    "use_return_dict",
    "predict_special_tokens",
    "n_special",
    "image_token_index",
    // How it was trained.
    "initializer_range",
    "initializer_factor",
    "init_std",
    "init_config",
    "residual_dropout",
    "layerdrop",
    "dropout",
    "aux_loss_alpha",
    "moe_loss_weight",
    "moe_capacity",
    "moe_gate",
    "moe_jitter_eps",
    "moe_normalize_expert_weights",
    "router_jitter_noise",
    "input_jitter_noise",
    "seq_aux",
    "mup_enabled",
    // Positions without parameters.
    "rotary",
    "rotary_dim",
    "rotary_pct",
    "rotary_emb_base",
    "rotary_base",
    "partial_rotary_factor",
    "position_embedding_type",
    "position_encoding",
    "original_rope",
    "use_mrope",
    "use_dynamic_ntk",
    "use_logn_attn",
    "alibi_bias_max",
    "offset_alibi",
    "alibi",
    "no_rope_layers",
    "no_rope_layer_interval",
    "attn_temperature_tuning",
    "attn_scale",
    "floor_scale",
    "interpolate_factor",
    "full_attn_mod",
    // Which elementwise function, and scales that cost nothing.
    "hidden_act",
    "hidden_activation",
    "activation",
    "activation_function",
    "ffn_act_fn",
    "rms_norm",
    "apply_residual_connection_post_layernorm",
    "clip_qkv",
    "softmax_scale",
    "logit_scale",
    "logits_scaling",
    "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx",
    "query_pre_attn_scalar",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "attention_multiplier",
    "embedding_multiplier",
    "residual_multiplier",
    "swiglu_limit",
    "swiglu_alpha",
    "attn_uses_sequence_id",
    "prefix_lm",
    "embedding_fraction",
    // How experts are chosen among as many, and how their scores are scaled.
    "norm_topk_prob",
    "routed_scaling_factor",
    "scoring_func",
    "topk_group",
    "topk_method",
    "n_group",
    "moe_norm_min",
    "norm_expert_weight",
    // The same size under a second name.
    "experts_per_token",
    "qk_head_dim",
    "order_of_interleaved_layers",
    "use_parallel_embedding",
];

/// Endings and beginnings of such keys.
const HARMLESS_ENDINGS: [&str; 8] =
    ["_token_id", "_dropout", "_pdrop", "_eps", "epsilon", "_loss_coef", "_penalty", "dropout_prob"];
const HARMLESS_BEGINNINGS: [&str; 4] = ["rope_", "summary_", "forced_", "_"];

/// Whether `key` describes a part of a larger model beside its language model, such as `vision_config`.
pub(super) fn is_other_part(key: &str) -> bool {
    let of_the_language_model = ["attn_config", "ffn_config", "ssm_config", "moe_config"];
    let names_a_part = key.ends_with("_config") || matches!(key, "img_processor" | "embd_layer");
    names_a_part && !of_the_language_model.contains(&key) && !is_harmless(key) && !is_stored_precision(key)
}

pub(super) fn is_harmless(key: &str) -> bool {
    HARMLESS.contains(&key)
        || HARMLESS_ENDINGS.iter().any(|end| key.ends_with(end))
        || HARMLESS_BEGINNINGS.iter().any(|start| key.starts_with(start))
}

/// The keys of `config` that hold something, that `is_read` does not know and that are not known to be harmless.
pub(super) fn unknown(config: &Value, is_read: impl Fn(&str) -> bool) -> Vec<String> {
    let Value::Object(fields) = config else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in fields {
        match value {
            Value::Null => {}
            _ if is_harmless(key) || is_refused(key) || is_stored_precision(key) => {}
            // Other parts of a larger model have a note of their own.
            _ if is_other_part(key) => {}
            Value::Object(inner) if is_read(key) => {
                let nested = inner.iter().filter(|(name, value)| {
                    let decides = is_on(value) || !is_refused(name);
                    *value != Value::Null
                        && decides
                        && !is_harmless(name)
                        && !is_read(&format!("{key}.{name}"))
                });
                found.extend(nested.map(|(name, _)| format!("{key}.{name}")));
            }
            _ if is_read(key) => {}
            _ => found.push(key.clone()),
        }
    }
    found
}

fn is_refused(key: &str) -> bool {
    REFUSED.iter().any(|(name, _)| *name == key)
}

/// Refuses features that change what a layer computes and that no estimator here knows, but for those that the family
/// reads.
pub(super) fn refuse_unpriced_features(config: &Value, priced: &[&str]) -> Result<(), Error> {
    for (key, what) in REFUSED.iter().filter(|(key, _)| !priced.contains(key)) {
        if let Some(value) = config.get(key).filter(|value| is_on(value)) {
            return Err(unsupported(key, &value.describe(), what));
        }
    }
    let kinds: Vec<String> = match config.get("layer_types") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => read(list).map_err(|e: Error| e.within("layer_types"))?,
    };
    let known = ["full_attention", "sliding_attention", "chunked_attention"];
    match kinds.iter().position(|kind| !known.contains(&kind.as_str())) {
        None => Ok(()),
        Some(at) => Err(Error::Unsupported {
            field: format!("layer_types[{at}]"),
            given: kinds.get(at).cloned().unwrap_or_default(),
            reason: format!("layers may be {}", known.join(", ")),
        }),
    }
}

fn is_on(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(n) => *n != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
