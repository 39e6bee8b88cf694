//! Seconds of one engine iteration: decode steps and prompt chunks from the same operations.

use crate::catalog::Gpu;
use crate::error::Error;
use crate::kernel::{AttentionShape, Device, ExpertShape};
use crate::model::{Architecture, Precision};
use crate::network::{
    CollectiveOp, ExpertExchange, ExpertKernel, Topology, collective_time, engine_all_reduce_time,
    expert_all_to_all_time,
};
use crate::quantity::GIB;

use super::cut::{Cut, Formats, Mla, Moe, Sizes};
use super::{EngineConstants, IterationParts, ServingLayout};

/// A model on a GPU and its links, ready for the hot path: no allocation from here on.
#[derive(Debug, Clone, PartialEq)]
pub struct ServingModel<'a> {
    pub(crate) arch: &'a Architecture,
    pub(crate) sizes: Sizes,
    pub(crate) formats: Formats,
    device: Device,
    topology: Topology,
    pub(crate) memory_bytes: f64,
    pub(crate) engine: EngineConstants,
    /// Squared coefficients of variation of prompts and answers, where they are known.
    pub(crate) spread: Option<(f64, f64)>,
}

/// A layout found legal for a [`ServingModel`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LegalLayout {
    pub(crate) layout: ServingLayout,
    pub(crate) cut: Cut,
}

/// What one iteration works on, for each attention rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Work {
    /// Sequences that get a new token.
    pub sequences: f64,
    /// Their mean length.
    pub keys: f64,
    /// Prompt tokens read.
    pub prompt_tokens: f64,
    /// Length of the prompts that they belong to.
    pub prompt_length: f64,
    /// Share of the attention ranks that have sequences.
    pub busy: f64,
    /// Share of the attention ranks that read prompt tokens now; the slowest rank does.
    pub reading: f64,
}

/// Memory-bound kernels of a layer besides the activation: two norms (residual and quantisation fused), rotary embedding
/// with the write to the cache.
const SMALL_KERNELS: f64 = 3.0;

impl<'a> ServingModel<'a> {
    /// The model `arch` in `precision` on `gpu` with these links.
    ///
    /// # Errors
    /// `Unsupported` for an architecture that this version cannot price, and for a precision for which the GPU has no
    /// matrix units.
    pub fn new(
        arch: &'a Architecture,
        gpu: &Gpu,
        topology: &Topology,
        precision: Precision,
        kv_precision: Option<Precision>,
    ) -> Result<Self, Error> {
        Self::with_engine(EngineConstants::shipped(), arch, gpu, topology, precision, kv_precision)
    }

    /// [`ServingModel::new`] with other engine constants: for fitting.
    ///
    /// # Errors
    /// As [`ServingModel::new`].
    pub fn with_engine(
        engine: &EngineConstants,
        arch: &'a Architecture,
        gpu: &Gpu,
        topology: &Topology,
        precision: Precision,
        kv_precision: Option<Precision>,
    ) -> Result<Self, Error> {
        if let Some(reason) = &arch.unsupported {
            return Err(Error::Unsupported {
                field: "model".to_owned(),
                given: arch.name.clone(),
                reason: reason.clone(),
            });
        }
        if arch.state_space.is_some() {
            return Err(Error::Unsupported {
                field: "model".to_owned(),
                given: arch.name.clone(),
                reason: "serving with state-space layers, whose states are cached instead of keys and values, is not \
                         priced yet"
                    .to_owned(),
            });
        }
        let device = Device::new(gpu)?;
        device.peak_flop_per_s("precision", precision)?;
        Ok(Self {
            arch,
            sizes: Sizes::new(arch),
            formats: Formats::new(arch, precision, kv_precision),
            device,
            topology: *topology,
            memory_bytes: gpu.memory_gib * GIB,
            engine: *engine,
            spread: None,
        })
    }

    /// The same model serving prompts and answers whose lengths spread so: squared coefficients of variation (variance over
    /// squared mean). Without it random arrivals have the engine's `length_scv`, closed loops none.
    #[must_use]
    pub fn with_spread(mut self, input: f64, output: f64) -> Self {
        self.spread = Some((input, output));
        self
    }

