//! What is asked of a serving estimate, and what it says.

use serde::{Deserialize, Serialize};

use crate::catalog::Overlay;
use crate::model::{ModelRef, Precision};
use crate::quantity::{Interval, Warning};

use super::operation::ServingOperation;
use super::pools::{Disaggregated, ServingPools};
use super::prefix::PrefixCache;
use super::speculation::Speculation;
use super::{Engine, LoadKind};

/// How one replica of a served model is cut over GPUs.
///
/// A replica takes `tp × pp × dp` GPUs: attention runs `dp` times side by side, each `tp` wide; experts are spread over
/// `ep` of the replica's GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ServingLayout {
    /// Tensor parallel ranks.
    #[serde(default = "one")]
    pub tp: u32,
    /// Pipeline stages.
    #[serde(default = "one")]
    pub pp: u32,
    /// Expert parallel ranks.
    #[serde(default = "one")]
    pub ep: u32,
    /// Attention data parallel ranks.
    #[serde(default = "one")]
    pub dp: u32,
    /// Experts held twice, at most as many as the model has: with them the expert ranks need not divide the experts, but
    /// experts and copies together (DeepSeek-V3's 256 and 32 over 72 ranks), and the tokens of a busy expert are shared. None
    /// if not given.
    #[serde(default)]
    pub redundant_experts: u32,
}

fn one() -> u32 {
    1
}

/// One explicit operating point of a served model to price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ServingPointRequest {
    /// A preset's name, an architecture, or a Hugging Face configuration.
    pub model: ModelRef,
    /// Shape to run on; either this or `gpu`.
    #[serde(default)]
    pub shape: Option<String>,
    /// GPU to run on, in its usual nodes and fabric, if no cloud's shape is meant.
    #[serde(default)]
    pub gpu: Option<String>,
    /// GPUs in all: a multiple of a replica's; more replicas share the load evenly. With `disaggregated` those of both pools.
    pub gpus: u32,
    /// How a replica is cut; with `disaggregated` one that decodes.
    pub layout: ServingLayout,
    /// Mean tokens of a prompt.
    pub input_tokens: f64,
    /// Mean tokens of an answer.
    pub output_tokens: f64,
    /// How requests come; a closed loop with `concurrency`, random arrivals with `request_rate`, if not given.
    #[serde(default)]
    pub load: Option<LoadKind>,
    /// Requests in flight over all GPUs (closed loop), or in the batch (static batch, decode only).
    #[serde(default)]
    pub concurrency: Option<f64>,
    /// Requests per second over all GPUs, arriving at random (Poisson).
    #[serde(default)]
    pub request_rate: Option<f64>,
    /// Requests of the run over all GPUs: a burst's or an offline run's, or a load generator's closed loop, which starts
    /// `concurrency` of them at once; without end if not given.
    #[serde(default)]
    pub requests: Option<f64>,
    /// Squared coefficient of variation of the prompts' lengths (variance over squared mean; 0 for equal lengths, 1 for an
    /// exponential distribution), 0 to 100. Under random arrivals, if not given, that of Azure's trace of a conversation
    /// service (0.922; answers 0.595); `percentiles` tells which was taken. Under other loads 0.
    #[serde(default)]
    pub input_spread: Option<f64>,
    /// The same of the answers' lengths; in a run with an end 0 to 1, and 0.595 if not given.
    #[serde(default)]
    pub output_spread: Option<f64>,
    /// The inference engine; a current one of no class if not given.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// Number format of weights and matrix products.
    #[serde(default)]
    pub precision: Precision,
    /// Number format of the KV cache; that of the matrix products, but not below 8 bits, if not given, and 16 bits where weights are
    /// `mxfp4`, `int8` or `int4`.
    #[serde(default)]
    pub kv_precision: Option<Precision>,
    /// Prompt tokens found in the cache; none if not given.
    #[serde(default)]
    pub prefix_cache: Option<PrefixCache>,
    /// Speculative decoding or multi-token prediction; none if not given.
    #[serde(default)]
    pub speculation: Option<Speculation>,
    /// Prompts read on GPUs of their own; on those that decode if not given.
    #[serde(default)]
    pub disaggregated: Option<Disaggregated>,
    /// Whether `operations` are to be told.
    #[serde(default)]
    pub explain: bool,
    /// The user's own data laid over the catalogue for this call.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

