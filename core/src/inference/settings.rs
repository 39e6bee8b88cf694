//! What a user sets on an engine's command line in place of its defaults: chunk, sequences, memory, graphs.

use super::constants::EngineMemory;
use super::engine::{Engine, EngineClass, Engines};
use super::point::MOST_TOKENS;
use super::{EngineConstants, ServingTarget};
use crate::error::{Error, check_range};
use crate::quantity::{GIB, Warning, count};

/// Sequences of an iteration that may be asked for: more than any engine has run.
const MOST_SEQUENCES: f64 = 1e6;
/// Share of the memory below which no engine holds anything.
const LEAST_SHARE: f64 = 0.01;

impl Engine {
    /// Refuses settings that make sense on no GPU.
    pub(super) fn check_settings(&self) -> Result<(), Error> {
        for (field, given, least, most) in [
            ("engine.chunk_tokens", self.chunk_tokens.map(f64::from), 1.0, MOST_TOKENS),
            ("engine.max_sequences", self.max_sequences.map(f64::from), 1.0, MOST_SEQUENCES),
            ("engine.memory_share", self.memory_share, LEAST_SHARE, 1.0),
        ] {
            if let Some(given) = given {
                check_range(field, given, least, most)?;
            }
        }
        Ok(())
    }

    /// The constants `c` of a class with what is set over them.
    ///
    /// # Errors
    /// `Conflict` where vLLM would not start: an iteration of fewer tokens than sequences.
    pub(super) fn set_over(&self, class: EngineClass, c: EngineConstants) -> Result<EngineConstants, Error> {
        let chunk_tokens = self.chunk_tokens.map_or(c.chunk_tokens, f64::from);
        let is_vllm = matches!(class, EngineClass::Vllm | EngineClass::RocmVllm);
        // vLLM lowers its default to the tokens asked for (`EngineArgs.create_engine_config`): its cache grows by the logits.
        let usual = if is_vllm { c.max_sequences.min(chunk_tokens) } else { c.max_sequences };
        let max_sequences = self.max_sequences.map_or(usual, f64::from);
        if is_vllm && chunk_tokens < max_sequences {
            return Err(self.too_many_sequences(chunk_tokens, max_sequences));
        }
        Ok(EngineConstants {
            chunk_tokens,
            max_sequences,
            memory: self.memory_share.map_or(c.memory, |share| with_share(class, share, c.memory)),
            decode_graphs: self.decode_graphs.map_or(c.decode_graphs, |graphs| f64::from(u8::from(graphs))),
            ..c
        })
    }

    /// vLLM's refusal, under the field that was given.
    fn too_many_sequences(&self, tokens: f64, sequences: f64) -> Error {
        let (field, message) = if self.chunk_tokens.is_some() {
            ("engine.chunk_tokens", format!("try {sequences} or more, or fewer engine.max_sequences"))
        } else {
            ("engine.max_sequences", format!("try {tokens} or fewer, or give as many engine.chunk_tokens"))
        };
        let message =
            format!("vLLM refuses iterations of {tokens} tokens for {sequences} sequences; {message}");
        Error::Conflict { field: field.to_owned(), message }
    }

    /// What is set, in words; empty where nothing is.
    pub(super) fn settings_in_words(&self) -> String {
        let parts = [
            self.chunk_tokens.map(|tokens| format!("at most {} an iteration", count(tokens, "token"))),
            self.max_sequences.map(|sequences| format!("at most {}", count(sequences, "sequence"))),
            self.memory_share.map(|share| format!("memory share {share}")),
            self.decode_graphs
                .map(|graphs| format!("decode {} captured graphs", if graphs { "in" } else { "without" })),
        ];
        let given: Vec<String> = parts.into_iter().flatten().collect();
        if given.is_empty() { String::new() } else { format!(": {}", given.join(", ")) }
    }

    /// That a share of the memory leaves SGLang less for all else than it keeps by itself. The other engines measure what they
    /// need beside weights and cache; SGLang takes the share at its word.
    pub(super) fn short_of_memory(engine: Option<Self>, target: &ServingTarget) -> Option<Warning> {
        let engine = engine.filter(|engine| engine.family == EngineClass::Sglang)?;
        let share = engine.memory_share?;
        let usual = Self { memory_share: None, ..engine };
        let usual = Engines::shipped().of(Some(usual), &target.gpu).ok()?;
        let gib = target.gpu.memory_gib;
        let (left, kept) = ((1.0 - share) * gib, usual.reserved_bytes(gib * GIB, 0.0, 0.0) / GIB);
        (left < kept).then(|| {
            let text = format!(
                "{share} of {gib:.0} GiB leaves {left:.1} GiB beside weights and KV cache, where sglang by itself keeps \
                 {kept:.1} GiB of a {} (a share of {:.2}): it may run out of memory under load",
                target.gpu.name,
                (1.0 - kept / gib).max(0.0)
            );
            Warning::new("engine_memory", "engine.memory_share", text)
        })
    }
}

/// How a class sizes its KV cache where its flag says `share`.
fn with_share(class: EngineClass, share: f64, usual: EngineMemory) -> EngineMemory {
    match class {
        EngineClass::Vllm | EngineClass::RocmVllm => EngineMemory { share, ..usual },
        EngineClass::TensorrtLlm => EngineMemory { of_free: share, ..usual },
        // Weights and cache take the share, all else what it leaves.
        EngineClass::Sglang => {
            EngineMemory { share, of_free: 1.0, workspace_gib: 0.0, token_mib: 0.0, logit_bytes: 0.0 }
        }
    }
}