    /// The layout, if this model can be cut so over these links.
    ///
    /// # Errors
    /// `OutOfRange`, `Indivisible` or `Conflict`, with the path of the field under `layout`.
    pub fn layout(&self, layout: ServingLayout) -> Result<LegalLayout, Error> {
        let cut = Cut::new(self.arch, &layout)?;
        cut.check_links(&self.topology)?;
        Ok(LegalLayout { layout, cut })
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.arch.name
    }

    /// Bytes of weights on one GPU.
    pub(crate) fn weight_bytes(&self, cut: &Cut) -> f64 {
        let s = &self.sizes;
        let dense = self.formats.dense.weight_bytes();
        let experts = self.formats.experts.weight_bytes();
        let attention = match s.mla {
            Some(mla) => mla.fixed_weights(s.hidden) + mla.head_weights(s) * cut.heads,
            None => s.hidden * s.head_dim * 2.0 * (cut.heads + cut.kv_heads),
        };
        let ffn = (s.up + 1.0) * s.hidden * s.ffn / cut.tp;
        let mut bytes = s.layers * attention * dense + s.dense_layers * ffn * dense;
        if let Some(moe) = s.moe {
            let expert = (s.up + 1.0) * s.hidden * moe.ffn / cut.expert_tp;
            let shared = (s.up + 1.0) * s.hidden * moe.shared / cut.tp;
            let router = 2.0 * s.hidden * moe.experts;
            bytes += s.moe_layers * ((expert * moe.experts / cut.ep + shared) * experts + router);
        }
        // Embeddings stay in 16 bits; with pipeline stages the worst one holds one of the two.
        let tables = if s.tied || cut.pp > 1.0 { 1.0 } else { 2.0 };
        bytes / cut.pp + tables * 2.0 * s.vocab * s.hidden / cut.tp
    }

    /// Bytes of KV cache of one sequence of `tokens` on one GPU, all pipeline stages' streams counted.
    pub(crate) fn kv_bytes(&self, cut: &Cut, tokens: f64) -> f64 {
        let s = &self.sizes;
        let element = match s.mla {
            Some(mla) => mla.kv_lora + mla.rope,
            None => 2.0 * cut.kv_heads * s.head_dim,
        };
        let positions = s.full_layers * tokens + s.local_layers * tokens.min(s.window);
        positions * element * self.formats.kv_bytes
    }

    /// Seconds of one iteration through all layers, by part.
    pub(crate) fn iteration(&self, cut: &Cut, work: &Work) -> IterationParts {
        let s = &self.sizes;
        let rows = work.sequences + work.prompt_tokens;
        let mut parts = IterationParts::default();
        let (linear, attention) = self.attention_layer(cut, work, rows);
        parts.matmul_seconds += s.layers * linear;
        parts.attention_seconds += attention;

        let all_reduce = if cut.tp > 1.0 {
            // Half precision sums, whatever the products' format.
            let bytes = 2.0 * rows * s.hidden;
            engine_all_reduce_time(bytes, cut.tp_group, &self.topology).map_or(f64::INFINITY, |t| t.seconds)
        } else {
            0.0
        };
        parts.all_reduce_seconds += s.layers * all_reduce;

        if s.dense_layers > 0.0 {
            let matmul = self.feed_forward(rows, s.ffn / cut.tp, self.formats.dense);
            parts.matmul_seconds += s.dense_layers * matmul;
            parts.all_reduce_seconds += s.dense_layers * all_reduce;
        }
        if let Some(moe) = s.moe
            && s.moe_layers > 0.0
        {
            let (matmul, exchange, sums) = self.expert_layer(cut, &moe, work, rows, all_reduce);
            parts.matmul_seconds += s.moe_layers * matmul;
            parts.all_to_all_seconds += s.moe_layers * exchange;
            parts.all_reduce_seconds += s.moe_layers * sums;
        }

        // One logit row for each sequence with a new token and each prompt that ends here.
        let sampled = work.sequences + work.prompt_tokens / work.prompt_length.max(1.0);
        parts.matmul_seconds += self.gemm(sampled.max(1.0), s.vocab / cut.tp, s.hidden, Precision::Bf16);
        let moved = rows * self.moved_bytes(cut) + sampled * s.vocab / cut.tp * 4.0 * 3.0;
        let small = s.layers * SMALL_KERNELS + s.dense_layers;
        parts.memory_bound_seconds += self.device.memory_bound(moved)
            + small * self.engine.fixed_share * self.device.memory_fixed_seconds();

        if cut.pp > 1.0 {
            let bytes = 2.0 * rows * s.hidden / cut.tp;
            let send = collective_time(CollectiveOp::SendRecv, bytes, cut.pp_group, &self.topology)
                .map_or(f64::INFINITY, |t| t.seconds);
            parts.pipeline_seconds += (cut.pp - 1.0) * send;
        }

        let factor = self.engine.gpu_time_factor;
        parts.matmul_seconds *= factor;
        parts.attention_seconds *= factor;
        parts.memory_bound_seconds *= factor;
        parts.engine_seconds = self.engine.iteration_s + self.engine.sequence_s * sampled * cut.pp;
        parts.total_seconds = parts.matmul_seconds
            + parts.attention_seconds
            + parts.memory_bound_seconds
            + parts.all_reduce_seconds
            + parts.all_to_all_seconds
            + parts.pipeline_seconds
            + parts.engine_seconds;
        parts
    }

