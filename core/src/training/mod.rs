//! Training: layouts, memory, step time, search.

mod layout;
mod report;

pub use layout::{Layout, PipelineSchedule, Recompute, Task};
pub use report::{
    Dimension, LayoutSearch, LayoutSearchRequest, StepParts, Traffic, TrainingMemory, TrainingStep,
    TrainingStepRequest,
};
