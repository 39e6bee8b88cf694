//! What is asked of a simulation, and what it says.

use serde::{Deserialize, Serialize};

use super::lengths::Lengths;
use super::trace::RequestTrace;
use crate::catalog::Overlay;
use crate::inference::{
    Disaggregated, Engine, LatencyPercentiles, Percentiles, PrefixCache, ServingLayout, Speculation,
};
use crate::model::{ModelRef, Precision};
use crate::quantity::Warning;

/// What the simulated engines do with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum SimulationPhase {
    /// Read the prompt and decode the answer.
    #[default]
    Both,
    /// Read the prompt and give the first token: a prefill pool. Answers are one token, whatever lengths are given.
    Prefill,
    /// Decode a prompt whose cache is there on arrival: a decode pool.
    Decode,
}

/// Which rank a request goes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum RequestRouting {
    /// The one with the fewest requests in flight; of several the first.
    #[default]
    LeastLoaded,
    /// One after the other.
    RoundRobin,
    /// Any, each as likely.
    Random,
}

/// A simulation of requests on the replicas of a served model.
///
/// Requests arrive in one way: `request_rate`, `concurrency`, `burst`, or at the times of a trace. Their lengths come from
/// `input` and `output`, or from the rows of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct SimulationRequest {
    /// A preset's name, an architecture, or a Hugging Face configuration.
    pub model: ModelRef,
    /// Shape to run on; either this or `gpu`.
    #[serde(default)]
    pub shape: Option<String>,
    /// GPU to run on, in its usual nodes and fabric, if no cloud's shape is meant.
    #[serde(default)]
    pub gpu: Option<String>,
    /// GPUs in all: a multiple of a replica's.
    pub gpus: u32,
    /// How a replica is cut.
    pub layout: ServingLayout,
    /// Lengths of the prompts; not with a trace.
    #[serde(default)]
    pub input: Option<Lengths>,
    /// Lengths of the answers; not with a trace, not needed by the phase `prefill`.
    #[serde(default)]
    pub output: Option<Lengths>,
    /// Requests of a trace.
    #[serde(default)]
    pub trace: Option<RequestTrace>,
    /// The same as CSV text: columns `arrival_seconds` (or none), `input_tokens`, `output_tokens`, or those of the Azure LLM
    /// inference traces.
    #[serde(default)]
    pub trace_csv: Option<String>,
    /// How many times faster than logged a trace is replayed; 1 if not given.
    #[serde(default)]
    pub trace_speed: Option<f64>,
    /// The inference engine; a current one of no class if not given. Its limits and times are meant: prompts share
    /// iterations with decode, whatever the class.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// Requests per second over all GPUs, arriving at random (Poisson).
    #[serde(default)]
    pub request_rate: Option<f64>,
    /// Requests in flight over all GPUs, each replaced when it ends; all come at once in the beginning.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// All requests come at once: offline work.
    #[serde(default)]
    pub burst: bool,
    /// What the engines do with a request.
    #[serde(default)]
    pub phase: SimulationPhase,
    /// Which rank a request goes to.
    #[serde(default)]
    pub routing: RequestRouting,
    /// Requests that are measured; if not given 2,000, with a replayed trace all of it.
    #[serde(default)]
    pub requests: Option<u32>,
    /// Requests before those that are measured; if not given a tenth of them, but at a rate at least four times those in
    /// flight by the steady-state model, in a closed loop at least twice those in flight; none in a burst or a replayed trace.
    #[serde(default)]
    pub warmup_requests: Option<u32>,
    /// Seed of the random numbers, up to 2^53: the same seed gives the same bits everywhere. 0 if not given.
    #[serde(default)]
    pub seed: u64,
    /// Whether the answer lists every measured request.
    #[serde(default)]
    pub list_requests: bool,
    /// Number format of weights and matrix products.
    #[serde(default)]
    pub precision: Precision,
    /// Number format of the KV cache; that of the matrix products, but not below 8 bits, if not given, and 16 bits where weights are
    /// `mxfp4`, `int8` or `int4`.
    #[serde(default)]
    pub kv_precision: Option<Precision>,
    /// Prompt tokens found in the KV cache: of every prompt the same share, in whole tokens. They are not read again, but lie
    /// in the cache.
    #[serde(default)]
    pub prefix_cache: Option<PrefixCache>,
    /// Prompts read on GPUs of their own, of `gpus` in all, as [`crate::inference::ServingPointRequest::disaggregated`] says
    /// it; `layout` is one that decodes. The first token goes out when the request has a place where it is decoded.
    #[serde(default)]
    pub disaggregated: Option<Disaggregated>,
    /// Speculative decoding: how many of the drafted tokens a step accepts is drawn for every step of every answer.
    #[serde(default)]
    pub speculation: Option<Speculation>,
    /// The user's own data laid over the catalogue for this call.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

