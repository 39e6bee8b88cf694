//! The recurrence of state-space layers over whole sequences, in chunks (Mamba-2, arXiv 2405.21060, section 6).
//!
//! The kernels are those of the reference implementation (`mamba_ssm`). Forward: running sums of the step sizes, the states
//! that each chunk adds, the pass from chunk to chunk, scores inside of a chunk for each group, the output. Backward, the
//! first four run again, and each product has two gradients. Inside of a chunk this is attention without a softmax: its
//! decays cost an exponential for each pair of positions and head, as a softmax does, so rate and cost of exponentials are
//! those of [`Device::attention_prefill`]. Between kernels, states (32 bits) and scores pass through memory.

use super::attention::TILE_ROWS;
use super::gemm::norm4;
use super::{Cost, Device};

/// Shape of one recurrence over a batch of sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanShape {
    /// Tokens, of all sequences.
    pub tokens: f64,
    /// Heads on this GPU.
    pub heads: f64,
    /// Width of a head.
    pub head_dim: f64,
    /// Numbers remembered for each number of a head's width.
    pub state: f64,
    /// Groups on this GPU that share B and C (at least 1).
    pub groups: f64,
    /// Tokens of a chunk.
    pub chunk: f64,
}

/// Kernels of a scan: forward, backward.
pub const SCAN_KERNELS: [f64; 2] = [5.0, 15.0];

/// Bytes of 16-bit and of 32-bit numbers.
const HALF: f64 = 2.0;
const FULL: f64 = 4.0;

/// Elements for each token, and FLOP for each token of each kind of product.
struct PerToken {
    /// Inputs (equally, outputs) of all heads.
    inputs: f64,
    /// B of all groups (equally, C).
    group: f64,
    /// States at the chunks' ends.
    states: f64,
    /// Scores inside of a chunk, of all groups.
    scores: f64,
    /// One product between inputs and states.
    state_flop: f64,
    /// One product between pairs of positions in a chunk and inputs, with its decays.
    pair_flop: f64,
    /// Of it, what stands for the decays' exponentials.
    decay_flop: f64,
    /// One product of scores.
    score_flop: f64,
}

impl ScanShape {
    fn per_token(&self, exponential_width: f64) -> PerToken {
        let Self { heads, head_dim, state, groups, chunk, .. } = *self;
        // Tiles on the causal diagonal are computed whole.
        let seen = 0.5 * (chunk + chunk.min(TILE_ROWS));
        PerToken {
            inputs: heads * head_dim,
            group: groups * state,
            states: heads * head_dim * state / chunk,
            scores: groups * chunk,
            state_flop: 2.0 * heads * head_dim * state,
            pair_flop: 2.0 * seen * heads * (head_dim + exponential_width),
            decay_flop: 2.0 * seen * heads * exponential_width,
            score_flop: 2.0 * groups * chunk * state,
        }
    }
}

impl Device {
    /// Seconds of the forward pass. Projections, convolution, gate and norm are not in it.
    pub fn scan(&self, shape: &ScanShape) -> f64 {
        self.scan_cost(shape).seconds
    }

    /// [`Device::scan`] with its FLOP, bytes and bounds.
    pub fn scan_cost(&self, shape: &ScanShape) -> Cost {
        let t = shape.per_token(self.constants().attention_softmax_width);
        let output = self.scan_kernel(
            shape,
            1.0,
            (t.pair_flop + t.state_flop, t.decay_flop),
            FULL * t.scores + HALF * (2.0 * t.inputs + t.group + t.states),
        );
        self.scan_states(shape, &t).plus(&output)
    }

    /// Seconds of the backward pass, with what it computes again.
    pub fn scan_backward(&self, shape: &ScanShape) -> f64 {
        self.scan_backward_cost(shape).seconds
    }

    /// [`Device::scan_backward`] with its FLOP, bytes and bounds.
    pub fn scan_backward_cost(&self, shape: &ScanShape) -> Cost {
        let constants = self.constants();
        let t = shape.per_token(constants.attention_softmax_width);
        let rate = constants.attention_backward_rate;
        let kernel = |flop, bytes| self.scan_kernel(shape, rate, (flop, 0.0), bytes);
        let pairs = |flop, bytes| self.scan_kernel(shape, rate, (flop, t.decay_flop), bytes);
        let step_sizes = kernel(0.0, 2.0 * FULL * shape.heads);
        let gate = kernel(0.0, 5.0 * HALF * t.inputs);
        let states = kernel(t.state_flop, HALF * (t.inputs + t.group) + FULL * t.states);
        let between_chunks = kernel(0.0, (2.0 * FULL + HALF) * t.states);
        let inputs = pairs(
            t.pair_flop + t.state_flop,
            FULL * (t.scores + t.states) + HALF * (3.0 * t.inputs + t.group),
        );
        // Of B and C: inputs or their gradients and states in, 32-bit gradients out.
        let groups = kernel(t.state_flop, HALF * t.inputs + FULL * (t.states + t.group)).times(2.0);
        let scores = pairs(t.pair_flop, 2.0 * HALF * t.inputs + 2.0 * FULL * t.scores);
        let through_scores = kernel(t.score_flop, FULL * t.scores + 2.0 * HALF * t.group).times(2.0);
        let decays = pairs(t.pair_flop, 2.0 * HALF * t.inputs + FULL * t.scores);
        [step_sizes, gate, states, between_chunks, inputs, groups, scores, through_scores, decays]
            .iter()
            .fold(self.scan_states(shape, &t), |sum, kernel| sum.plus(kernel))
    }

    /// What forward and backward pass begin with: step sizes, states of the chunks and the pass between them, scores.
    fn scan_states(&self, shape: &ScanShape, t: &PerToken) -> Cost {
        let kernel = |flop, bytes| self.scan_kernel(shape, 1.0, (flop, 0.0), bytes);
        kernel(0.0, (HALF + 2.0 * FULL) * shape.heads)
            .plus(&kernel(t.state_flop, HALF * (t.inputs + t.group) + FULL * t.states))
            .plus(&kernel(0.0, (FULL + HALF) * t.states))
            .plus(&kernel(t.score_flop, 2.0 * HALF * t.group + FULL * t.scores))
    }

    /// One kernel, from what it computes (of it, for decays) and moves for each token; `rate` relative to attention's
    /// forward pass.
    fn scan_kernel(&self, shape: &ScanShape, rate: f64, (flop, decays): (f64, f64), bytes: f64) -> Cost {
        let constants = self.constants();
        let compute = shape.tokens * flop / (rate * constants.attention_peak_share * self.peak.half);
        let memory = shape.tokens * bytes / (constants.memory_share * self.memory_bytes_per_s);
        let fixed_seconds = self.memory_fixed_seconds();
        Cost {
            seconds: fixed_seconds + norm4(compute, memory),
            flop: shape.tokens * (flop - decays),
            bytes: shape.tokens * bytes,
            peak_seconds: shape.tokens * (flop - decays) / self.peak.half,
            compute_seconds: compute,
            memory_seconds: memory,
            fixed_seconds,
        }
    }
}
