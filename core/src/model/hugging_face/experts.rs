//! Families with a mixture of experts, and latent attention.
//!
//! Keys and defaults: as in `dense.rs`. Where a config leaves out a size whose default a class fills in with a number of
//! its own, the size is missed by name.

use super::config::{Config, missing, unsupported};
use super::dense::ATTENTION_BIASES;
use crate::error::Error;
use crate::model::{Architecture, LatentAttention, MixtureOfExperts, SlidingWindow, SmallParameter as Small};

/// More layers than any check lets pass; bounds the walk over a hostile config.
const MOST_LAYERS: u32 = 10_001;

/// Mixtral, and families whose experts are as wide as `intermediate_size` in every layer.
pub(super) fn mixtral(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    a.moe = Some(uniform_experts(c, a.ffn)?);
    a.sliding_window = c.window(a.layers)?;
    Ok(a)
}

fn uniform_experts(c: &Config<'_>, width: u32) -> Result<MixtureOfExperts, Error> {
    Ok(MixtureOfExperts {
        experts: c.count_of(&["num_local_experts", "num_experts"])?,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn: width,
        shared_ffn: 0,
        dense_layers: 0,
        latent: 0,
        expert_groups: 0,
        groups_per_token: 0,
    })
}

/// Phi-3.5-MoE: LayerNorm, biases of attention and of the logits by flag.
pub(super) fn phimoe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = mixtral(c, name)?;
    a.small_parameters.push(Small::NormBiases);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    c.add(&mut a, "lm_head_bias", false, &[Small::OutputBias])?;
    Ok(a)
}

pub(super) fn olmoe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.moe = Some(uniform_experts(c, a.ffn)?);
    a.small_parameters.push(Small::QkNormAllHeads);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    Ok(a)
}

/// Granite 3 with experts, with or without a shared one.
pub(super) fn granite_moe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    let shared_ffn = c.optional("shared_intermediate_size")?.unwrap_or(0);
    a.moe = Some(MixtureOfExperts { shared_ffn, ..uniform_experts(c, a.ffn)? });
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    Ok(a)
}

pub(super) fn minimax_m2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    let shared_ffn = c.optional("shared_intermediate_size")?.unwrap_or(0);
    a.moe = Some(MixtureOfExperts { shared_ffn, ..uniform_experts(c, a.ffn)? });
    if c.flag("use_qk_norm", true)? {
        match c.text("qk_norm_type").as_deref() {
            None | Some("per_layer") => a.small_parameters.push(Small::QkNormAllHeads),
            Some(other) => return Err(unsupported("qk_norm_type", other, "a norm other than per_layer")),
        }
    }
    // One for each layer: softmax attention; zero is linear attention, as in MiniMax-01.
    let kinds: Vec<u32> = c.read("attn_type_list")?.unwrap_or_default();
    if kinds.iter().any(|kind| *kind != 1) {
        return Err(unsupported("attn_type_list", "a list with other numbers than 1", "linear attention"));
    }
    c.add(&mut a, "use_routing_bias", true, &[Small::RouterBiases])?;
    let modules = c.optional("num_mtp_modules")?.unwrap_or(0);
    let layers_of_one = c.optional("mtp_transformer_layers")?.unwrap_or(1);
    if c.flag("use_mtp", modules > 0)? {
        a.mtp_layers = modules.saturating_mul(layers_of_one);
    }
    Ok(a)
}

/// Qwen1.5-MoE and Qwen2-MoE: biases on queries, keys and values; a shared expert behind a gate.
pub(super) fn qwen2_moe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.add(&mut a, "qkv_bias", true, &[Small::QkvBiases])?;
    a.sliding_window = c.switched_window(a.layers)?;
    let shared_ffn = c.count("shared_expert_intermediate_size")?;
    if shared_ffn > 0 {
        a.small_parameters.push(Small::SharedExpertGate);
    }
    a.moe = Some(MixtureOfExperts { shared_ffn, ..qwen_experts(c, a.layers)? });
    Ok(a)
}

