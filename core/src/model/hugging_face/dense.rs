//! Families without experts whose keys are those of Llama: what each adds to, or leaves out of, a gated decoder.
//!
//! Keys, defaults and which projections have biases or norms: the configuration and modelling classes of Hugging Face
//! transformers 5.23, class by class.

use super::config::{Config, unsupported};
use crate::error::Error;
use crate::model::{Architecture, SlidingWindow, SmallParameter as Small};

/// Biases of the four projections of attention, which one flag switches in most families.
pub(super) const ATTENTION_BIASES: &[Small] = &[Small::QkvBiases, Small::AttentionOutputBias];

pub(super) fn llama(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    c.add(&mut a, "mlp_bias", false, &[Small::FfnBiases])?;
    Ok(a)
}

/// Mistral and Ministral: a window in all layers, or in those listed.
pub(super) fn mistral(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    a.sliding_window = c.window(a.layers)?;
    Ok(a)
}

pub(super) fn phi3(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.sliding_window = c.window(a.layers)?;
    // Stated by Phi-4-mini, read by no class: off in every released model.
    for key in ["attention_bias", "mlp_bias", "lm_head_bias"] {
        if c.flag(key, false)? {
            return Err(unsupported(key, "true", "biases in a Phi-3"));
        }
    }
    Ok(a)
}

/// Qwen2 has biases on queries, keys and values, always.
pub(super) fn qwen2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    a.small_parameters.push(Small::QkvBiases);
    a.sliding_window = c.switched_window(a.layers)?;
    Ok(a)
}

/// MiMo is a Qwen2 with a layer for multi-token prediction, whose biases a flag states.
pub(super) fn mimo(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.add(&mut a, "attention_bias", true, &[Small::QkvBiases])?;
    a.sliding_window = c.switched_window(a.layers)?;
    a.mtp_layers = c.optional("num_nextn_predict_layers")?.unwrap_or(0);
    Ok(a)
}

pub(super) fn qwen3(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    // The class's own default is not the width over the heads.
    c.count("head_dim")?;
    a.small_parameters.push(Small::QkNorm);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    a.sliding_window = c.switched_window(a.layers)?;
    Ok(a)
}

pub(super) fn gemma(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.count("head_dim")?;
    a.tied_embeddings = c.tied(true)?;
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    Ok(a)
}

/// Gemma 2: layers alternate between window and full attention.
pub(super) fn gemma2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = gemma(c, name)?;
    a.small_parameters.push(Small::SandwichNorms);
    a.sliding_window = Some(required_window(c, a.layers, 2)?);
    Ok(a)
}

/// Gemma 3: one full layer in six unless the config says otherwise.
pub(super) fn gemma3(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = gemma(c, name)?;
    a.small_parameters.extend([Small::SandwichNorms, Small::QkNorm]);
    let key = if c.value("_sliding_window_pattern").is_some() {
        "_sliding_window_pattern"
    } else {
        "sliding_window_pattern"
    };
    let period = c.period(key, 6)?;
    a.sliding_window = Some(required_window(c, a.layers, period)?);
    Ok(a)
}

fn required_window(c: &Config<'_>, layers: u32, period: u32) -> Result<SlidingWindow, Error> {
    let full_layers = c.full_layers(layers, layers / period)?;
    Ok(SlidingWindow { window: c.count("sliding_window")?, full_layers })
}

/// OLMo 1: norms without scale.
pub(super) fn olmo(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.small_parameters.push(Small::NormsWithoutScale);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    Ok(a)
}

/// OLMo 2 and 3: queries and keys normalised over all heads; OLMo 3 has full attention in every fourth layer.
pub(super) fn olmo2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.small_parameters.push(Small::QkNormAllHeads);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    a.sliding_window = c.alternating_window(a.layers, 4)?;
    Ok(a)
}

/// InternLM: one flag for the biases of attention alone.
pub(super) fn internlm(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    c.add(&mut a, "bias", false, ATTENTION_BIASES)?;
    Ok(a)
}

/// Squared ReLU, so two matrices; norms are LayerNorm.
pub(super) fn nemotron(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, false)?;
    a.small_parameters.push(Small::NormBiases);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    c.add(&mut a, "mlp_bias", false, &[Small::FfnBiases])?;
    Ok(a)
}

