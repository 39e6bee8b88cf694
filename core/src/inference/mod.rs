//! Serving: prefill and decode iterations, operating points, search.

mod constants;
mod cut;
mod fleet;
mod iteration;
mod point;
mod queue;
mod report;
mod search;
mod simulate;
mod steady;

pub use constants::TABLE as CONSTANTS_TABLE;
pub use constants::{EngineConstants, Residuals};
pub use fleet::{Fleet, fleet};
pub use iteration::{LegalLayout, ServingModel};
pub use point::{ServingTarget, serving_point};
pub use search::search_serving;
pub use simulate::{
    LengthFamily, Lengths, Random, RequestRouting, RequestTrace, SimulatedRequests, SimulationPhase,
    SimulationReport, SimulationRequest, SimulationTimeline, simulate,
};
pub use steady::{Arrivals, BatchLimit, ServingLoad, SteadyState};

pub use report::{
    FrontierPoint, IterationParts, LatencyPercentiles, LatencyTargets, Percentiles, ServingLayout,
    ServingMemory, ServingPoint, ServingPointRequest, ServingSearch, ServingSearchRequest,
};
