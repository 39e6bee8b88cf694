//! What is computed: transformer architectures, their parameters and FLOP.

mod architecture;

pub use architecture::{Architecture, LatentAttention, MixtureOfExperts, SlidingWindow};