pub(super) fn qwen3_moe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    // Stated by Qwen3-Coder, read by no class.
    let stated = c.optional("shared_expert_intermediate_size")?.unwrap_or(0) > 0;
    if stated || c.flag("qkv_bias", false)? || !c.flag("use_qk_norm", true)? {
        return Err(unsupported(
            "model_type",
            "qwen3_moe",
            "shared experts, qkv_bias, or no use_qk_norm, in it",
        ));
    }
    a.small_parameters.push(Small::QkNorm);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    a.sliding_window = c.switched_window(a.layers)?;
    a.moe = Some(qwen_experts(c, a.layers)?);
    Ok(a)
}

/// Experts in every `decoder_sparse_step`-th layer that is not named as dense.
fn qwen_experts(c: &Config<'_>, layers: u32) -> Result<MixtureOfExperts, Error> {
    let step = c.period("decoder_sparse_step", 1)?;
    let dense_by_name: Vec<u32> = c.read("mlp_only_layers")?.unwrap_or_default();
    let is_dense = |layer: &u32| dense_by_name.contains(layer) || !(layer + 1).is_multiple_of(step);
    Ok(MixtureOfExperts {
        experts: c.count_of(&["num_experts", "num_local_experts"])?,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn: c.count("moe_intermediate_size")?,
        shared_ffn: 0,
        dense_layers: (0..layers.min(MOST_LAYERS)).filter(is_dense).fold(0, |n, _| n + 1),
        latent: 0,
        expert_groups: 0,
        groups_per_token: 0,
    })
}

/// gpt-oss: biases in attention, experts and router; sinks; windows in every second layer.
pub(super) fn gpt_oss(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.count("head_dim")?;
    c.add(&mut a, "attention_bias", true, ATTENTION_BIASES)?;
    a.small_parameters.extend([Small::FfnBiases, Small::RouterBiases, Small::AttentionSinks]);
    a.moe = Some(uniform_experts(c, a.ffn)?);
    let full_layers = c.full_layers(a.layers, a.layers / 2)?;
    a.sliding_window = Some(SlidingWindow { window: c.count("sliding_window")?, full_layers });
    Ok(a)
}

/// DeepSeekMoE 16B: experts under ordinary attention.
pub(super) fn deepseek(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    a.moe = deepseek_experts(c)?;
    Ok(a)
}

/// DeepSeek-V2: latent attention.
pub(super) fn deepseek_v2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    for key in ["attention_bias", "mlp_bias"] {
        if c.flag(key, false)? {
            return Err(unsupported(key, "true", "biases beside latent attention"));
        }
    }
    let q_lora_rank = match c.optional("q_lora_rank")? {
        Some(rank) => rank,
        // Null says that queries are not compressed; the class fills in a rank where the key is absent.
        None if c.states("q_lora_rank") => 0,
        None => return Err(missing("q_lora_rank", "a rank, or null where queries are not compressed")),
    };
    let mla = LatentAttention {
        q_lora_rank,
        kv_lora_rank: c.count("kv_lora_rank")?,
        qk_nope_head_dim: c.count("qk_nope_head_dim")?,
        qk_rope_head_dim: c.count("qk_rope_head_dim")?,
        v_head_dim: c.count("v_head_dim")?,
    };
    a.head_dim = mla.qk_nope_head_dim.saturating_add(mla.qk_rope_head_dim);
    a.mla = Some(mla);
    a.moe = deepseek_experts(c)?;
    // Balance without an auxiliary loss: a bias for each expert.
    if a.moe.is_some() && c.text("topk_method").as_deref() == Some("noaux_tc") {
        a.small_parameters.push(Small::RouterBiases);
    }
    a.mtp_layers = c.optional("num_nextn_predict_layers")?.unwrap_or(0);
    Ok(a)
}

/// DeepSeek-V3 and R1, Kimi K2, GLM-4.7-Flash: a DeepSeek-V2 with a bias for each expert always.
pub(super) fn deepseek_v3(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = deepseek_v2(c, name)?;
    if a.moe.is_some() && !a.has(Small::RouterBiases) {
        a.small_parameters.push(Small::RouterBiases);
    }
    Ok(a)
}

