//! What an estimate of a training step says.

use serde::{Deserialize, Serialize};

use super::layout::{Layout, PipelineSchedule, Task};
use super::lora::Lora;
use super::operation::StepOperation;
use super::software::Software;
use crate::catalog::Overlay;
use crate::model::{ModelRef, Precision};
use crate::network::{Algorithm, CollectiveOp, NetworkConditions};
use crate::quantity::{Interval, Warning};

/// One explicit training layout to price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct TrainingStepRequest {
    /// A preset's name, an architecture, or a Hugging Face configuration.
    pub model: ModelRef,
    /// Shape to run on; either this or `gpu`.
    #[serde(default)]
    pub shape: Option<String>,
    /// GPU to run on, in its usual nodes and fabric, if no cloud's shape is meant.
    #[serde(default)]
    pub gpu: Option<String>,
    /// GPUs of the job.
    pub gpus: u32,
    /// How the job is cut.
    pub layout: Layout,
    /// Tokens in a sequence.
    pub sequence_length: u32,
    /// Number format of the matrix products.
    #[serde(default)]
    pub precision: Precision,
    /// What is trained.
    #[serde(default)]
    pub task: Task,
    /// The adapters, where the task is `lora`; rank 16 beside all matrices if not given.
    #[serde(default)]
    pub lora: Option<Lora>,
    /// What the training software does about kernels and launches.
    #[serde(default)]
    pub software: Software,
    /// Placement, routing and oversubscription that the job meets; what the fabric's row says if not given.
    #[serde(default)]
    pub network: NetworkConditions,
    /// Whether the answer lists the operations behind its parts.
    #[serde(default)]
    pub explain: bool,
    /// The user's own data laid over the catalogue for this call.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

/// A search for the best layouts of a training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct LayoutSearchRequest {
    /// A preset's name, an architecture, or a Hugging Face configuration.
    pub model: ModelRef,
    /// Shape to run on; either this or `gpu`.
    #[serde(default)]
    pub shape: Option<String>,
    /// GPU to run on, in its usual nodes and fabric, if no cloud's shape is meant.
    #[serde(default)]
    pub gpu: Option<String>,
    /// GPUs of the job.
    pub gpus: u32,
    /// Sequences in an optimiser step.
    pub global_batch: u32,
    /// Tokens in a sequence.
    pub sequence_length: u32,
    /// Number format of the matrix products.
    #[serde(default)]
    pub precision: Precision,
    /// What is trained.
    #[serde(default)]
    pub task: Task,
    /// The adapters, where the task is `lora`; rank 16 beside all matrices if not given.
    #[serde(default)]
    pub lora: Option<Lora>,
    /// What the training software does about kernels and launches.
    #[serde(default)]
    pub software: Software,
    /// How many of the best layouts to return.
    #[serde(default = "ten")]
    pub best: u32,
    /// Placement, routing and oversubscription that the job meets; what the fabric's row says if not given.
    #[serde(default)]
    pub network: NetworkConditions,
    /// Pipeline schedules to look at: one forward, one backward (interleaved too) unless others are named.
    #[serde(default = "usual_schedules")]
    pub schedules: Vec<PipelineSchedule>,
    /// The user's own data laid over the catalogue for this call.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

fn ten() -> u32 {
    10
}

fn usual_schedules() -> Vec<PipelineSchedule> {
    vec![PipelineSchedule::OneForwardOneBackward]
}

/// The best layouts of a search, fastest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct LayoutSearch {
    /// Fastest layouts that fit; empty if none does.
    pub best: Vec<TrainingStep>,
    /// Legal layouts that were looked at.
    pub considered: u64,
    /// Layouts among them that fit in memory.
    pub fitting: u64,
    /// Where nothing fits: the layout that needs least memory.
    pub nearest: Option<TrainingStep>,
    /// Layouts that fit and that no other beats in both time and memory, fastest first.
    pub front: Vec<LayoutPoint>,
}

/// A layout with what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct LayoutPoint {
    /// The layout, `dp` filled in.
    pub layout: Layout,
    /// Seconds of a step.
    pub step_seconds: f64,
    /// Memory of the fullest GPU, GiB.
    pub memory_gib: f64,
    /// The part of the step that costs most beyond computing, or `compute`.
    pub bound_by: String,
}