/// Command R: attention and feed-forward layer beside each other.
pub(super) fn cohere(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.tied_embeddings = c.tied(true)?;
    a.small_parameters.push(Small::SharedNorm);
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    c.add(&mut a, "use_qk_norm", false, &[Small::QkNormAllHeads])?;
    Ok(a)
}

/// Command R7B and A: every fourth layer has full attention.
pub(super) fn cohere2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = cohere(c, name)?;
    for key in ["use_parallel_block", "use_gated_activation", "use_embedding_sharing"] {
        if !c.flag(key, true)? {
            return Err(unsupported(key, "false", "a Command model of another structure"));
        }
    }
    let period = c.period("sliding_window_pattern", c.period("layer_switch", 4)?)?;
    a.sliding_window = Some(required_window(c, a.layers, period)?);
    Ok(a)
}

pub(super) fn stablelm(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.small_parameters.push(Small::NormBiases);
    c.add(&mut a, "use_qkv_bias", false, &[Small::QkvBiases])?;
    c.add(&mut a, "use_parallel_residual", false, &[Small::SharedNorm])?;
    c.add(&mut a, "qk_layernorm", false, &[Small::QkNormAllHeads])?;
    Ok(a)
}

/// StarCoder2: two matrices, LayerNorm, biases everywhere unless switched off.
pub(super) fn starcoder2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, false)?;
    a.tied_embeddings = c.tied(true)?;
    if c.flag("use_bias", true)? {
        a.biases = true;
    } else {
        a.small_parameters.push(Small::NormBiases);
    }
    for (key, only) in [("mlp_type", "default"), ("norm_type", "layer_norm")] {
        if let Some(other) = c.text(key).filter(|text| text != only) {
            return Err(unsupported(key, &other, "a StarCoder2 of another structure"));
        }
    }
    a.sliding_window = c.window(a.layers)?;
    Ok(a)
}

/// Phi-1, 1.5 and 2: two matrices, biases everywhere, also on the logits; one norm for both halves of a layer.
pub(super) fn phi(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, false)?;
    a.biases = true;
    a.small_parameters.extend([Small::SharedNorm, Small::OutputBias]);
    if c.flag("qk_layernorm", false)? {
        return Err(unsupported("qk_layernorm", "true", "normalised queries and keys with biases"));
    }
    Ok(a)
}

/// GLM-4 9B: biases on queries, keys and values.
pub(super) fn glm(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.count("head_dim")?;
    c.add(&mut a, "attention_bias", true, &[Small::QkvBiases])?;
    Ok(a)
}

/// GLM-4 of April 2025: norms before and after both halves.
pub(super) fn glm4(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = glm(c, name)?;
    a.small_parameters.push(Small::SandwichNorms);
    Ok(a)
}

/// ChatGLM2, 3 and GLM-4 with their original keys.
pub(super) fn chatglm(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count("hidden_size")?;
    let heads = c.count("num_attention_heads")?;
    let kv_heads =
        if c.flag("multi_query_attention", false)? { c.count("multi_query_group_num")? } else { heads };
    let mut a = Architecture {
        layers: c.count("num_layers")?,
        hidden,
        heads,
        kv_heads,
        head_dim: c.count("kv_channels")?,
        ffn: c.count("ffn_hidden_size")?,
        gated: true,
        tied_embeddings: c.tied(false)?,
        ..c.blank_with_vocabulary(name, "padded_vocab_size")?
    };
    if !c.flag("rmsnorm", true)? {
        a.small_parameters.push(Small::NormBiases);
    }
    if c.flag("add_bias_linear", false)? {
        a.small_parameters.extend([Small::QkvBiases, Small::AttentionOutputBias, Small::FfnBiases]);
    } else {
        c.add(&mut a, "add_qkv_bias", false, &[Small::QkvBiases])?;
    }
    if !c.flag("post_layer_norm", true)? {
        a.small_parameters.push(Small::NoFinalNorm);
    }
    Ok(a)
}

pub(super) fn seed_oss(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    c.count("head_dim")?;
    c.add(&mut a, "attention_bias", true, &[Small::QkvBiases])?;
    c.add(&mut a, "attention_out_bias", false, &[Small::AttentionOutputBias])?;
    c.add(&mut a, "mlp_bias", false, &[Small::FfnBiases])?;
    Ok(a)
}

