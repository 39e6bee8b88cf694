//! Reading a Hugging Face `config.json`.
//!
//! A config leaves out what equals its family's default, so each family states how its keys are called and what its
//! structure is; a size that is absent is an error, never a guess. Keys that decide neither parameters nor FLOP nor memory
//! (token ids, drop-out, rotary base, stored precision) are passed over, and so are biases on queries, keys and values
//! alone (`attention_bias`, below a thousandth of the parameters). Key names and structural defaults are those of
//! the configuration classes of Hugging Face transformers.

use super::{Architecture, LatentAttention, MixtureOfExperts, SlidingWindow};
use crate::error::{Error, nearest};
use crate::input::{Value, read};

/// The architecture that the content of a `config.json` describes; of a model with an image encoder, its text part.
///
/// # Errors
/// With the path of the key: [`Error::Unsupported`] for a family or feature that this version cannot price,
/// [`Error::MissingField`] or [`Error::WrongType`] for a size that is absent or no whole number.
pub fn from_hugging_face(config: &Value) -> Result<Architecture, Error> {
    let outer = Config { value: config };
    let model_type = outer.model_type()?;
    let (config, path) = match config.get("text_config") {
        Some(text @ Value::Object(_)) => (Config { value: text }, "text_config"),
        _ => (outer, ""),
    };
    let inner_type =
        if path.is_empty() { model_type.clone() } else { config.model_type().unwrap_or(model_type) };
    let Some(read) = FAMILIES.iter().find(|(names, _)| names.contains(&inner_type.as_str())).map(|(_, f)| f)
    else {
        return Err(unknown_family(&inner_type));
    };
    let name = outer.text("_name_or_path").filter(|name| !name.is_empty()).unwrap_or(inner_type);
    config.refuse_unpriced_features().and_then(|()| read(&config, name)).map_err(|e| e.within(path))
}

type Family = fn(&Config<'_>, String) -> Result<Architecture, Error>;

/// Values of `model_type` and how to read such a config.
const FAMILIES: &[(&[&str], Family)] = &[
    (&["llama", "yi", "olmo2", "internlm2", "mistral", "phi3", "qwen2", "qwen3"], gated_decoder),
    (&["cohere"], cohere),
    (&["nemotron"], nemotron),
    (&["gemma", "gemma2", "gemma3", "gemma3_text"], gemma),
    (&["mixtral", "olmoe", "minimax_m2"], mixtral),
    (&["qwen2_moe", "qwen3_moe"], qwen_moe),
    (&["gpt_oss"], gpt_oss),
    (&["deepseek_v2", "deepseek_v3", "kimi_k2"], deepseek),
    (&["glm4_moe"], glm4_moe),
    (&["llama4", "llama4_text"], llama4),
    (&["falcon", "RefinedWeb", "RefinedWebModel"], falcon),
    (&["gpt_neox"], gpt_neox),
    (&["gptj"], gptj),
    (&["gpt2"], gpt2),
    (&["opt"], opt),
    (&["bloom"], bloom),
];

fn gated_decoder(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.sliding_window = c.window_of_all_layers(a.layers)?;
    Ok(a)
}

fn cohere(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.tied_embeddings = c.flag("tie_word_embeddings", true)?;
    Ok(a)
}

fn nemotron(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    // Squared ReLU: two matrices.
    c.standard(name, false)
}

fn gemma(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.head_dim = c.count("head_dim")?;
    a.tied_embeddings = c.flag("tie_word_embeddings", true)?;
    let model_type = c.model_type()?;
    if model_type != "gemma" {
        // Gemma 2 alternates; Gemma 3 has one full layer in six unless the config says otherwise.
        let pattern =
            if model_type == "gemma2" { 2 } else { c.optional("sliding_window_pattern")?.unwrap_or(6) };
        let full_layers = c.full_layers(a.layers / pattern.max(1))?;
        a.sliding_window = Some(SlidingWindow { window: c.count("sliding_window")?, full_layers });
    }
    Ok(a)
}

fn mixtral(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    let experts = match c.optional("num_local_experts")? {
        Some(experts) => experts,
        None => c.count("num_experts")?,
    };
    a.moe = Some(MixtureOfExperts {
        experts,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn: a.ffn,
        shared_ffn: 0,
        dense_layers: 0,
    });
    a.mtp_layers = c.mtp_layers()?;
    a.sliding_window = c.window_of_all_layers(a.layers)?;
    Ok(a)
}

fn qwen_moe(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.sliding_window = c.window_of_all_layers(a.layers)?;
    let step = c.optional("decoder_sparse_step")?.unwrap_or(1).max(1);
    let dense_by_name: Vec<u32> = c.read("mlp_only_layers")?.unwrap_or_default();
    let is_dense = |layer: &u32| dense_by_name.contains(layer) || !(layer + 1).is_multiple_of(step);
    let dense_layers = (0..a.layers.min(MOST_LAYERS)).filter(is_dense).count();
    a.moe = Some(MixtureOfExperts {
        experts: c.count("num_experts")?,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn: c.count("moe_intermediate_size")?,
        shared_ffn: c.optional("shared_expert_intermediate_size")?.unwrap_or(0),
        dense_layers: u32::try_from(dense_layers).unwrap_or(a.layers),
    });
    Ok(a)
}

fn gpt_oss(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.biases = true;
    a.moe = Some(MixtureOfExperts {
        experts: c.count("num_local_experts")?,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn: a.ffn,
        shared_ffn: 0,
        dense_layers: 0,
    });
    let full_layers = c.full_layers(a.layers / 2)?;
    a.sliding_window = Some(SlidingWindow { window: c.count("sliding_window")?, full_layers });
    Ok(a)
}

fn deepseek(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    let mla = LatentAttention {
        q_lora_rank: c.optional("q_lora_rank")?.unwrap_or(0),
        kv_lora_rank: c.count("kv_lora_rank")?,
        qk_nope_head_dim: c.count("qk_nope_head_dim")?,
        qk_rope_head_dim: c.count("qk_rope_head_dim")?,
        v_head_dim: c.count("v_head_dim")?,
    };
    a.head_dim = mla.qk_nope_head_dim.saturating_add(mla.qk_rope_head_dim);
    a.mla = Some(mla);
    a.moe = c.deepseek_experts()?;
    a.mtp_layers = c.mtp_layers()?;
    Ok(a)
}

fn glm4_moe(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    a.moe = c.deepseek_experts()?;
    a.mtp_layers = c.mtp_layers()?;
    Ok(a)
}

fn llama4(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, true)?;
    let step = c.optional("interleave_moe_layer_step")?.unwrap_or(1).max(1);
    let expert_ffn = a.ffn;
    a.moe = Some(MixtureOfExperts {
        experts: c.count("num_local_experts")?,
        top_k: c.count("num_experts_per_tok")?,
        expert_ffn,
        // One expert that every token visits, as wide as a routed one.
        shared_ffn: expert_ffn,
        dense_layers: a.layers - a.layers / step,
    });
    a.ffn = c.count("intermediate_size_mlp")?;
    if let Some(window) = c.optional("attention_chunk_size")? {
        // Every fourth layer is full unless the config lists the layers.
        let full_layers = c.full_layers(a.layers / 4)?;
        a.sliding_window = Some(SlidingWindow { window, full_layers });
    }
    Ok(a)
}