/// GLM-4.5 to 4.7.
pub(super) fn glm4_moe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.count("head_dim")?;
    c.add(&mut a, "attention_bias", false, &[Small::QkvBiases])?;
    c.add(&mut a, "use_qk_norm", false, &[Small::QkNorm])?;
    a.small_parameters.push(Small::RouterBiases);
    a.moe = deepseek_experts(c)?;
    a.mtp_layers = c.optional("num_nextn_predict_layers")?.unwrap_or(0);
    Ok(a)
}

/// Experts as DeepSeek names them; none if the model is dense.
fn deepseek_experts(c: &Config<'_>) -> Result<Option<MixtureOfExperts>, Error> {
    let Some(experts) = c.optional("n_routed_experts")? else { return Ok(None) };
    if let Some(frequency) = c.optional("moe_layer_freq")?
        && frequency != 1
    {
        return Err(unsupported(
            "moe_layer_freq",
            &frequency.to_string(),
            "experts on some of the later layers only",
        ));
    }
    let expert_ffn = c.count("moe_intermediate_size")?;
    let shared = c.optional("n_shared_experts")?.unwrap_or(0);
    let (expert_groups, groups_per_token) = expert_groups(c)?;
    Ok(Some(MixtureOfExperts {
        experts,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn,
        shared_ffn: shared.saturating_mul(expert_ffn),
        dense_layers: dense_layers(c)?,
        latent: 0,
        expert_groups,
        groups_per_token,
    }))
}

/// Groups of experts, and how many of them a token's experts may lie in; none where the router chooses among all.
pub(super) fn expert_groups(c: &Config<'_>) -> Result<(u32, u32), Error> {
    let groups = c.optional("n_group")?.filter(|&groups| groups > 1);
    match groups {
        Some(groups) if c.text("topk_method").as_deref() != Some("greedy") => {
            Ok((groups, c.count("topk_group")?))
        }
        _ => Ok((0, 0)),
    }
}

/// Dense layers: so many first ones, or those that a list names.
fn dense_layers(c: &Config<'_>) -> Result<u32, Error> {
    let Some(kinds) = c.read::<Vec<String>>("mlp_layer_types")? else {
        return c.count("first_k_dense_replace");
    };
    if let Some(other) = kinds.iter().find(|kind| !matches!(kind.as_str(), "dense" | "sparse")) {
        return Err(unsupported("mlp_layer_types", other, "layers other than dense and sparse"));
    }
    let dense = kinds.iter().filter(|kind| *kind == "dense").fold(0, |n, _| n + 1);
    match c.optional("first_k_dense_replace")? {
        Some(first) if first != dense => Err(Error::Conflict {
            field: "mlp_layer_types".to_owned(),
            message: format!("lists {dense} dense layers, first_k_dense_replace says {first}"),
        }),
        _ => Ok(dense),
    }
}

/// Llama 4: one expert that every token visits, as wide as a routed one; windows in chunks in three layers of four.
pub(super) fn llama4(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    // On or off, the norm of queries and keys has no parameters.
    let _ = c.flag("use_qk_norm", true)?;
    let step = c.period("interleave_moe_layer_step", 1)?;
    let moe_layers = match c.read::<Vec<u32>>("moe_layers")? {
        Some(listed) => u32::try_from(listed.len()).unwrap_or(u32::MAX),
        None => a.layers / step,
    };
    let expert_ffn = a.ffn;
    a.moe = Some(MixtureOfExperts {
        experts: c.count("num_local_experts")?,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn,
        shared_ffn: expert_ffn,
        dense_layers: a.layers.saturating_sub(moe_layers),
        latent: 0,
        expert_groups: 0,
        groups_per_token: 0,
    });
    a.ffn = c.count("intermediate_size_mlp")?;
    if let Some(window) = c.optional("attention_chunk_size")? {
        let full_layers = c.full_layers(a.layers, a.layers / 4)?;
        a.sliding_window = Some(SlidingWindow { window, full_layers });
    }
    Ok(a)
}

