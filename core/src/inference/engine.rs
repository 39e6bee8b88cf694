//! Inference engines as few factors over a common one: class and year.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::constants::{EngineMemory, TABLE};
use super::{EngineConstants, ServingTarget};
use crate::catalog::Gpu;
use crate::error::{Error, check_range};
use crate::quantity::Warning;

/// A family of inference engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum EngineClass {
    /// TensorRT-LLM: on NVIDIA GPUs only.
    TensorrtLlm,
    /// vLLM; on AMD GPUs what `rocm_vllm` is.
    Vllm,
    /// SGLang; measured on NVIDIA GPUs only.
    Sglang,
    /// vLLM on AMD GPUs, and on no others.
    RocmVllm,
}

impl EngineClass {
    /// All of them, in the order of [`Engines::classes`].
    pub const ALL: [Self; 4] = [Self::TensorrtLlm, Self::Vllm, Self::Sglang, Self::RocmVllm];

    /// Name in requests and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::TensorrtLlm => "tensorrt_llm",
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::RocmVllm => "rocm_vllm",
        }
    }

    /// The vendor on whose GPUs alone it runs; none where it runs on several's.
    fn only_on(self) -> Option<&'static str> {
        match self {
            Self::TensorrtLlm => Some(NVIDIA),
            Self::RocmVllm => Some(AMD),
            Self::Vllm | Self::Sglang => None,
        }
    }

    /// The class whose factors hold on `gpu`.
    ///
    /// # Errors
    /// `Unsupported` under `engine.family` for a class that does not run on GPUs of this vendor.
    fn on(self, gpu: &Gpu) -> Result<Self, Error> {
        let of = |vendor: &str| gpu.vendor.eq_ignore_ascii_case(vendor);
        match self.only_on() {
            Some(vendor) if !of(vendor) => {
                let others: Vec<&str> = Self::ALL
                    .into_iter()
                    .filter(|class| class.only_on().is_none_or(of))
                    .map(Self::name)
                    .collect();
                Err(Error::Unsupported {
                    field: "engine.family".to_owned(),
                    given: self.name().to_owned(),
                    reason: format!(
                        "it runs on {vendor} GPUs only, and {} is {}'s; try {}",
                        gpu.name,
                        gpu.vendor,
                        others.join(" or ")
                    ),
                })
            }
            None if self == Self::Vllm && of(AMD) => Ok(Self::RocmVllm),
            _ => Ok(self),
        }
    }
}

/// Vendors as the table of GPUs names them.
const NVIDIA: &str = "NVIDIA";
const AMD: &str = "AMD";

/// The engine that serves: a class, the year of its release, and what its command line sets in place of its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its class.
    pub family: EngineClass,
    /// Year of the release, 2023 to 2026; older ones are slower.
    #[serde(default = "newest")]
    pub year: u32,
    /// Tokens of an iteration at most, so that longer prompts are cut into chunks of as many: vLLM `--max-num-batched-tokens`,
    /// TensorRT-LLM `max_num_tokens`, SGLang `--chunked-prefill-size`. Of one attention data parallel rank: of SGLang's flag, which
    /// counts over those ranks, give the quotient. The engine's default on the GPU if not given.
    #[serde(default)]
    pub chunk_tokens: Option<u32>,
    /// Sequences in flight at most: vLLM `--max-num-seqs`, TensorRT-LLM `max_batch_size`, SGLang `--max-running-requests`. Of one
    /// attention data parallel rank, as `chunk_tokens`. The engine's default on the GPU if not given.
    #[serde(default)]
    pub max_sequences: Option<u32>,
    /// Share of the memory, 0.01 to 1, as the engine means it: vLLM `--gpu-memory-utilization`, of all memory, for all that it
    /// takes; TensorRT-LLM `free_gpu_memory_fraction`, of what weights and workspace leave, for the KV cache; SGLang
    /// `--mem-fraction-static`, of all memory, for weights and KV cache. The engine's default if not given.
    #[serde(default)]
    pub memory_share: Option<f64>,
    /// Whether iterations that only decode run as captured graphs, in which the host need not start every kernel. False is vLLM
    /// `--enforce-eager`, SGLang `--disable-cuda-graph`, TensorRT-LLM with `cuda_graph_config` null; true if not given.
    #[serde(default)]
    pub decode_graphs: Option<bool>,
}