fn falcon(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let heads = c.count_of(&["num_attention_heads", "n_head"])?;
    let hidden = c.count("hidden_size")?;
    let new_decoder = c.flag("new_decoder_architecture", false)?;
    let kv_heads = if new_decoder {
        c.count_of(&["num_kv_heads", "n_head_kv"])?
    } else if c.flag("multi_query", true)? {
        1
    } else {
        heads
    };
    Ok(Architecture {
        layers: c.count_of(&["num_hidden_layers", "n_layer"])?,
        hidden,
        heads,
        kv_heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: c.optional("ffn_hidden_size")?.unwrap_or(hidden.saturating_mul(4)),
        tied_embeddings: c.flag("tie_word_embeddings", true)?,
        biases: c.flag("bias", false)?,
        ..c.blank(name)?
    })
}

fn gpt_neox(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.standard(name, false)?;
    a.biases = c.flag("attention_bias", true)?;
    Ok(a)
}

fn gptj(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.gpt2_keys(name)?;
    a.tied_embeddings = c.flag("tie_word_embeddings", false)?;
    Ok(a)
}

fn gpt2(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let mut a = c.gpt2_keys(name)?;
    a.tied_embeddings = c.flag("tie_word_embeddings", true)?;
    a.learned_positions = c.count_of(&["n_positions", "n_ctx"])?;
    a.biases = true;
    Ok(a)
}

fn opt(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let hidden = c.count("hidden_size")?;
    if let Some(width) = c.optional("word_embed_proj_dim")?
        && width != hidden
    {
        return Err(unsupported("word_embed_proj_dim", &width, "embeddings narrower than the model"));
    }
    let heads = c.count("num_attention_heads")?;
    Ok(Architecture {
        layers: c.count("num_hidden_layers")?,
        hidden,
        heads,
        kv_heads: heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: c.count("ffn_dim")?,
        tied_embeddings: c.flag("tie_word_embeddings", true)?,
        learned_positions: c.count("max_position_embeddings")?,
        biases: c.flag("enable_bias", true)?,
        ..c.blank(name)?
    })
}

