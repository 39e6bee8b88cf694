//! One transformer layer on one rank: the operations of a micro-batch, forward and backward, with their real shapes
//! after cutting.

use super::job::Job;
use super::layout::Task;
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
    /// Seconds of the parts that selective recompute does again.
    pub selective_seconds: f64,
    /// Tensor parallel traffic, both passes.
    pub tensor: Volume,
    /// Context parallel traffic, both passes.
    pub context: Volume,
    /// Expert traffic, both passes.
    pub expert: Volume,
    /// Activation bytes kept for the backward pass, by recompute mode: none, selective, full.
    pub activation_bytes: [f64; 3],
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

    fn plus(&self, other: &Self) -> Self {
        Self {
            matmul: self.matmul + other.matmul,
            attention: self.attention + other.attention,
            memory: self.memory + other.memory,
            tensor: self.tensor + other.tensor,
            context: self.context + other.context,
            expert: self.expert + other.expert,
            kernels: self.kernels + other.kernels,
            idle: self.idle + other.idle,
        }
    }
}

/// Bytes of a 16-bit number.
const HALF: f64 = 2.0;

/// The work of a dense layer (of a hybrid: the mean of its layers without experts); none where a group needs a fabric that is not there.
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
    let gathers = if cut.ep > 1 { 1.0 } else { 2.0 };
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

/// Forward seconds, backward seconds, kept activation bytes (none, selective) of half a layer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Block {
    pub forward: Pass,
    pub backward: Pass,
    pub selective: f64,
    pub kept: f64,
    pub kept_selective: f64,
    pub context: Volume,
}