/// Latency, throughput and memory of one operating point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingPoint {
    /// How a replica is cut; one that decodes, where pools are apart.
    pub layout: ServingLayout,
    /// GPU it runs on.
    pub gpu: String,
    /// The inference engine that the times are those of, in words.
    pub engine: String,
    /// Number format of weights and matrix products.
    pub precision: Precision,
    /// GPUs in all, both pools' where they are apart.
    pub gpus: u32,
    /// Replicas in all; those that decode, where pools are apart.
    pub replicas: u32,
    /// Mean time to first token, seconds.
    pub ttft_seconds: f64,
    /// 95th percentile of the time to first token, seconds.
    pub ttft_p95_seconds: f64,
    /// Mean time per output token after the first, seconds.
    pub tpot_seconds: f64,
    /// 95th percentile of the time per output token, seconds.
    pub tpot_p95_seconds: f64,
    /// Where the true mean time per output token probably lies.
    pub tpot_interval: Interval,
    /// Output tokens per second over all GPUs.
    pub output_tokens_per_second: f64,
    /// Output tokens per second and GPU.
    pub output_tokens_per_second_per_gpu: f64,
    /// Input and output tokens per second and GPU.
    pub total_tokens_per_second_per_gpu: f64,
    /// Requests per second over all GPUs.
    pub requests_per_second: f64,
    /// Requests in flight over all GPUs.
    pub concurrency: f64,
    /// Sequences in a decode batch of one replica.
    pub decode_batch: f64,
    /// The load is past what the GPUs sustain: latencies grow without end and are not to be used.
    pub saturated: bool,
    /// Highest request rate that these GPUs sustain, requests per second.
    pub sustainable_request_rate: f64,
    /// Seconds of one decode iteration by part; they add up.
    pub decode: IterationParts,
    /// Seconds of the prefill of one prompt by part; they add up.
    pub prefill: IterationParts,
    /// Memory of one GPU.
    pub memory: ServingMemory,
    /// Where prompts are read on GPUs of their own: both pools and the transfer between them.
    pub pools: Option<ServingPools>,
    /// Tokens that a decode iteration gives a sequence on average: more than 1 with speculation.
    pub tokens_per_iteration: f64,
    /// Where `explain` asks for them: the operations of one decode iteration and of one prompt's prefill, whose seconds add
    /// up to `decode` and `prefill`; else none.
    pub operations: Vec<ServingOperation>,
    /// Distribution of the latencies under random arrivals; none under other
    /// loads, for answers of one token and for pools apart.
    pub percentiles: Option<LatencyPercentiles>,
    /// What bounds it, in words.
    pub bound_by: String,
    /// What the reader should know.
    pub warnings: Vec<Warning>,
}

impl ServingPoint {
    /// Copies that serve by themselves: replicas; one where pools are apart, for the pools work together.
    pub fn units(&self) -> u32 {
        if self.pools.is_some() { 1 } else { self.replicas.max(1) }
    }
}

/// Mean and percentiles of a time over requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Percentiles {
    /// Mean, seconds.
    pub mean_seconds: f64,
    /// Median, seconds.
    pub p50_seconds: f64,
    /// 90th percentile, seconds.
    pub p90_seconds: f64,
    /// 95th percentile, seconds.
    pub p95_seconds: f64,
    /// 99th percentile, seconds.
    pub p99_seconds: f64,
}

impl Percentiles {
    /// Of what always takes as long.
    pub(super) fn of_one(seconds: f64) -> Self {
        let [mean_seconds, p50_seconds, p90_seconds, p95_seconds, p99_seconds] = [seconds; 5];
        Self { mean_seconds, p50_seconds, p90_seconds, p95_seconds, p99_seconds }
    }

    /// All of them times `by`.
    pub(super) fn scaled(&self, by: f64) -> Self {
        Self {
            mean_seconds: self.mean_seconds * by,
            p50_seconds: self.p50_seconds * by,
            p90_seconds: self.p90_seconds * by,
            p95_seconds: self.p95_seconds * by,
            p99_seconds: self.p99_seconds * by,
        }
    }
}

/// Distributions of the latencies of requests that arrive at random.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct LatencyPercentiles {
    /// Time to first token.
    pub ttft: Percentiles,
    /// Time per output token after the first, a mean over each answer.
    pub tpot: Percentiles,
    /// Squared coefficient of variation of the prompts' lengths for which they are: stated, or that of Azure's trace of a
    /// conversation service.
    pub input_spread: f64,
    /// The same of the answers' lengths.
    pub output_spread: f64,
}

/// Seconds of one engine iteration by what they are spent on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct IterationParts {
    /// Matrix products, weights read included.
    pub matmul_seconds: f64,
    /// Attention, KV cache read included.
    pub attention_seconds: f64,
    /// Norms, activations, sampling and other work bound by memory bandwidth.
    pub memory_bound_seconds: f64,
    /// Tensor parallel all-reduce.
    pub all_reduce_seconds: f64,
    /// Expert parallel dispatch and combine.
    pub all_to_all_seconds: f64,
    /// Pipeline sends.
    pub pipeline_seconds: f64,
    /// Drafting of speculative tokens.
    pub draft_seconds: f64,
    /// Launches, scheduling and host work of the engine.
    pub engine_seconds: f64,
    /// All of it.
    pub total_seconds: f64,
}

