//! A transformer's architecture: the numbers that decide its parameters, FLOP and memory.

use serde::{Deserialize, Serialize};

/// Architecture of a decoder-only transformer.
///
/// Every estimator works from these numbers; a preset's name or a Hugging Face `config.json` is only another way to
/// write them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Name, for reports.
    pub name: String,
    /// Transformer layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Query heads.
    pub heads: u32,
    /// Key and value heads: `heads` for MHA, fewer for GQA.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Width of the dense feed-forward layer (of the dense layers only, in a mixture of experts).
    pub ffn: u32,
    /// Three feed-forward matrices (SwiGLU, GeGLU) instead of two.
    pub gated: bool,
    /// Vocabulary size.
    pub vocab: u32,
    /// Input and output embedding share one matrix.
    #[serde(default)]
    pub tied_embeddings: bool,
    /// Learned position embeddings of this many positions; 0 for rotary, ALiBi or none.
    #[serde(default)]
    pub learned_positions: u32,
    /// Biases in linear layers (GPT-2 style) .
    #[serde(default)]
    pub biases: bool,
    /// Multi-head latent attention, if used; `kv_heads` is then ignored.
    #[serde(default)]
    pub mla: Option<LatentAttention>,
    /// Sliding-window attention on part of the layers.
    #[serde(default)]
    pub sliding_window: Option<SlidingWindow>,
    /// Mixture of experts, if used.
    #[serde(default)]
    pub moe: Option<MixtureOfExperts>,
    /// Multi-token-prediction layers beyond the main stack.
    #[serde(default)]
    pub mtp_layers: u32,
    /// A feature that this version cannot price; estimators refuse the model with these words.
    #[serde(default)]
    pub unsupported: Option<String>,
    /// Published total parameters, where a source states them.
    #[serde(default)]
    pub published_parameters: Option<f64>,
    /// Published active parameters per token, where a source states them.
    #[serde(default)]
    pub published_active_parameters: Option<f64>,
}

/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct LatentAttention {
    /// Rank of the query compression; 0 where queries are not compressed.
    pub q_lora_rank: u32,
    /// Rank of the joint key and value compression.
    pub kv_lora_rank: u32,
    /// Width of a head's part without rotary embedding.
    pub qk_nope_head_dim: u32,
    /// Width of a head's part with rotary embedding (the key's is shared by all heads).
    pub qk_rope_head_dim: u32,
    /// Width of a value head.
    pub v_head_dim: u32,
}

/// Sliding-window (or chunked) attention on part of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct SlidingWindow {
    /// Positions a local layer looks back.
    pub window: u32,
    /// Layers with full attention; the others are local.
    pub full_layers: u32,
}

/// Mixture of experts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct MixtureOfExperts {
    /// Routed experts in a layer.
    pub experts: u32,
    /// Routed experts that a token visits.
    pub top_k: u32,
    /// Width of a routed expert.
    pub expert_ffn: u32,
    /// Total width of the experts that every token visits; 0 without shared experts.
    #[serde(default)]
    pub shared_ffn: u32,
    /// Layers that are dense instead (the first ones, or interleaved).
    #[serde(default)]
    pub dense_layers: u32,
}
