//! One transformer layer on one rank: the operations of a micro-batch, forward and backward, with their real shapes
//! after cutting.

mod attention;
mod experts;
mod feed_forward;
mod pass;
mod rank;
mod tensor;

use super::job::Job;
use super::layout::{Recompute, Task};
use super::ledger::{Ledger, Role};
use super::recompute::{Again, PIECES, Piece, RecomputeParts, again, done_again};
use super::state_space;
use crate::model::Precision;

pub use pass::{Block, Pass, Volume};
pub use rank::{Gathered, Matrices, Rank};
use tensor::HALVES;
pub use tensor::{Half, Widths};

/// The part of a layout that decides what one rank does in one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerCut {
    /// Tensor parallel ranks.
    pub tp: u32,
    /// Context parallel ranks.
    pub cp: u32,
    /// Expert parallel ranks.
    pub ep: u32,
    /// Ranks that cut each expert.
    pub expert_tp: u32,
    /// Sequences of a micro-batch.
    pub micro_batch: u32,
    /// Norms and residuals cut along the sequence.
    pub sequence_parallel: bool,
}

/// A layer's work and traffic for one micro-batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LayerWork<L = ()> {
    /// Forward pass.
    pub forward: Pass<L>,
    /// Backward pass, without recompute.
    pub backward: Pass<L>,
    /// Whether tokens are routed to experts.
    pub routed: bool,
    /// What doing each piece again costs and frees.
    pub pieces: [Again<L>; PIECES],
    /// Tensor parallel traffic, forward and backward, by what it is exchanged around.
    pub tensor: [[Volume; 2]; HALVES],
    /// Context parallel traffic, both passes.
    pub context: Volume,
    /// Expert traffic, both passes.
    pub expert: Volume,
    /// Activation bytes kept for the backward pass if nothing is done again.
    pub kept_bytes: f64,
    /// Bytes of the layer's input.
    pub input_bytes: f64,
}

impl<L: Ledger> LayerWork<L> {
    /// What a recompute mode does again.
    // Inlined whole: who asks for the bytes alone does not sum the passes, which a search would do most of its time.
    #[inline(always)]
    pub fn again(&self, recompute: Recompute, parts: RecomputeParts) -> Again<L> {
        let freed_bytes = (self.kept_bytes - self.input_bytes).max(0.0);
        let whole = Again { pass: self.forward.clone(), freed_bytes };
        again(recompute, parts, &self.pieces, &whole)
    }
}

/// What a layer sends for one micro-batch along each dimension, what is done again included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sent {
    /// Tensor parallel.
    pub tensor: Volume,
    /// Context parallel.
    pub context: Volume,
    /// Between experts.
    pub expert: Volume,
}

impl<L: Ledger> LayerWork<L> {
    /// What a micro-batch sends, where this share of the layers does again what the recompute mode says.
    pub fn sent(&self, recompute: Recompute, parts: RecomputeParts, redone_share: f64) -> Sent {
        let done = done_again(recompute, parts);
        let again = |pieces: &[Piece]| {
            if pieces.iter().any(|&piece| done[piece as usize]) { redone_share } else { 0.0 }
        };
        let whole = if recompute == Recompute::Full { redone_share } else { 0.0 };
        let feed_forward = again(&[if self.routed { Piece::ExpertsWhole } else { Piece::DenseWhole }]);
        let mut tensor = Volume::default();
        for ([forward, backward], again) in
            self.tensor.iter().zip([whole, feed_forward, again(&[Piece::SharedWhole])])
        {
            tensor = tensor.and(&forward.scaled(1.0 + again)).and(backward);
        }
        // Keys and values pass once forward and twice backward, tokens to experts and back in both passes alike.
        let attention = again(&[Piece::CoreAttention, Piece::AttentionOutput]);
        Sent {
            tensor,
            context: self.context.scaled(1.0 + attention / 3.0),
            expert: self.expert.scaled(1.0 + again(&[Piece::ExpertsWhole]) / 2.0),
        }
    }
}

/// Bytes of a 16-bit number.
const HALF: f64 = 2.0;

