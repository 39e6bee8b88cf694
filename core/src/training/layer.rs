//! One transformer layer on one rank: the operations of a micro-batch, forward and backward, with their real shapes
//! after cutting.

use super::job::Job;
use super::layout::{Recompute, Task};
use super::recompute::{Again, PIECES, Piece, RecomputeParts, again};
use super::software::{AttentionKernel, attention_seconds};
use super::state_space;
use crate::kernel::AttentionShape;
use crate::model::{Precision, SmallParameter};
use crate::network::{
    Algorithm, CollectiveOp, CollectiveTime, ExpertExchange, ExpertKernel, Group, collective_time,
    expert_all_to_all_time,
};

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

/// Seconds of one pass of one micro-batch through one layer. Communication is given whole; how much of it is waited
/// for is decided by the step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pass {
    /// Matrix products.
    pub matmul: f64,
    /// Attention.
    pub attention: f64,
    /// Work bound by memory bandwidth, casts included.
    pub memory: f64,
    /// Tensor parallel communication.
    pub tensor: f64,
    /// Context parallel communication that attention does not hide.
    pub context: f64,
    /// Expert exchange.
    pub expert: f64,
    /// Kernels launched.
    pub kernels: f64,
    /// The GPU waits for the host, which launches routed experts for longer than they run.
    pub idle: f64,
    /// Times that tokens are routed.
    pub routings: f64,
}

/// A layer's work and traffic for one micro-batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LayerWork {
    /// Forward pass.
    pub forward: Pass,
    /// Backward pass, without recompute.
    pub backward: Pass,
    /// Whether tokens are routed to experts.
    pub routed: bool,
    /// What doing each piece again costs and frees.
    pub pieces: [Again; PIECES],
    /// Tensor parallel traffic, both passes.
    pub tensor: Volume,
    /// Context parallel traffic, both passes.
    pub context: Volume,
    /// Expert traffic, both passes.
    pub expert: Volume,
    /// Activation bytes kept for the backward pass if nothing is done again.
    pub kept_bytes: f64,
    /// Bytes of the layer's input.
    pub input_bytes: f64,
}

impl LayerWork {
    /// What a recompute mode does again.
    pub fn again(&self, recompute: Recompute, parts: RecomputeParts) -> Again {
        let whole = Again { pass: self.forward, freed_bytes: (self.kept_bytes - self.input_bytes).max(0.0) };
        again(recompute, parts, &self.pieces, &whole)
    }
}

/// Traffic of one dimension.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Volume {
    /// Bytes over the scale-up link.
    pub scale_up: f64,
    /// Bytes into the fabric.
    pub scale_out: f64,
    /// Collectives.
    pub messages: f64,
    /// Size of one of them, bytes.
    pub message_bytes: f64,
    /// Seconds of one of them.
    pub message_seconds: f64,
    /// How the library runs them.
    pub algorithm: Algorithm,
}

impl Volume {
    fn of(time: &CollectiveTime, message_bytes: f64, messages: f64) -> Self {
        Self {
            scale_up: time.scale_up_bytes * messages,
            scale_out: time.scale_out_bytes * messages,
            messages,
            message_bytes,
            message_seconds: time.seconds,
            algorithm: time.algorithm,
        }
    }

    /// The same messages with the bytes and seconds of others that go along with them.
    fn carrying(&self, other: &Self) -> Self {
        Self {
            scale_up: self.scale_up + other.scale_up,
            scale_out: self.scale_out + other.scale_out,
            message_seconds: self.message_seconds + other.message_seconds * other.messages / self.messages,
            ..*self
        }
    }
}

impl Pass {
    /// Seconds of computation.
    pub fn compute(&self) -> f64 {
        self.matmul + self.attention + self.memory
    }

    /// The same pass where so many of the GPU's multiprocessors are set aside.
    pub fn on(&self, multiprocessors: f64, aside: f64) -> Self {
        let slower = multiprocessors / (multiprocessors - aside).max(1.0);
        Self { matmul: self.matmul * slower, attention: self.attention * slower, ..*self }
    }

