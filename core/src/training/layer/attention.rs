//! Self-attention: projections, rotary embedding, the attention itself, exchange of keys and values.

use super::{Block, Gathered, HALF, Pass, Rank, Volume};
use crate::kernel::{AttentionShape, Cost};
use crate::model::SmallParameter;
use crate::network::{CollectiveOp, Group, collective_time};
use crate::training::job::Job;
use crate::training::ledger::{Ledger, Role};
use crate::training::recompute::Piece;
use crate::training::software::{AttentionKernel, attention_costs};

const ROTARY: &str = "rotary embedding";
const QK_NORM: &str = "query and key norm";
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
            block.kept += self.kept_input(self.local_rows * (q_rank + kv_rank + rope));
        } else {
            qk_dim = f64::from(model.head_dim);
            v_dim = qk_dim;
            kv_heads = f64::from(model.kv_heads) / self.tp;
            rotated = (heads + kv_heads) * qk_dim;
            let outputs = (heads + 2.0 * kv_heads) * qk_dim;
            self.linear(&mut block, "qkv projection", Gathered::Input, (self.rows, outputs, self.hidden));
        }
        self.norm_output(&mut block);
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
        block.kept += queries_keys_values * bytes + self.kept_input(output);
        if model.mla.is_some() {
            let pass = Pass::one_stream(ROTARY, 2.0, rotary);
            block.piece(Piece::LatentProjections, pass, queries_keys_values * bytes);
        }
        // Attention's own copy of its output, where the projection keeps it in 8 bits.
        let own = if self.job.casts() { output * bytes } else { 0.0 };
        let scores = self.scores_bytes(heads);
        block.kept += own + scores;
        block.piece(Piece::CoreAttention, forward.clone(), own + scores);
        let mut projected = Block::default();
        let sizes = (self.rows, self.hidden, heads * v_dim);
        self.linear(&mut projected, "attention output projection", Gathered::Output, sizes);
        // Done again from the queries, keys and values on, neither the projection's input is kept nor the residual stream
        // behind it.
        let freed = own + scores + self.kept_input(output) + self.local_rows * self.hidden * HALF;
        block.piece(Piece::AttentionOutput, forward.plus(&projected.forward), freed);
        block.add(&projected);
        self.exchange_around(&mut block)?;
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
        let mut costs = attention_costs(self.job, &shape);
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
        forward.kernels += 1.0;
        backward.kernels += 2.0;
        if self.cut.cp > 1 {
            // Keys and values of the other ranks pass by, their gradients return in the backward pass.
            let bytes = f64::from(self.cut.micro_batch) * *sequence * kv_heads * (qk_dim + v_dim) * HALF;
            let group = Group { ranks: self.cut.cp, stride: self.cut.tp };
            let time = collective_time(CollectiveOp::AllGather, bytes, group, topology)?;
            // The first of cp parts is local; the last hop cannot hide.
            let first = time.seconds / cp;
            let waited = (time.seconds - forward.attention).max(first);
            forward.context_exchange(KEYS_VALUES, 1.0, &time, waited);
            let waited = (2.0 * time.seconds - backward.attention).max(first);
            backward.context_exchange(KEYS_VALUES, 2.0, &time, waited);
            *context = Volume::of(&time, bytes, 3.0);
        }
        Some((forward, backward))
    }
}

/// The mean of layers with full attention, a share of `full`, and of layers with a window, where that is faster.
fn mixed(full: f64, whole: &Cost, banded: &Cost) -> Cost {
    let local = if banded.seconds < whole.seconds { banded } else { whole };
    whole.times(full).plus(&local.times(1.0 - full))
}
