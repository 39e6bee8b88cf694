//! One rank of a layer: its share of the job, and the operations that all kinds of layers are made of.

use super::{Block, HALF, LayerCut, Pass};
use crate::catalog::GpuArchitecture;
use crate::kernel::Cost;
use crate::training::job::Job;
use crate::training::layout::Task;
use crate::training::ledger::{Ledger, Role};
use crate::training::recompute::Piece;

const NORM: &str = "norm";
const RESIDUAL: &str = "residual sum";

/// Which side of a linear layer meets tokens of all sequence parallel ranks: what is gathered is cast before, on each rank's
/// own tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gathered {
    /// Neither.
    No,
    /// Its input: a layer cut along its outputs.
    Input,
    /// The gradient of its output: a layer cut along its inputs.
    Output,
}

/// Whose linear layers: adapters may stand beside those of attention only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Matrices {
    /// Attention's.
    Attention,
    /// Those of feed-forward layers, experts and state-space layers.
    Others,
}

/// Bytes of an element that is transposed in 8 bits: Hopper's 8-bit matrix units read both operands along the depth only
/// (CUDA's PTX ISA, wgmma: transposed operands are of 16 bits), and a weight gradient's depth are the tokens, so that what
/// was gathered is transposed after.
const TRANSPOSE: f64 = 2.0;

/// What one rank sees of the job.
#[derive(Clone, Copy)]
pub struct Rank<'a> {
    pub job: &'a Job,
    pub cut: &'a LayerCut,
    pub tp: f64,
    /// Tokens of a micro-batch in this rank's part of the sequence.
    pub rows: f64,
    /// Tokens whose norms and residuals this rank computes.
    pub local_rows: f64,
    /// Width of what layers read and write.
    pub hidden: f64,
}

impl<'a> Rank<'a> {
    pub fn new(job: &'a Job, cut: &'a LayerCut) -> Self {
        let rows = f64::from(cut.micro_batch) * job.sequence / f64::from(cut.cp);
        let tp = f64::from(cut.tp);
        let local_rows = if cut.sequence_parallel { rows / tp } else { rows };
        Self { job, cut, tp, rows, local_rows, hidden: f64::from(job.architecture.hidden) }
    }

    /// A kernel as a step sustains it.
    #[inline]
    pub fn sustained(&self, kernel: Cost) -> Cost {
        kernel.at_share(self.job.sustained)
    }

    /// Elementwise work that moves so many bytes where it is fused.
    #[inline]
    pub fn elementwise(&self, bytes: f64) -> Cost {
        let passes = if self.job.software.fused_elementwise { 1.0 } else { self.job.constants.eager_passes };
        self.job.device.memory_bound_cost(bytes * passes)
    }

    /// The linear layer `name` with `m` rows, `n` outputs and `k` inputs: forward product, input and weight gradients,
    /// casts.
    pub fn linear<L: Ledger>(
        &self,
        block: &mut Block<L>,
        name: &'static str,
        gathered: Gathered,
        (m, n, k): (f64, f64, f64),
    ) {
        self.grouped_linear(block, name, gathered, 1.0, (m, n, k));
    }

    /// [`Rank::linear`] in each of `groups` experts.
    pub fn grouped_linear<L: Ledger>(
        &self,
        block: &mut Block<L>,
        name: &'static str,
        gathered: Gathered,
        groups: f64,
        (m, n, k): (f64, f64, f64),
    ) {
        let [forward, input_gradient, weight_gradient] = self.products(block, name, groups, (m, n, k));
        let [f, b] = &mut block.beside;
        match gathered {
            Gathered::No => {}
            Gathered::Input => {
                f.gather += forward;
                b.scatter += weight_gradient;
            }
            Gathered::Output => {
                f.scatter += forward;
                b.gather += input_gradient;
            }
        }
        self.casts(block, name, gathered, (groups * m * k, groups * m * n));
    }

