//! What is computed: transformer architectures, their parameters and FLOP.

mod architecture;
#[cfg(feature = "hugging-face")]
mod hugging_face;
mod params;
mod precision;
mod reference;
mod state_space;

pub use architecture::{
    Architecture, LatentAttention, MixtureOfExperts, SlidingWindow, SmallParameter, StateSpace,
};
#[cfg(feature = "hugging-face")]
pub use hugging_face::from_hugging_face;
pub use precision::Precision;
pub use reference::ModelRef;
