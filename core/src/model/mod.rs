//! What is computed: transformer architectures, their parameters and FLOP.

mod architecture;
mod params;

pub use architecture::{Architecture, LatentAttention, MixtureOfExperts, SlidingWindow};
