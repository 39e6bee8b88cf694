//! What the backward pass computes again instead of keeping: whole layers, some of them, or parts of each; what that
//! costs and what it frees.

use serde::{Deserialize, Serialize};

use super::layer::Pass;
use super::layout::Recompute;
use super::ledger::Ledger;

/// Parts of every layer that `recompute: selective` does again. In brackets: their names in Megatron-Core's
/// `recompute_modules`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct RecomputeParts {
    /// Norms (`layernorm`).
    pub norms: bool,
    /// Attention between its projections (`core_attn`; arXiv 2205.05198, section 5).
    pub core_attention: bool,
    /// Attention from its queries, keys and values on, output projection included.
    pub attention_output: bool,
    /// Latent attention's queries, keys and values from their latents, rotary embedding included (`mla_up_proj`).
    pub latent_projections: bool,
    /// First products of dense feed-forward layers.
    pub feed_forward_up: bool,
    /// Activation functions of dense feed-forward layers and shared experts.
    pub activations: bool,
    /// Activation functions of routed experts (`moe_act`).
    pub expert_activations: bool,
    /// Dense feed-forward layers whole (`mlp`).
    pub feed_forward: bool,
    /// Shared experts whole (`shared_experts`).
    pub shared_experts: bool,
    /// Routing, exchange and experts whole, shared experts with them (`moe`).
    pub experts: bool,
}

impl RecomputeParts {
    /// What `selective` means where no parts are given: the cheap and large ones, which are norms, activation functions
    /// and the projections of latent attention; and attention's core where it keeps its scores.
    pub fn usual(keeps_scores: bool) -> Self {
        Self {
            norms: true,
            core_attention: keeps_scores,
            latent_projections: true,
            activations: true,
            expert_activations: true,
            ..Self::default()
        }
    }

    /// Whether nothing is chosen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The chosen pieces, none of them inside another.
    fn pieces(self) -> [bool; PIECES] {
        let shared_whole = self.shared_experts || self.experts;
        let mut chosen = [false; PIECES];
        for (piece, on) in [
            (Piece::Norms, self.norms),
            (Piece::CoreAttention, self.core_attention && !self.attention_output),
            (Piece::AttentionOutput, self.attention_output),
            (Piece::DenseUp, self.feed_forward_up && !self.feed_forward),
            (Piece::LatentProjections, self.latent_projections),
            (Piece::DenseActivation, self.activations && !self.feed_forward),
            (Piece::SharedActivation, self.activations && !shared_whole),
            (Piece::ExpertActivation, self.expert_activations && !self.experts),
            (Piece::DenseWhole, self.feed_forward),
            (Piece::SharedWhole, shared_whole),
            (Piece::ExpertsWhole, self.experts),
        ] {
            chosen[piece as usize] = on;
        }
        chosen
    }
}

/// A piece of a layer that can be done again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Both norms.
    Norms,
    /// Scores, softmax and their product with the values.
    CoreAttention,
    /// The same and the projection of what it leaves.
    AttentionOutput,
    /// First products of a dense feed-forward layer.
    DenseUp,
    /// Up-projections of latent attention.
    LatentProjections,
    /// Activation function of a dense feed-forward layer.
    DenseActivation,
    /// Activation function of shared experts.
    SharedActivation,
    /// Activation function of routed experts.
    ExpertActivation,
    /// A dense feed-forward layer.
    DenseWhole,
    /// Shared experts.
    SharedWhole,
    /// Router, exchange, routed experts.
    ExpertsWhole,
}

/// How many pieces there are.
pub const PIECES: usize = Piece::ExpertsWhole as usize + 1;

/// What doing something again costs each micro-batch, and the bytes that need not be kept for it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Again<L = ()> {
    /// The work.
    pub pass: Pass<L>,
    /// Bytes not kept.
    pub freed_bytes: f64,
}

impl<L: Ledger> Again<L> {
    /// Both.
    #[must_use]
    #[inline]
    pub fn plus(&self, other: &Self) -> Self {
        Self { pass: self.pass.plus(&other.pass), freed_bytes: self.freed_bytes + other.freed_bytes }
    }

    /// So much of it.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        Self { pass: self.pass.scaled(by), freed_bytes: self.freed_bytes * by }
    }
}

/// What a layer does again: `pieces` of it, all of it, or nothing.
#[inline(always)]
pub fn again<L: Ledger>(
    recompute: Recompute,
    parts: RecomputeParts,
    pieces: &[Again<L>; PIECES],
    whole: &Again<L>,
) -> Again<L> {
    match recompute {
        Recompute::None => Again::default(),
        Recompute::Full => whole.clone(),
        Recompute::Selective => pieces
            .iter()
            .zip(parts.pieces())
            .filter(|(_, chosen)| *chosen)
            .fold(Again::default(), |sum, (piece, _)| sum.plus(piece)),
    }
}

/// The pieces that a layer does again.
pub fn done_again(recompute: Recompute, parts: RecomputeParts) -> [bool; PIECES] {
    match recompute {
        Recompute::None => [false; PIECES],
        Recompute::Full => [true; PIECES],
        Recompute::Selective => parts.pieces(),
    }
}