impl Engine {
    /// The engine of a class and year with its own defaults.
    pub fn new(family: EngineClass, year: u32) -> Self {
        Self {
            family,
            year,
            chunk_tokens: None,
            max_sequences: None,
            memory_share: None,
            decode_graphs: None,
        }
    }

    /// Refuses a year that no measurement tells of, and settings that make sense on no GPU.
    pub(super) fn check(engine: Option<Self>) -> Result<(), Error> {
        let Some(engine) = engine else { return Ok(()) };
        check_range("engine.year", f64::from(engine.year), f64::from(OLDEST), f64::from(NEWEST))?;
        engine.check_settings()
    }

    /// What is to be known of the engine on this target.
    pub(super) fn warnings(engine: Option<Self>, target: &ServingTarget) -> impl Iterator<Item = Warning> {
        [Self::unmeasured(engine, &target.gpu), Self::short_of_memory(engine, target)].into_iter().flatten()
    }

    /// That nobody measured the engine on this GPU.
    fn unmeasured(engine: Option<Self>, gpu: &Gpu) -> Option<Warning> {
        let class = engine?.family.on(gpu).ok()?;
        let measured_on = if class == EngineClass::RocmVllm { AMD } else { NVIDIA };
        (!gpu.vendor.eq_ignore_ascii_case(measured_on)).then(|| {
            let name = class.name();
            let text = format!(
                "{name} is measured on {measured_on} GPUs only: its factors there are taken for {} too",
                gpu.name
            );
            Warning::new("unmeasured_engine", "engine.family", text)
        })
    }

    /// The engine in words, with what is set of it; without one, what is taken.
    pub fn describe(engine: Option<Self>) -> String {
        match engine {
            Some(engine) => {
                format!("{} of {}{}", engine.family.name(), engine.year, engine.settings_in_words())
            }
            None => format!("none named: what current engines ({NEWEST}) have in common"),
        }
    }
}

fn newest() -> u32 {
    NEWEST
}

/// Year of the releases that the constants describe.
const NEWEST: u32 = 2026;
/// Year of the oldest release that was measured.
const OLDEST: u32 = 2023;

/// What sets a class of engines apart from the common engine: factors near 1, and the limits that it sets itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineFactors {
    /// Over the common host time of an iteration.
    pub iteration: f64,
    /// Over the common host time to start a layer's kernels outside a graph.
    pub launch: f64,
    /// Over the common host time of a sequence.
    pub sequence: f64,
    /// Over the common time of kernels.
    pub kernels: f64,
    /// Over the common host time of a request.
    pub request: f64,
    /// 1: iterations that read prompts do not decode; 0: prompts and decode share iterations.
    pub prompts_first: f64,
    /// Sequences of an iteration at most.
    pub max_sequences: f64,
    /// The same on a GPU of less than 70 GiB or without 8-bit units.
    pub small_max_sequences: f64,
    /// Tokens of an iteration at most on such a GPU.
    pub small_chunk_tokens: f64,
    /// The same on a GPU of less than 35 GiB.
    pub tiny_chunk_tokens: f64,
    /// The same on one of less than 60 GiB.
    pub medium_chunk_tokens: f64,
    /// The same on one of 160 GiB and more.
    pub large_chunk_tokens: f64,
    /// How it sizes its KV cache.
    pub memory: EngineMemory,
}

/// The common engine, its classes, and what a year of age costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Engines {
    /// A current engine of no class.
    pub common: EngineConstants,
    /// By class.
    pub classes: [EngineFactors; 4],
    /// Time of host work and kernels of an engine over that of one a year younger.
    pub year: f64,
}