    /// Both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            matmul: self.matmul + other.matmul,
            attention: self.attention + other.attention,
            memory: self.memory + other.memory,
            tensor: self.tensor + other.tensor,
            context: self.context + other.context,
            expert: self.expert + other.expert,
            kernels: self.kernels + other.kernels,
            idle: self.idle + other.idle,
            routings: self.routings + other.routings,
        }
    }

    /// So much of it.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        Self {
            matmul: self.matmul * by,
            attention: self.attention * by,
            memory: self.memory * by,
            tensor: self.tensor * by,
            context: self.context * by,
            expert: self.expert * by,
            kernels: self.kernels * by,
            idle: self.idle * by,
            routings: self.routings * by,
        }
    }
}

/// Bytes of a 16-bit number.
const HALF: f64 = 2.0;

/// The work of a dense layer (of a hybrid: the mean of its layers without experts); none where a group needs a fabric that
/// is not there.
pub fn dense_layer(job: &Job, cut: &LayerCut) -> Option<LayerWork> {
    if let Some(hybrid) = &job.architecture.state_space {
        return state_space::mean_layer(job, cut, hybrid);
    }
    let rank = Rank::new(job, cut);
    let attention = rank.attention_block()?;
    let ffn = rank.dense_block();
    rank.joined(&attention, &ffn, Volume::default(), 2.0)
}

/// The work of a layer with experts; none where the model has none or a group needs a fabric that is not there.
pub fn expert_layer(job: &Job, cut: &LayerCut) -> Option<LayerWork> {
    if job.architecture.state_space.is_some() {
        return state_space::expert_layer(job, cut);
    }
    let rank = Rank::new(job, cut);
    let attention = rank.attention_block()?;
    let (ffn, exchange) = rank.expert_block()?;
    // With whole experts on each rank, tokens stay cut along the sequence: only attention gathers them.
    let gathers = if rank.whole_sequence_experts() { 2.0 } else { 1.0 };
    Some(LayerWork { routed: true, ..rank.joined(&attention, &ffn, exchange, gathers)? })
}

/// Seconds of the output projection and loss of one micro-batch, forward and backward, and the bytes they hold.
pub fn logits(job: &Job, cut: &LayerCut) -> (Pass, Pass, f64) {
    let rank = Rank::new(job, cut);
    let model = &job.architecture;
    let (width, vocab) = (f64::from(model.hidden), f64::from(model.vocab) / f64::from(cut.tp));
    let product = |m, n, k| rank.seconds(job.device.gemm(m, n, k, Precision::Bf16));
    let elements = rank.rows * vocab;
    let forward = Pass {
        matmul: product(rank.rows, vocab, width),
        // Written in 16 bits, read and reduced in 32.
        memory: rank.elementwise(elements * 8.0),
        kernels: 6.0,
        ..Pass::default()
    };
    let backward = Pass {
        matmul: product(rank.rows, width, vocab) + product(vocab, width, rank.rows),
        memory: rank.elementwise(elements * 6.0),
        kernels: 6.0,
        ..Pass::default()
    };
    // 16-bit logits and the 32-bit copy of which the loss takes the gradient in place.
    (forward, backward, elements * 6.0)
}

/// Half a layer: both passes, kept activation bytes, and what can be done again by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Block {
    pub forward: Pass,
    pub backward: Pass,
    pub kept: f64,
    pub pieces: [Again; PIECES],
    pub context: Volume,
}

impl Block {
    pub fn add(&mut self, other: &Self) {
        self.forward = self.forward.plus(&other.forward);
        self.backward = self.backward.plus(&other.backward);
        self.kept += other.kept;
        for (piece, more) in self.pieces.iter_mut().zip(&other.pieces) {
            *piece = piece.plus(more);
        }
    }

    /// Doing `pass` again frees `freed_bytes`.
    fn piece(&mut self, piece: Piece, pass: Pass, freed_bytes: f64) {
        self.pieces[piece as usize] = self.pieces[piece as usize].plus(&Again { pass, freed_bytes });
    }

    /// Doing all of another block again frees all that it keeps.
    fn whole(&mut self, piece: Piece, of: &Self) {
        self.piece(piece, of.forward, of.kept);
    }
}

