//! What is computed: transformer architectures, their parameters and FLOP.

mod architecture;
mod params;
mod precision;
mod reference;

pub use architecture::{Architecture, LatentAttention, MixtureOfExperts, SlidingWindow};
pub use precision::Precision;
pub use reference::ModelRef;
