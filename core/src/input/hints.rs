//! What to write instead: for what people give in another form than the type has.

use super::Value;
use crate::error::nearest;

/// Fields that an error names at most; more would bury the message.
const LISTED: usize = 8;

/// The form of an object of the type `name` with these fields, where `given` is none.
pub(super) fn of_object(name: &str, fields: &[&str], given: &Value) -> String {
    match (name, given) {
        ("Engine", Value::Text(class)) => {
            let meant = nearest(class, ENGINES).unwrap_or_else(|| "vllm".to_owned());
            format!("an object such as {{\"family\": \"{meant}\"}}")
        }
        ("Disaggregated", _) => format!("an object such as {{\"prefill_layout\": {TENSOR_RANKS}}}"),
        _ if (1..=LISTED).contains(&fields.len()) => {
            format!("an object with named fields ({})", fields.join(", "))
        }
        _ => "an object with named fields".to_owned(),
    }
}

/// The choices of the type `name`, where `given` is no text.
pub(super) fn of_choice(name: &str, choices: &[&str], given: &Value) -> String {
    let listed = format!("one of {}", choices.join(", "));
    match (name, given) {
        ("TrafficShape", Value::List(_)) => {
            format!("{listed} (weights of your own: hour_factors, weekday_factors)")
        }
        _ => listed,
    }
}

/// What to give for the `field` that an object of the type `name` lacks.
pub(super) fn of_missing(name: &str, field: &str) -> String {
    match (name, field) {
        ("Disaggregated", "prefill_layout") => {
            format!("how a replica that reads prompts is cut, such as {TENSOR_RANKS}")
        }
        _ => "it has no default".to_owned(),
    }
}

/// The field of the type `name` that the name `given` means elsewhere: engines' own flags. Those that turn graphs off
/// mean the contrary of `decode_graphs`, and are not offered for it.
pub(super) fn of_unknown(name: &str, given: &str) -> Option<&'static str> {
    if name != "Engine" {
        return None;
    }
    match given.trim_start_matches('-').replace('-', "_").as_str() {
        "max_num_batched_tokens" | "max_num_tokens" | "chunked_prefill_size" => Some("chunk_tokens"),
        "max_num_seqs" | "max_batch_size" | "max_running_requests" => Some("max_sequences"),
        "gpu_memory_utilization" | "free_gpu_memory_fraction" | "mem_fraction_static" => Some("memory_share"),
        _ => None,
    }
}

/// Classes of engines; a test compares.
const ENGINES: [&str; 4] = ["tensorrt_llm", "vllm", "sglang", "rocm_vllm"];
const TENSOR_RANKS: &str = "{\"tp\": 8}";