/// Time, memory and traffic of one optimiser step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct TrainingStep {
    /// The layout, `dp` filled in.
    pub layout: Layout,
    /// GPU it runs on.
    pub gpu: String,
    /// GPUs of the job.
    pub gpus: u32,
    /// Seconds of one optimiser step.
    pub step_seconds: f64,
    /// Where the true step time probably lies, from residuals on published runs.
    pub interval: Interval,
    /// Tokens per second of the whole job.
    pub tokens_per_second: f64,
    /// Tokens per second and GPU.
    pub tokens_per_second_per_gpu: f64,
    /// Model TFLOP/s per GPU: no recompute, attention counted causal.
    pub model_tflops_per_gpu: f64,
    /// Model FLOP utilisation: model FLOP/s over the dense peak of the precision, 0 to 1.
    pub mfu: f64,
    /// Hardware FLOP utilisation: recompute counted, 0 to 1.
    pub hfu: f64,
    /// The parts of the step; they add up to `step_seconds`.
    pub parts: StepParts,
    /// The operations behind the parts, as one GPU runs them; empty unless asked for with `explain`.
    pub operations: Vec<StepOperation>,
    /// Memory of the fullest GPU.
    pub memory: TrainingMemory,
    /// Traffic of one GPU by parallel dimension.
    pub traffic: Vec<DimensionTraffic>,
    /// Bytes per step that one GPU sends over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes per step that one GPU sends into the fabric.
    pub fabric_bytes: f64,
    /// Share of the step in which communication is waited for, 0 to 1.
    pub exposed_share: f64,
    /// The largest part, in words.
    pub bound_by: String,
    /// What the reader should know: what was assumed of a bare GPU, efficiencies that nobody measured.
    pub warnings: Vec<Warning>,
}

/// Seconds of a step by what they are spent on; nothing overlaps, so the parts add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct StepParts {
    /// Matrix products and attention, forward and backward.
    pub compute_seconds: f64,
    /// Work bound by memory bandwidth: norms, activations, residuals, permutation, loss.
    pub memory_bound_seconds: f64,
    /// Forward work done again in the backward pass.
    pub recompute_seconds: f64,
    /// Tensor parallel communication that is waited for.
    pub tensor_parallel_seconds: f64,
    /// Context parallel communication that is waited for.
    pub context_parallel_seconds: f64,
    /// Expert parallel communication that is waited for.
    pub expert_parallel_seconds: f64,
    /// Pipeline sends that are waited for.
    pub pipeline_seconds: f64,
    /// Pipeline bubble: waiting for the first and last micro-batches.
    pub bubble_seconds: f64,
    /// Gradient and weight exchange that is waited for.
    pub data_parallel_seconds: f64,
    /// Optimiser.
    pub optimizer_seconds: f64,
    /// Copies to and from the host's memory that outlast the passes over them.
    pub offload_seconds: f64,
    /// Launches, host work and waiting for the slowest rank.
    pub overhead_seconds: f64,
}

impl StepParts {
    /// Their sum: the step's seconds.
    pub fn sum(&self) -> f64 {
        self.compute_seconds
            + self.memory_bound_seconds
            + self.recompute_seconds
            + self.communication()
            + self.bubble_seconds
            + self.optimizer_seconds
            + self.offload_seconds
            + self.overhead_seconds
    }

    /// Seconds of communication that is waited for.
    pub fn communication(&self) -> f64 {
        self.tensor_parallel_seconds
            + self.context_parallel_seconds
            + self.expert_parallel_seconds
            + self.pipeline_seconds
            + self.data_parallel_seconds
    }
}

/// Memory of the fullest GPU, GiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct TrainingMemory {
    /// Weights as the matrix products read them.
    pub weights_gib: f64,
    /// Gradients.
    pub gradients_gib: f64,
    /// Optimiser state and master weights.
    pub optimizer_gib: f64,
    /// Activations kept for the backward pass.
    pub activations_gib: f64,
    /// Logits and loss of the last stage.
    pub logits_gib: f64,
    /// Communication buffers, workspace, allocator slack and context.
    pub workspace_gib: f64,
    /// All of it.
    pub total_gib: f64,
    /// Beside it, in the host's memory for this GPU: what is offloaded.
    pub host_gib: f64,
    /// What the GPU has.
    pub available_gib: f64,
    /// Whether it fits.
    pub fits: bool,
}

/// Traffic of one GPU along one parallel dimension in one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct DimensionTraffic {
    /// The parallel dimension.
    pub dimension: Dimension,
    /// The collective it uses most.
    pub op: CollectiveOp,
    /// How the library runs it.
    pub algorithm: Algorithm,
    /// Ranks in a group.
    pub ranks: u32,
    /// Size of one message, bytes, as nccl-tests counts.
    pub message_bytes: f64,
    /// Messages in a step.
    pub messages: f64,
    /// Bytes per step that one GPU sends over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes per step that one GPU sends into the fabric.
    pub fabric_bytes: f64,
    /// Achieved bus bandwidth at this message size, GB/s, as nccl-tests defines it.
    pub busbw_gb_per_s: f64,
    /// Seconds of communication in a step.
    pub seconds: f64,
    /// Of them, seconds that are waited for.
    pub exposed_seconds: f64,
}

/// A parallel dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Tensor parallel.
    Tensor,
    /// Context parallel.
    Context,
    /// Expert parallel.
    Expert,
    /// Pipeline parallel.
    Pipeline,
    /// Data parallel.
    Data,
}