/// What went on over time: arrays of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SimulationTimeline {
    /// Times at equal distances, seconds after the first arrival.
    pub time_seconds: Vec<f64>,
    /// Requests in flight, waiting ones included.
    pub in_flight: Vec<f64>,
    /// Requests that wait for a place.
    pub waiting: Vec<f64>,
    /// Sequences in decode.
    pub decoding: Vec<f64>,
    /// Share of the KV capacity of all ranks in use, 0 to 1; of pools apart of those that decode.
    pub kv_used_share: Vec<f64>,
}

/// Distribution of the latencies: arrays of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SimulationDistribution {
    /// Share of the measured requests, 0 to 1 in hundredths.
    pub share: Vec<f64>,
    /// Time to first token that so many do not exceed, seconds.
    pub ttft_seconds: Vec<f64>,
    /// Time per output token after the first that so many answers of two tokens or more do not exceed, seconds; empty if
    /// there is no such answer.
    pub tpot_seconds: Vec<f64>,
    /// Time to last token that so many do not exceed, seconds.
    pub end_to_end_seconds: Vec<f64>,
}

/// What the closed form of [`crate::inference::serving_point`] says of the same load: its mean rate at random times, its
/// mean lengths and their spreads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SteadyBeside {
    /// Requests per second over all GPUs: the rate asked for, or that of a trace as it is replayed.
    pub request_rate: f64,
    /// The rate exceeds what these GPUs sustain; the latencies are those at the rate that they do, without the queue.
    pub saturated: bool,
    /// Mean time to first token, seconds.
    pub ttft_seconds: f64,
    /// 95th percentile of the time to first token, seconds; of pools apart an upper bound.
    pub ttft_p95_seconds: f64,
    /// Mean time per output token, seconds.
    pub tpot_seconds: f64,
    /// 95th percentile of the time per output token, seconds.
    pub tpot_p95_seconds: f64,
    /// Distribution of the latencies; none where the queue grows without end, and of pools apart.
    pub latencies: Option<LatencyPercentiles>,
}

/// What a simulation saw of pools apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SimulatedPools {
    /// How a replica that reads prompts is cut.
    pub prefill_layout: ServingLayout,
    /// GPUs that read prompts.
    pub prefill_gpus: u32,
    /// Replicas that read prompts.
    pub prefill_replicas: u32,
    /// GPUs that decode.
    pub decode_gpus: u32,
    /// Replicas that decode.
    pub decode_replicas: u32,
    /// Share of the time that a rank that reads prompts runs iterations, 0 to 1.
    pub prefill_busy_share: f64,
    /// Share of the time that a rank that decodes runs iterations, 0 to 1.
    pub decode_busy_share: f64,
    /// From a request's coming to the end of its prefill.
    pub prefill: Percentiles,
    /// From there until its KV cache lies where it is decoded, waiting for links included; of answers of two tokens or more,
    /// none if there is no such answer.
    pub transfer: Option<Percentiles>,
    /// From there to a place in a batch, and so to the first token.
    pub place: Option<Percentiles>,
}

