//! What can be rented, and where every figure is from.

mod contract;
mod gpu;
mod shape;
mod source;

pub use contract::{Overlay, Term};
pub use gpu::{Gpu, GpuArchitecture};
pub use shape::{Fabric, FabricKind, Provider, Shape};
pub use source::{Confidence, Source};
