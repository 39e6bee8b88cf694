//! What is computed: transformer architectures, their parameters and FLOP.

mod architecture;
mod hugging_face;
mod params;
mod precision;
mod reference;
mod state_space;

pub use architecture::{
    Architecture, LatentAttention, MixtureOfExperts, SlidingWindow, SmallParameter, StateSpace,
};
pub use hugging_face::from_hugging_face;
pub use precision::Precision;
pub use reference::ModelRef;
