//! The few constants of an inference engine, from `data/inference_constants.csv`.

use std::sync::OnceLock;

use super::engine::Engines;
use super::graphs::GraphSizes;
use crate::quantity::{GIB, MIB};

/// The shipped table: name, value, unit, source.
pub const TABLE: &str = include_str!("../../data/inference_constants.csv");

/// What an engine adds to the kernels' times, and the limits it sets itself. Sources stand in the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineConstants {
    /// Host work of an iteration that does not hide behind the GPU, seconds.
    pub iteration_s: f64,
    /// Fixed time of the kernels of a layer inside an engine over their fixed time in a benchmark loop: starts that
    /// overlap in a captured graph lower it, small kernels that are not counted one by one raise it.
    pub fixed_share: f64,
    /// Host work of an iteration for each sequence in the batch, seconds.
    pub sequence_s: f64,
    /// Time of a kernel inside an engine over its time alone in a benchmark loop.
    pub gpu_time_factor: f64,
    /// What it leaves of a GPU's memory for the KV cache.
    pub memory: EngineMemory,
    /// Tokens of an iteration at most: prompts are cut into chunks of this size.
    pub chunk_tokens: f64,
    /// Sequences of an iteration and attention rank at most.
    pub max_sequences: f64,
    /// Decode iterations between two looks of the scheduler for new requests.
    pub poll_iterations: f64,
    /// Iterations that the scheduler gathers prompts for before it reads them, from the first one on.
    pub gather_iterations: f64,
    /// Share of an answer's KV cache that is in hand when a request is admitted.
    pub answer_reserve: f64,
    /// Squared coefficient of variation of the lengths of prompts that come at random, where none is stated.
    pub input_scv: f64,
    /// The same of answers.
    pub output_scv: f64,
    /// How far the scheduler makes attention data parallel ranks read prompts at the same time: 1 always, 0 by chance.
    pub rank_alignment: f64,
    /// Squared coefficient of variation of how often the experts of a layer are sought.
    pub expert_scv: f64,
    /// Time of the 4-bit expert products in today's engines over that in the kernel tables (an engine of mid 2025); never
    /// less than reading the weights or than the arithmetic takes.
    pub expert_fp4_time: f64,
    /// Host work of a request before its prompt is read and after its first token: HTTP, tokenisation, admission,
    /// streaming; seconds.
    pub request_s: f64,
    /// The same for each token of its prompt, seconds.
    pub request_token_s: f64,
    /// Host time to start the kernels of one layer outside a captured graph, seconds: iterations that read prompts have no
    /// graph, so that they take at least this for each layer.
    pub launch_layer_s: f64,
    /// The same for a layer with experts, on top, seconds.
    pub launch_experts_s: f64,
    /// Operations of the vector units that unpacking takes for each operation of a product whose weights are stored in fewer bits
    /// than it computes in: they are unpacked for every tile of rows.
    pub unpack: f64,
    /// 1: iterations that read prompts do not decode; 0: prompts and decode share iterations.
    pub prompts_first: f64,
    /// 1: iterations that only decode run as captured graphs; 0: the host starts their kernels too.
    pub decode_graphs: f64,
    /// Batches whose decode iterations are captured as graphs: others are padded to the next.
    pub graph_sizes: GraphSizes,
    /// 1: partial sums travel while the product before them still runs (TensorRT-LLM `gemm_allreduce_plugin`; SGLang's single batch
    /// overlap of the experts' product down and the combine), so that of the shorter of both the share `exchange_overlap` hides
    /// behind the longer; 0: they follow the product.
    pub fused_sums: f64,
    /// Share of the shorter of experts' exchange and the GPU's other work that hides behind the longer, where experts are
    /// spread over more than one scale-up domain: two halves of the batch take turns.
    pub exchange_overlap: f64,
}

/// How an engine sizes its KV cache: of the share `share` of a GPU's memory, less weights and workspace, it takes `of_free`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineMemory {
    /// Share of a GPU's memory that the engine takes.
    pub share: f64,
    /// Share of what weights and workspace leave of it that the cache takes.
    pub of_free: f64,
    /// Memory beside weights and KV cache, GiB.
    pub workspace_gib: f64,
    /// The same for each token of a full iteration, MiB.
    pub token_mib: f64,
    /// The same for each logit of as many sequences as an iteration takes: the engine measures its sampler with them, bytes.
    pub logit_bytes: f64,
}

impl EngineMemory {
    pub(super) const ABSENT: Self = Self {
        share: f64::NAN,
        of_free: f64::NAN,
        workspace_gib: f64::NAN,
        token_mib: f64::NAN,
        logit_bytes: f64::NAN,
    };

    /// The figure `name` of a table, to change it.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "memory_share" => &mut self.share,
            "free_share" => &mut self.of_free,
            "workspace_gib" => &mut self.workspace_gib,
            "token_mib" => &mut self.token_mib,
            "logit_bytes" => &mut self.logit_bytes,
            _ => return None,
        })
    }
}

