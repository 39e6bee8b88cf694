//! Seconds of one engine iteration: decode steps and prompt chunks from the same operations.

use crate::catalog::Gpu;
use crate::error::Error;
use crate::kernel::{AttentionShape, Bound, Device, ExpertShape};
use crate::model::{Architecture, Precision};
use crate::network::{
    CollectiveOp, ExpertExchange, ExpertKernel, Topology, collective_time, domains_of,
    engine_all_reduce_time, expert_all_to_all_time,
};
use crate::quantity::GIB;

use super::cut::{Cut, Formats, Mla, Moe, Sizes};
use super::operation::{Listener, ServingIteration, ServingOperation, ServingPart, Spent, Told};
use super::prefix::Prefix;
use super::speculation::Drafter;
use super::steady::SteadyState;
use super::{EngineConstants, IterationParts, ServingLayout};

/// A model on a GPU and its links, ready for the hot path: no allocation from here on.
#[derive(Debug, Clone, PartialEq)]
pub struct ServingModel<'a> {
    pub(crate) arch: &'a Architecture,
    pub(crate) precision: Precision,
    pub(crate) sizes: Sizes,
    pub(crate) formats: Formats,
    device: Device,
    pub(super) topology: Topology,
    pub(crate) memory_bytes: f64,
    pub(crate) engine: EngineConstants,
    /// What drafts tokens for it, if anything does.
    pub(crate) draft: Option<Box<Drafter<'a>>>,
    /// What of a prompt lies in the cache before it is read.
    pub(crate) prefix: Prefix,
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

