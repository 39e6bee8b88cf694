//! Serving: prefill and decode iterations, operating points, search.

mod aim;
mod chunks;
mod constants;
mod cut;
mod engine;
mod fleet;
mod footprint;
mod frontier;
mod graphs;
mod iteration;
mod layer;
mod load;
mod operation;
mod point;
mod pools;
mod prefix;
mod queue;
mod ranks;
mod remarks;
mod report;
mod root;
mod run;
mod search;
mod search_pools;
mod search_replicas;
mod settings;
mod simulate;
mod speculation;
mod steady;
mod stream;
mod traffic;

pub(crate) use aim::{Aim, FleetCost};
pub use constants::TABLE as CONSTANTS_TABLE;
pub use constants::{EngineConstants, Residuals};
pub use engine::{Engine, EngineClass, EngineFactors, Engines};
pub use fleet::{Fleet, Packing, Redundancy, fleet};
pub use graphs::GraphSizes;
pub use iteration::{LegalLayout, ServingModel};
pub use load::{LoadKind, ReplicaLoad};
pub use operation::{ServingIteration, ServingOperation, ServingPart};
pub use point::{ServingTarget, serving_point};
pub use pools::{Disaggregated, KvTransfer, ServingPools};
pub use prefix::PrefixCache;
pub use run::{RunState, ServingRun};
pub use search::search_serving;
pub(crate) use search::search_with;
pub use simulate::{
    LengthFamily, Lengths, Random, RequestRouting, RequestTrace, SimulatedPools, SimulatedRequests,
    SimulationDistribution, SimulationPhase, SimulationReport, SimulationRequest, SimulationTimeline,
    SteadyBeside, simulate,
};
pub use speculation::Speculation;
pub use steady::{Arrivals, BatchLimit, ServingLoad, SteadyState};
pub use traffic::{TrafficShape, hourly_ratios};

pub use report::{
    FrontierPoint, IterationParts, LatencyPercentiles, LatencyTargets, Percentiles, ServingLayout,
    ServingMemory, ServingMode, ServingPoint, ServingPointRequest, ServingSearch, ServingSearchRequest,
};