fn bloom(c: &Config<'_>, name: String) -> Result<Architecture, Error> {
    let hidden = c.count_of(&["hidden_size", "n_embed"])?;
    let heads = c.count_of(&["n_head", "num_attention_heads"])?;
    Ok(Architecture {
        layers: c.count_of(&["n_layer", "num_hidden_layers"])?,
        hidden,
        heads,
        kv_heads: heads,
        head_dim: c.head_width(hidden, heads)?,
        ffn: hidden.saturating_mul(4),
        tied_embeddings: c.flag("tie_word_embeddings", true)?,
        biases: true,
        ..c.blank(name)?
    })
}

/// More layers than any check lets pass; bounds the walk over a hostile config.
const MOST_LAYERS: u32 = 10_001;

#[derive(Clone, Copy)]
struct Config<'a> {
    value: &'a Value,
}

impl Config<'_> {
    /// The family: `model_type`, or the class in `architectures` brought to that form.
    fn model_type(&self) -> Result<String, Error> {
        if let Some(name) = self.text("model_type").filter(|name| !name.is_empty()) {
            return Ok(name);
        }
        let classes: Vec<String> = self.read("architectures")?.unwrap_or_default();
        match classes.first() {
            Some(class) => Ok(family_of_class(class)),
            None => Err(missing("model_type", "the family of the model, such as \"llama\"")),
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        match self.value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|e: Error| e.within(key)),
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.value.get(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn optional(&self, key: &str) -> Result<Option<u32>, Error> {
        self.read(key)
    }

    fn count(&self, key: &str) -> Result<u32, Error> {
        self.optional(key)?.ok_or_else(|| missing(key, "the config does not state this size"))
    }

    /// The first of `keys` that is there: a family's present name and its older one.
    fn count_of(&self, keys: &[&str]) -> Result<u32, Error> {
        for key in keys {
            if let Some(count) = self.optional(key)? {
                return Ok(count);
            }
        }
        Err(missing(keys.first().copied().unwrap_or_default(), "the config does not state this size"))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        Ok(self.read(key)?.unwrap_or(default))
    }

    /// `hidden` over `heads`, which must come out whole.
    fn head_width(&self, hidden: u32, heads: u32) -> Result<u32, Error> {
        match hidden.checked_div(heads) {
            Some(width) if hidden.is_multiple_of(heads) => Ok(width),
            _ => Err(Error::Conflict {
                field: "head_dim".to_owned(),
                message: format!("{heads} heads do not divide the width {hidden}; state head_dim"),
            }),
        }
    }

    /// A model without any size but its vocabulary.
    fn blank(&self, name: String) -> Result<Architecture, Error> {
        Ok(Architecture {
            name,
            layers: 0,
            hidden: 0,
            heads: 0,
            kv_heads: 0,
            head_dim: 0,
            ffn: 0,
            gated: false,
            vocab: self.count("vocab_size")?,
            tied_embeddings: false,
            learned_positions: 0,
            biases: false,
            mla: None,
            sliding_window: None,
            moe: None,
            mtp_layers: 0,
            unsupported: None,
            published_parameters: None,
            published_active_parameters: None,
        })
    }

    /// The keys that Llama named and most families took over.
    fn standard(&self, name: String, gated: bool) -> Result<Architecture, Error> {
        let hidden = self.count("hidden_size")?;
        let heads = self.count("num_attention_heads")?;
        let head_dim = match self.optional("head_dim")? {
            Some(width) => width,
            // Latent attention states its widths elsewhere.
            None if self.value.get("kv_lora_rank").is_some() => 0,
            None => self.head_width(hidden, heads)?,
        };
        Ok(Architecture {
            layers: self.count("num_hidden_layers")?,
            hidden,
            heads,
            kv_heads: self.optional("num_key_value_heads")?.unwrap_or(heads),
            head_dim,
            ffn: self.count("intermediate_size")?,
            gated,
            tied_embeddings: self.flag("tie_word_embeddings", false)?,
            ..self.blank(name)?
        })
    }

    /// The keys of GPT-2 and GPT-J.
    fn gpt2_keys(&self, name: String) -> Result<Architecture, Error> {
        let hidden = self.count("n_embd")?;
        let heads = self.count("n_head")?;
        Ok(Architecture {
            layers: self.count("n_layer")?,
            hidden,
            heads,
            kv_heads: heads,
            head_dim: self.head_width(hidden, heads)?,
            ffn: self.optional("n_inner")?.unwrap_or(hidden.saturating_mul(4)),
            ..self.blank(name)?
        })
    }

    /// A window that holds in every layer, or in those that `layer_types` lists or that lie behind `max_window_layers`.
    fn window_of_all_layers(&self, layers: u32) -> Result<Option<SlidingWindow>, Error> {
        // Qwen states a window that is off unless this flag is on.
        if self.value.get("use_sliding_window").is_some() && !self.flag("use_sliding_window", false)? {
            return Ok(None);
        }
        let Some(window) = self.optional("sliding_window")? else { return Ok(None) };
        let full_by_default = self.optional("max_window_layers")?.unwrap_or(0).min(layers);
        let full_layers = self.full_layers(full_by_default)?;
        Ok((full_layers < layers).then_some(SlidingWindow { window, full_layers }))
    }

    /// Layers with full attention: counted in `layer_types` where the config lists them, else `otherwise`.
    fn full_layers(&self, otherwise: u32) -> Result<u32, Error> {
        let Some(kinds) = self.read::<Vec<String>>("layer_types")? else { return Ok(otherwise) };
        let full = kinds.iter().filter(|kind| *kind == "full_attention").count();
        u32::try_from(full).map_err(|_| missing("layer_types", "fewer layers"))
    }

    /// Experts as DeepSeek names them; none if the model is dense.
    fn deepseek_experts(&self) -> Result<Option<MixtureOfExperts>, Error> {
        let Some(experts) = self.optional("n_routed_experts")? else { return Ok(None) };
        if let Some(frequency) = self.optional("moe_layer_freq")?
            && frequency != 1
        {
            return Err(unsupported(
                "moe_layer_freq",
                &frequency,
                "experts on some of the later layers only",
            ));
        }
        let expert_ffn = self.count("moe_intermediate_size")?;
        let shared = self.optional("n_shared_experts")?.unwrap_or(0);
        Ok(Some(MixtureOfExperts {
            experts,
            top_k: self.count("num_experts_per_tok")?,
            expert_ffn,
            shared_ffn: shared.saturating_mul(expert_ffn),
            dense_layers: self.optional("first_k_dense_replace")?.unwrap_or(0),
        }))
    }

    fn mtp_layers(&self) -> Result<u32, Error> {
        for key in ["num_nextn_predict_layers", "num_mtp_modules"] {
            if let Some(layers) = self.optional(key)? {
                return Ok(layers);
            }
        }
        Ok(0)
    }

    /// Features that change what a layer computes and that no estimator here knows.
    fn refuse_unpriced_features(&self) -> Result<(), Error> {
        for (key, what) in [
            ("index_topk", "sparse attention with an indexer"),
            ("ssm_state_size", "state-space layers"),
            ("mamba_num_heads", "state-space layers"),
            ("linear_num_key_heads", "linear attention"),
            ("cross_attention_layers", "cross-attention layers"),
            ("moe_latent_size", "latent experts"),
        ] {
            if let Some(value) = self.value.get(key).filter(|v| **v != Value::Null) {
                return Err(unsupported(key, &value.describe(), what));
            }
        }
        let kinds: Vec<String> = self.read("layer_types")?.unwrap_or_default();
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
}

/// `LlamaForCausalLM` is `llama`, `Qwen3MoeForCausalLM` is `qwen3_moe`, `GPTNeoXForCausalLM` is `gpt_neox`.
fn family_of_class(class: &str) -> String {
    let stem = class
        .trim_end_matches("ForCausalLM")
        .trim_end_matches("LMHeadModel")
        .trim_end_matches("ForConditionalGeneration");
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let families = FAMILIES.iter().flat_map(|(names, _)| names.iter());
    families.copied().find(|name| plain(name) == plain(stem)).unwrap_or(stem).to_owned()
}

fn unknown_family(given: &str) -> Error {
    let known = || FAMILIES.iter().flat_map(|(names, _)| names.iter().copied());
    let hint = nearest(given, known()).map(|name| format!("; the nearest is \"{name}\"")).unwrap_or_default();
    Error::Unsupported {
        field: "model_type".to_owned(),
        given: given.to_owned(),
        reason: format!(
            "families that can be read are {}{hint}; or give the architecture's own fields",
            known().collect::<Vec<_>>().join(", ")
        ),
    }
}

fn unsupported(key: &str, given: &dyn ToString, what: &str) -> Error {
    Error::Unsupported {
        field: key.to_owned(),
        given: given.to_string(),
        reason: format!("{what} cannot be priced yet"),
    }
}

fn missing(key: &str, expected: &str) -> Error {
    Error::MissingField { field: key.to_owned(), expected: expected.to_owned() }
}