impl EngineConstants {
    /// Seconds of host work of a request with a prompt of `tokens`, before that is read and after its first token.
    pub(super) fn request_seconds(&self, tokens: f64) -> f64 {
        self.request_s + self.request_token_s * tokens
    }

    /// Bytes of a GPU of `memory` bytes that weights and KV cache do not get, where the weights take `weights` and the model has
    /// `vocab` logits.
    pub(super) fn reserved_bytes(&self, memory: f64, weights: f64, vocab: f64) -> f64 {
        let m = &self.memory;
        let workspace = m.workspace_gib * GIB
            + m.token_mib * MIB * self.chunk_tokens
            + m.logit_bytes * self.max_sequences * vocab;
        let free = (m.share * memory - workspace - weights).max(0.0);
        (1.0 - m.share) * memory + workspace + (1.0 - m.of_free) * free
    }

    pub(super) const ABSENT: Self = Self {
        iteration_s: f64::NAN,
        fixed_share: f64::NAN,
        sequence_s: f64::NAN,
        gpu_time_factor: f64::NAN,
        memory: EngineMemory::ABSENT,
        chunk_tokens: f64::NAN,
        max_sequences: f64::NAN,
        poll_iterations: f64::NAN,
        gather_iterations: f64::NAN,
        answer_reserve: f64::NAN,
        input_scv: f64::NAN,
        output_scv: f64::NAN,
        rank_alignment: f64::NAN,
        expert_scv: f64::NAN,
        expert_fp4_time: f64::NAN,
        request_s: f64::NAN,
        request_token_s: f64::NAN,
        launch_layer_s: f64::NAN,
        launch_experts_s: f64::NAN,
        unpack: f64::NAN,
        prompts_first: 0.0,
        decode_graphs: 1.0,
        graph_sizes: GraphSizes::EVERY,
        fused_sums: 0.0,
        exchange_overlap: f64::NAN,
    };

    /// The shipped constants of a current engine of no class.
    pub fn shipped() -> &'static Self {
        &Engines::shipped().common
    }

    /// The constant `name`, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            "iteration_s" => &mut self.iteration_s,
            "fixed_share" => &mut self.fixed_share,
            "sequence_s" => &mut self.sequence_s,
            "gpu_time_factor" => &mut self.gpu_time_factor,
            "chunk_tokens" => &mut self.chunk_tokens,
            "max_sequences" => &mut self.max_sequences,
            "poll_iterations" => &mut self.poll_iterations,
            "gather_iterations" => &mut self.gather_iterations,
            "answer_reserve" => &mut self.answer_reserve,
            "input_scv" => &mut self.input_scv,
            "output_scv" => &mut self.output_scv,
            "rank_alignment" => &mut self.rank_alignment,
            "expert_scv" => &mut self.expert_scv,
            "expert_fp4_time" => &mut self.expert_fp4_time,
            "request_s" => &mut self.request_s,
            "request_token_s" => &mut self.request_token_s,
            "launch_layer_s" => &mut self.launch_layer_s,
            "launch_experts_s" => &mut self.launch_experts_s,
            "unpack" => &mut self.unpack,
            "exchange_overlap" => &mut self.exchange_overlap,
            _ => return self.memory.get_mut(name),
        })
    }
}

const RESIDUALS: &str = include_str!("../../data/inference_residuals.csv");

/// Spread of measured over predicted in our own validation, written by `examples/fit_inference.rs`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residuals {
    /// Lower end of measured / predicted.
    pub low: f64,
    /// Upper end of measured / predicted.
    pub high: f64,
    /// Share of measurements between the ends when the group that each belongs to was left out.
    pub coverage: f64,
    /// Measurements.
    pub rows: f64,
    /// Groups of measurements (a release or a table), which count alike.
    pub groups: f64,
}

impl Residuals {
    /// The residuals of the time per output token.
    pub fn tpot() -> &'static Self {
        static TPOT: OnceLock<Residuals> = OnceLock::new();
        TPOT.get_or_init(|| Self::parse(RESIDUALS, "tpot_seconds"))
    }

    fn parse(table: &str, quantity: &str) -> Self {
        let line = table.lines().find_map(|l| l.strip_prefix(quantity)).unwrap_or("");
        let mut cells = line.split(',').skip(1).map(|c| c.parse().unwrap_or(f64::NAN));
        let mut next = || cells.next().unwrap_or(f64::NAN);
        Self { low: next(), high: next(), coverage: next(), rows: next(), groups: next() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_is_in_the_table_and_every_row_is_a_constant() {
        let shipped = format!("{:?}", Engines::shipped());
        assert!(!shipped.contains("NaN"), "{shipped}");
        for line in TABLE.lines().skip(1) {
            let name = line.split(',').next().unwrap();
            assert!(Engines::shipped().clone().get_mut(name).is_some(), "{name}");
            assert!(line.splitn(4, ',').nth(3).is_some_and(|s| s.len() > 10), "{name} without a source");
        }
    }
}