/// Memory of one serving GPU, GiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingMemory {
    /// Weights.
    pub weights_gib: f64,
    /// Workspace, graphs, communication buffers and what the engine leaves free.
    pub workspace_gib: f64,
    /// What is left for the KV cache.
    pub kv_capacity_gib: f64,
    /// KV cache of the sequences in flight.
    pub kv_used_gib: f64,
    /// Share of the KV capacity in use, 0 to 1.
    pub kv_used_share: f64,
    /// Tokens that the KV cache of one replica holds.
    pub kv_capacity_tokens: f64,
    /// Weights, workspace and KV cache in use.
    pub total_gib: f64,
    /// What the GPU has.
    pub available_gib: f64,
    /// Whether weights, workspace and at least one request's KV cache fit.
    pub fits: bool,
}

/// Latency targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct LatencyTargets {
    /// 95th percentile of the time to first token, seconds.
    pub ttft_p95_seconds: f64,
    /// 95th percentile of the time per output token, seconds.
    pub tpot_p95_seconds: f64,
}

/// A search for the best way to serve a model on a shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ServingSearchRequest {
    /// A preset's name, an architecture, or a Hugging Face configuration.
    pub model: ModelRef,
    /// Shape to run on; either this or `gpu`.
    #[serde(default)]
    pub shape: Option<String>,
    /// GPU to run on, in its usual nodes and fabric, if no cloud's shape is meant.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Mean tokens of a prompt.
    pub input_tokens: f64,
    /// Mean tokens of an answer.
    pub output_tokens: f64,
    /// Latency targets.
    pub slo: LatencyTargets,
    /// Number format of weights and matrix products; of 16-bit, 8-bit and 4-bit float all that the GPU has units for, if not
    /// given. Fewer bits change what a model answers: the search cannot tell.
    #[serde(default)]
    pub precision: Option<Precision>,
    /// Number format of the KV cache; that of the matrix products, but not below 8 bits, if not given, and 16 bits where weights are
    /// `mxfp4`, `int8` or `int4`.
    #[serde(default)]
    pub kv_precision: Option<Precision>,
    /// Prompt tokens found in the cache; none if not given.
    #[serde(default)]
    pub prefix_cache: Option<PrefixCache>,
    /// Speculative decoding or multi-token prediction; none if not given.
    #[serde(default)]
    pub speculation: Option<Speculation>,
    /// The inference engine; a current one of no class if not given.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// Squared coefficient of variation of the prompts' lengths, 0 to 100, as an operating point takes it.
    #[serde(default)]
    pub input_spread: Option<f64>,
    /// The same of the answers' lengths.
    #[serde(default)]
    pub output_spread: Option<f64>,
    /// Prompts read where answers are written, or on GPUs of their own; both are looked at if not given.
    #[serde(default)]
    pub mode: Option<ServingMode>,
    /// Largest replica to look at, or pools that work together, GPUs, 1 to 4,096. If not given 144, which are two racks of
    /// NVL72, or two scale-up domains where these are more; the scale-up domain where nodes have no RDMA network.
    #[serde(default)]
    pub max_replica_gpus: Option<u32>,
    /// The user's own data laid over the catalogue for this call.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

/// Where prompts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum ServingMode {
    /// On the GPUs that decode, in chunks beside decode iterations.
    Aggregated,
    /// On GPUs of their own.
    Disaggregated,
}

/// What a serving search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingSearch {
    /// The point of one replica, or of two pools, that meets the targets with the highest throughput per GPU: the cheapest.
    pub best: Option<ServingPoint>,
    /// Best throughput per GPU for each interactivity, over all layouts and batches: no point is beaten in both.
    pub frontier: Vec<FrontierPoint>,
    /// Points looked at.
    pub considered: u64,
    /// Where no point meets the targets: the one that comes nearest.
    pub nearest: Option<ServingPoint>,
}

/// A point of the frontier of throughput against interactivity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct FrontierPoint {
    /// How a replica is cut; one that decodes, where pools are apart.
    pub layout: ServingLayout,
    /// Number format of weights and matrix products.
    pub precision: Precision,
    /// GPUs of one replica, or of both pools.
    pub gpus: u32,
    /// GPUs that read prompts, of `gpus`; 0 where those that decode do.
    pub prefill_gpus: u32,
    /// How a replica that reads prompts is cut, where pools are apart.
    pub prefill_layout: Option<ServingLayout>,
    /// Requests in flight in one replica, or in both pools.
    pub concurrency: f64,
    /// Output tokens per second that one user sees: 1 / TPOT.
    pub tokens_per_second_per_user: f64,
    /// Output tokens per second and GPU.
    pub output_tokens_per_second_per_gpu: f64,
    /// Mean time to first token, seconds.
    pub ttft_seconds: f64,
}