/// The measured requests in order of arrival: arrays of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SimulatedRequests {
    /// Arrival, seconds after the first request's.
    pub arrival_seconds: Vec<f64>,
    /// Tokens of the prompt.
    pub input_tokens: Vec<f64>,
    /// Tokens of the answer.
    pub output_tokens: Vec<f64>,
    /// Time to first token, seconds.
    pub ttft_seconds: Vec<f64>,
    /// From arrival to last token, seconds.
    pub end_to_end_seconds: Vec<f64>,
}

/// What a simulation saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SimulationReport {
    /// How a replica is cut.
    pub layout: ServingLayout,
    /// GPU it runs on.
    pub gpu: String,
    /// The engine that was meant, in words.
    pub engine: String,
    /// GPUs in all, those of both pools.
    pub gpus: u32,
    /// Replicas in all; of pools apart those that decode.
    pub replicas: u32,
    /// Requests that were measured.
    pub requests: u32,
    /// Time to first token.
    pub ttft: Percentiles,
    /// Time per output token after the first, a mean over each answer of two tokens or more; none if there is no such answer.
    pub tpot: Option<Percentiles>,
    /// From arrival to last token.
    pub end_to_end: Percentiles,
    /// The same latencies at every hundredth of the requests.
    pub distribution: SimulationDistribution,
    /// The closed form's latencies beside; none in a burst and a closed loop, and for the phase `decode`.
    pub beside: Option<SteadyBeside>,
    /// Mean tokens of the measured prompts.
    pub mean_input_tokens: f64,
    /// Mean tokens of the measured answers.
    pub mean_output_tokens: f64,
    /// Time over which throughput and shares are taken, seconds: from the first measured arrival to the last (at a rate, in
    /// a closed loop), or to the last token (burst, replayed trace).
    pub window_seconds: f64,
    /// Requests answered per second over all GPUs.
    pub requests_per_second: f64,
    /// Output tokens of the requests answered, per second over all GPUs.
    pub output_tokens_per_second: f64,
    /// The same for each GPU.
    pub output_tokens_per_second_per_gpu: f64,
    /// Input and output tokens of the requests answered, per second and GPU.
    pub total_tokens_per_second_per_gpu: f64,
    /// Share of the time that a rank of either pool runs iterations, 0 to 1.
    pub busy_share: f64,
    /// Arrivals per second over the highest rate that these GPUs sustain at the mean lengths by the steady-state model; none
    /// in a burst and a closed loop, and for a part of the work only.
    pub utilisation: Option<f64>,
    /// Mean number of requests in flight over all GPUs.
    pub concurrency: f64,
    /// Mean number of sequences that a rank decodes; of pools apart a rank that does.
    pub decode_batch: f64,
    /// Mean share of the KV capacity in use, 0 to 1, what requests share included; of pools apart where it is decoded.
    pub kv_used_share: f64,
    /// Share of the measured requests that waited for a place because the KV cache was full, 0 to 1.
    pub waited_for_cache_share: f64,
    /// Share of the measured requests that waited for a place because the engine ran as many sequences as it may, 0 to 1.
    pub waited_for_sequences_share: f64,
    /// Tokens that a decode iteration gave a sequence on average: 1 without speculation, and what it accepted of those
    /// drafted; none where nothing decodes.
    pub tokens_per_iteration: Option<f64>,
    /// More requests came than were answered, beyond what chance explains: the queue grows, and latencies with the length of
    /// the simulation.
    pub saturated: bool,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Runs of iterations and arrivals that were simulated.
    pub events: u64,
    /// What went on over time.
    pub timeline: SimulationTimeline,
    /// What happened in each pool and between them, where prompts are read on GPUs of their own.
    pub pools: Option<SimulatedPools>,
    /// Every measured request, if asked for.
    pub request_list: Option<SimulatedRequests>,
    /// What the reader should know.
    pub warnings: Vec<Warning>,
}
