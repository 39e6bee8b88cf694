//! Matrix products: tiles in waves over the multiprocessors, against memory.

use super::MatrixConstants;

/// Tile shapes that libraries choose among (rows, columns): from those that keep every multiprocessor busy in a small
/// product to those that reuse operands most. The same on all generations: CUTLASS, cuBLASLt and hipBLASLt differ in
/// many more, which the fitted share absorbs.
const TILES: [(f64, f64); 4] = [(64.0, 64.0), (128.0, 64.0), (128.0, 128.0), (256.0, 128.0)];

/// Most parts into which the depth of K is split where tiles are fewer than multiprocessors.
const MOST_SPLITS: f64 = 4.0;

/// Depth of K below which a split does not pay.
const LEAST_DEPTH: f64 = 512.0;

/// One precision's matrix units with their efficiencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MatrixUnit {
    flop_per_s_per_sm: f64,
    sm_count: f64,
    bytes_per_s: f64,
    prologue: f64,
    /// Cost of a multiply-add in each tile, 1 at least: the smaller the tile, the less its operands are reused.
    tile_cost: [f64; 4],
    fixed_seconds: f64,
    pub(super) quantise_fixed_seconds: f64,
    pub(super) quantise_passes: f64,
    pub(super) expert_cost: f64,
}

impl MatrixUnit {
    pub(super) fn new(
        peak: f64,
        sm_count: f64,
        bytes_per_s: f64,
        fixed_us: f64,
        constants: &MatrixConstants,
    ) -> Self {
        Self {
            flop_per_s_per_sm: peak * constants.peak_share / sm_count,
            sm_count,
            bytes_per_s,
            prologue: constants.prologue,
            tile_cost: TILES
                .map(|(rows, columns)| 1.0 + constants.operand_cost * (1.0 / rows + 1.0 / columns)),
            fixed_seconds: fixed_us * 1e-6,
            quantise_fixed_seconds: constants.quantise_fixed_us * 1e-6,
            quantise_passes: constants.quantise_passes,
            expert_cost: constants.expert_cost,
        }
    }

    /// Seconds of `groups` products m × n × k that move `bytes`.
    ///
    /// Never falls as m, n, k or groups grow: each candidate is a product of ceilings and a depth that do not fall, and
    /// the least of such candidates does not either.
    pub(super) fn seconds(&self, groups: f64, m: f64, n: f64, k: f64, bytes: f64) -> f64 {
        let mut least = f64::INFINITY;
        for (&(rows, columns), &cost) in TILES.iter().zip(&self.tile_cost) {
            let tiles = groups * (m / rows).ceil() * (n / columns).ceil();
            let waves = (tiles / self.sm_count).ceil();
            let splits = if waves > 1.0 { 1.0 } else { (self.sm_count / tiles).floor().min(MOST_SPLITS) };
            let depth = (k / splits).max(k.min(LEAST_DEPTH)) + self.prologue;
            least = least.min(waves * rows * columns * depth * cost);
        }
        let compute = 2.0 * least / self.flop_per_s_per_sm;
        let memory = bytes / self.bytes_per_s;
        self.fixed_seconds + norm4(compute, memory)
    }
}

/// (a⁴ + b⁴)^¼: at least the larger, at most 19 % more, where both are equal.
pub(super) fn norm4(a: f64, b: f64) -> f64 {
    // Scaled so that neither microseconds nor years leave the range of the fourth power.
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    if large > 0.0 && large.is_finite() {
        let ratio = small / large;
        let square = ratio * ratio;
        large * (1.0 + square * square).sqrt().sqrt()
    } else {
        large
    }
}