/// ERNIE 4.5 with experts in the layers from start to end, every so many.
pub(super) fn ernie_moe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = super::dense::ernie(c, name)?;
    if c.flag("use_bias", false)? {
        return Err(unsupported("use_bias", "true", "biases beside experts"));
    }
    let step = c.period("moe_layer_interval", 1)?;
    let start = c.count("moe_layer_start_index")?;
    // Minus one says: to the last layer.
    let end = match c.read::<i64>("moe_layer_end_index")? {
        None | Some(-1) => a.layers.saturating_sub(1),
        Some(end) => u32::try_from(end).map_err(|_| {
            unsupported("moe_layer_end_index", &end.to_string(), "an end before the first layer")
        })?,
    };
    let has_experts = |layer: &u32| (start..=end).contains(layer) && (layer + 1).is_multiple_of(step);
    let moe_layers = (0..a.layers.min(MOST_LAYERS)).filter(has_experts).fold(0, |n: u32, _| n + 1);
    let width = |count: u32, one: u32| count.saturating_mul(one);
    let expert_ffn = c.count("moe_intermediate_size")?;
    a.moe = Some(MixtureOfExperts {
        experts: c.count("moe_num_experts")?,
        top_k: c.count("moe_k")?,
        expert_ffn,
        shared_ffn: width(c.count("moe_num_shared_experts")?, expert_ffn),
        dense_layers: a.layers - moe_layers,
        latent: 0,
        expert_groups: 0,
        groups_per_token: 0,
    });
    c.add(&mut a, "moe_use_aux_free", true, &[Small::RouterBiases])?;
    a.mtp_layers = c.optional("num_nextn_predict_layers")?.unwrap_or(0);
    Ok(a)
}

/// Hunyuan A13B: sizes of experts as one number or listed for each layer.
pub(super) fn hunyuan_moe(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = super::dense::hunyuan(c, name)?;
    if let Some(skipped) = c.optional("moe_layer_num_skipped")?
        && skipped > 0
    {
        return Err(unsupported("moe_layer_num_skipped", &skipped.to_string(), "dense layers in a Hunyuan"));
    }
    let expert_ffn = c.same_in_all_layers("moe_intermediate_size")?.unwrap_or(a.ffn);
    let shared = match c.same_in_all_layers("num_shared_expert")? {
        Some(experts) if c.flag("use_mixed_mlp_moe", true)? => experts,
        Some(_) => 0,
        // The class builds one.
        None => 1,
    };
    a.moe = Some(MixtureOfExperts {
        experts: c.count("num_experts")?,
        top_k: c
            .same_in_all_layers("moe_topk")?
            .ok_or_else(|| missing("moe_topk", "the config does not state this size"))?,
        expert_ffn,
        shared_ffn: shared.saturating_mul(a.ffn),
        dense_layers: 0,
        latent: 0,
        expert_groups: 0,
        groups_per_token: 0,
    });
    Ok(a)
}

/// DBRX keeps the sizes of attention and experts in objects of their own; norms have no bias.
pub(super) fn dbrx(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count("d_model")?;
    let heads = c.count("n_heads")?;
    let moe = c.part("ffn_config", |ffn| {
        Ok(MixtureOfExperts {
            experts: ffn.count("moe_num_experts")?,
            top_k: ffn.count("moe_top_k")?,
            expert_ffn: ffn.count("ffn_hidden_size")?,
            shared_ffn: 0,
            dense_layers: 0,
            latent: 0,
            expert_groups: 0,
            groups_per_token: 0,
        })
    })?;
    Ok(Architecture {
        layers: c.count("n_layers")?,
        hidden,
        heads,
        kv_heads: c.part("attn_config", |attention| attention.count("kv_n_heads"))?,
        head_dim: c.head_width(hidden, heads)?,
        ffn: moe.expert_ffn,
        gated: true,
        tied_embeddings: c.tied(false)?,
        moe: Some(moe),
        ..c.blank(name)?
    })
}
