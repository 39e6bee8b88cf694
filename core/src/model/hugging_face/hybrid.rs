//! Hybrids: layers that are each one of state space, attention, feed-forward or experts.

use super::config::{Config, missing, unsupported};
use super::dense::ATTENTION_BIASES;
use crate::error::Error;
use crate::model::{Architecture, MixtureOfExperts, SmallParameter as Small, StateSpace};

/// Keys that other families are refused for, and that this one reads.
pub(super) const NEMOTRON_H_KEYS: &[&str] =
    &["ssm_state_size", "mamba_num_heads", "hybrid_override_pattern", "layers_block_type", "moe_latent_size"];

/// How many layers are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Kinds {
    state_space: u32,
    attention: u32,
    experts: u32,
    dense: u32,
}

/// Nemotron-H and Nemotron 3 (arXiv 2504.03624): Mamba-2, no positions, two feed-forward matrices.
pub(super) fn nemotron_h(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count("hidden_size")?;
    let kinds = kinds(c)?;
    let mut a = Architecture {
        layers: kinds.state_space + kinds.attention + kinds.experts + kinds.dense,
        hidden,
        heads: c.count("num_attention_heads")?,
        kv_heads: c.count("num_key_value_heads")?,
        head_dim: c.count_of(&["head_dim", "attention_head_dim"])?,
        ffn: c.count("intermediate_size")?,
        tied_embeddings: c.tied(false)?,
        ..c.blank(name)?
    };
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    for key in ["use_bias", "mamba_proj_bias", "mlp_bias"] {
        if c.flag(key, false)? {
            return Err(unsupported(key, "true", "biases of these projections"));
        }
    }
    if !c.flag("use_conv_bias", true)? {
        return Err(unsupported("use_conv_bias", "false", "a convolution without biases"));
    }
    if kinds.state_space > 0 {
        a.state_space = Some(StateSpace {
            layers: kinds.state_space,
            attention_layers: kinds.attention,
            heads: c.count("mamba_num_heads")?,
            head_dim: c.count("mamba_head_dim")?,
            state: c.count("ssm_state_size")?,
            groups: c.count("n_groups")?,
            conv_width: c.count("conv_kernel")?,
            chunk: c.count("chunk_size")?,
        });
    } else {
        return Err(unsupported("hybrid_override_pattern", "no M", "a hybrid without state-space layers"));
    }
    if kinds.experts > 0 {
        a.small_parameters.push(Small::RouterBiases);
        let shared = c.optional("n_shared_experts")?.unwrap_or(0);
        let (expert_groups, groups_per_token) = super::experts::expert_groups(c)?;
        a.moe = Some(MixtureOfExperts {
            experts: c.count("n_routed_experts")?,
            top_k: c.count("num_experts_per_tok")?,
            expert_ffn: c.count("moe_intermediate_size")?,
            shared_ffn: if shared > 0 {
                c.count("moe_shared_expert_intermediate_size")?.saturating_mul(shared)
            } else {
                0
            },
            dense_layers: kinds.dense,
            latent: c.optional("moe_latent_size")?.unwrap_or(0),
            expert_groups,
            groups_per_token,
        });
    }
    a.mtp_layers = prediction_layers(c)?;
    // Sizes of kinds of layers that there are none of, and what decides nothing here: the inner width is that of the heads,
    // functions, step sizes, how the implementation runs it.
    for key in [
        "n_routed_experts",
        "n_shared_experts",
        "num_experts_per_tok",
        "moe_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "expand",
        "mlp_hidden_act",
        "mamba_hidden_act",
        "mamba_ssm_cache_dtype",
        "use_mamba_kernels",
        "num_logits_to_keep",
        "rescale_prenorm_residual",
        "time_step_floor",
        "time_step_limit",
        "time_step_max",
        "time_step_min",
        "time_step_rank",
        "moe_shared_expert_overlap",
        "keep_mtp_spec_in_bf16",
    ] {
        let _ = c.value(key);
    }
    Ok(a)
}

/// Layers of each kind, from a letter or a name for each.
fn kinds(c: &Config<'_>) -> Result<Kinds, Error> {
    let pattern: Option<String> = c.read("hybrid_override_pattern")?;
    let names: Option<Vec<String>> = c.read("layers_block_type")?;
    let stated = c.optional("num_hidden_layers")?;
    let by_letter =
        pattern.map(|text| counted("hybrid_override_pattern", text.chars().map(String::from))).transpose()?;
    let by_name = names.map(|names| counted("layers_block_type", names.into_iter())).transpose()?;
    let kinds = match (by_letter, by_name) {
        (Some(letters), Some(names)) if letters != names => {
            return Err(Error::Conflict {
                field: "layers_block_type".to_owned(),
                message: "counts other layers than hybrid_override_pattern; state one".to_owned(),
            });
        }
        (Some(kinds), _) | (None, Some(kinds)) => kinds,
        (None, None) => {
            return Err(missing("hybrid_override_pattern", "a letter for each layer: M, *, E or -"));
        }
    };
    let listed = kinds.state_space + kinds.attention + kinds.experts + kinds.dense;
    match stated.filter(|&stated| stated != listed) {
        None => Ok(kinds),
        Some(stated) => Err(Error::Conflict {
            field: "num_hidden_layers".to_owned(),
            message: format!("{stated} here, and {listed} layers listed"),
        }),
    }
}

fn counted(key: &str, layers: impl Iterator<Item = String>) -> Result<Kinds, Error> {
    let mut kinds = Kinds::default();
    for (at, layer) in layers.enumerate() {
        let count = match layer.as_str() {
            "M" | "mamba" | "linear_attention" => &mut kinds.state_space,
            "*" | "attention" | "full_attention" => &mut kinds.attention,
            "E" | "moe" => &mut kinds.experts,
            "-" | "mlp" => &mut kinds.dense,
            _ => {
                return Err(Error::Unsupported {
                    field: format!("{key}[{at}]"),
                    given: layer,
                    reason: "layers may be M (mamba), * (attention), E (moe) or - (mlp)".to_owned(),
                });
            }
        };
        *count = count.saturating_add(1);
    }
    Ok(kinds)
}

/// Layers for multi-token prediction, each an attention layer and one of experts.
fn prediction_layers(c: &Config<'_>) -> Result<u32, Error> {
    let layers = c.optional("num_nextn_predict_layers")?.unwrap_or(0);
    let pattern: Option<String> = c.read("mtp_hybrid_override_pattern")?;
    let names: Option<Vec<String>> = c.read("mtp_layers_block_type")?;
    if layers == 0 {
        return Ok(0);
    }
    let usual = Kinds { attention: 1, experts: 1, ..Kinds::default() };
    for (key, kinds) in [
        (
            "mtp_hybrid_override_pattern",
            pattern.map(|p| counted("mtp_hybrid_override_pattern", p.chars().map(String::from))),
        ),
        ("mtp_layers_block_type", names.map(|n| counted("mtp_layers_block_type", n.into_iter()))),
    ] {
        if kinds.transpose()?.is_some_and(|kinds| kinds != usual) {
            return Err(unsupported(key, "other layers", "multi-token prediction by other than *E"));
        }
    }
    Ok(layers)
}
