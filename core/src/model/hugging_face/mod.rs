//! Reading a Hugging Face `config.json`.
//!
//! A config leaves out what equals its family's default, so each family states how its keys are called and what its
//! structure is. A size that is absent is an error, never a guess, except where a released config leaves it to its class
//! (the sizes that do not vary in Gemma 3). Every key is accounted for: a family reads it, or it decides neither
//! parameters nor FLOP nor memory and is listed as such ([`keys`]), or it names a feature that no estimator here knows and
//! is refused, or the architecture's notes say that it was not read.

mod config;
mod dense;
mod experts;
mod hybrid;
mod keys;
mod older;

use self::config::{Config, missing};
use super::Architecture;
use crate::error::{Error, nearest};
use crate::input::{Value, read};
use crate::quantity::Warning;

/// The architecture that the content of a `config.json` describes; of a model with an image encoder, its text part.
///
/// [`Architecture::notes`] says what was not read: the codes are `only_text_counted` (a larger model's other parts are
/// left out), `stored_precision` (the config says how weights are stored, requests say in what precision they run),
/// `unread_config_key` (keys that this version does not know) and `narrow_embedding` (counted, but timed as wide as the
/// model).
///
/// # Errors
/// With the path of the key: [`Error::Unsupported`] for a family or feature that this version cannot price,
/// [`Error::MissingField`] or [`Error::WrongType`] for a size that is absent or no whole number, [`Error::Conflict`] for
/// keys that contradict each other.
pub fn from_hugging_face(config: &Value) -> Result<Architecture, Error> {
    let (text, path) = text_part(config)?;
    let outer_type = if path.is_empty() { None } else { Some(model_type(config)?) };
    let family_name = match (model_type(text), outer_type) {
        (Ok(name), _) | (Err(Error::MissingField { .. }), Some(name)) => name,
        (Err(error), _) => return Err(error.within(path)),
    };
    let family = family(&family_name)?;
    let config_of_text =
        Config::new(text, (!path.is_empty()).then_some(config)).with_defaults(family.defaults);
    let stated_name = match config.get("_name_or_path") {
        Some(Value::Text(name)) if !name.is_empty() => name,
        _ => &family_name,
    };
    let mut architecture = keys::refuse_unpriced_features(text, family.prices)
        .and_then(|()| (family.read)(&config_of_text, stated_name))
        .map_err(|e| e.within(path))?;
    architecture.notes.extend(left_out(config, path));
    architecture.notes.extend(stored_precision(config, text));
    architecture.notes.extend(unread(&config_of_text, text, path));
    Ok(architecture)
}

/// The object that describes the language model, and its key: the config itself, or a part of it.
fn text_part(config: &Value) -> Result<(&Value, &'static str), Error> {
    let stated =
        |key: &&'static str| config.get(key).filter(|part| **part != Value::Null).map(|part| (part, *key));
    match TEXT_PARTS.iter().find_map(stated) {
        None => Ok((config, "")),
        Some((part @ Value::Object(_), key)) => Ok((part, key)),
        Some((other, key)) => Err(Error::WrongType {
            field: key.to_owned(),
            given: other.describe(),
            expected: "an object: the config of the language model".to_owned(),
        }),
    }
}

/// Where a larger model keeps its language model.
const TEXT_PARTS: [&str; 3] = ["text_config", "language_config", "llm_config"];

/// How a family's config is read.
struct Family {
    /// Values of `model_type`.
    names: &'static [&'static str],
    read: fn(&Config<'_>, &str) -> Result<Architecture, Error>,
    /// Sizes that released configs leave to the family's class.
    defaults: &'static [(&'static str, u32)],
    /// Keys that it reads although they switch on what others are refused for.
    prices: &'static [&'static str],
}

const fn family_of(
    names: &'static [&'static str],
    read: fn(&Config<'_>, &str) -> Result<Architecture, Error>,
) -> Family {
    Family { names, read, defaults: &[], prices: &[] }
}

