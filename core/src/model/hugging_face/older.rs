//! Families older than Llama, with keys of their own: two feed-forward matrices, LayerNorm, often biases and learned
//! positions.

use super::config::{Config, unsupported};
use crate::error::Error;
use crate::model::{Architecture, SmallParameter as Small};
use crate::quantity::Warning;

/// Falcon, and its configs of 2023 with other names.
pub(super) fn falcon(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let heads = c.count_of(&["num_attention_heads", "n_head"])?;
    let hidden = c.count("hidden_size")?;
    // The name told Falcon 40B from 7B before the flag did.
    let new_decoder =
        c.flag("new_decoder_architecture", c.text("model_type").as_deref() == Some("RefinedWeb"))?;
    let multi_query = c.flag("multi_query", true)?;
    let kv_heads = if new_decoder {
        c.count_of(&["num_kv_heads", "n_head_kv"])?
    } else {
        // Stated by saved configs, read by the newer decoder only.
        let _ = c.value("num_kv_heads");
        if multi_query { 1 } else { heads }
    };
    let mut a = Architecture {
        layers: c.count_of(&["num_hidden_layers", "n_layer"])?,
        hidden,
        heads,
        kv_heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: c.optional("ffn_hidden_size")?.unwrap_or(hidden.saturating_mul(4)),
        tied_embeddings: c.tied(true)?,
        biases: c.flag("bias", false)?,
        ..c.blank(name)?
    };
    if !a.biases {
        a.small_parameters.push(Small::NormBiases);
    }
    // The newer decoder has a norm for each half although they run beside each other, unless it says one.
    let parallel = c.flag("parallel_attn", true)?;
    let norms = c.optional("num_ln_in_parallel_attn")?.unwrap_or(if new_decoder { 2 } else { 1 });
    if (new_decoder || parallel) && norms == 1 {
        a.small_parameters.push(Small::SharedNorm);
    }
    Ok(a)
}

/// GPT-NeoX and Pythia: a norm for each half, whether or not they run beside each other.
pub(super) fn gpt_neox(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = c.standard(name, false)?;
    let _ = c.flag("use_parallel_residual", true)?;
    if c.flag("attention_bias", true)? {
        a.biases = true;
    } else {
        a.small_parameters.extend([Small::FfnBiases, Small::NormBiases]);
    }
    Ok(a)
}

/// GPT-J: biases in the feed-forward layers and on the logits, none in attention.
pub(super) fn gptj(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = gpt2_keys(c, name)?;
    a.tied_embeddings = c.tied(false)?;
    a.small_parameters.extend([Small::FfnBiases, Small::NormBiases, Small::SharedNorm, Small::OutputBias]);
    Ok(a)
}

pub(super) fn gpt2(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = gpt2_keys(c, name)?;
    a.tied_embeddings = c.tied(true)?;
    a.learned_positions = c.count_of(&["n_positions", "n_ctx"])?;
    a.biases = true;
    Ok(a)
}

/// SantaCoder and StarCoder: a GPT-2 whose queries share one key and value head.
pub(super) fn gpt_bigcode(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let mut a = gpt2(c, name)?;
    // Stated by saved configs: what follows from the flag.
    let _ = c.value("num_key_value_heads");
    if c.flag("multi_query", true)? {
        a.kv_heads = 1;
    }
    Ok(a)
}

/// The keys of GPT-2 and GPT-J.
fn gpt2_keys(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count("n_embd")?;
    let heads = c.count("n_head")?;
    Ok(Architecture {
        layers: c.count("n_layer")?,
        hidden,
        heads,
        kv_heads: heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: c.optional("n_inner")?.unwrap_or(hidden.saturating_mul(4)),
        ..c.blank(name)?
    })
}

/// OPT. Its table of positions begins with two that are never used; OPT-350m has narrow embeddings and norms behind the
/// halves instead of before them, without a last one.
pub(super) fn opt(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count("hidden_size")?;
    let heads = c.count("num_attention_heads")?;
    let mut a = Architecture {
        layers: c.count("num_hidden_layers")?,
        hidden,
        heads,
        kv_heads: heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: c.count("ffn_dim")?,
        tied_embeddings: c.tied(true)?,
        learned_positions: c.count("max_position_embeddings")?.saturating_add(2),
        biases: true,
        ..c.blank(name)?
    };
    for key in ["enable_bias", "layer_norm_elementwise_affine"] {
        if !c.flag(key, true)? {
            return Err(unsupported(key, "false", "an OPT without biases or scales of its norms"));
        }
    }
    if !c.flag("do_layer_norm_before", true)? || c.flag("_remove_final_layer_norm", false)? {
        a.small_parameters.push(Small::NoFinalNorm);
    }
    if let Some(width) = c.optional("word_embed_proj_dim")?
        && width != hidden
    {
        a.embedding_width = width;
        a.notes.push(Warning::new(
            "narrow_embedding",
            "word_embed_proj_dim",
            format!("embeddings {width} wide are counted so; time and serving memory take them as wide as the model, {hidden}"),
        ));
    }
    Ok(a)
}

/// BLOOM: a norm behind the embedding.
pub(super) fn bloom(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count_of(&["hidden_size", "n_embed"])?;
    let heads = c.count_of(&["n_head", "num_attention_heads"])?;
    Ok(Architecture {
        layers: c.count_of(&["n_layer", "num_hidden_layers"])?,
        hidden,
        heads,
        kv_heads: heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: hidden.saturating_mul(4),
        tied_embeddings: c.tied(true)?,
        biases: true,
        small_parameters: vec![Small::EmbeddingNorm],
        ..c.blank(name)?
    })
}

/// MPT with ALiBi, as released: no biases, in norms neither.
pub(super) fn mpt(c: &Config<'_>, name: &str) -> Result<Architecture, Error> {
    let hidden = c.count("d_model")?;
    let heads = c.count("n_heads")?;
    let (kv_heads, alibi) = c.part("attn_config", |attention| {
        if attention.flag("qk_ln", false)? {
            return Err(unsupported("qk_ln", "true", "normalised queries and keys in an MPT"));
        }
        let kv_heads = match attention.text("attn_type").as_deref() {
            None | Some("multihead_attention") => heads,
            Some("multiquery_attention") => 1,
            Some("grouped_query_attention") => attention.count("kv_n_heads")?,
            Some(other) => return Err(unsupported("attn_type", other, "another kind of attention")),
        };
        Ok((kv_heads, attention.flag("alibi", false)?))
    })?;
    if !c.flag("no_bias", true)? {
        return Err(unsupported("no_bias", "false", "an MPT with biases"));
    }
    if let Some(other) = c.text("norm_type").filter(|text| !text.ends_with("layernorm")) {
        return Err(unsupported("norm_type", &other, "an MPT of another structure"));
    }
    // ALiBi switches the learned positions off.
    let learned = c.flag("learned_pos_emb", true)? && !alibi;
    Ok(Architecture {
        layers: c.count("n_layers")?,
        hidden,
        heads,
        kv_heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: hidden.saturating_mul(c.optional("expansion_ratio")?.unwrap_or(4)),
        tied_embeddings: c.tied(true)?,
        learned_positions: if learned { c.count("max_seq_len")? } else { 0 },
        ..c.blank(name)?
    })
}