    /// Seconds of a matrix product with its fixed time inside an engine.
    fn gemm(&self, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.grouped_gemm(1.0, m, n, k, precision)
    }

    fn grouped_gemm(&self, groups: f64, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.device.grouped_gemm(groups, m, n, k, precision)
            - self.hidden_share() * self.device.gemm_fixed_seconds()
    }

    /// Share of a kernel's fixed time that an engine saves; negative where it adds.
    fn hidden_share(&self) -> f64 {
        1.0 - self.engine.fixed_share
    }

    /// Projections of one layer, attention of all layers.
    fn attention_layer(&self, cut: &Cut, work: &Work, rows: f64) -> (f64, f64) {
        let s = &self.sizes;
        let d = self;
        let p = self.formats.dense;
        let out = |v: f64| d.gemm(rows, s.hidden, cut.heads * v, p);
        match s.mla {
            None => {
                let qkv = d.gemm(rows, (cut.heads + 2.0 * cut.kv_heads) * s.head_dim, s.hidden, p);
                let attention = self.attention(cut, work, cut.kv_heads, s.head_dim, s.head_dim, None);
                (qkv + out(s.head_dim), attention)
            }
            Some(mla) => {
                let down = d.gemm(rows, mla.q_lora + mla.kv_lora + mla.rope, s.hidden, p);
                let q_from = if mla.q_lora > 0.0 { mla.q_lora } else { s.hidden };
                let mut linear =
                    down + out(mla.v) + d.gemm(rows, cut.heads * (mla.nope + mla.rope), q_from, p);
                if work.sequences > 0.0 {
                    // Decode: the key and value projections are absorbed into queries and outputs, head by head.
                    linear +=
                        d.grouped_gemm(cut.heads, work.sequences, mla.kv_lora, mla.nope, Precision::Bf16)
                            + d.grouped_gemm(cut.heads, work.sequences, mla.v, mla.kv_lora, Precision::Bf16);
                }
                if work.prompt_tokens > 0.0 {
                    linear += d.gemm(work.prompt_tokens, cut.heads * (mla.nope + mla.v), mla.kv_lora, p);
                }
                let attention = self.attention(cut, work, cut.heads, mla.nope + mla.rope, mla.v, Some(mla));
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
        qk_dim: f64,
        v_dim: f64,
        mla: Option<Mla>,
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
                    queries: 1.0,
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
                seconds += layers * (whole - self.hidden_share() * fixed);
            }
            if work.prompt_tokens > 0.0 {
                let length = work.prompt_length.max(1.0);
                let prompts = work.prompt_tokens / length;
                // A chunk of a longer prompt does its share of the whole prompt's attention.
                let shape = AttentionShape {
                    batch: prompts.max(1.0),
                    queries: length,
                    keys: length.min(window),
                    heads: cut.heads,
                    kv_heads: prompt_kv_heads,
                    qk_dim,
                    v_dim,
                    causal: length <= window,
                };
                seconds += layers * self.device.attention_prefill(&shape) * prompts.min(1.0);
            }
        }
        seconds
    }

    fn feed_forward(&self, rows: f64, width: f64, precision: Precision) -> f64 {
        let s = &self.sizes;
        self.gemm(rows, s.up * width, s.hidden, precision) + self.gemm(rows, s.hidden, width, precision)
    }

