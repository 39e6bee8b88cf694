//! What the training software does about attention kernels, launches and expert exchange: named switches, each something
//! that a recipe states, none of them a correction of a measured row.

use serde::{Deserialize, Serialize};

use super::job::Job;
use crate::catalog::GpuArchitecture;
use crate::error::Error;
use crate::kernel::{AttentionShape, Cost};
use crate::model::Precision;

/// Switches of the training software that change how fast the same layout runs.
///
/// The defaults are those of Megatron-Core without a performance recipe; a recipe of 2026 for NVL72 sets all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Software {
    /// The attention kernel; if not given, fused in 16 bits, and unfused for models with attention sinks, for which
    /// training containers had no fused 16-bit kernel up to mid-2026 (Megatron-Bridge's performance notes, release
    /// 26.06.01).
    pub attention: Option<AttentionKernel>,
    /// The whole step is captured in a CUDA graph, experts included: no launch waits for the host, and no count of tokens
    /// goes to it. Capturing attention and router alone leaves the experts' launches, and changes no published step that
    /// we have seen.
    pub captured: bool,
    /// Expert exchange runs under the computation of another micro-batch or its weight gradients (Megatron-Core's
    /// `overlap_moe_expert_parallel_comm`); DualPipe does so by itself.
    pub expert_overlap: bool,
    /// Tokens go to their experts in the library's all-to-all, one copy for each expert that they visit (Megatron-Core's
    /// `moe_token_dispatcher_type: alltoall`). Without it one copy goes to each domain and is spread there over the scale-up
    /// link (DeepEP, HybridEP).
    pub expert_all_to_all: bool,
    /// Experts' grouped products, activation and casts run in one kernel for all experts of a rank, instead of some for
    /// each expert.
    pub fused_experts: bool,
    /// Tensor parallel exchange runs under the matrix products (Transformer Engine's user buffers, asynchronous tensor
    /// parallelism in PyTorch).
    pub tensor_overlap: bool,
    /// That exchange is cut into as many tiles as there are ranks, each under the matrix product of another (NeMo's
    /// `ub_tp_comm_overlap`, Megatron-Core's `tp_comm_overlap`, with sequence parallelism): what shows is the first or last
    /// tile and what the others take longer than the one product that reads or makes them; routed experts' hide none.
    /// Without it, `tensor_overlap` hides a share that published steps show.
    pub tensor_tiles: bool,
    /// What products in 8 or 4 bits read is gathered in 16 bits and cast after (torchtitan with row-wise scales), not cast
    /// before and gathered in their format (Transformer Engine; torchtitan with one scale a tensor).
    pub cast_after_gather: bool,
    /// Context parallel ranks gather all keys and values before the attention (Llama 3, arXiv 2407.21783, section 3.3.2;
    /// Megatron-Core's `cp_comm_type: all_gather`), not one rank's after the other under it, whose partial results are then
    /// weighed and added up (ring attention, arXiv 2310.01889; `p2p`).
    pub context_gather: bool,
    /// Weights of layers are gathered in 8 bits (NeMo's `fp8_params`, Megatron-Core's `fp8_param_gather`, torchao's
    /// `enable_fsdp_float8_all_gather`), embedding and output projection in 16. For precision fp8 and fp8_blockwise: MXFP8 is
    /// cast after a gather in 16 bits (Megatron-Core's `reuse_grad_buf_for_mxfp8_param_ag`). Memory counts 2 bytes a weight
    /// all the same: the transposed 8-bit copy that the backward pass reads lies beside it (NVIDIA/TransformerEngine pull
    /// 1300).
    pub fp8_weight_gather: bool,
    /// Norms, activations, rotary embedding and the loss are fused kernels, by a library's or a compiler's; eager PyTorch
    /// writes every operation's result to memory.
    pub fused_elementwise: bool,
}

impl Default for Software {
    fn default() -> Self {
        Self {
            attention: None,
            captured: false,
            expert_overlap: false,
            expert_all_to_all: false,
            fused_experts: false,
            tensor_overlap: true,
            tensor_tiles: false,
            cast_after_gather: false,
            context_gather: false,
            fp8_weight_gather: false,
            fused_elementwise: true,
        }
    }
}

/// Attention kernels of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum AttentionKernel {
    /// Fused, in 16 bits, made for the GPU's generation (cuDNN, FlashAttention-3).
    Fused,
    /// Fused, products in 8 bits.
    FusedFp8,
    /// FlashAttention-2: on Hopper it uses the previous generation's instructions (arXiv 2407.08608, section 1).
    Flash2,
    /// FlashAttention's port to Triton of 2022 and 2023, of the same generation of instructions (arXiv 2307.08691, section 4.1).
    FlashTriton,
    /// Scores are written to memory.
    Unfused,
}

