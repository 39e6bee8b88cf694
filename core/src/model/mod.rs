//! What is computed: transformer architectures, their parameters and FLOP.

mod architecture;
mod hugging_face;
mod params;
mod reference;

pub use architecture::{Architecture, LatentAttention, MixtureOfExperts, SlidingWindow};
pub use hugging_face::from_hugging_face;
pub use reference::ModelRef;