impl Block {
    pub fn add(&mut self, other: &Self) {
        self.forward = self.forward.plus(&other.forward);
        self.backward = self.backward.plus(&other.backward);
        self.selective += other.selective;
        self.kept += other.kept;
        self.kept_selective += other.kept_selective;
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
        block.selective += norm;
        // The norm's input is kept; its output is the linear layer's input, kept there unless done again.
        block.kept += elements * HALF;
        block.kept_selective += elements * HALF;
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
            if q_rank > 0.0 {
                self.linear(&mut block, 1.0, self.local_rows, q_rank, self.hidden);
                self.linear(&mut block, 1.0, self.rows, heads * qk_dim, q_rank);
            } else {
                self.linear(&mut block, 1.0, self.rows, heads * qk_dim, self.hidden);
            }
            self.linear(&mut block, 1.0, self.local_rows, kv_rank + rope, self.hidden);
            self.linear(&mut block, 1.0, self.rows, heads * (nope + v_dim), kv_rank);
            let latent = self.local_rows * (self.hidden + q_rank + kv_rank + rope);
            block.kept += self.kept_input(latent);
            block.kept_selective += self.kept_input(latent - self.local_rows * self.hidden);
        } else {
            qk_dim = f64::from(model.head_dim);
            v_dim = qk_dim;
            kv_heads = f64::from(model.kv_heads) / self.tp;
            rotated = (heads + kv_heads) * qk_dim;
            self.linear(&mut block, 1.0, self.rows, (heads + 2.0 * kv_heads) * qk_dim, self.hidden);
            block.kept += self.kept_input(self.local_rows * self.hidden);
        }
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
        // Flash attention keeps its inputs and output; latent attention's are made again from the latents.
        block.kept += queries_keys_values * HALF
            + self.kept_input(output)
            + output * HALF * f64::from(u8::from(self.job.casts()));
        block.kept_selective +=
            if model.mla.is_some() { 0.0 } else { queries_keys_values * HALF } + self.kept_input(output);
        self.linear(&mut block, 1.0, self.rows, self.hidden, heads * v_dim);
        Some(block)
    }

    fn attention(&self, block: &mut Block, heads: f64, kv_heads: f64, qk_dim: f64, v_dim: f64) -> Option<()> {
        let Job { architecture, sequence, topology, .. } = self.job;
        let cp = f64::from(self.cut.cp);
        let shape = AttentionShape {
            batch: f64::from(self.cut.micro_batch),
            // Zigzag cutting gives every rank the same share of the causal triangle.
            queries: *sequence / cp,
            keys: *sequence,
            heads,
            kv_heads: kv_heads.max(1.0),
            qk_dim,
            v_dim,
            causal: true,
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

    /// Feed-forward layer of one width on `rows` tokens in each of `groups` experts.
    fn feed_forward(&self, block: &mut Block, groups: f64, rows: f64, width: f64) {
        let device = &self.job.device;
        let (up, factor) = if self.job.architecture.gated { (2.0, 3.0) } else { (1.0, 2.0) };
        self.linear(block, groups, rows, up * width, self.hidden);
        self.linear(block, groups, rows, self.hidden, width);
        let elements = groups * rows * width;
        let activation = self.elementwise(elements * factor * HALF);
        block.forward.memory += activation;
        block.backward.memory += self.elementwise(elements * (factor + up) * HALF);
        block.forward.kernels += 1.0;
        block.backward.kernels += 1.0;
        block.selective += activation;
        // Kept: what enters the activation function, and what leaves it unless done again. The block recipe keeps the
        // former in 8 bits too (arXiv 2412.19437, section 3.3.3).
        let kept = if self.job.precision == Precision::Fp8Blockwise { 1.0 } else { HALF };
        block.kept += elements * up * kept + self.kept_input(elements);
        block.kept_selective += elements * up * kept;
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
            self.feed_forward(&mut own, local, rows, width);
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
        block.kept += elements * up * HALF + self.kept_input(elements);
        block.kept_selective += elements * up * HALF;
    }

    pub fn dense_block(&self) -> Block {
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        self.feed_forward(&mut block, 1.0, self.rows, f64::from(self.job.architecture.ffn) / self.tp);
        block.kept += self.kept_input(self.local_rows * self.hidden);
        block
    }

    /// Router, dispatch, experts, combine; routing is taken as balanced.
    pub fn expert_block(&self) -> Option<(Block, Volume)> {
        let Job { device, topology, architecture, .. } = self.job;
        let moe = architecture.moe?;
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        let (experts, top_k, ep) = (f64::from(moe.experts), f64::from(moe.top_k), f64::from(self.cut.ep));

        // Tokens of this rank, its own copies of them, and where the experts sit: whole experts on ep ranks, or all of
        // them on each rank, cut by tensor parallel ranks like a dense layer.
        let (tokens, width) = if self.cut.ep > 1 {
            (self.local_rows, f64::from(moe.expert_ffn))
        } else {
            (self.rows, f64::from(moe.expert_ffn) / self.tp)
        };
        let copies = tokens * top_k;
        let router = self.seconds(device.gemm(tokens, experts, self.hidden, Precision::Bf16));
        block.forward.matmul += router;
        block.backward.matmul += 2.0 * router;
        // Scores and top-k in 32 bits.
        block.forward.memory += device.memory_bound(tokens * experts * 16.0);
        block.backward.memory += device.memory_bound(tokens * experts * 8.0);
        // Experts work on the residual stream, or on the latent vectors that it is projected to and from.
        let experts_on = Rank { hidden: architecture.expert_width(), ..*self };
        if moe.latent > 0 {
            self.linear(&mut block, 1.0, tokens, experts_on.hidden, self.hidden);
            self.linear(&mut block, 1.0, tokens, self.hidden, experts_on.hidden);
            block.kept += self.kept_input(tokens * (self.hidden + experts_on.hidden));
            block.kept_selective += self.kept_input(tokens * experts_on.hidden);
        }
        // Permute to experts and back, weighted sum: each copy is read and written twice.
        let permute = device.memory_bound(copies * experts_on.hidden * 4.0 * HALF);
        block.forward.memory += permute;
        block.backward.memory += permute;
        block.forward.kernels += 10.0;
        block.backward.kernels += 8.0;
        experts_on.routed_experts(&mut block, experts / ep, copies * ep / experts, width);
        block.kept += self.kept_input(copies * experts_on.hidden);
        block.kept_selective += self.kept_input(copies * experts_on.hidden);
        if moe.shared_ffn > 0 {
            self.feed_forward(&mut block, 1.0, self.rows, f64::from(moe.shared_ffn) / self.tp);
            block.kept += self.kept_input(self.local_rows * self.hidden);
        }
        if self.cut.ep == 1 {
            return Some((block, Volume::default()));
        }
        let exchange = ExpertExchange {
            tokens,
            bytes_per_token: experts_on.hidden * HALF,
            experts_per_token: moe.top_k,
            max_domains: None,
            kernel: ExpertKernel::Normal,
        };
        let group = Group { ranks: self.cut.ep, stride: 1 };
        let time = expert_all_to_all_time(&exchange, group, topology)?;
        // Dispatch and combine in each pass.
        block.forward.expert += 2.0 * time.seconds;
        block.backward.expert += 2.0 * time.seconds;
        Some((block, Volume::of(&time, copies * experts_on.hidden * HALF, 4.0)))
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
        let input = self.local_rows * self.hidden * HALF;
        Some(LayerWork {
            forward,
            backward,
            routed: false,
            selective_seconds: attention.selective + ffn.selective,
            tensor,
            context: attention.context,
            expert,
            activation_bytes: [
                attention.kept + ffn.kept,
                attention.kept_selective + ffn.kept_selective,
                input,
            ],
        })
    }
}
