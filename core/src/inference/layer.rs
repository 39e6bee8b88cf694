//! Kernels and exchanges of one layer, as an engine runs them.

use super::cut::{Cut, Mla, Moe};
use super::iteration::{ServingModel, Work};
use super::operation::{Listener, ServingPart, Told};
use crate::kernel::{AttentionShape, ExpertShape};
use crate::model::Precision;
use crate::network::{
    CollectiveOp, ExpertExchange, ExpertKernel, collective_time, domains_of, expert_all_to_all_time,
};

/// Names of the products of the experts that every token visits.
const SHARED: [&str; 2] = ["shared experts up", "shared experts down"];

impl ServingModel<'_> {
    pub(super) fn gemm(&self, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.grouped_gemm(1.0, m, n, k, precision)
    }

    fn grouped_gemm(&self, groups: f64, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.device.grouped_gemm(groups, m, n, k, precision)
            - self.hidden_share() * self.device.gemm_fixed_seconds()
            + self.unpack_seconds(2.0 * groups * m * n * k, precision)
    }

    /// Seconds that unpacking weights in the vector units adds to products of `flop` operations; 0 where the GPU computes in the weights'
    /// format.
    fn unpack_seconds(&self, flop: f64, precision: Precision) -> f64 {
        if self.device.stores_only(precision) {
            self.engine.unpack * flop / self.vector_flop_per_s
        } else {
            0.0
        }
    }

    /// Seconds of a matrix product m × n × k, told as one of each of `layers`.
    pub(super) fn product(
        &self,
        name: &'static str,
        layers: f64,
        (m, n, k): (f64, f64, f64),
        precision: Precision,
        to: &mut impl Listener,
    ) -> f64 {
        self.products(name, layers, (1.0, m, n, k), precision, to)
    }

    /// Seconds of `groups` products in one kernel, told as one of each of `layers`.
    fn products(
        &self,
        name: &'static str,
        layers: f64,
        (groups, m, n, k): (f64, f64, f64, f64),
        precision: Precision,
        to: &mut impl Listener,
    ) -> f64 {
        let seconds = self.grouped_gemm(groups, m, n, k, precision);
        to.hear(|| {
            let cost = self.device.grouped_gemm_cost(groups, m, n, k, precision);
            Told::kernel(name, ServingPart::Matmul, layers, seconds, cost)
        });
        seconds
    }

    /// Share of a kernel's fixed time that an engine saves; negative where it adds.
    fn hidden_share(&self) -> f64 {
        1.0 - self.engine.fixed_share
    }

    /// Projections of one layer, attention of all layers, for token rows of decode and of all.
    pub(super) fn attention_layer(
        &self,
        cut: &Cut,
        work: &Work,
        (decoded, rows): (f64, f64),
        to: &mut impl Listener,
    ) -> (f64, f64) {
        let s = &self.sizes;
        let p = self.formats.dense;
        let mut one = |name, n: f64, k: f64| self.product(name, s.layers, (rows, n, k), p, to);
        match s.mla {
            None => {
                let qkv = one("qkv projection", (cut.heads + 2.0 * cut.kv_heads) * s.head_dim, s.hidden);
                let out = one("attention output projection", s.hidden, cut.heads * s.head_dim);
                let attention = self.attention(cut, work, cut.kv_heads, (s.head_dim, s.head_dim), None, to);
                (qkv + out, attention)
            }
            Some(mla) => {
                let down =
                    one("query and latent down projection", mla.q_lora + mla.kv_lora + mla.rope, s.hidden);
                let q_from = if mla.q_lora > 0.0 { mla.q_lora } else { s.hidden };
                let out = one("attention output projection", s.hidden, cut.heads * mla.v);
                let mut linear =
                    down + out + one("query up projection", cut.heads * (mla.nope + mla.rope), q_from);
                if work.sequences > 0.0 {
                    // Decode: the key and value projections are absorbed into queries and outputs, head by head.
                    let mut absorbed = |name, n: f64, k: f64| {
                        self.products(name, s.layers, (cut.heads, decoded, n, k), Precision::Bf16, to)
                    };
                    linear += absorbed("absorbed key projection", mla.kv_lora, mla.nope)
                        + absorbed("absorbed value projection", mla.v, mla.kv_lora);
                }
                if work.prompt_tokens > 0.0 {
                    // Of tokens found in the cache only the latent is: keys and values are made anew.
                    let rows = work.prompt_tokens / self.prefix.unread(1.0);
                    let shape = (rows, cut.heads * (mla.nope + mla.v), mla.kv_lora);
                    linear += self.product("key and value up projection", s.layers, shape, p, to);
                }
                let attention =
                    self.attention(cut, work, cut.heads, (mla.nope + mla.rope, mla.v), Some(mla), to);
                (linear, attention)
            }
        }
    }

    /// Attention of all layers: decode over the cache, prompts causally; local layers see their window only.
    fn attention(
        &self,
        cut: &Cut,
        work: &Work,
        prompt_kv_heads: f64,
        (qk_dim, v_dim): (f64, f64),
        mla: Option<Mla>,
        to: &mut impl Listener,
    ) -> f64 {
        let s = &self.sizes;
        let mut seconds = 0.0;
        for (layers, window) in [(s.full_layers, f64::INFINITY), (s.local_layers, s.window)] {
            if layers <= 0.0 {
                continue;
            }
            if work.sequences > 0.0 {
                let (qk, v) = mla.map_or((qk_dim, v_dim), |m| (m.kv_lora + m.rope, m.kv_lora));
                let kv_bytes = self.formats.kv_bytes;
                let shape = AttentionShape {
                    batch: work.sequences,
                    queries: self.tokens_per_sequence(),
                    keys: work.keys.min(window),
                    heads: cut.heads,
                    kv_heads: cut.kv_heads,
                    qk_dim: qk,
                    v_dim: v,
                    causal: false,
                };
                let whole = match mla {
                    None => self.device.attention_decode(&shape, kv_bytes),
                    Some(_) => self.device.attention_decode_latent(&shape, kv_bytes),
                };
                let fixed = self.device.constants().decode_fixed_us * 1e-6;
                let each = whole - self.hidden_share() * fixed;
                seconds += layers * each;
                to.hear(|| {
                    let cost = match mla {
                        None => self.device.attention_decode_cost(&shape, kv_bytes),
                        Some(_) => self.device.attention_decode_latent_cost(&shape, kv_bytes),
                    };
                    let name = if window.is_finite() {
                        "attention over a window of the cache"
                    } else {
                        "attention over the cache"
                    };
                    Told::kernel(name, ServingPart::Attention, layers, each, cost)
                });
            }
            if work.prompt_tokens > 0.0 {
                let length = work.prompt_length.max(1.0);
                let queries = self.prefix.unread(length);
                let prompts = work.prompt_tokens / queries;
                // A chunk of a longer prompt does its share of the whole prompt's attention.
                let shape = AttentionShape {
                    batch: prompts.max(1.0),
                    queries,
                    keys: length.min(window),
                    heads: cut.heads,
                    kv_heads: prompt_kv_heads,
                    qk_dim,
                    v_dim,
                    causal: length <= window,
                };
                let whole = self.device.attention_prefill(&shape);
                seconds += layers * whole * prompts.min(1.0);
                to.hear(|| {
                    let cost = self.device.attention_prefill_cost(&shape);
                    let name = if window.is_finite() {
                        "attention of prompts over a window"
                    } else {
                        "attention of prompts"
                    };
                    Told::kernel(name, ServingPart::Attention, layers * prompts.min(1.0), whole, cost)
                });
            }
        }
        seconds
    }

    /// Seconds of one feed-forward layer, told under these names as one of each of so many layers.
    pub(super) fn feed_forward(
        &self,
        rows: f64,
        width: f64,
        precision: Precision,
        (names, layers): ([&'static str; 2], f64),
        to: &mut impl Listener,
    ) -> f64 {
        let s = &self.sizes;
        self.product(names[0], layers, (rows, s.up * width, s.hidden), precision, to)
            + self.product(names[1], layers, (rows, s.hidden, width), precision, to)
    }

    /// Products, exchange and sums of one layer of experts.
    ///
    /// Only the experts that a token touches are read ([`Moe::touched`]). Token rows are those of decode, and all.
    pub(super) fn expert_layer(
        &self,
        cut: &Cut,
        moe: &Moe,
        work: &Work,
        (decoded, rows): (f64, f64),
        all_reduce: f64,
        to: &mut impl Listener,
    ) -> (f64, f64, f64) {
        let s = &self.sizes;
        let p = self.formats.experts;
        // Attention ranks bring different tokens to the same experts.
        let tokens = (cut.dp * (decoded * work.busy + work.prompt_tokens * work.reading)).max(rows);
        let touched = moe.touched_on_busiest(cut, tokens, self.engine.expert_scv).max(moe.top_k / cut.ep);
        // All wait for the rank whose experts are sought most.
        let uneven = moe.unevenness(cut, self.engine.expert_scv);
        let experts = ExpertShape {
            tokens,
            rows: (uneven * tokens * moe.top_k / cut.ep).max(touched),
            active_experts: touched,
            hidden: s.hidden,
            intermediate: moe.ffn / cut.expert_tp,
        };
        let fixed = self.device.constants().moe_fixed_us * 1e-6 + 2.0 * self.device.gemm_fixed_seconds();
        let layers = s.moe_layers;
        let router = self.product("router", layers, (rows, moe.experts, s.hidden), Precision::Bf16, to);
        let products = if p == Precision::Nvfp4 && !self.device.stores_only(p) {
            let whole = self.device.moe_ffn(&experts, p);
            (self.engine.expert_fp4_time * whole).max(self.least_expert_seconds(&experts)).min(whole)
        } else {
            let elements = (s.up + 1.0) * experts.hidden * experts.intermediate;
            self.device.moe_ffn(&experts, p) + self.unpack_seconds(2.0 * experts.rows * elements, p)
        };
        let saved = self.hidden_share() * fixed;
        let mut matmul = router - saved + products;
        to.hear(|| {
            let cost = self.device.moe_ffn_cost(&experts, p);
            Told::kernel("experts", ServingPart::Matmul, layers, products - saved, cost)
        });
        let mut shared = 0.0;
        if moe.shared > 0.0 {
            shared = self.feed_forward(rows, moe.shared / cut.tp, p, (SHARED, layers), to);
            matmul += shared;
        }
        if cut.dp <= 1.0 {
            // Every rank has every token already; partial sums meet in the all-reduce.
            return (matmul, 0.0, all_reduce);
        }
        if cut.ep <= 1.0 {
            // Experts cut over all ranks: tokens are gathered before and partial sums scattered after.
            let bytes = 2.0 * tokens * s.hidden;
            let mut time = |name, op| {
                let time = collective_time(op, bytes, cut.stage_group, &self.topology);
                to.hear(|| Told::sent(name, ServingPart::AllToAll, layers, time));
                time.map_or(f64::INFINITY, |t| t.seconds)
            };
            let gathered = time("all-gather of tokens", CollectiveOp::AllGather);
            return (matmul, gathered + time("reduce-scatter of sums", CollectiveOp::ReduceScatter), 0.0);
        }
        let kernel = if work.prompt_tokens > 0.0 { ExpertKernel::Normal } else { ExpertKernel::LowLatency };
        let mut exchange = |name, bytes_per_value: f64, beside: f64| {
            let exchange = ExpertExchange {
                // What the fullest rank sends, or the busiest gets.
                tokens: rows.max(uneven * tokens / cut.dp) / cut.tp,
                bytes_per_token: bytes_per_value * s.hidden,
                experts_per_token: moe.top_k as u32,
                max_domains: moe.model.most_domains(domains_of(cut.ep_group, &self.topology)),
                kernel,
            };
            let mut time = expert_all_to_all_time(&exchange, cut.ep_group, &self.topology);
            if let Some(time) = time.as_mut() {
                time.seconds -= self.engine.exchange_overlap * time.seconds.min(beside);
            }
            to.hear(|| Told::sent(name, ServingPart::AllToAll, layers, time));
            time.map_or(f64::INFINITY, |t| t.seconds)
        };
        // Dispatch in the format in which the products read tokens, combine in 16 bits.
        let dispatched = exchange("dispatch", self.token_bytes(p), 0.0);
        // Behind the product down and the experts that every token visits.
        let beside = if self.engine.fused_sums > 0.0 { products / (s.up + 1.0) + shared } else { 0.0 };
        (matmul, dispatched + exchange("combine", 2.0, beside), 0.0)
    }

    /// Seconds that 4-bit experts take at the data sheet's rates.
    fn least_expert_seconds(&self, experts: &ExpertShape) -> f64 {
        let elements = (self.sizes.up + 1.0) * experts.hidden * experts.intermediate;
        let bytes = experts.active_experts * elements * self.formats.experts.weight_bytes();
        let flop = 2.0 * experts.rows * elements;
        (bytes / self.device.memory_bytes_per_s).max(flop / self.device.peak.fp4)
    }

    /// Seconds of an all-reduce of `seconds` that hide behind the product that it is one kernel with: the mean over attention's
    /// output projection and, in dense layers, the product down.
    pub(super) fn hidden_sum_seconds(&self, cut: &Cut, rows: f64, seconds: f64) -> f64 {
        let s = &self.sizes;
        let p = self.formats.dense;
        let out = self.gemm(rows, s.hidden, cut.heads * s.mla.map_or(s.head_dim, |m| m.v), p);
        let down = self.gemm(rows, s.hidden, s.ffn / cut.tp, p);
        let hidden = s.layers * out.min(seconds) + s.dense_layers * down.min(seconds);
        self.engine.exchange_overlap * hidden / (s.layers + s.dense_layers)
    }

    /// Bytes that operations without matrix units move for one row through all layers.
    pub(super) fn moved_bytes(&self, cut: &Cut) -> f64 {
        let s = &self.sizes;
        // Two norms, each reading and writing the row and the residual; rotary embedding; the cache written.
        let heads = (cut.heads + 2.0 * cut.kv_heads) * s.head_dim;
        let mut bytes = s.layers * (16.0 * s.hidden + 4.0 * heads);
        // Activation: reads what the first product wrote, writes the second's input.
        bytes += s.dense_layers * 2.0 * (s.up + 1.0) * s.ffn / cut.tp;
        bytes
    }

    /// Bytes of a value of the tokens that products of this format read, scales left out from 8 bits on.
    fn token_bytes(&self, precision: Precision) -> f64 {
        match precision {
            Precision::Fp8 | Precision::Fp8Blockwise | Precision::Mxfp8
                if !self.device.stores_only(precision) =>
            {
                1.0
            }
            _ => self.device.activation_bytes(precision),
        }
    }
}
