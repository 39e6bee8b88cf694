//! Self-attention: projections, rotary embedding, the attention itself, exchange of keys and values.

use super::{Block, Gathered, HALF, Half, Matrices, Pass, Rank, Volume, Widths};
use crate::kernel::{AttentionShape, Cost};
use crate::model::SmallParameter;
use crate::network::{CollectiveOp, Group, collective_time};
use crate::training::job::Job;
use crate::training::layout::Task;
use crate::training::ledger::{Ledger, Role};
use crate::training::recompute::Piece;
use crate::training::software::{AttentionKernel, attention_costs};

const ROTARY: &str = "rotary embedding";
const QK_NORM: &str = "query and key norm";
const PARTIAL: &str = "sum of partial attention";
const KEYS_VALUES: &str = "keys and values of other ranks";

impl Rank<'_> {
    /// Self-attention: norm, projections, rotary embedding, attention, output projection.
    pub fn attention_block<L: Ledger>(&self) -> Option<Block<L>> {
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
                self.linear(
                    &mut block,
                    "query down-projection",
                    Gathered::No,
                    (self.local_rows, q_rank, self.hidden),
                );
                self.linear(
                    &mut up,
                    "query up-projection",
                    Gathered::Input,
                    (self.rows, heads * qk_dim, q_rank),
                );
            } else {
                self.linear(
                    &mut up,
                    "query projection",
                    Gathered::Input,
                    (self.rows, heads * qk_dim, self.hidden),
                );
            }
            self.linear(
                &mut block,
                "key and value down-projection",
                Gathered::No,
                (self.local_rows, kv_rank + rope, self.hidden),
            );
            self.linear(
                &mut up,
                "key and value up-projection",
                Gathered::Input,
                (self.rows, heads * (nope + v_dim), kv_rank),
            );
            block.add(&up);
            block.piece(Piece::LatentProjections, up.forward.clone(), 0.0);
            block.kept += self.kept_input(Matrices::Attention, self.local_rows * (q_rank + kv_rank + rope));
        } else {
            qk_dim = f64::from(model.head_dim);
            v_dim = qk_dim;
            kv_heads = f64::from(model.kv_heads) / self.tp;
            rotated = (heads + kv_heads) * qk_dim;
            let outputs = (heads + 2.0 * kv_heads) * qk_dim;
            self.linear(&mut block, "qkv projection", Gathered::Input, (self.rows, outputs, self.hidden));
        }
        self.norm_output(&mut block, Matrices::Attention);
        let rotary = self.elementwise(self.rows * rotated * 2.0 * HALF);
        block.forward.stream(ROTARY, Role::Itself, rotary);
        block.backward.stream(ROTARY, Role::Itself, rotary);
        block.forward.kernels += 2.0;
        block.backward.kernels += 2.0;

        if model.has(SmallParameter::QkNorm) || model.has(SmallParameter::QkNormAllHeads) {
            let bytes = self.rows * (heads + kv_heads) * qk_dim * 2.0 * HALF;
            block.forward.stream(QK_NORM, Role::Itself, self.elementwise(bytes));
            block.backward.stream(QK_NORM, Role::Itself, self.elementwise(2.0 * bytes));
            block.forward.kernels += 2.0;
            block.backward.kernels += 2.0;
        }
        let (forward, backward) =
            self.core_attention(&mut block.context, heads, kv_heads, (qk_dim, v_dim))?;
        block.forward = block.forward.plus(&forward);
        block.backward = block.backward.plus(&backward);
        let queries_keys_values = self.rows * (heads * qk_dim + kv_heads * (qk_dim + v_dim));
        let output = self.rows * heads * v_dim;
        // Fused attention keeps its inputs and output, in its own number format.
        let bytes = if self.job.attention == AttentionKernel::FusedFp8 { 1.0 } else { HALF };
        let projected_input = self.kept_input(Matrices::Attention, output);
        block.kept += queries_keys_values * bytes + projected_input;
        if model.mla.is_some() {
            let pass = Pass::one_stream(ROTARY, 2.0, rotary);
            block.piece(Piece::LatentProjections, pass, queries_keys_values * bytes);
        }
        // Attention's own copy of its output, where the projection keeps it in 8 bits; adapters read it in 16.
        let own = if self.job.casts() && self.job.task != Task::Lora { output * bytes } else { 0.0 };
        let scores = self.scores_bytes(heads);
        block.kept += own + scores;
        block.piece(Piece::CoreAttention, forward.clone(), own + scores);
        let mut projected = Block::default();
        let sizes = (self.rows, self.hidden, heads * v_dim);
        self.linear(&mut projected, "attention output projection", Gathered::Output, sizes);
        // Done again from the queries, keys and values on, neither the projection's input is kept nor the residual stream
        // behind it.
        let freed = own + scores + projected_input + self.local_rows * self.hidden * HALF;
        block.piece(Piece::AttentionOutput, forward.plus(&projected.forward), freed);
        block.add(&projected);
        // Latents are gathered, not what they are projected from (the query's is, where it has none).
        let input = model.mla.map_or(self.hidden, |mla| {
            let query = if mla.q_lora_rank > 0 { f64::from(mla.q_lora_rank) } else { self.hidden };
            query + f64::from(mla.kv_lora_rank) + f64::from(mla.qk_rope_head_dim)
        });
        self.exchange_around(&mut block, Half::Mixing, Widths { input, output: self.hidden })?;
        Some(block)
    }

    /// Bytes of the probabilities that unfused attention keeps for its backward pass.
    fn scores_bytes(&self, heads: f64) -> f64 {
        if self.job.keeps_scores() { self.rows * self.job.sequence * heads * HALF } else { 0.0 }
    }

    /// Attention between its projections, forward and backward.
    fn core_attention<L: Ledger>(
        &self,
        context: &mut Volume,
        heads: f64,
        kv_heads: f64,
        (qk_dim, v_dim): (f64, f64),
    ) -> Option<(Pass<L>, Pass<L>)> {
        let (mut forward, mut backward) = (Pass::default(), Pass::default());
        let Job { architecture, sequence, .. } = self.job;
        let cp = f64::from(self.cut.cp);
        // Cut over context parallel ranks in zigzag, every rank has the same share of the causal triangle: half of all keys for
        // each of its queries, at both ends of the sequence. Unfused attention computes every score.
        let zigzag = cp > 1.0 && self.job.attention != AttentionKernel::Unfused;
        // Around a ring, one rank's keys and values after the other.
        let hops = if zigzag && !self.job.software.context_gather { cp } else { 1.0 };
        let shape = AttentionShape {
            batch: f64::from(self.cut.micro_batch),
            queries: *sequence / cp,
            keys: if zigzag { 0.5 * *sequence / hops } else { *sequence },
            heads,
            kv_heads: kv_heads.max(1.0),
            qk_dim,
            v_dim,
            causal: !zigzag,
        };
        let layers = f64::from(architecture.attention_layers()).max(1.0);
        let one = attention_costs(self.job, &shape);
        let mut costs = (one.0.times(hops), one.1.times(hops));
        let banded =
            |window: u32| f64::from(window) < *sequence && self.job.attention != AttentionKernel::Unfused;
        if let Some(local) = architecture.sliding_window.filter(|w| banded(w.window)) {
            let window = f64::from(local.window);
            // A band of `window` keys for each query, less the corner at the start.
            let band =
                AttentionShape { keys: window * (1.0 - 0.5 * window / *sequence), causal: false, ..shape };
            let full = f64::from(local.full_layers) / layers;
            let local = attention_costs(self.job, &band);
            costs = (mixed(full, &costs.0, &local.0), mixed(full, &costs.1, &local.1));
        }
        forward.attend("attention", self.sustained(costs.0));
        backward.attend("attention", self.sustained(costs.1));
        forward.kernels += hops;
        backward.kernels += 2.0 * hops;
        if hops > 1.0 {
            // Each hop's partial result is weighed and added to the sum, the gradients of queries, keys and values backward:
            // two read and one written, of half of the hops behind the first for half of the rows (zigzag).
            let sums = self.rows * (1.0 + 0.75 * (hops - 1.0)) * 3.0 * HALF;
            let gradients = heads * qk_dim + kv_heads * (qk_dim + v_dim);
            forward.stream(PARTIAL, Role::Itself, self.job.device.memory_bound_cost(sums * heads * v_dim));
            backward.stream(PARTIAL, Role::Itself, self.job.device.memory_bound_cost(sums * gradients));
            forward.kernels += hops;
            backward.kernels += 2.0 * hops;
        }
        if self.cut.cp > 1 {
            *context = self.exchange_keys(&mut forward, &mut backward, kv_heads * (qk_dim + v_dim))?;
        }
        Some((forward, backward))
    }

    /// Keys and values of the other ranks, forward and again backward, and their gradients: gathered before the attention,
    /// or passed on under it. `width` of a token's keys and values.
    fn exchange_keys<L: Ledger>(
        &self,
        forward: &mut Pass<L>,
        backward: &mut Pass<L>,
        width: f64,
    ) -> Option<Volume> {
        let Job { sequence, topology, software, .. } = self.job;
        let bytes = f64::from(self.cut.micro_batch) * *sequence * width * HALF;
        let group = Group { ranks: self.cut.cp, stride: self.cut.tp };
        let time = collective_time(CollectiveOp::AllGather, bytes, group, topology)?;
        // Under the attention, the first of cp parts is local; the last hop cannot hide.
        let first = time.seconds / f64::from(self.cut.cp);
        let waited = |seconds: f64, attention: f64| {
            if software.context_gather { seconds } else { (seconds - attention).max(first) }
        };
        let (there, back) =
            (waited(time.seconds, forward.attention), waited(2.0 * time.seconds, backward.attention));
        forward.context_exchange(KEYS_VALUES, 1.0, &time, there);
        backward.context_exchange(KEYS_VALUES, 2.0, &time, back);
        Some(Volume::of(&time, bytes, 3.0))
    }
}

/// The mean of layers with full attention, a share of `full`, and of layers with a window, where that is faster.
fn mixed(full: f64, whole: &Cost, banded: &Cost) -> Cost {
    let local = if banded.seconds < whole.seconds { banded } else { whole };
    whole.times(full).plus(&local.times(1.0 - full))
}
