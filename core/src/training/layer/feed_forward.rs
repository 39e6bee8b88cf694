//! Feed-forward layers: two linear layers with an activation function between them.

use super::{Block, Gathered, HALF, Half, Matrices, Pass, Rank};
use crate::model::Precision;
use crate::training::ledger::{Ledger, Role};
use crate::training::recompute::Piece;

/// Names of a feed-forward layer's operations.
#[derive(Clone, Copy)]
pub struct FeedForward {
    up: &'static str,
    activation: &'static str,
    down: &'static str,
    /// What doing its activation function again is.
    piece: Piece,
    /// What of its two linear layers is gathered along the sequence.
    gathered: [Gathered; 2],
}

impl FeedForward {
    pub const DENSE: Self = Self {
        up: "feed-forward up projection",
        activation: "activation",
        down: "feed-forward down projection",
        piece: Piece::DenseActivation,
        gathered: [Gathered::Input, Gathered::Output],
    };
    pub const SHARED: Self = Self {
        up: "shared expert up projection",
        activation: "shared expert activation",
        down: "shared expert down projection",
        piece: Piece::SharedActivation,
        gathered: [Gathered::Input, Gathered::Output],
    };
    pub const ROUTED: Self = Self {
        up: "expert up projection",
        activation: "expert activation",
        down: "expert down projection",
        piece: Piece::ExpertActivation,
        gathered: [Gathered::No, Gathered::No],
    };
}

impl Rank<'_> {
    /// A dense feed-forward layer with its norm; none where its exchange needs a fabric that is not there.
    pub fn dense_block<L: Ledger>(&self) -> Option<Block<L>> {
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        self.norm_output(&mut block, Matrices::Others);
        let width = f64::from(self.job.architecture.ffn) / self.tp;
        let mut layer = Block::default();
        self.feed_forward(&mut layer, &FeedForward::DENSE, 1.0, self.rows, width);
        self.exchange_around(&mut layer, Half::FeedForward, self.stream())?;
        block.add(&layer);
        block.whole(Piece::DenseWhole, &layer);
        Some(block)
    }

    /// Feed-forward layer of one width on `rows` tokens in each of `groups` experts.
    pub fn feed_forward<L: Ledger>(
        &self,
        block: &mut Block<L>,
        names: &FeedForward,
        groups: f64,
        rows: f64,
        width: f64,
    ) {
        let (up, factor) = if self.job.architecture.gated { (2.0, 3.0) } else { (1.0, 2.0) };
        let [before, behind] = names.gathered;
        let mut first = Block::default();
        self.grouped_linear(&mut first, names.up, before, groups, (rows, up * width, self.hidden));
        block.add(&first);
        self.grouped_linear(block, names.down, behind, groups, (rows, self.hidden, width));
        let elements = groups * rows * width;
        let activation = self.elementwise(elements * factor * HALF);
        block.forward.stream(names.activation, Role::Itself, activation);
        let gradient = self.elementwise(elements * (factor + up) * HALF);
        block.backward.stream(names.activation, Role::Itself, gradient);
        block.forward.kernels += 1.0;
        block.backward.kernels += 1.0;
        // Kept: what enters the activation function, and what leaves it unless done again. The block recipe keeps the
        // former in 8 bits too (arXiv 2412.19437, section 3.3.3).
        let kept = if self.job.precision == Precision::Fp8Blockwise { 1.0 } else { HALF };
        let output = self.kept_input(Matrices::Others, elements);
        block.kept += elements * up * kept + output;
        if names.piece == Piece::DenseActivation {
            block.piece(Piece::DenseUp, first.forward, elements * up * kept);
        }
        block.piece(names.piece, Pass::one_stream(names.activation, 1.0, activation), output);
    }

    /// [`Rank::feed_forward`] in one kernel for the activation, its casts and the products around it: the activation and
    /// what it casts never pass through memory on their own.
    pub fn fused_feed_forward<L: Ledger>(
        &self,
        block: &mut Block<L>,
        names: &FeedForward,
        groups: f64,
        rows: f64,
        width: f64,
    ) {
        let up = if self.job.architecture.gated { 2.0 } else { 1.0 };
        self.products(block, names.up, groups, (rows, up * width, self.hidden));
        self.products(block, names.down, groups, (rows, self.hidden, width));
        self.casts(block, names.up, Gathered::No, (groups * rows * self.hidden, groups * rows * self.hidden));
        let elements = groups * rows * width;
        let output = self.kept_input(Matrices::Others, elements);
        block.kept += elements * up * HALF + output;
        // Done again by itself, the activation function is a kernel of its own.
        let factor = up + 1.0;
        let activation = self.elementwise(elements * factor * HALF);
        block.piece(names.piece, Pass::one_stream(names.activation, 1.0, activation), output);
    }
}