/// Names of a feed-forward layer's products.
const DENSE: [&str; 2] = ["feed-forward up", "feed-forward down"];
/// Names of the products of the experts that every token visits.
const SHARED: [&str; 2] = ["shared experts up", "shared experts down"];

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
        device.peak_flop_per_s("precision", precision).map_err(|error| weight_only(error, precision))?;
        Ok(Self {
            arch,
            precision,
            sizes: Sizes::new(arch),
            formats: Formats::new(arch, precision, kv_precision),
            device,
            topology: *topology,
            memory_bytes: gpu.memory_gib * GIB,
            engine: *engine,
            draft: None,
            prefix: Prefix::NONE,
        })
    }

    /// The same model where prompts come with what `prefix` says, and with `draft` ahead of it.
    pub(crate) fn with(mut self, prefix: Prefix, draft: Option<Drafter<'a>>) -> Self {
        self.prefix = prefix;
        self.draft = draft.map(|draft| Box::new(draft.with_prefix(prefix)));
        self
    }

    /// The same model where prompts come read by other GPUs: their keys and values, or states, are sent.
    pub(crate) fn with_prompts_read(&self) -> Self {
        let prefix = Prefix { read_share: 0.0, ..self.prefix };
        self.clone().with(prefix, self.draft.as_deref().cloned())
    }

    /// The layout, if this model can be cut so over these links.
    ///
    /// # Errors
    /// `OutOfRange`, `Indivisible` or `Conflict`, with the path of the field under `layout`.
    pub fn layout(&self, layout: ServingLayout) -> Result<LegalLayout, Error> {
        let cut = Cut::new(self.arch, &layout)?;
        cut.check_links(&self.topology)?;
        if let Some(draft) = &self.draft {
            draft.check(&layout)?;
        }
        Ok(LegalLayout { layout, cut })
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.arch.name
    }

    /// Tokens of a sequence that one decode iteration computes: 1, and one more for each token drafted.
    pub(crate) fn tokens_per_sequence(&self) -> f64 {
        self.draft.as_ref().map_or(1.0, |draft| draft.tokens + 1.0)
    }

    /// Tokens of an answer that one decode iteration gives on average: 1, and what is accepted of those drafted.
    pub(crate) fn accepted_tokens(&self) -> f64 {
        self.draft.as_ref().map_or(1.0, |draft| draft.accepted)
    }

    /// Seconds of one iteration through all layers, by part.
    pub(crate) fn iteration(&self, cut: &Cut, work: &Work) -> IterationParts {
        self.iteration_told(cut, work, &mut ())
    }

    /// The operations of a point's decode iteration; each part's add up to it.
    pub(crate) fn decode_operations(
        &self,
        layout: &LegalLayout,
        state: &SteadyState,
    ) -> Vec<ServingOperation> {
        self.operations(&layout.cut, &state.decode_work, ServingIteration::Decode, 1.0)
    }

    /// The operations of the prefill of one prompt of `input` tokens; each part's add up to it.
    pub(crate) fn prefill_operations(&self, layout: &LegalLayout, input: f64) -> Vec<ServingOperation> {
        let (chunk, chunks) = self.prefill_chunk(layout, input);
        self.operations(&layout.cut, &chunk, ServingIteration::Prefill, chunks)
    }

    fn operations(
        &self,
        cut: &Cut,
        work: &Work,
        iteration: ServingIteration,
        times: f64,
    ) -> Vec<ServingOperation> {
        let mut told: Vec<Told> = Vec::new();
        let parts = self.iteration_told(cut, work, &mut told);
        let factor = self.engine.gpu_time_factor;
        // Of the exchange only what does not hide behind work is waited for.
        let exchange = told.iter().filter(|told| told.part == ServingPart::AllToAll);
        let exchange = exchange.fold(0.0, |sum, told| sum + told.seconds());
        let waited = if exchange > 0.0 { parts.all_to_all_seconds / exchange } else { 1.0 };
        told.iter()
            .filter(|told| told.seconds() > 0.0)
            .map(|told| {
                let rate = self.device.memory_bytes_per_s;
                let mut told = told.in_engine(factor).operation(iteration, times, rate, &self.topology);
                if told.part == ServingPart::AllToAll {
                    told.seconds *= waited;
                }
                told
            })
            .collect()
    }

    /// What an iteration spends its seconds on.
    pub(crate) fn spent(&self, layout: &LegalLayout, work: &Work) -> Spent {
        let mut spent = Spent::new(self.engine.gpu_time_factor);
        let parts = self.iteration_told(&layout.cut, work, &mut spent);
        spent.exchange(parts.all_to_all_seconds);
        spent
    }

    fn iteration_told(&self, cut: &Cut, work: &Work, to: &mut impl Listener) -> IterationParts {
        let s = &self.sizes;
        let rows = work.sequences * self.tokens_per_sequence() + work.prompt_tokens;
        let mut parts = IterationParts::default();
        let (linear, attention) = self.attention_layer(cut, work, rows, to);
        parts.matmul_seconds += s.layers * linear;
        parts.attention_seconds += attention;

        let all_reduce = if cut.tp > 1.0 {
            // Half precision sums, whatever the products' format.
            let bytes = 2.0 * rows * s.hidden;
            let time = engine_all_reduce_time(bytes, cut.tp_group, &self.topology);
            // Behind attention, and behind every feed-forward layer whose partial sums do not meet in an exchange.
            let gathered = if cut.dp > 1.0 { 0.0 } else { s.moe_layers };
            let count = s.layers + s.dense_layers + gathered;
            to.hear(|| Told::sent("all-reduce", ServingPart::AllReduce, count, time));
            time.map_or(f64::INFINITY, |t| t.seconds)
        } else {
            0.0
        };
        parts.all_reduce_seconds += s.layers * all_reduce;

        if s.dense_layers > 0.0 {
            let matmul =
                self.feed_forward(rows, s.ffn / cut.tp, self.formats.dense, (DENSE, s.dense_layers), to);
            parts.matmul_seconds += s.dense_layers * matmul;
            parts.all_reduce_seconds += s.dense_layers * all_reduce;
        }
        if let Some(moe) = s.moe
            && s.moe_layers > 0.0
        {
            let (matmul, exchange, sums) = self.expert_layer(cut, &moe, work, rows, all_reduce, to);
            parts.matmul_seconds += s.moe_layers * matmul;
            parts.all_to_all_seconds += s.moe_layers * exchange;
            parts.all_reduce_seconds += s.moe_layers * sums;
        }

        // One logit row for each new token of a sequence and each prompt that ends here.
        let ended = work.prompt_tokens / self.prefix.unread(work.prompt_length).max(1.0);
        let sampled = work.sequences * self.tokens_per_sequence() + ended;
        let head = (sampled.max(1.0), s.vocab / cut.tp, s.hidden);
        parts.matmul_seconds += self.product("output projection", 1.0, head, Precision::Bf16, to);
        let moved = rows * self.moved_bytes(cut) + sampled * s.vocab / cut.tp * 4.0 * 3.0;
        let small = s.layers * SMALL_KERNELS + s.dense_layers;
        let passes = self.device.memory_bound(moved)
            + small * self.engine.fixed_share * self.device.memory_fixed_seconds();
        parts.memory_bound_seconds += passes;
        to.hear(|| {
            let mut cost = self.device.memory_bound_cost(moved);
            cost.fixed_seconds = passes - cost.memory_seconds;
            Told::kernel("norms, activations, rotary, sampling", ServingPart::MemoryBound, 1.0, passes, cost)
        });

        if cut.pp > 1.0 {
            let bytes = 2.0 * rows * s.hidden / cut.tp;
            let time = collective_time(CollectiveOp::SendRecv, bytes, cut.pp_group, &self.topology);
            to.hear(|| Told::sent("send to the next stage", ServingPart::Pipeline, cut.pp - 1.0, time));
            parts.pipeline_seconds += (cut.pp - 1.0) * time.map_or(f64::INFINITY, |t| t.seconds);
        }

        let factor = self.engine.gpu_time_factor;
        parts.matmul_seconds *= factor;
        parts.attention_seconds *= factor;
        parts.memory_bound_seconds *= factor;
        if cut.ep * f64::from(cut.ep_group.stride) > f64::from(self.topology.scale_up_domain) {
            let work = parts.matmul_seconds + parts.attention_seconds + parts.memory_bound_seconds;
            parts.all_to_all_seconds -= self.engine.exchange_overlap * work.min(parts.all_to_all_seconds);
        }
        parts.engine_seconds =
            self.engine.iteration_s + self.engine.sequence_s * (work.sequences + ended) * cut.pp;
        if work.prompt_tokens > 0.0 {
            // No captured graph: the host starts every kernel, and the GPU waits for it where kernels are short.
            let gpu = parts.matmul_seconds
                + parts.attention_seconds
                + parts.memory_bound_seconds
                + parts.all_reduce_seconds
                + parts.all_to_all_seconds;
            let starts = s.layers * self.engine.launch_layer_s + s.moe_layers * self.engine.launch_experts_s;
            parts.engine_seconds += (starts - gpu).max(0.0);
        }
        let host = parts.engine_seconds;
        to.hear(|| Told::other("engine", ServingPart::Engine, 1.0, host, Bound::Host));
        if let Some(draft) = &self.draft {
            let seconds = draft.seconds(cut, work);
            parts.draft_seconds = seconds;
            let count = if work.sequences > 0.0 { draft.tokens } else { 1.0 };
            to.hear(|| Told::other("draft", ServingPart::Draft, count, seconds / count, Bound::Mixed));
        }
        parts.total_seconds = parts.matmul_seconds
            + parts.attention_seconds
            + parts.memory_bound_seconds
            + parts.all_reduce_seconds
            + parts.all_to_all_seconds
            + parts.pipeline_seconds
            + parts.draft_seconds
            + parts.engine_seconds;
        parts
    }

    /// Seconds of a matrix product with its fixed time inside an engine.
    pub(super) fn gemm(&self, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.grouped_gemm(1.0, m, n, k, precision)
    }

    fn grouped_gemm(&self, groups: f64, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.device.grouped_gemm(groups, m, n, k, precision)
            - self.hidden_share() * self.device.gemm_fixed_seconds()
            + self.unpack_seconds(2.0 * groups * m * n * k, precision)
    }

    /// Seconds that unpacking weights adds to products of `flop` operations; 0 where the GPU computes in the weights'
    /// format.
    fn unpack_seconds(&self, flop: f64, precision: Precision) -> f64 {
        match precision {
            Precision::Int4 | Precision::Int8 => (self.engine.unpack - 1.0) * flop / self.device.peak.half,
            _ => 0.0,
        }
    }

    /// Seconds of a matrix product m × n × k, told as one of each of `layers`.
    fn product(
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

    /// Projections of one layer, attention of all layers.
    fn attention_layer(&self, cut: &Cut, work: &Work, rows: f64, to: &mut impl Listener) -> (f64, f64) {
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
                    let rows = work.sequences * self.tokens_per_sequence();
                    let mut absorbed = |name, n: f64, k: f64| {
                        self.products(name, s.layers, (cut.heads, rows, n, k), Precision::Bf16, to)
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
    fn feed_forward(
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
    /// With uniform routing, T tokens touch `E(1 − (1 − k/E)^T)` of E experts; only those are read.
    fn expert_layer(
        &self,
        cut: &Cut,
        moe: &Moe,
        work: &Work,
        rows: f64,
        all_reduce: f64,
        to: &mut impl Listener,
    ) -> (f64, f64, f64) {
        let s = &self.sizes;
        let p = self.formats.experts;
        // Attention ranks bring different tokens to the same experts.
        let decoded = work.sequences * self.tokens_per_sequence();
        let tokens = (cut.dp * (decoded * work.busy + work.prompt_tokens * work.reading)).max(rows);
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
        let layers = s.moe_layers;
        let router = self.product("router", layers, (rows, moe.experts, s.hidden), Precision::Bf16, to);
        let products = if p == Precision::Nvfp4 {
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
        if moe.shared > 0.0 {
            matmul += self.feed_forward(rows, moe.shared / cut.tp, p, (SHARED, layers), to);
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
        let mut exchange = |name, bytes_per_value: f64| {
            let exchange = ExpertExchange {
                tokens: rows / cut.tp,
                bytes_per_token: bytes_per_value * s.hidden,
                experts_per_token: moe.top_k as u32,
                max_domains: moe.model.most_domains(domains_of(cut.ep_group, &self.topology)),
                kernel,
            };
            let time = expert_all_to_all_time(&exchange, cut.ep_group, &self.topology);
            to.hear(|| Told::sent(name, ServingPart::AllToAll, layers, time));
            time.map_or(f64::INFINITY, |t| t.seconds)
        };
        // Dispatch in the products' format (16 or 8 bits), combine in 16.
        let dispatched = exchange("dispatch", p.weight_bytes().clamp(1.0, 2.0));
        (matmul, dispatched + exchange("combine", 2.0), 0.0)
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

/// The refusal of a format without matrix units, with the format that stores weights so and computes in 16 bits.
fn weight_only(error: Error, precision: Precision) -> Error {
    let stored = match precision {
        Precision::Fp8 | Precision::Fp8Blockwise | Precision::Mxfp8 => "int8",
        Precision::Nvfp4 => "int4",
        _ => return error,
    };
    match error {
        Error::Unsupported { field, given, reason } => Error::Unsupported {
            field,
            given,
            reason: format!("{reason}; {stored} prices weights stored in as many bits and computed in 16"),
        },
        other => other,
    }
}