const FAMILIES: &[Family] = &[
    family_of(&["llama", "yi", "baichuan", "granite"], dense::llama),
    family_of(&["mistral", "ministral", "ministral3"], dense::mistral),
    family_of(&["phi3", "phi3_v"], dense::phi3),
    family_of(&["qwen2", "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"], dense::qwen2),
    family_of(&["qwen3", "qwen3_vl_text"], dense::qwen3),
    family_of(&["mimo"], dense::mimo),
    family_of(&["gemma"], dense::gemma),
    family_of(&["gemma2"], dense::gemma2),
    Family { names: &["gemma3_text", "gemma3"], read: dense::gemma3, defaults: GEMMA3_DEFAULTS, prices: &[] },
    family_of(&["olmo"], dense::olmo),
    family_of(&["olmo2", "olmo3"], dense::olmo2),
    family_of(&["internlm", "internlm2"], dense::internlm),
    family_of(&["nemotron"], dense::nemotron),
    family_of(&["cohere"], dense::cohere),
    family_of(&["cohere2"], dense::cohere2),
    family_of(&["stablelm"], dense::stablelm),
    family_of(&["starcoder2"], dense::starcoder2),
    family_of(&["phi"], dense::phi),
    family_of(&["glm"], dense::glm),
    family_of(&["glm4"], dense::glm4),
    family_of(&["chatglm"], dense::chatglm),
    family_of(&["seed_oss"], dense::seed_oss),
    family_of(&["smollm3"], dense::smollm3),
    family_of(&["exaone"], dense::exaone),
    family_of(&["exaone4"], dense::exaone4),
    family_of(&["ernie4_5"], dense::ernie),
    family_of(&["hunyuan_v1_dense"], dense::hunyuan),
    family_of(&["mixtral"], experts::mixtral),
    family_of(&["phimoe"], experts::phimoe),
    family_of(&["olmoe"], experts::olmoe),
    family_of(&["granitemoe", "granitemoeshared"], experts::granite_moe),
    family_of(&["minimax_m2"], experts::minimax_m2),
    family_of(&["qwen2_moe"], experts::qwen2_moe),
    family_of(&["qwen3_moe", "qwen3_vl_moe_text"], experts::qwen3_moe),
    family_of(&["gpt_oss"], experts::gpt_oss),
    family_of(&["deepseek"], experts::deepseek),
    family_of(&["deepseek_v2"], experts::deepseek_v2),
    family_of(&["deepseek_v3", "kimi_k2", "glm4_moe_lite"], experts::deepseek_v3),
    family_of(&["glm4_moe"], experts::glm4_moe),
    family_of(&["llama4_text", "llama4"], experts::llama4),
    family_of(&["ernie4_5_moe"], experts::ernie_moe),
    family_of(&["hunyuan_v1_moe"], experts::hunyuan_moe),
    family_of(&["dbrx"], experts::dbrx),
    Family {
        names: &["nemotron_h"],
        read: hybrid::nemotron_h,
        defaults: &[],
        prices: hybrid::NEMOTRON_H_KEYS,
    },
    family_of(&["falcon", "RefinedWeb", "RefinedWebModel"], older::falcon),
    family_of(&["gpt_neox"], older::gpt_neox),
    family_of(&["gptj"], older::gptj),
    family_of(&["gpt2"], older::gpt2),
    family_of(&["gpt_bigcode"], older::gpt_bigcode),
    family_of(&["opt"], older::opt),
    family_of(&["bloom"], older::bloom),
    family_of(&["mpt"], older::mpt),
];

/// What Hugging Face's `Gemma3TextConfig` fills in; the released configs of 4B, 12B and 27B leave out what equals it.
const GEMMA3_DEFAULTS: &[(&str, u32)] =
    &[("num_attention_heads", 8), ("num_key_value_heads", 4), ("head_dim", 256), ("vocab_size", 262_208)];

/// Families that are known and cannot be priced, and why.
const REFUSED_FAMILIES: &[(&[&str], &str)] = &[
    (
        &["mamba", "mamba2", "falcon_mamba", "rwkv", "rwkv5", "rwkv6", "rwkv7"],
        "recurrent layers instead of attention",
    ),
    (
        &[
            "jamba",
            "zamba",
            "zamba2",
            "bamba",
            "falcon_h1",
            "granitemoehybrid",
            "lfm2",
            "lfm2_moe",
            "recurrent_gemma",
        ],
        "recurrent or state-space layers beside attention",
    ),
    (
        &["qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "kimi_linear", "minimax", "minimax_text_01"],
        "linear-attention layers",
    ),
    (
        &["deepseek_v32", "deepseek_v4", "glm_moe_dsa", "minimax_m3"],
        "sparse attention that an indexer or a compressed cache selects",
    ),
    (&["mllama_text_model"], "cross-attention layers to an image"),
    (&["gemma3n_text", "gemma4_text"], "embeddings for each layer and caches shared between layers"),
    (&["mimo_v2_flash", "step3p5", "step3p7", "afmoe"], "layers of different head widths or gated attention"),
    (&["nemotron-nas", "deci", "openelm"], "layers of different sizes"),
    (&["hunyuan"], "keys and values shared between layers"),
    (&["longcat_flash"], "experts that compute nothing and two attentions a layer"),
    (&["t5", "mt5", "umt5", "bart", "mbart", "whisper", "t5gemma"], "an encoder beside the decoder"),
    (&["bert", "roberta", "xlm-roberta", "deberta-v2", "modernbert"], "an encoder without a decoder"),
];

/// The family: `model_type`, or the class in `architectures` brought to that form.
fn model_type(config: &Value) -> Result<String, Error> {
    match config.get("model_type") {
        None | Some(Value::Null) => {}
        Some(Value::Text(name)) if name.is_empty() => {}
        Some(Value::Text(name)) => return Ok(name.clone()),
        Some(other) => {
            return Err(read::<String>(other).map_or_else(|e| e.within("model_type"), |_| unnamed()));
        }
    }
    let classes: Vec<String> = match config.get("architectures") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => read(list).map_err(|e: Error| e.within("architectures"))?,
    };
    classes.first().map(|class| family_of_class(class)).ok_or_else(unnamed)
}

