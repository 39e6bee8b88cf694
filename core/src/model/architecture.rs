//! A transformer's architecture: the numbers that decide its parameters, FLOP and memory.

use serde::{Deserialize, Serialize};

use crate::quantity::Warning;

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
    /// Biases in all linear layers of the stack and in its normalisations (GPT-2 style).
    #[serde(default)]
    pub biases: bool,
    /// Further parameters that are not matrices of a layer, and normalisations other than two a layer and one behind the
    /// last.
    #[serde(default)]
    pub small_parameters: Vec<SmallParameter>,
    /// Width of the embeddings where it differs from `hidden`, projected to and from it (OPT-350m); 0 where it does not.
    #[serde(default)]
    pub embedding_width: u32,
    /// Multi-head latent attention, if used; `kv_heads` is then ignored.
    #[serde(default)]
    pub mla: Option<LatentAttention>,
    /// Sliding-window attention on part of the layers.
    #[serde(default)]
    pub sliding_window: Option<SlidingWindow>,
    /// Mixture of experts, if used.
    #[serde(default)]
    pub moe: Option<MixtureOfExperts>,
    /// State-space layers, if used; each layer is then one of them, or attention, or feed-forward, not a pair of two.
    #[serde(default)]
    pub state_space: Option<StateSpace>,
    /// Multi-token-prediction layers beyond the main stack.
    #[serde(default)]
    pub mtp_layers: u32,
    /// Times that a training step runs multi-token prediction where several predictions share the same layers (Nemotron 3
    /// Super trains two with one layer); 0 where each has its own.
    #[serde(default)]
    pub mtp_passes: u32,
    /// A feature that this version cannot price; estimators refuse the model with these words.
    #[serde(default)]
    pub unsupported: Option<String>,
    /// Published total parameters, where a source states them.
    #[serde(default)]
    pub published_parameters: Option<f64>,
    /// Published active parameters per token, where a source states them.
    #[serde(default)]
    pub published_active_parameters: Option<f64>,
    /// What was left out or passed over when this was read; every answer about the model repeats them as warnings.
    #[serde(default)]
    pub notes: Vec<Warning>,
}

/// Parameters beside the matrices of a layer: a thousandth of a model at most, counted so that totals are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum SmallParameter {
    /// Biases of the query, key and value projections (Qwen2, GLM-4.5).
    QkvBiases,
    /// A bias of the attention's output projection.
    AttentionOutputBias,
    /// Biases of the feed-forward matrices, those of experts included.
    FfnBiases,
    /// A bias of the output projection, one for each entry of the vocabulary.
    OutputBias,
    /// A bias for each routed expert in the router, added to its scores (gpt-oss) or for balance only (DeepSeek-V3, arXiv
    /// 2412.19437, section 2.1.2).
    RouterBiases,
    /// A gate from the residual stream to one number that scales the shared experts (Qwen2-MoE).
    SharedExpertGate,
    /// A learned logit for each query head that joins the softmax (gpt-oss).
    AttentionSinks,
    /// Queries and keys are normalised head by head with scales that heads share: two vectors as wide as a head.
    QkNorm,
    /// Queries and keys are normalised with scales of their own for each head: as wide as all heads.
    QkNormAllHeads,
    /// Normalisations have a bias beside their scale (LayerNorm), though linear layers have none.
    NormBiases,
    /// Normalisations have neither scale nor bias (OLMo 1).
    NormsWithoutScale,
    /// Four normalisations a layer: before and after both halves (Gemma 2).
    SandwichNorms,
    /// One normalisation a layer: attention and feed-forward layer read the same input (GPT-J, Cohere).
    SharedNorm,
    /// A normalisation behind the input embedding (BLOOM).
    EmbeddingNorm,
    /// No normalisation behind the last layer (OPT-350m).
    NoFinalNorm,
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
    /// Width that routed experts work in, projected to and from the residual stream around all of a token's experts (latent
    /// experts, Nemotron 3 Super); 0 where they work on the residual stream itself. Shared experts always do.
    #[serde(default)]
    pub latent: u32,
    /// Groups of experts among which the router chooses before it chooses experts (`n_group` of a Hugging Face config;
    /// device- or node-limited routing, arXiv 2405.04434, section 2.2.2, and 2412.19437, section 2.1.2); 0 or 1 where it
    /// chooses among all.
    #[serde(default)]
    pub expert_groups: u32,
    /// Of these groups, those that a token's experts may lie in (`topk_group`); 0 where there are none.
    #[serde(default)]
    pub groups_per_token: u32,
}

impl MixtureOfExperts {
    /// Scale-up domains that a token's experts lie in at most, of `domains` over which all experts are spread in order: each
    /// group in as few as can hold it. None where the router does not limit them.
    pub fn most_domains(&self, domains: u32) -> Option<u32> {
        let each = domains.div_ceil(self.expert_groups.max(1));
        (self.expert_groups > 1).then(|| self.groups_per_token.saturating_mul(each))
    }
}

/// State-space layers of a hybrid model (Mamba-2, arXiv 2405.21060, section 7).
///
/// The inner width is `heads × head_dim`. A layer projects the residual stream to twice that (input and gate), `groups`
/// pairs of `state` numbers (B and C) and one step size a head, convolves all but gate and step size over `conv_width`
/// tokens, runs the recurrence, gates and normalises, and projects back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct StateSpace {
    /// Layers that are state-space layers.
    pub layers: u32,
    /// Layers that are attention; what remains of the model's layers is feed-forward.
    pub attention_layers: u32,
    /// Heads.
    pub heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Numbers that a head remembers for each number of its width.
    pub state: u32,
    /// Groups of heads that share B and C.
    pub groups: u32,
    /// Tokens that the causal convolution spans.
    pub conv_width: u32,
    /// Tokens of a chunk: the recurrence runs as matrix products inside of chunks and from chunk to chunk.
    pub chunk: u32,
}