impl Engines {
    /// The shipped table.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Engines> = OnceLock::new();
        SHIPPED.get_or_init(|| Self::parse(TABLE))
    }

    /// The engines of a table of `name,value,…` lines; what the table lacks is NaN, and so is every time that needs it.
    pub fn parse(table: &str) -> Self {
        let absent = EngineFactors {
            iteration: f64::NAN,
            launch: f64::NAN,
            sequence: f64::NAN,
            kernels: f64::NAN,
            request: f64::NAN,
            prompts_first: f64::NAN,
            max_sequences: f64::NAN,
            small_max_sequences: f64::NAN,
            small_chunk_tokens: f64::NAN,
            tiny_chunk_tokens: f64::NAN,
            medium_chunk_tokens: f64::NAN,
            large_chunk_tokens: f64::NAN,
            memory: EngineMemory::ABSENT,
        };
        let mut out = Self { common: EngineConstants::ABSENT, classes: [absent; 4], year: f64::NAN };
        for line in table.lines() {
            let mut cells = line.splitn(3, ',');
            if let (Some(name), Some(value)) = (cells.next(), cells.next())
                && let (Some(slot), Ok(value)) = (out.get_mut(name), value.parse())
            {
                *slot = value;
            }
        }
        out
    }

    /// The figure `name`: a common constant, `year`, or `class.factor`; to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut f64> {
        let Some((class, factor)) = name.split_once('.') else {
            return if name == "year" { Some(&mut self.year) } else { self.common.get_mut(name) };
        };
        let at = EngineClass::ALL.iter().position(|c| c.name() == class)?;
        let f = self.classes.get_mut(at)?;
        Some(match factor {
            "iteration" => &mut f.iteration,
            "launch" => &mut f.launch,
            "sequence" => &mut f.sequence,
            "kernels" => &mut f.kernels,
            "request" => &mut f.request,
            "prompts_first" => &mut f.prompts_first,
            "max_sequences" => &mut f.max_sequences,
            "small_max_sequences" => &mut f.small_max_sequences,
            "small_chunk_tokens" => &mut f.small_chunk_tokens,
            "tiny_chunk_tokens" => &mut f.tiny_chunk_tokens,
            "medium_chunk_tokens" => &mut f.medium_chunk_tokens,
            "large_chunk_tokens" => &mut f.large_chunk_tokens,
            _ => return f.memory.get_mut(factor),
        })
    }

    /// The constants of `engine` on `gpu`, what it sets in place of its class's defaults included; without an engine those of a
    /// current one of no class.
    ///
    /// # Errors
    /// `OutOfRange` for a year before 2023 or after 2026 and for settings that make no sense; `Unsupported` for a class that does
    /// not run on such a GPU; `Conflict` where vLLM would not start, for an iteration of fewer tokens than sequences.
    pub fn of(&self, engine: Option<Engine>, gpu: &Gpu) -> Result<EngineConstants, Error> {
        let Some(engine) = engine else { return Ok(self.common) };
        Engine::check(Some(engine))?;
        let class = engine.family.on(gpu)?;
        engine.set_over(class, self.defaults(class, engine.year, gpu))
    }

    /// The constants of a class of this year on `gpu`, by its own defaults.
    fn defaults(&self, class: EngineClass, year: u32, gpu: &Gpu) -> EngineConstants {
        let Some(f) = self.classes.get(class as usize) else { return self.common };
        let mut age = 1.0;
        for _ in year..NEWEST {
            age *= self.year;
        }
        let small = gpu.memory_gib < SMALL_GIB || gpu.fp8_tflops.is_none();
        let c = self.common;
        EngineConstants {
            iteration_s: c.iteration_s * f.iteration * age,
            launch_layer_s: c.launch_layer_s * f.launch * age,
            launch_experts_s: c.launch_experts_s * f.launch * age,
            sequence_s: c.sequence_s * f.sequence * age,
            gpu_time_factor: c.gpu_time_factor * f.kernels * age,
            request_s: c.request_s * f.request * age,
            request_token_s: c.request_token_s * f.request * age,
            prompts_first: f.prompts_first,
            max_sequences: if small { f.small_max_sequences } else { f.max_sequences },
            chunk_tokens: match gpu.memory_gib {
                gib if gib < TINY_GIB => f.tiny_chunk_tokens,
                gib if gib < MEDIUM_GIB => f.medium_chunk_tokens,
                _ if small => f.small_chunk_tokens,
                gib if gib >= LARGE_GIB => f.large_chunk_tokens,
                _ => c.chunk_tokens,
            },
            memory: f.memory,
            ..c
        }
    }
}

/// Memory below which vLLM takes a GPU as small, GiB; it takes the A100, without 8-bit units, as small too (vLLM,
/// `EngineArgs.get_batch_defaults`).
const SMALL_GIB: f64 = 70.0;

/// Memory between which SGLang's `ServerArgs._handle_gpu_memory_settings` tells GPUs apart, GiB: the A10 and less, the L40S and the A100 of
/// 40 GB, the H100 and H200, the B200 and MI300X.
const TINY_GIB: f64 = 35.0;
const MEDIUM_GIB: f64 = 60.0;
const LARGE_GIB: f64 = 160.0;
