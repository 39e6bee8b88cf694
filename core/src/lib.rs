//! rackrate: where to train a large model and where to serve it.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod error;
pub mod input;
pub mod model;
pub mod network;
pub mod validate;

pub use error::Error;
