//! Training: layouts, memory, step time, search.

mod check;
mod constants;
mod estimate;
mod exchange;
mod job;
mod layer;
mod layer_cuts;
mod layer_seconds;
mod layout;
mod ledger;
mod lora;
mod memory;
mod offload;
mod operation;
mod ranked;
mod recompute;
mod report;
mod run;
mod schedule;
mod search;
mod software;
mod stage;
mod state_space;
mod step;
mod tokens;
mod wall_clock;

pub use check::MOST_GPUS;
pub use constants::TABLE as CONSTANTS_TABLE;
pub use constants::TrainingConstants;
pub use estimate::{explained_step, search_layouts, step, training_step};
pub use job::{Job, Sizes, model_flop_per_token};
pub use layout::{Layout, PipelineSchedule, Recompute, Task};
pub use lora::{Lora, LoraTargets, trained_share};
pub use offload::Offload;
pub use operation::{StepOperation, StepPart, StepPhase, StepStack};
pub use recompute::RecomputeParts;
pub use report::{
    Dimension, DimensionTraffic, LayoutPoint, LayoutSearch, LayoutSearchRequest, StepParts, TrainingMemory,
    TrainingStep, TrainingStepRequest,
};
pub use run::{
    CHECKPOINT_BYTES_PER_PARAMETER, CheckpointBound, CheckpointLink, GoodputLosses, InterruptionRate,
    Reliability, Stuck,
};
pub use search::{Found, Searcher, Wanted, search};
pub use software::{AttentionKernel, Software};
pub use tokens::TokensRule;
pub use wall_clock::{Pauses, WallClock, combined};
