//! The feed-forward of a mixture of experts on one GPU.

use super::{Cost, Device};
use crate::model::Precision;

/// What one GPU's experts do for one batch of tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpertShape {
    /// Tokens that are routed: all those whose experts may lie on this GPU.
    pub tokens: f64,
    /// Token-expert pairs computed here (with even routing: tokens × experts per token × local share).
    pub rows: f64,
    /// Experts here that got at least one token.
    pub active_experts: f64,
    /// Width of the model.
    pub hidden: f64,
    /// Width of one expert here, after tensor cutting.
    pub intermediate: f64,
}

impl Device {
    /// Seconds of routing, both grouped products (gated), activation and the weighted sum: the "fused MoE" of serving
    /// engines, gate product and shared experts not included.
    ///
    /// Fixed part: the sort, scan and quantise kernels around the products. Rows pass through memory on the way in
    /// (gathered), between the products and on the way out.
    pub fn moe_ffn(&self, shape: &ExpertShape, precision: Precision) -> f64 {
        self.moe_ffn_cost(shape, precision).seconds
    }

    /// [`Device::moe_ffn`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn moe_ffn_cost(&self, shape: &ExpertShape, precision: Precision) -> Cost {
        let active = shape.active_experts.max(1.0);
        let rows = shape.rows / active;
        let up = self.grouped_gemm_cost(active, rows, 2.0 * shape.intermediate, shape.hidden, precision);
        let down = self.grouped_gemm_cost(active, rows, shape.hidden, shape.intermediate, precision);
        // Gather: read and write a row; activation: read two, write one; combine: read a row, write a token.
        let moved =
            shape.rows * (3.0 * shape.hidden + 3.0 * shape.intermediate) + shape.tokens * shape.hidden;
        let constants = self.constants();
        let fixed = constants.moe_fixed_us * 1e-6;
        let cost = self.unit(precision).expert_cost;
        let quantised = self.quantise(shape.rows, shape.hidden + shape.intermediate, precision);
        let passed = 2.0 * moved / (constants.memory_share * self.memory_bytes_per_s);
        Cost {
            seconds: fixed + cost * (up.seconds + down.seconds) + quantised + passed,
            flop: up.flop + down.flop,
            bytes: up.bytes + down.bytes + 2.0 * moved,
            peak_seconds: up.peak_seconds + down.peak_seconds,
            compute_seconds: cost * (up.compute_seconds + down.compute_seconds),
            memory_seconds: cost * (up.memory_seconds + down.memory_seconds) + quantised + passed,
            fixed_seconds: fixed + cost * (up.fixed_seconds + down.fixed_seconds),
        }
    }
}
