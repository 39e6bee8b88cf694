//! rackrate: where to train a large model and where to serve it.
#![forbid(unsafe_code)]

pub mod error;
pub mod input;

pub use error::Error;