fn unnamed() -> Error {
    missing("model_type", "the family of the model, such as \"llama\"")
}

fn known_names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.names.iter().copied())
}

/// `LlamaForCausalLM` is `llama`, `Qwen3MoeForCausalLM` is `qwen3_moe`, `GPTNeoXForCausalLM` is `gpt_neox`.
fn family_of_class(class: &str) -> String {
    let stem = class
        .trim_end_matches("ForCausalLM")
        .trim_end_matches("LMHeadModel")
        .trim_end_matches("ForConditionalGeneration");
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let refused = REFUSED_FAMILIES.iter().flat_map(|(names, _)| names.iter().copied());
    known_names().chain(refused).find(|name| plain(name) == plain(stem)).unwrap_or(stem).to_owned()
}

fn family(given: &str) -> Result<&'static Family, Error> {
    if let Some(family) = FAMILIES.iter().find(|family| family.names.contains(&given)) {
        return Ok(family);
    }
    let unsupported = |reason: String| {
        Err(Error::Unsupported { field: "model_type".to_owned(), given: given.to_owned(), reason })
    };
    let reason_of =
        |name: &str| REFUSED_FAMILIES.iter().find(|(names, _)| names.contains(&name)).map(|(_, what)| *what);
    if let Some(what) = reason_of(given) {
        return unsupported(format!("{what} cannot be priced yet"));
    }
    let refused_names = REFUSED_FAMILIES.iter().flat_map(|(names, _)| names.iter().copied());
    let hint = match nearest(given, known_names().chain(refused_names)) {
        None => String::new(),
        Some(name) => match reason_of(&name) {
            None => format!("; the nearest is \"{name}\""),
            Some(what) => format!("; the nearest is \"{name}\", and {what} cannot be priced yet"),
        },
    };
    let known = known_names().collect::<Vec<_>>().join(", ");
    unsupported(format!("families that can be read are {known}{hint}; or give the architecture's own fields"))
}

/// A note that a larger model's other parts are not counted.
fn left_out(config: &Value, path: &str) -> Option<Warning> {
    let Value::Object(fields) = config else { return None };
    let parts: Vec<&str> = fields
        .iter()
        .filter(|(key, value)| keys::is_other_part(key) && key != path && matches!(value, Value::Object(_)))
        .map(|(key, _)| key.as_str())
        .collect();
    let message = match (parts.as_slice(), path) {
        ([], "") => return None,
        ([], _) => format!("only {path} is read: the language model; what is around it is not counted"),
        (parts, _) => format!(
            "only the language model is counted, not the parts that {} describes: their weights, time and memory come on top",
            parts.join(", ")
        ),
    };
    Some(Warning::new("only_text_counted", "model", message))
}

/// A note that the weights are stored in a precision, which the request states for itself.
fn stored_precision(config: &Value, text: &Value) -> Option<Warning> {
    let stored = |value: &Value| keys::STORED_PRECISION.iter().find_map(|key| value.get(key).cloned());
    let quantization = stored(text).or_else(|| stored(config)).filter(|q| matches!(q, Value::Object(_)))?;
    let method = match quantization.get("quant_method").or_else(|| quantization.get("quant_algo")) {
        Some(Value::Text(method)) => format!(" ({method})"),
        _ => String::new(),
    };
    Some(Warning::new(
        "stored_precision",
        "model",
        format!(
            "the config stores quantised weights{method}; what is priced is the precision of the request, which stands apart"
        ),
    ))
}

/// A note of the keys that neither the family's reader nor any list knows.
fn unread(config: &Config<'_>, text: &Value, path: &str) -> Option<Warning> {
    let unknown = keys::unknown(text, |key| config.has_read(key));
    if unknown.is_empty() {
        return None;
    }
    let about = if path.is_empty() { "model".to_owned() } else { format!("model.{path}") };
    let names = unknown.join(", ");
    Some(Warning::new(
        "unread_config_key",
        &about,
        format!("not read, so not in any figure if they matter: {names}"),
    ))
}