    /// Forward product, input and weight gradients of [`Rank::linear`]; their seconds in this order.
    #[inline]
    pub fn products<L: Ledger>(
        &self,
        block: &mut Block<L>,
        name: &'static str,
        groups: f64,
        (m, n, k): (f64, f64, f64),
    ) -> [f64; 3] {
        let Job { device, precision, task, .. } = self.job;
        let product = |m, n, k| self.sustained(device.grouped_gemm_cost(groups, m, n, k, *precision));
        let (forward, input_gradient) = (product(m, n, k), product(m, k, n));
        block.forward.product(name, Role::Itself, forward);
        block.backward.product(name, Role::InputGradient, input_gradient);
        block.forward.kernels += 1.0;
        block.backward.kernels += 1.0;
        // Frozen weights have none.
        let mut weight_seconds = 0.0;
        if *task != Task::Lora {
            let weight_gradient = product(n, k, m);
            block.backward.product(name, Role::WeightGradient, weight_gradient);
            block.backward.kernels += 1.0;
            weight_seconds = weight_gradient.seconds;
        }
        [forward.seconds, input_gradient.seconds, weight_seconds]
    }

    /// Casts of the inputs forward and of the outputs' gradients backward, as many elements; none in 16 bits. What is
    /// gathered is cast before, where the software does not say otherwise.
    #[inline]
    pub fn casts<L: Ledger>(
        &self,
        block: &mut Block<L>,
        name: &'static str,
        gathered: Gathered,
        (inputs, outputs): (f64, f64),
    ) {
        let Job { device, constants, generation, .. } = self.job;
        if !self.job.casts() {
            return;
        }
        let own = if self.job.software.cast_after_gather { 1.0 } else { self.local_rows / self.rows };
        let transposed = if *generation == GpuArchitecture::Hopper && own < 1.0 { TRANSPOSE } else { 0.0 };
        let of = |side, elements: f64| {
            if gathered == side {
                elements * (own * constants.cast_bytes + transposed)
            } else {
                elements * constants.cast_bytes
            }
        };
        let bytes = [of(Gathered::Input, inputs), of(Gathered::Output, outputs)];
        for (pass, bytes) in [&mut block.forward, &mut block.backward].into_iter().zip(bytes) {
            if bytes > 0.0 {
                pass.stream(name, Role::Cast, device.memory_bound_cost(bytes));
                pass.kernels += 1.0;
            }
        }
    }

    /// Bytes of an element of activations on the wire where they are gathered for a product: that product's format.
    pub fn gathered_bytes(&self) -> f64 {
        let cast = self.job.casts() && !self.job.software.cast_after_gather;
        if cast { self.job.precision.weight_bytes().max(1.0) } else { HALF }
    }

    /// Bytes in which the input of a linear layer is kept for its weight gradient; that of frozen weights is kept in 16 bits
    /// for the gradient of the adapters beside them, if there are any.
    pub fn kept_input(&self, of: Matrices, elements: f64) -> f64 {
        if self.job.task == Task::Lora {
            let adapted = of == Matrices::Attention || self.job.lora.beside_all();
            return if adapted { elements * HALF } else { 0.0 };
        }
        elements * if self.job.casts() { self.job.precision.weight_bytes().max(1.0) } else { HALF }
    }

    pub fn norm_and_residual<L: Ledger>(&self, block: &mut Block<L>) {
        let elements = self.local_rows * self.hidden;
        // Norm reads and writes; the residual sum reads two and writes one. The backward pass moves twice as much.
        let norm = self.elementwise(elements * 2.0 * HALF);
        let residual = self.job.device.memory_bound_cost(elements * 3.0 * HALF);
        block.forward.stream(NORM, Role::Itself, norm);
        block.forward.stream(RESIDUAL, Role::Itself, residual);
        block.backward.stream(NORM, Role::Itself, norm.times(2.0));
        block.backward.stream(RESIDUAL, Role::Itself, residual);
        block.forward.kernels += 2.0;
        block.backward.kernels += 2.0;
        // The norm's input is kept; its output is the linear layer's input, kept there unless done again.
        block.kept += elements * HALF;
        block.piece(Piece::Norms, Pass::one_stream(NORM, 1.0, norm), 0.0);
    }

    /// The norm's output, kept as the input of the linear layers that follow.
    pub fn norm_output<L: Ledger>(&self, block: &mut Block<L>, of: Matrices) {
        let bytes = self.kept_input(of, self.local_rows * self.hidden);
        block.kept += bytes;
        block.piece(Piece::Norms, Pass::default(), bytes);
    }
}
