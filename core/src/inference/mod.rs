//! Serving: prefill and decode iterations, operating points, search.

mod report;

pub use report::{
    FrontierPoint, IterationParts, LatencyTargets, ServingLayout, ServingMemory, ServingPoint,
    ServingPointRequest, ServingSearch, ServingSearchRequest,
};