pub(super) fn smollm3(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    a.tied_embeddings = c.tied(true)?;
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    c.add(&mut a, "mlp_bias", false, &[Small::FfnBiases])?;
    a.sliding_window = c.switched_window(a.layers)?;
    Ok(a)
}

/// EXAONE 3 and 3.5: a Llama with one key of its own.
pub(super) fn exaone(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count("hidden_size")?;
    let heads = c.count("num_attention_heads")?;
    Ok(Architecture {
        layers: c.count_of(&["num_layers", "num_hidden_layers"])?,
        hidden,
        heads,
        kv_heads: c.optional("num_key_value_heads")?.unwrap_or(heads),
        head_dim: match c.optional("head_dim")? {
            Some(width) => width,
            None => c.head_width(hidden, heads)?,
        },
        ffn: c.count("intermediate_size")?,
        gated: true,
        tied_embeddings: c.tied(false)?,
        ..c.blank(name)?
    })
}

/// EXAONE 4: norms behind both halves, queries and keys normalised, every fourth layer full where there is a window.
pub(super) fn exaone4(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    a.small_parameters.push(Small::QkNorm);
    if !c.flag("reorder_and_qk_norm", true)? {
        return Err(unsupported("reorder_and_qk_norm", "false", "an EXAONE 4 of another structure"));
    }
    // A list of layers, or a pattern such as "LLLG": local, local, local, global.
    if c.value("sliding_window").is_some() && c.value("layer_types").is_none() {
        let full_layers = match c.text("sliding_window_pattern") {
            Some(pattern) => layers_of_pattern(&pattern, a.layers)?,
            None => a.layers / c.period("sliding_window_pattern", 4)?,
        };
        a.sliding_window = Some(SlidingWindow { window: c.count("sliding_window")?, full_layers });
    } else {
        // The pattern only repeats what the list says.
        let _ = c.value("sliding_window_pattern");
        a.sliding_window = c.window(a.layers)?;
    }
    Ok(a)
}

/// Global layers of a model whose layers repeat `pattern`.
fn layers_of_pattern(pattern: &str, layers: u32) -> Result<u32, Error> {
    let kinds = pattern.as_bytes();
    if kinds.is_empty() || kinds.iter().any(|kind| !matches!(kind, b'L' | b'G')) {
        return Err(unsupported(
            "sliding_window_pattern",
            pattern,
            "a pattern of other letters than L and G",
        ));
    }
    let global = |bytes: &[u8]| bytes.iter().filter(|kind| **kind == b'G').fold(0_u32, |n, _| n + 1);
    let (period, layers_left) = (kinds.len(), layers as usize);
    let whole = u32::try_from(layers_left / period).unwrap_or(u32::MAX).saturating_mul(global(kinds));
    Ok(whole + global(kinds.get(..layers_left % period).unwrap_or_default()))
}

/// ERNIE 4.5 dense: one flag for the biases of all linear layers.
pub(super) fn ernie(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.grouped(name, true)?;
    a.tied_embeddings = c.tied(true)?;
    c.add(&mut a, "use_bias", false, &[Small::QkvBiases, Small::AttentionOutputBias, Small::FfnBiases])?;
    Ok(a)
}

/// Hunyuan dense: queries and keys normalised, always.
pub(super) fn hunyuan(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.small_parameters.push(Small::QkNorm);
    if !c.flag("use_qk_norm", true)? {
        return Err(unsupported("use_qk_norm", "false", "a Hunyuan without normalised queries and keys"));
    }
    for key in ["use_cla", "use_mla"] {
        if c.flag(key, false)? {
            return Err(unsupported(
                key,
                "true",
                "keys and values shared between layers, or latent attention,",
            ));
        }
    }
    // How many layers would share, were it on; and the width of a head again.
    let _ = c.value("cla_share_factor");
    if let Some(width) = c.optional("attention_head_dim")?
        && width != a.head_dim
    {
        return Err(Error::Conflict {
            field: "attention_head_dim".to_owned(),
            message: format!("{width}, but head_dim is {}; state one", a.head_dim),
        });
    }
    c.add(&mut a, "attention_bias", false, ATTENTION_BIASES)?;
    c.add(&mut a, "mlp_bias", false, &[Small::FfnBiases])?;
    Ok(a)
}