    /// Products, exchange and sums of one layer of experts.
    ///
    /// With uniform routing, T tokens touch `E(1 − (1 − k/E)^T)` of E experts; only those are read.
    fn expert_layer(&self, cut: &Cut, moe: &Moe, work: &Work, rows: f64, all_reduce: f64) -> (f64, f64, f64) {
        let s = &self.sizes;
        let p = self.formats.experts;
        // Attention ranks bring different tokens to the same experts.
        let tokens = (cut.dp * (work.sequences * work.busy + work.prompt_tokens * work.reading)).max(rows);
        let touched =
            (moe.experts / cut.ep * (1.0 - libm::exp(tokens * moe.ln_unvisited))).max(moe.top_k / cut.ep);
        let experts = ExpertShape {
            tokens,
            rows: tokens * moe.top_k / cut.ep,
            active_experts: touched,
            hidden: s.hidden,
            intermediate: moe.ffn / cut.expert_tp,
        };
        let fixed = self.device.constants().moe_fixed_us * 1e-6 + 2.0 * self.device.gemm_fixed_seconds();
        let mut matmul = self.gemm(rows, moe.experts, s.hidden, Precision::Bf16)
            - self.hidden_share() * fixed
            + if p == Precision::Nvfp4 {
                let whole = self.device.moe_ffn(&experts, p);
                (self.engine.expert_fp4_time * whole).max(self.least_expert_seconds(&experts)).min(whole)
            } else {
                self.device.moe_ffn(&experts, p)
            };
        if moe.shared > 0.0 {
            matmul += self.feed_forward(rows, moe.shared / cut.tp, p);
        }
        if cut.dp <= 1.0 {
            // Every rank has every token already; partial sums meet in the all-reduce.
            return (matmul, 0.0, all_reduce);
        }
        if cut.ep <= 1.0 {
            // Experts cut over all ranks: tokens are gathered before and partial sums scattered after.
            let bytes = 2.0 * tokens * s.hidden;
            let time = |op| {
                collective_time(op, bytes, cut.stage_group, &self.topology)
                    .map_or(f64::INFINITY, |t| t.seconds)
            };
            return (matmul, time(CollectiveOp::AllGather) + time(CollectiveOp::ReduceScatter), 0.0);
        }
        let kernel = if work.prompt_tokens > 0.0 { ExpertKernel::Normal } else { ExpertKernel::LowLatency };
        let exchange = |bytes_per_value: f64| {
            let exchange = ExpertExchange {
                tokens: rows / cut.tp,
                bytes_per_token: bytes_per_value * s.hidden,
                experts_per_token: moe.top_k as u32,
                max_domains: None,
                kernel,
            };
            expert_all_to_all_time(&exchange, cut.ep_group, &self.topology)
                .map_or(f64::INFINITY, |t| t.seconds)
        };
        // Dispatch in the products' format (16 or 8 bits), combine in 16.
        (matmul, exchange(p.weight_bytes().clamp(1.0, 2.0)) + exchange(2.0), 0.0)
    }

    /// Seconds that 4-bit experts take at the data sheet's rates.
    fn least_expert_seconds(&self, experts: &ExpertShape) -> f64 {
        let elements = (self.sizes.up + 1.0) * experts.hidden * experts.intermediate;
        let bytes = experts.active_experts * elements * Precision::Nvfp4.weight_bytes();
        let flop = 2.0 * experts.rows * elements;
        (bytes / self.device.memory_bytes_per_s).max(flop / self.device.peak.fp4)
    }

    /// Bytes that operations without matrix units move for one row through all layers.
    fn moved_bytes(&self, cut: &Cut) -> f64 {
        let s = &self.sizes;
        // Two norms, each reading and writing the row and the residual; rotary embedding; the cache written.
        let heads = (cut.heads + 2.0 * cut.kv_heads) * s.head_dim;
        let mut bytes = s.layers * (16.0 * s.hidden + 4.0 * heads);
        // Activation: reads what the first product wrote, writes the second's input.
        bytes += s.dense_layers * 2.0 * (s.up + 1.0) * s.ffn / cut.tp;
        bytes
    }
}

impl Mla {
    fn fixed_weights(&self, hidden: f64) -> f64 {
        hidden * (self.q_lora + self.kv_lora + self.rope)
    }

    fn head_weights(&self, s: &Sizes) -> f64 {
        let q_from = if self.q_lora > 0.0 { self.q_lora } else { s.hidden };
        q_from * (self.nope + self.rope) + self.kv_lora * (self.nope + self.v) + s.hidden * self.v
    }
}
