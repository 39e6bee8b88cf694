//! What an explained step says of each of its operations.

use serde::{Deserialize, Serialize};

use crate::kernel::Bound;

/// One kind of operation in a step, as often as one GPU of the busiest pipeline stage runs it.
///
/// The `seconds` of all operations of a part are that part of [`super::StepParts`]; so all of them are the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct StepOperation {
    /// What it is, in the field's terms: `qkv projection`, `attention`, `dispatch`.
    pub name: String,
    /// Where in the model it stands.
    pub stack: StepStack,
    /// In which pass it runs.
    pub phase: StepPhase,
    /// The part of the step that its seconds count in.
    pub part: StepPart,
    /// How often it runs in a step; a mean where layers differ.
    pub count: f64,
    /// Seconds in a step that are waited for, all runs together.
    pub seconds: f64,
    /// Further seconds that run beside something else.
    pub hidden_seconds: f64,
    /// FLOP in a step, a multiply-add as two; those of matrix products and attention's two products.
    pub flop: f64,
    /// Bytes through the GPU's memory in a step.
    pub memory_bytes: f64,
    /// Bytes that the GPU sends over the scale-up link in a step.
    pub scale_up_bytes: f64,
    /// Bytes that the GPU sends into the fabric in a step.
    pub fabric_bytes: f64,
    /// FLOP/s over the dense peak of the operation's number format, 0 to 1.
    pub flop_share: f64,
    /// Bytes per second over the nominal rate: of the memory, or of the link that carries most of the operation, 0 to 1.
    pub bandwidth_share: f64,
    /// What it takes its time for.
    pub bound: Bound,
}

/// Where in the model an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum StepStack {
    /// Layers without experts (of a hybrid: of all kinds that have none).
    Dense,
    /// Layers with experts.
    Expert,
    /// Multi-token prediction.
    Prediction,
    /// Output projection and loss.
    Output,
    /// The step as a whole.
    Step,
}

/// When in a step an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum StepPhase {
    /// Forward pass.
    Forward,
    /// Backward pass.
    Backward,
    /// The forward pass done again in the backward pass.
    Recompute,
    /// Outside or across the passes: exchange between ranks, optimiser, waiting.
    Step,
}

/// A part of a step: the field of [`super::StepParts`] without its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum StepPart {
    /// Matrix products and attention, forward and backward.
    Compute,
    /// Work bound by memory bandwidth.
    MemoryBound,
    /// Forward work done again in the backward pass.
    Recompute,
    /// Tensor parallel communication.
    TensorParallel,
    /// Context parallel communication.
    ContextParallel,
    /// Expert parallel communication.
    ExpertParallel,
    /// Pipeline sends.
    Pipeline,
    /// Pipeline bubble.
    Bubble,
    /// Gradient and weight exchange.
    DataParallel,
    /// Optimiser.
    Optimizer,
    /// Copies to and from the host's memory.
    Offload,
    /// Launches, host work and waiting for the slowest rank.
    Overhead,
}
