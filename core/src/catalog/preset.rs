//! Models known by name.

use serde::{Deserialize, Serialize};

use super::Source;
use super::table::{Read, Row};
use crate::input::Value;
use crate::model::{
    Architecture, LatentAttention, MixtureOfExperts, SlidingWindow, SmallParameter, StateSpace,
};

/// A model known by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ModelPreset {
    /// Its architecture; its `name` is the canonical name.
    pub architecture: Architecture,
    /// Other spellings, the Hugging Face identifier among them.
    pub aliases: Vec<String>,
    /// Positions that the model was made for, where known.
    pub max_positions: Option<u32>,
    /// Where the figures are from.
    pub source: Source,
}

impl ModelPreset {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "name",
        "aliases",
        "layers",
        "hidden",
        "heads",
        "kv_heads",
        "head_dim",
        "ffn",
        "gated",
        "vocab",
        "tied_embeddings",
        "learned_positions",
        "biases",
        "small_parameters",
        "max_positions",
        "q_lora_rank",
        "kv_lora_rank",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "v_head_dim",
        "window",
        "full_layers",
        "experts",
        "top_k",
        "expert_ffn",
        "shared_ffn",
        "moe_dense_layers",
        "expert_latent",
        "expert_groups",
        "expert_groups_per_token",
        "ssm_layers",
        "attention_layers",
        "ssm_heads",
        "ssm_head_dim",
        "ssm_state",
        "ssm_groups",
        "ssm_conv",
        "ssm_chunk",
        "mtp_layers",
        "mtp_passes",
        "unsupported",
        "parameters_b",
        "active_parameters_b",
    ];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        let whole = |column: &str| row.required::<u32>(column);
        let or_zero = |column: &str| Read::<u32>::Ok(row.optional::<u32>(column)?.unwrap_or(0));
        let published = |column| Read::Ok(row.number(column, 1e-6, 1e6)?.map(|b: f64| b * 1e9));
        let mla = match row.optional::<u32>("kv_lora_rank")? {
            None => None,
            Some(kv_lora_rank) => Some(LatentAttention {
                q_lora_rank: or_zero("q_lora_rank")?,
                kv_lora_rank,
                qk_nope_head_dim: whole("qk_nope_head_dim")?,
                qk_rope_head_dim: whole("qk_rope_head_dim")?,
                v_head_dim: whole("v_head_dim")?,
            }),
        };
        let sliding_window = match row.optional::<u32>("window")? {
            None => None,
            Some(window) => Some(SlidingWindow { window, full_layers: whole("full_layers")? }),
        };
        let moe = match row.optional::<u32>("experts")? {
            None => None,
            Some(experts) => Some(MixtureOfExperts {
                experts,
                top_k: whole("top_k")?,
                expert_ffn: whole("expert_ffn")?,
                shared_ffn: or_zero("shared_ffn")?,
                dense_layers: or_zero("moe_dense_layers")?,
                latent: or_zero("expert_latent")?,
                expert_groups: or_zero("expert_groups")?,
                groups_per_token: or_zero("expert_groups_per_token")?,
            }),
        };
        let state_space = match row.optional::<u32>("ssm_layers")? {
            None => None,
            Some(layers) => Some(StateSpace {
                layers,
                attention_layers: whole("attention_layers")?,
                heads: whole("ssm_heads")?,
                head_dim: whole("ssm_head_dim")?,
                state: whole("ssm_state")?,
                groups: whole("ssm_groups")?,
                conv_width: whole("ssm_conv")?,
                chunk: whole("ssm_chunk")?,
            }),
        };
        let architecture = Architecture {
            name: row.required("name")?,
            layers: whole("layers")?,
            hidden: whole("hidden")?,
            heads: whole("heads")?,
            kv_heads: whole("kv_heads")?,
            head_dim: whole("head_dim")?,
            ffn: whole("ffn")?,
            gated: row.flag("gated")?,
            vocab: whole("vocab")?,
            tied_embeddings: row.flag("tied_embeddings")?,
            learned_positions: or_zero("learned_positions")?,
            biases: row.flag("biases")?,
            small_parameters: small_parameters(row)?,
            embedding_width: 0,
            mla,
            sliding_window,
            moe,
            state_space,
            mtp_layers: or_zero("mtp_layers")?,
            mtp_passes: or_zero("mtp_passes")?,
            unsupported: row.optional("unsupported")?,
            published_parameters: published("parameters_b")?,
            published_active_parameters: published("active_parameters_b")?,
            notes: Vec::new(),
        };
        // A model that estimators refuse anyway may have gaps, such as an unread layer pattern.
        if architecture.unsupported.is_none() {
            architecture.check(row.path())?;
        }
        Ok(Self {
            architecture,
            aliases: row.names("aliases")?,
            max_positions: row.optional("max_positions")?,
            source: row.source(titles)?,
        })
    }
}

fn small_parameters(row: &Row) -> Read<Vec<SmallParameter>> {
    let names = row.names("small_parameters")?;
    let kind = |name: String| row.read("small_parameters", &Value::Text(name));
    names.into_iter().map(kind).collect()
}
