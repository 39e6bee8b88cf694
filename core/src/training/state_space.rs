//! Layers of hybrids, each of which is one of attention, state space, dense feed-forward or experts, with one
//! normalisation and one sum with the residual stream.
//!
//! A state-space layer (Mamba-2, arXiv 2405.21060): two projections as matrix products, convolution and gated norm bound by
//! memory, the scan in chunks ([`crate::kernel::ScanShape`]). Tensor parallel ranks cut heads and groups (section 8.1 there),
//! sequence parallel ones the rest, as in other layers. Where a pipeline cuts a hybrid, every stage is taken to hold the
//! mean of its layers: their order is not known here.

use super::job::Job;
use super::layer::{Block, Gathered, Half, LayerCut, LayerWork, Matrices, Rank, Volume};
use super::layout::Layout;
use super::ledger::{Ledger, Role};
use crate::kernel::{Cost, SCAN_KERNELS, ScanShape};
use crate::model::StateSpace;
use crate::quantity::Warning;

/// Bytes of a 16-bit number.
const HALF: f64 = 2.0;

/// The mean of a hybrid's layers without experts; none where a group needs a fabric that is not there.
pub fn mean_layer<L: Ledger>(
    job: &Job,
    cut: &LayerCut,
    hybrid: &StateSpace,
    attention: &Block<L>,
) -> Option<LayerWork<L>> {
    let rank = Rank::new(job, cut);
    let sizes = &job.sizes;
    let mut mean = Block::default();
    let mut add = |block: &Block<L>, layers: f64| mean.add(&block.scaled(layers / sizes.dense_layers));
    add(&rank.state_space_block(hybrid)?, f64::from(hybrid.layers));
    if hybrid.attention_layers > 0 {
        add(attention, f64::from(hybrid.attention_layers));
    }
    if sizes.dense_ffn_layers > 0.0 {
        add(&rank.dense_block()?, sizes.dense_ffn_layers);
    }
    Some(rank.joined(&mean, &Block::default(), Volume::default()))
}

/// A hybrid's layer with experts; none where the model has none or a group needs a fabric that is not there.
pub fn expert_layer<L: Ledger>(job: &Job, cut: &LayerCut) -> Option<LayerWork<L>> {
    let rank = Rank::new(job, cut);
    let (block, exchange) = rank.expert_block()?;
    Some(LayerWork { routed: true, ..rank.joined(&Block::default(), &block, exchange) })
}

/// What multi-token prediction runs beside one layer of the main stack's last kind and the output projection: the
/// projection of two hidden states to one (arXiv 2412.19437, section 2.2), and of a hybrid the layer with attention.
pub fn prediction_layer<L: Ledger>(job: &Job, cut: &LayerCut) -> Option<LayerWork<L>> {
    let rank = Rank::new(job, cut);
    let mut block = rank.projection_of_two();
    rank.exchange_around(&mut block, Half::Mixing, rank.stream())?;
    if job.architecture.state_space.is_some() {
        block.add(&rank.attention_block()?);
    }
    Some(rank.joined(&block, &Block::default(), Volume::default()))
}

/// The warning that stages are taken to be alike, where a pipeline cuts a hybrid.
pub fn mean_stages(job: &Job, layout: &Layout) -> Option<Warning> {
    let alike = layout.pp > 1 && job.architecture.state_space.is_some();
    let text =
        "layers of several kinds in an order that is not known here: every stage is taken to hold their mean";
    alike.then(|| Warning::new("mean_stages", "layout.pp", text.to_owned()))
}

impl Rank<'_> {
    /// Norm, projection, convolution, scan, gated norm, projection back.
    fn state_space_block<L: Ledger>(&self, s: &StateSpace) -> Option<Block<L>> {
        let Job { device, constants, generation, .. } = self.job;
        let rate = constants.scan_rate(*generation);
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        let (inner, channels) = (s.inner_width() / self.tp, s.conv_channels() / self.tp);
        let projected = s.projected_width() / self.tp;
        self.linear(
            &mut block,
            "state-space input projection",
            Gathered::Input,
            (self.rows, projected, self.hidden),
        );

        // The convolution reads and writes; backward it runs again, reads a gradient beside and writes one.
        let convolution = self.elementwise(self.rows * channels * 2.0 * HALF);
        let gradient = convolution.plus(&self.elementwise(self.rows * channels * 3.0 * HALF));
        block.forward.stream("convolution", Role::Itself, convolution);
        block.backward.stream("convolution", Role::Itself, gradient);
        // Gate and norm read output and gate and write; backward they read a gradient beside and write two.
        let gated_norm = |passes: f64| self.elementwise(self.rows * inner * passes * HALF);
        block.forward.stream("gated norm", Role::Itself, gated_norm(3.0));
        block.backward.stream("gated norm", Role::Itself, gated_norm(5.0));
        block.forward.kernels += 2.0;
        block.backward.kernels += 3.0;

        let shape = ScanShape {
            tokens: self.rows,
            heads: f64::from(s.heads) / self.tp,
            head_dim: f64::from(s.head_dim),
            state: f64::from(s.state),
            groups: (f64::from(s.groups) / self.tp).max(1.0),
            chunk: f64::from(s.chunk).min(self.job.sequence),
        };
        let scan = |cost: Cost| self.sustained(cost).at_share(rate);
        block.forward.attend("state-space scan", scan(device.scan_cost(&shape)));
        block.backward.attend("state-space scan", scan(device.scan_backward_cost(&shape)));
        block.forward.kernels += SCAN_KERNELS[0];
        block.backward.kernels += SCAN_KERNELS[1];

        self.linear(
            &mut block,
            "state-space output projection",
            Gathered::Output,
            (self.rows, self.hidden, inner),
        );
        // Kept: inputs of both projections, what the first one makes (convolution and states are made again), and the
        // scan's output.
        block.kept +=
            self.rows * (projected + inner) * HALF + self.kept_input(Matrices::Others, self.rows * inner);
        self.norm_output(&mut block, Matrices::Others);
        self.exchange_around(&mut block, Half::Mixing, self.stream())?;
        Some(block)
    }

    /// Two hidden states of each token beside each other to one.
    fn projection_of_two<L: Ledger>(&self) -> Block<L> {
        let mut block = Block::default();
        // Rows are cut by sequence parallel ranks, the matrix is not.
        let sizes = (self.local_rows, self.hidden, 2.0 * self.hidden);
        self.linear(&mut block, "projection of two hidden states", Gathered::No, sizes);
        block
    }
}