const LOGITS: &str = "output projection";
const LOSS: &str = "loss";

/// The attention of those layers that have one, the same in layers with and without experts; none where a group needs a
/// fabric that is not there.
pub fn attention<L: Ledger>(job: &Job, cut: &LayerCut) -> Option<Block<L>> {
    if job.sizes.attention_layers > 0.0 {
        Rank::new(job, cut).attention_block()
    } else {
        Some(Block::default())
    }
}

/// The work of a dense layer with this attention (of a hybrid: the mean of its layers without experts); none where a group
/// needs a fabric that is not there.
pub fn dense_layer<L: Ledger>(job: &Job, cut: &LayerCut, attention: &Block<L>) -> Option<LayerWork<L>> {
    if let Some(hybrid) = &job.architecture.state_space {
        return state_space::mean_layer(job, cut, hybrid, attention);
    }
    let rank = Rank::new(job, cut);
    Some(rank.joined(attention, &rank.dense_block()?, Volume::default()))
}

/// The work of a layer with experts and this attention; none where the model has none or a group needs a fabric that is not
/// there.
pub fn expert_layer<L: Ledger>(job: &Job, cut: &LayerCut, attention: &Block<L>) -> Option<LayerWork<L>> {
    if job.architecture.state_space.is_some() {
        return state_space::expert_layer(job, cut);
    }
    let rank = Rank::new(job, cut);
    let (ffn, exchange) = rank.expert_block()?;
    Some(LayerWork { routed: true, ..rank.joined(attention, &ffn, exchange) })
}

/// Seconds of the output projection and loss of one micro-batch, forward and backward, and the bytes they hold.
pub fn logits<L: Ledger>(job: &Job, cut: &LayerCut) -> (Pass<L>, Pass<L>, f64) {
    let rank = Rank::new(job, cut);
    let model = &job.architecture;
    let (width, vocab) = (f64::from(model.hidden), f64::from(model.vocab) / f64::from(cut.tp));
    let product = |m, n, k| rank.sustained(job.device.grouped_gemm_cost(1.0, m, n, k, Precision::Bf16));
    let elements = rank.rows * vocab;
    let mut forward = Pass { kernels: 6.0, ..Pass::default() };
    forward.product(LOGITS, Role::Itself, product(rank.rows, vocab, width));
    // Written in 16 bits, read and reduced in 32.
    forward.stream(LOSS, Role::Itself, rank.elementwise(elements * 8.0));
    let mut backward = Pass { kernels: 6.0, ..Pass::default() };
    backward.product(LOGITS, Role::InputGradient, product(rank.rows, width, vocab));
    // Adapters leave the output projection frozen.
    if job.task != Task::Lora {
        backward.product(LOGITS, Role::WeightGradient, product(vocab, width, rank.rows));
    }
    backward.stream(LOSS, Role::Itself, rank.elementwise(elements * 6.0));
    // 16-bit logits and the 32-bit copy of which the loss takes the gradient in place.
    (forward, backward, elements * 6.0)
}

impl Rank<'_> {
    /// Both halves of a layer, and what is exchanged between experts.
    // Sum by sum: a search spends much of its time in copies of whole halves.
    pub fn joined<L: Ledger>(&self, attention: &Block<L>, ffn: &Block<L>, expert: Volume) -> LayerWork<L> {
        let mut layer = LayerWork {
            forward: attention.forward.plus(&ffn.forward),
            backward: attention.backward.plus(&ffn.backward),
            routed: false,
            pieces: ffn.pieces.clone(),
            tensor: ffn.tensor,
            context: attention.context.and(&ffn.context),
            expert,
            kept_bytes: attention.kept + ffn.kept,
            input_bytes: self.local_rows * self.hidden * HALF,
        };
        for (piece, more) in layer.pieces.iter_mut().zip(&attention.pieces) {
            *piece = more.plus(piece);
        }
        for (volume, more) in layer.tensor.as_flattened_mut().iter_mut().zip(attention.tensor.as_flattened())
        {
            *volume = more.and(volume);
        }
        layer
    }
}
