//! The whole decision: scenario in, plan out.

mod report;
mod scenario;

pub use report::{
    Cost, CostItem, CostLine, FigureSource, GoodputLosses, Plan, Refusal, ServingOption, ServingPlan, Split,
    TermCost, TrainingOption, TrainingPlan,
};
pub use scenario::{
    Pricing, Reliability, Scenario, ServingJob, Traffic, TrainingJob, TransferChoice, TransferPath,
};
