//! Serving: prefill and decode iterations, operating points, search.

mod constants;
mod cut;
mod engine;
mod fleet;
mod iteration;
mod load;
mod point;
mod report;
mod run;
mod search;
mod steady;
mod traffic;

pub use constants::TABLE as CONSTANTS_TABLE;
pub use constants::{EngineConstants, Residuals};
pub use engine::{Engine, EngineClass, EngineFactors, Engines};
pub use fleet::{Fleet, Packing, Redundancy, fleet};
pub use iteration::{LegalLayout, ServingModel};
pub use load::{LoadKind, ReplicaLoad};
pub use point::{ServingTarget, serving_point};
pub use run::{RunState, ServingRun};
pub use search::search_serving;
pub use steady::{Arrivals, BatchLimit, ServingLoad, SteadyState};
pub use traffic::{TrafficShape, hourly_ratios};

pub use report::{
    FrontierPoint, IterationParts, LatencyTargets, ServingLayout, ServingMemory, ServingPoint,
    ServingPointRequest, ServingSearch, ServingSearchRequest,
};
