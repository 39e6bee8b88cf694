//! Seconds of one engine iteration: decode steps and prompt chunks from the same operations.

use crate::catalog::Gpu;
use crate::error::Error;
use crate::kernel::{Bound, Device};
use crate::model::{Architecture, Precision};
use crate::network::{CollectiveOp, Topology, collective_time, engine_all_reduce_time};
use crate::quantity::GIB;

use super::cut::{Cut, Formats, Sizes};
use super::footprint::Padding;
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
    pub(crate) padding: Padding,
    pub(super) device: Device,
    pub(super) topology: Topology,
    pub(crate) memory_bytes: f64,
    /// FLOP/s of the GPU's vector units in 32 bits.
    pub(super) vector_flop_per_s: f64,
    pub(crate) engine: EngineConstants,
    /// What drafts tokens for it, if anything does.
    pub(crate) draft: Option<Box<Drafter<'a>>>,
    /// What of a prompt lies in the cache before it is read.
    pub(crate) prefix: Prefix,
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

/// Names of a feed-forward layer's products.
const DENSE: [&str; 2] = ["feed-forward up", "feed-forward down"];

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
            padding: Padding::of(precision, gpu),
            device,
            topology: *topology,
            memory_bytes: gpu.memory_gib * GIB,
            vector_flop_per_s: gpu.fp32_tflops * 1e12,
            engine: *engine,
            draft: None,
            prefix: Prefix::NONE,
            spread: None,
        })
    }

    /// The same model with its products beside the experts in `precision`, where a checkpoint or an engine says so.
    #[must_use]
    pub fn with_dense(mut self, precision: Precision) -> Self {
        self.formats.dense = precision;
        self
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

    /// The same model serving prompts and answers whose lengths spread so: squared coefficients of variation (variance over
    /// squared mean). Without it requests that come at random have the engine's `input_scv` and `output_scv`, others none.
    #[must_use]
    pub fn with_spread(mut self, input: f64, output: f64) -> Self {
        self.spread = Some((input, output));
        self
    }

    /// Squared coefficients of variation of prompts and answers that come at random.
    pub(crate) fn random_spread(&self) -> (f64, f64) {
        self.spread.unwrap_or((self.engine.input_scv, self.engine.output_scv))
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

    /// Whether an iteration runs as a captured graph: those that only decode, where the engine captures such batches.
    fn runs_as_graph(&self, work: &Work) -> bool {
        work.prompt_tokens <= 0.0
            && self.engine.decode_graphs > 0.0
            && self.engine.graph_sizes.hold(work.sequences)
    }

    /// Sequences whose tokens an iteration's products compute: in a captured graph those that it is padded to as well.
    fn sequences_computed(&self, work: &Work) -> f64 {
        if self.runs_as_graph(work) { self.engine.graph_sizes.padded(work.sequences) } else { work.sequences }
    }

    fn iteration_told(&self, cut: &Cut, work: &Work, to: &mut impl Listener) -> IterationParts {
        let s = &self.sizes;
        let decoded = self.sequences_computed(work) * self.tokens_per_sequence();
        let rows = decoded + work.prompt_tokens;
        let mut parts = IterationParts::default();
        let (linear, attention) = self.attention_layer(cut, work, (decoded, rows), to);
        parts.matmul_seconds += s.layers * linear;
        parts.attention_seconds += attention;

        let all_reduce = if cut.tp > 1.0 {
            // Half precision sums, whatever the products' format.
            let bytes = 2.0 * rows * s.hidden;
            let mut time = engine_all_reduce_time(bytes, cut.tp_group, &self.topology);
            if let Some(time) = time.as_mut().filter(|_| self.engine.fused_sums > 0.0) {
                time.seconds -= self.hidden_sum_seconds(cut, rows, time.seconds);
            }
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
            let (matmul, exchange, sums) =
                self.expert_layer(cut, &moe, work, (decoded, rows), all_reduce, to);
            parts.matmul_seconds += s.moe_layers * matmul;
            parts.all_to_all_seconds += s.moe_layers * exchange;
            parts.all_reduce_seconds += s.moe_layers * sums;
        }

        // One logit row for each new token of a sequence and each prompt that ends here.
        let ended = work.prompt_tokens / self.prefix.unread(work.prompt_length).max(1.0);
        let sampled = decoded + ended;
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
        if !self.runs_as_graph(work) {
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
}

/// The refusal of a format without matrix units, with the format that stores weights so and computes in 16 bits.
fn weight_only(error: Error, precision: Precision) -> Error {
    let stored = match precision {
        Precision::Fp8 | Precision::Fp8Blockwise | Precision::Mxfp8 => "int8",
        Precision::Nvfp4 => "mxfp4 or int4",
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
