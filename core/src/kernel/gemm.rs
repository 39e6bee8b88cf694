//! Matrix products: tiles in waves over the multiprocessors, against memory.

use super::{Cost, MatrixConstants};

/// Tile shapes that libraries choose among (rows, columns): from those that keep every multiprocessor busy in a small
/// product to those that reuse operands most. The same on all generations: CUTLASS, cuBLASLt and hipBLASLt differ in
/// many more, which the fitted share absorbs. The first is that of few rows, a token or two of each expert: 16 are the
/// rows of one matrix instruction, and the least block of vLLM's fused experts and of Marlin's kernels.
const TILES: [(f64, f64); 5] = [(16.0, 128.0), (64.0, 64.0), (128.0, 64.0), (128.0, 128.0), (256.0, 128.0)];

/// Which of four numbers of rows of tiles, and of two numbers of columns, each of [`TILES`] has.
const TILE_COUNTS: [(usize, usize); 5] = [(0, 1), (1, 0), (2, 0), (2, 1), (3, 1)];

/// Rows up to which the tile of few rows is one of the choices: kernels for more have no such block.
const FEW_ROWS: f64 = 48.0;

/// Depth of K below which a split does not pay.
const LEAST_DEPTH: f64 = 512.0;

/// One precision's matrix units with their efficiencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MatrixUnit {
    sm_count: f64,
    /// Dense peak, FLOP/s.
    peak: f64,
    bytes_per_s: f64,
    prologue: f64,
    /// Seconds of one multiprocessor for one step of K in each tile: the smaller the tile, the less its operands are
    /// reused and the more a multiply-add costs.
    seconds_per_depth: [f64; 5],
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
        let flop_per_s_per_sm = peak * constants.peak_share / sm_count;
        let seconds_per_depth = TILES.map(|(rows, columns)| {
            let cost = 1.0 + constants.operand_cost * (1.0 / rows + 1.0 / columns);
            2.0 * rows * columns * cost / flop_per_s_per_sm
        });
        Self {
            sm_count,
            peak,
            bytes_per_s,
            prologue: constants.prologue,
            seconds_per_depth,
            fixed_seconds: fixed_us * 1e-6,
            quantise_fixed_seconds: constants.quantise_fixed_us * 1e-6,
            quantise_passes: constants.quantise_passes,
            expert_cost: constants.expert_cost,
        }
    }

    /// `groups` products m × n × k that move `bytes`.
    ///
    /// Never falls as m, n, k or groups grow: each candidate is a product of ceilings and a depth that do not fall, and
    /// the least of such candidates does not either.
    #[inline]
    pub(super) fn cost(&self, groups: f64, m: f64, n: f64, k: f64, bytes: f64) -> Cost {
        let compute = self.compute(groups, m, n, k);
        let memory = bytes / self.bytes_per_s;
        let seconds = self.fixed_seconds + norm4(compute, memory);
        let flop = 2.0 * groups * m * n * k;
        Cost {
            seconds,
            flop,
            bytes,
            peak_seconds: flop / self.peak,
            compute_seconds: compute,
            memory_seconds: memory,
            fixed_seconds: self.fixed_seconds,
        }
    }

    /// The seconds of [`Self::cost`].
    #[inline]
    pub(super) fn seconds(&self, groups: f64, m: f64, n: f64, k: f64, bytes: f64) -> f64 {
        self.fixed_seconds + norm4(self.compute(groups, m, n, k), bytes / self.bytes_per_s)
    }

    /// Seconds of the arithmetic with the best of the tiles.
    ///
    /// What does not fill the multiprocessors runs in one wave, and of a whole number of them each of its tiles can have
    /// several: neither needs a division.
    #[inline]
    fn compute(&self, groups: f64, m: f64, n: f64, k: f64) -> f64 {
        let rows = [ceil(m / 16.0), ceil(m / 64.0), ceil(m / 128.0), ceil(m / 256.0)];
        let first = usize::from(m > FEW_ROWS);
        let columns = [ceil(n / 64.0), ceil(n / 128.0)];
        let least = k.min(LEAST_DEPTH);
        let mut compute = f64::INFINITY;
        for ((row, column), &seconds_per_depth) in
            TILE_COUNTS.into_iter().zip(&self.seconds_per_depth).skip(first)
        {
            let tiles = groups * rows[row] * columns[column];
            let (waves, depth) = if tiles > self.sm_count {
                (ceil(tiles / self.sm_count), k)
            } else if 2.0 * tiles > self.sm_count {
                (1.0, k)
            } else {
                // At most four parts of the depth, none below what pays.
                let part = if 4.0 * tiles <= self.sm_count {
                    k / 4.0
                } else if 3.0 * tiles <= self.sm_count {
                    k / 3.0
                } else {
                    k / 2.0
                };
                // Without rows there are no tiles.
                (if tiles > 0.0 { 1.0 } else { 0.0 }, part.max(least))
            };
            compute = compute.min(waves * (depth + self.prologue) * seconds_per_depth);
        }
        compute
    }
}