/// How much faster attention made for Hopper is than FlashAttention-2: 1.5 to 2.0 times forward and 1.5 to 1.75 times
/// backward (arXiv 2407.08608, section 4.1); the middle of each.
const FLASH2_SLOWER: [f64; 2] = [1.75, 1.625];

/// How much faster FlashAttention-2 is than the port to Triton: 1.3 to 2.5 times, both passes together (arXiv 2307.08691,
/// section 4.1); of them the low end, which published steps of long sequences on A100 agree with (llm-foundry).
const TRITON_SLOWER: f64 = 1.3;

/// Bytes per score that the softmax of unfused attention moves beside the products around it, 16 bits each: forward it
/// reads scores and writes probabilities; backward it reads those and their gradients and writes the scores' gradients.
const SOFTMAX_BYTES: [f64; 2] = [4.0, 6.0];

impl Software {
    /// Refuses what the GPU has no kernel for, and switches that contradict each other or the job.
    ///
    /// # Errors
    /// `Unsupported` and `Conflict`, with paths below `software`.
    pub fn check(&self, job: &Job) -> Result<(), Error> {
        let conflict = |field: &str, message: &str| {
            Err(Error::Conflict { field: field.to_owned(), message: message.to_owned() })
        };
        if self.tensor_tiles && !self.tensor_overlap {
            return conflict(
                "software.tensor_tiles",
                "true with software.tensor_overlap false: tiles are a way to overlap; give one of them",
            );
        }
        if self.fp8_weight_gather && !matches!(job.precision, Precision::Fp8 | Precision::Fp8Blockwise) {
            return conflict(
                "software.fp8_weight_gather",
                "true with another precision than fp8 or fp8_blockwise: only their weights are gathered in 8 bits",
            );
        }
        let refused = |given: &str, reason: &str| {
            Err(Error::Unsupported {
                field: "software.attention".to_owned(),
                given: given.to_owned(),
                reason: reason.to_owned(),
            })
        };
        match self.attention {
            Some(AttentionKernel::FusedFp8) if job.device.peak.fp8 <= 0.0 => {
                refused("fused_fp8", "this GPU has no 8-bit matrix units")
            }
            Some(kernel @ (AttentionKernel::Flash2 | AttentionKernel::FlashTriton))
                if !matches!(
                    job.generation,
                    GpuArchitecture::Ampere | GpuArchitecture::Ada | GpuArchitecture::Hopper
                ) =>
            {
                let given = if kernel == AttentionKernel::Flash2 { "flash2" } else { "flash_triton" };
                refused(given, "its rate is published for Ampere, Ada and Hopper only; try fused")
            }
            _ => Ok(()),
        }
    }
}

/// Attention forward and backward of one shape under the job's kernel.
pub fn attention_costs(job: &Job, shape: &AttentionShape) -> (Cost, Cost) {
    let device = &job.device;
    let fused = || (device.attention_prefill_cost(shape), device.attention_backward_cost(shape));
    match job.attention {
        AttentionKernel::Fused => fused(),
        AttentionKernel::FusedFp8 => {
            (device.attention_prefill_fp8_cost(shape), device.attention_backward_fp8_cost(shape))
        }
        AttentionKernel::Flash2 => flash2_costs(job.generation, fused()),
        AttentionKernel::FlashTriton => {
            let (forward, backward) = flash2_costs(job.generation, fused());
            (forward.slower(TRITON_SLOWER), backward.slower(TRITON_SLOWER))
        }
        AttentionKernel::Unfused => unfused_costs(job, shape),
    }
}

/// FlashAttention-2, which does not use Hopper's instructions, where the generation's own kernel costs so much.
fn flash2_costs(generation: GpuArchitecture, (forward, backward): (Cost, Cost)) -> (Cost, Cost) {
    match generation {
        GpuArchitecture::Hopper => (forward.slower(FLASH2_SLOWER[0]), backward.slower(FLASH2_SLOWER[1])),
        _ => (forward, backward),
    }
}

/// Attention as products of whole matrices: every score is computed, masked or not, and passes through memory.
fn unfused_costs(job: &Job, shape: &AttentionShape) -> (Cost, Cost) {
    let device = &job.device;
    let groups = shape.batch * shape.heads;
    let product = |m, n, k| device.grouped_gemm_cost(groups, m, n, k, Precision::Bf16);
    let softmax = |bytes| device.memory_bound_cost(groups * shape.queries * shape.keys * bytes);
    let (queries, keys) = (shape.queries, shape.keys);
    let forward = product(queries, keys, shape.qk_dim).plus(&product(queries, shape.v_dim, keys));
    // Gradients of the probabilities, values, queries and keys.
    let backward = product(queries, keys, shape.v_dim)
        .plus(&product(keys, shape.v_dim, queries))
        .plus(&product(queries, shape.qk_dim, keys))
        .plus(&product(keys, shape.qk_dim, queries));
    (forward.plus(&softmax(SOFTMAX_BYTES[0])), backward.plus(&softmax(SOFTMAX_BYTES[1])))
}