/// What one rank sees of the job.
#[derive(Clone, Copy)]
pub(super) struct Rank<'a> {
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

    pub fn seconds(&self, kernel: f64) -> f64 {
        kernel / self.job.sustained
    }

    /// Elementwise work that moves so many bytes where it is fused.
    pub fn elementwise(&self, bytes: f64) -> f64 {
        let passes = if self.job.software.fused_elementwise { 1.0 } else { self.job.constants.eager_passes };
        self.job.device.memory_bound(bytes * passes)
    }

    /// A linear layer with `m` rows, `n` outputs and `k` inputs: forward product, input and weight gradients, casts.
    pub fn linear(&self, block: &mut Block, groups: f64, m: f64, n: f64, k: f64) {
        self.products(block, groups, (m, n, k));
        self.casts(block, (groups * m * k, groups * m * n));
    }

    /// Forward product, input and weight gradients of [`Rank::linear`].
    fn products(&self, block: &mut Block, groups: f64, (m, n, k): (f64, f64, f64)) {
        let Job { device, precision, task, .. } = self.job;
        let product = |m, n, k| self.seconds(device.grouped_gemm(groups, m, n, k, *precision));
        block.forward.matmul += product(m, n, k);
        block.backward.matmul += product(m, k, n);
        let mut kernels = 1.0;
        if *task != Task::Lora {
            block.backward.matmul += product(n, k, m);
            kernels = 2.0;
        }
        block.forward.kernels += 1.0;
        block.backward.kernels += kernels;
    }

    /// Casts of the inputs forward and of the outputs' gradients backward, as many elements; none in 16 bits.
    fn casts(&self, block: &mut Block, (inputs, outputs): (f64, f64)) {
        let Job { device, constants, .. } = self.job;
        if !self.job.casts() {
            return;
        }
        for (pass, elements) in [(&mut block.forward, inputs), (&mut block.backward, outputs)] {
            if elements > 0.0 {
                pass.memory += device.memory_bound(elements * constants.cast_bytes);
                pass.kernels += 1.0;
            }
        }
    }

    /// Bytes in which the input of a linear layer is kept for its weight gradient; frozen weights need none.
    pub fn kept_input(&self, elements: f64) -> f64 {
        if self.job.task == Task::Lora {
            return 0.0;
        }
        elements * if self.job.casts() { self.job.precision.weight_bytes().max(1.0) } else { HALF }
    }

    pub fn norm_and_residual(&self, block: &mut Block) {
        let elements = self.local_rows * self.hidden;
        // Norm reads and writes; the residual sum reads two and writes one. The backward pass moves twice as much.
        let norm = self.elementwise(elements * 2.0 * HALF);
        let residual = self.job.device.memory_bound(elements * 3.0 * HALF);
        block.forward.memory += norm + residual;
        block.backward.memory += 2.0 * norm + residual;
        block.forward.kernels += 2.0;
        block.backward.kernels += 2.0;
        // The norm's input is kept; its output is the linear layer's input, kept there unless done again.
        block.kept += elements * HALF;
        block.piece(Piece::Norms, Pass { memory: norm, kernels: 1.0, ..Pass::default() }, 0.0);
    }

    /// The norm's output, kept as the input of the linear layers that follow.
    pub fn norm_output(&self, block: &mut Block) {
        let bytes = self.kept_input(self.local_rows * self.hidden);
        block.kept += bytes;
        block.piece(Piece::Norms, Pass::default(), bytes);
    }

    /// Self-attention: norm, projections, rotary embedding, attention, output projection.
    pub fn attention_block(&self) -> Option<Block> {
        let model = &self.job.architecture;
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        let heads = f64::from(model.heads) / self.tp;
        let (qk_dim, v_dim, kv_heads, rotated);
        if let Some(mla) = model.mla {
            let (nope, rope) = (f64::from(mla.qk_nope_head_dim), f64::from(mla.qk_rope_head_dim));
            let (q_rank, kv_rank) = (f64::from(mla.q_lora_rank), f64::from(mla.kv_lora_rank));
            v_dim = f64::from(mla.v_head_dim);
            qk_dim = nope + rope;
            kv_heads = heads;
            rotated = heads * rope + rope;
            // The down-projections are not cut by tensor parallel ranks, but their rows are.
            let mut up = Block::default();
            if q_rank > 0.0 {
                self.linear(&mut block, 1.0, self.local_rows, q_rank, self.hidden);
                self.linear(&mut up, 1.0, self.rows, heads * qk_dim, q_rank);
            } else {
                self.linear(&mut up, 1.0, self.rows, heads * qk_dim, self.hidden);
            }
            self.linear(&mut block, 1.0, self.local_rows, kv_rank + rope, self.hidden);
            self.linear(&mut up, 1.0, self.rows, heads * (nope + v_dim), kv_rank);
            block.add(&up);
            block.piece(Piece::LatentProjections, up.forward, 0.0);
            block.kept += self.kept_input(self.local_rows * (q_rank + kv_rank + rope));
        } else {
            qk_dim = f64::from(model.head_dim);
            v_dim = qk_dim;
            kv_heads = f64::from(model.kv_heads) / self.tp;
            rotated = (heads + kv_heads) * qk_dim;
            self.linear(&mut block, 1.0, self.rows, (heads + 2.0 * kv_heads) * qk_dim, self.hidden);
        }
        self.norm_output(&mut block);
        let rotary = self.elementwise(self.rows * rotated * 2.0 * HALF);
        block.forward.memory += rotary;
        block.backward.memory += rotary;
        block.forward.kernels += 2.0;
        block.backward.kernels += 2.0;

        if model.has(SmallParameter::QkNorm) || model.has(SmallParameter::QkNormAllHeads) {
            let bytes = self.rows * (heads + kv_heads) * qk_dim * 2.0 * HALF;
            block.forward.memory += self.elementwise(bytes);
            block.backward.memory += self.elementwise(2.0 * bytes);
            block.forward.kernels += 2.0;
            block.backward.kernels += 2.0;
        }
        self.attention(&mut block, heads, kv_heads, qk_dim, v_dim)?;
        let queries_keys_values = self.rows * (heads * qk_dim + kv_heads * (qk_dim + v_dim));
        let output = self.rows * heads * v_dim;
        // Fused attention keeps its inputs and output, in its own number format.
        let bytes = if self.job.attention == AttentionKernel::FusedFp8 { 1.0 } else { HALF };
        block.kept += queries_keys_values * bytes + self.kept_input(output);
        if model.mla.is_some() {
            let pass = Pass { memory: rotary, kernels: 2.0, ..Pass::default() };
            block.piece(Piece::LatentProjections, pass, queries_keys_values * bytes);
        }
        // Attention's own copy of its output, where the projection keeps it in 8 bits.
        let own = if self.job.casts() { output * bytes } else { 0.0 };
        let scores = self.scores_bytes(heads);
        block.kept += own + scores;
        let Pass { attention, context, .. } = block.forward;
        let core = Pass { attention, context, kernels: 1.0, ..Pass::default() };
        block.piece(Piece::CoreAttention, core, own + scores);
        self.linear(&mut block, 1.0, self.rows, self.hidden, heads * v_dim);
        Some(block)
    }

    /// Bytes of the probabilities that unfused attention keeps for its backward pass.
    fn scores_bytes(&self, heads: f64) -> f64 {
        if self.job.keeps_scores() { self.rows * self.job.sequence * heads * HALF } else { 0.0 }
    }

    fn attention(&self, block: &mut Block, heads: f64, kv_heads: f64, qk_dim: f64, v_dim: f64) -> Option<()> {
        let Job { architecture, sequence, topology, .. } = self.job;
        let cp = f64::from(self.cut.cp);
        // Cut over context parallel ranks in zigzag, every rank has the same share of the causal triangle: half of all keys for
        // each of its queries, at both ends of the sequence. Unfused attention computes every score.
        let zigzag = cp > 1.0 && self.job.attention != AttentionKernel::Unfused;
        let shape = AttentionShape {
            batch: f64::from(self.cut.micro_batch),
            queries: *sequence / cp,
            keys: if zigzag { 0.5 * *sequence } else { *sequence },
            heads,
            kv_heads: kv_heads.max(1.0),
            qk_dim,
            v_dim,
            causal: !zigzag,
        };
        let layers = f64::from(architecture.attention_layers()).max(1.0);
        let mut times = attention_seconds(self.job, &shape);
        let banded =
            |window: u32| f64::from(window) < *sequence && self.job.attention != AttentionKernel::Unfused;
        if let Some(local) = architecture.sliding_window.filter(|w| banded(w.window)) {
            let window = f64::from(local.window);
            // A band of `window` keys for each query, less the corner at the start.
            let band =
                AttentionShape { keys: window * (1.0 - 0.5 * window / *sequence), causal: false, ..shape };
            let full = f64::from(local.full_layers) / layers;
            let mix = |whole: f64, banded: f64| full * whole + (1.0 - full) * banded.min(whole);
            let local = attention_seconds(self.job, &band);
            times = (mix(times.0, local.0), mix(times.1, local.1));
        }
        block.forward.attention += self.seconds(times.0);
        block.backward.attention += self.seconds(times.1);
        block.forward.kernels += 1.0;
        block.backward.kernels += 2.0;
        if self.cut.cp > 1 {
            // Keys and values of the other ranks pass by, their gradients return in the backward pass.
            let bytes = f64::from(self.cut.micro_batch) * *sequence * kv_heads * (qk_dim + v_dim) * HALF;
            let group = Group { ranks: self.cut.cp, stride: self.cut.tp };
            let time = collective_time(CollectiveOp::AllGather, bytes, group, topology)?;
            // The first of cp parts is local; the last hop cannot hide.
            let first = time.seconds / cp;
            block.forward.context += (time.seconds - block.forward.attention).max(first);
            block.backward.context += (2.0 * time.seconds - block.backward.attention).max(first);
            block.context = Volume::of(&time, bytes, 3.0);
        }
        Some(())
    }

    /// Feed-forward layer of one width on `rows` tokens in each of `groups` experts; its activation function is `piece`.
    fn feed_forward(&self, block: &mut Block, piece: Piece, groups: f64, rows: f64, width: f64) {
        let (up, factor) = if self.job.architecture.gated { (2.0, 3.0) } else { (1.0, 2.0) };
        self.linear(block, groups, rows, up * width, self.hidden);
        self.linear(block, groups, rows, self.hidden, width);
        let elements = groups * rows * width;
        let activation = self.elementwise(elements * factor * HALF);
        block.forward.memory += activation;
        block.backward.memory += self.elementwise(elements * (factor + up) * HALF);
        block.forward.kernels += 1.0;
        block.backward.kernels += 1.0;
        // Kept: what enters the activation function, and what leaves it unless done again. The block recipe keeps the
        // former in 8 bits too (arXiv 2412.19437, section 3.3.3).
        let kept = if self.job.precision == Precision::Fp8Blockwise { 1.0 } else { HALF };
        let output = self.kept_input(elements);
        block.kept += elements * up * kept + output;
        block.piece(piece, Pass { memory: activation, kernels: 1.0, ..Pass::default() }, output);
    }

    /// The routed experts of a rank: `rows` tokens in each of `local` experts.
    ///
    /// Unfused, kernels are launched for each expert apart. The host has just learnt how many tokens each expert has, so it
    /// cannot run ahead: what its launches take longer than the kernels, the GPU waits.
    fn routed_experts(&self, block: &mut Block, local: f64, rows: f64, width: f64) {
        let Job { software, constants, task, .. } = self.job;
        let mut own = Block::default();
        if software.fused_experts {
            self.fused_feed_forward(&mut own, local, rows, width);
        } else {
            self.feed_forward(&mut own, Piece::ExpertActivation, local, rows, width);
        }
        if !software.fused_experts && !software.captured {
            // For each of the two linear layers a product forward and two backward, and in 8 or 4 bits for each operand
            // a cast and the arrangement of its scales.
            let products = if *task == Task::Lora { [1.0, 1.0] } else { [1.0, 2.0] };
            let casts = if self.job.casts() { 2.0 } else { 0.0 };
            let host = |products: f64| 2.0 * local * products * (1.0 + casts) * constants.launch_seconds;
            own.forward.idle = (host(products[0]) - own.forward.compute()).max(0.0);
            own.backward.idle = (host(products[1]) - own.backward.compute()).max(0.0);
        }
        block.add(&own);
    }

    /// [`Rank::feed_forward`] in one kernel for the activation, its casts and the products around it: the activation and
    /// what it casts never pass through memory on their own.
    fn fused_feed_forward(&self, block: &mut Block, groups: f64, rows: f64, width: f64) {
        let up = if self.job.architecture.gated { 2.0 } else { 1.0 };
        self.products(block, groups, (rows, up * width, self.hidden));
        self.products(block, groups, (rows, self.hidden, width));
        self.casts(block, (groups * rows * self.hidden, groups * rows * self.hidden));
        let elements = groups * rows * width;
        let output = self.kept_input(elements);
        block.kept += elements * up * HALF + output;
        // Done again by itself, the activation function is a kernel of its own.
        let factor = up + 1.0;
        let activation = self.elementwise(elements * factor * HALF);
        block.piece(
            Piece::ExpertActivation,
            Pass { memory: activation, kernels: 1.0, ..Pass::default() },
            output,
        );
    }

    pub fn dense_block(&self) -> Block {
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        self.norm_output(&mut block);
        let width = f64::from(self.job.architecture.ffn) / self.tp;
        let mut layer = Block::default();
        self.feed_forward(&mut layer, Piece::DenseActivation, 1.0, self.rows, width);
        block.add(&layer);
        block.whole(Piece::DenseWhole, &layer);
        block
    }

    /// Router, dispatch, experts, combine; routing is taken as balanced.
    pub fn expert_block(&self) -> Option<(Block, Volume)> {
        let Job { device, architecture, .. } = self.job;
        let moe = architecture.moe?;
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        let (experts, top_k, ep) = (f64::from(moe.experts), f64::from(moe.top_k), f64::from(self.cut.ep));

        // Tokens of this rank, its own copies of them, and where the experts sit: on ep × expert_tp ranks, or all of them
        // on each rank, cut by tensor parallel ranks like a dense layer.
        let (tokens, cuts) = if self.whole_sequence_experts() {
            (self.rows, 1.0)
        } else {
            (self.local_rows, f64::from(self.cut.expert_tp))
        };
        let width = f64::from(moe.expert_ffn) / f64::from(self.cut.expert_tp);
        let copies = tokens * top_k;
        let mut routed = Block::default();
        let router = self.seconds(device.gemm(tokens, experts, self.hidden, Precision::Bf16));
        routed.forward.matmul += router;
        routed.backward.matmul += 2.0 * router;
        // Scores and top-k in 32 bits.
        routed.forward.memory += device.memory_bound(tokens * experts * 16.0);
        routed.backward.memory += device.memory_bound(tokens * experts * 8.0);
        // Experts work on the residual stream, or on the latent vectors that it is projected to and from.
        let experts_on = Rank { hidden: architecture.expert_width(), ..*self };
        if moe.latent > 0 {
            self.linear(&mut routed, 1.0, tokens, experts_on.hidden, self.hidden);
            self.linear(&mut routed, 1.0, tokens, self.hidden, experts_on.hidden);
            routed.kept += self.kept_input(tokens * experts_on.hidden);
        }
        // Permute to experts and back, weighted sum: each copy is read and written twice.
        let permute = device.memory_bound(copies * cuts * experts_on.hidden * 4.0 * HALF);
        routed.forward.memory += permute;
        routed.backward.memory += permute;
        routed.forward.kernels += 10.0;
        routed.backward.kernels += 8.0;
        (routed.forward.routings, routed.backward.routings) = (1.0, 1.0);
        experts_on.routed_experts(&mut routed, experts / ep, copies * cuts * ep / experts, width);
        routed.kept += self.kept_input(copies * cuts * experts_on.hidden);
        let exchange = experts_on.expert_exchange(&mut routed, tokens, moe.top_k)?;
        block.add(&routed);
        block.whole(Piece::ExpertsWhole, &routed);
        if moe.shared_ffn > 0 {
            let mut shared = Block::default();
            let width = f64::from(moe.shared_ffn) / self.tp;
            self.feed_forward(&mut shared, Piece::SharedActivation, 1.0, self.rows, width);
            block.add(&shared);
            block.whole(Piece::SharedWhole, &shared);
        }
        if moe.shared_ffn > 0 || moe.latent > 0 {
            self.norm_output(&mut block);
        }
        Some((block, exchange))
    }

    /// Whether every rank has all experts, cut along their width like a dense layer, for all tokens of its tensor parallel
    /// group.
    pub fn whole_sequence_experts(&self) -> bool {
        self.cut.ep == 1 && self.cut.expert_tp == self.cut.tp
    }

    /// Dispatch and combine in each pass; where ranks cut each expert, each of them gathers what all of them were sent and
    /// their partial results are summed (Megatron-Core's token dispatcher).
    fn expert_exchange(&self, block: &mut Block, tokens: f64, top_k: u32) -> Option<Volume> {
        let topology = &self.job.topology;
        let bytes = tokens * f64::from(top_k) * self.hidden * HALF;
        let mut seconds = 0.0;
        let mut volume = Volume::default();
        if self.cut.ep > 1 {
            let exchange = ExpertExchange {
                tokens,
                bytes_per_token: self.hidden * HALF,
                experts_per_token: top_k,
                max_domains: None,
                kernel: ExpertKernel::Normal,
            };
            let group = Group { ranks: self.cut.ep, stride: self.cut.expert_tp };
            let time = expert_all_to_all_time(&exchange, group, topology)?;
            seconds += time.seconds;
            volume = Volume::of(&time, bytes, 4.0);
        }
        if self.cut.expert_tp > 1 && !self.whole_sequence_experts() {
            let ways = f64::from(self.cut.expert_tp);
            let group = Group { ranks: self.cut.expert_tp, stride: 1 };
            let time = collective_time(CollectiveOp::AllGather, bytes * ways, group, topology)?;
            seconds += time.seconds;
            let gather = Volume::of(&time, bytes * ways, 4.0);
            volume = if volume.messages > 0.0 { volume.carrying(&gather) } else { gather };
        }
        block.forward.expert += 2.0 * seconds;
        block.backward.expert += 2.0 * seconds;
        Some(volume)
    }

    /// Both halves of a layer with the tensor parallel communication between them.
    pub fn joined(&self, attention: &Block, ffn: &Block, expert: Volume, gathers: f64) -> Option<LayerWork> {
        let mut forward = attention.forward.plus(&ffn.forward);
        let mut backward = attention.backward.plus(&ffn.backward);
        let mut tensor = Volume::default();
        if self.cut.tp > 1 {
            let bytes = self.rows * self.hidden * HALF;
            let group = Group { ranks: self.cut.tp, stride: 1 };
            // An all-gather before and a reduce-scatter after each half; or one all-reduce after it.
            let (op, count) = if self.cut.sequence_parallel {
                (CollectiveOp::AllGather, 2.0 * gathers)
            } else {
                (CollectiveOp::AllReduce, gathers)
            };
            let time = collective_time(op, bytes, group, &self.job.topology)?;
            forward.tensor = count * time.seconds;
            backward.tensor = count * time.seconds;
            forward.kernels += count;
            backward.kernels += count;
            tensor = Volume::of(&time, bytes, 2.0 * count);
        }
        let mut pieces = attention.pieces;
        for (piece, more) in pieces.iter_mut().zip(&ffn.pieces) {
            *piece = piece.plus(more);
        }
        // A feed-forward layer that gathers the sequence gathers it again.
        let whole = if ffn.forward.routings > 0.0 { Piece::ExpertsWhole } else { Piece::DenseWhole };
        pieces[whole as usize].pass.tensor = forward.tensor * (gathers - 1.0).max(0.0) / gathers.max(1.0);
        Some(LayerWork {
            forward,
            backward,
            routed: false,
            pieces,
            tensor,
            context: attention.context,
            expert,
            kept_bytes: attention.kept + ffn.kept,
            input_bytes: self.local_rows * self.hidden * HALF,
        })
    }
}