/// (a⁴ + b⁴)^¼: at least the larger, at most 19 % more, where both are equal.
#[inline(always)]
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

/// 2⁵²: from here on every double is a whole number, and adding it to a smaller one rounds that to a whole number.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// The least whole number not below a number ≥ 0. `f64::ceil` is a call into the C library on plain x86-64, and there are
/// up to nine in a product.
#[inline(always)]
pub(super) fn ceil(x: f64) -> f64 {
    if x < WHOLE {
        let nearest = (x + WHOLE) - WHOLE;
        // Whether it lies below is a coin's toss: a sum, not a branch.
        nearest + if nearest < x { 1.0 } else { 0.0 }
    } else {
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn rounding_is_that_of_the_standard_library(x in 0.0..1e6_f64, whole in 0_u64..u64::MAX, parts in 1_u32..4096) {
            let fraction = whole as f64 / f64::from(parts);
            for x in [x, x.ceil(), x * 1e-9, whole as f64, fraction, f64::INFINITY] {
                assert_eq!(ceil(x), x.ceil());
            }
        }

        /// Every tile by the definition: waves over the multiprocessors, the depth split over those that are left.
        #[test]
        fn the_best_tile_is_that_of_the_definition(
            (m, n, k) in (0_u32..5000, 1_u32..40_000, 1_u32..40_000), groups in 1_u32..300, sms in 1_u32..310
        ) {
            let (m, n, k) = (f64::from(m), f64::from(n), f64::from(k));
            let (groups, sm_count) = (f64::from(groups), f64::from(sms));
            let constants = crate::kernel::KernelConstants::of(crate::kernel::Family::Hopper).unwrap();
            let unit = MatrixUnit::new(1e15, sm_count, 4e12, 5.0, &constants.half);
            for (groups, m) in [(1.0, m), (groups, m), (0.37 * groups, m), (1.0, 1e-3 * m)] {
                let mut least = f64::INFINITY;
                for (&(rows, columns), each) in TILES.iter().zip(unit.seconds_per_depth) {
                    if rows < 64.0 && m > 48.0 {
                        continue;
                    }
                    let tiles = groups * (m / rows).ceil() * (n / columns).ceil();
                    let waves = (tiles / sm_count).ceil();
                    let splits = if waves > 1.0 { 1.0 } else { (sm_count / tiles).floor().min(4.0) };
                    let depth = (k / splits).max(k.min(LEAST_DEPTH)) + unit.prologue;
                    least = least.min(waves * depth * each);
                }
                assert_eq!(unit.compute(groups, m, n, k), least);
            }
        }

        #[test]
        fn norm_lies_between_the_larger_and_a_fifth_more(a in 0.0..1e3_f64, b in 1e-12..1e3_f64) {
            let norm = norm4(a, b);
            assert!(norm >= a.max(b) && norm <= 1.19 * a.max(b));
            assert_eq!(norm, norm4(b, a));
        }
    }

    #[test]
    fn norm_of_nothing_and_of_the_endless() {
        assert_eq!(norm4(0.0, 0.0), 0.0);
        assert_eq!(norm4(f64::INFINITY, 1.0), f64::INFINITY);
    }
}
