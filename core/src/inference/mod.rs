//! Serving: prefill and decode iterations, operating points, search.

mod constants;
mod cut;
mod fleet;
mod iteration;
mod point;
mod report;
mod search;
mod steady;
mod traffic;

pub use constants::TABLE as CONSTANTS_TABLE;
pub use constants::{EngineConstants, Residuals};
pub use fleet::{Fleet, Packing, Redundancy, fleet};
pub use iteration::{LegalLayout, ServingModel};
pub use point::{ServingTarget, serving_point};
pub use search::search_serving;
pub use steady::{Arrivals, BatchLimit, ServingLoad, SteadyState};
pub use traffic::{TrafficShape, hourly_ratios};

pub use report::{
    FrontierPoint, IterationParts, LatencyTargets, ServingLayout, ServingMemory, ServingPoint,
    ServingPointRequest, ServingSearch, ServingSearchRequest,
};
