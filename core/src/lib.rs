//! rackrate: where to train a large model and where to serve it.
#![forbid(unsafe_code)]

pub mod api;
pub mod catalog;
pub mod cost;
mod csv_text;
pub mod error;
pub mod inference;
pub mod input;
mod json_text;
pub mod kernel;
pub mod model;
pub mod network;
mod order;
pub mod plan;
pub mod quantity;
pub mod residuals;
pub mod sweep;
pub mod training;
pub mod validate;

pub use error::Error;

/// The README's example in Rust runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct ReadmeExamples;
