//! Bytes that a served model takes on one GPU.

use crate::catalog::{Gpu, GpuArchitecture};
use crate::model::Precision;

use super::ServingModel;
use super::cut::{Cut, Mla, Sizes};

/// Multiples to which an expert's hidden size and a GPU's share of its width are rounded up in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Padding {
    hidden: f64,
    width: f64,
}

impl Padding {
    /// As the kernels of `precision` on this GPU lay experts out. MXFP4 by vLLM's `mxfp4.py`, taken for all engines: FlashInfer's on
    /// Blackwell, Triton's on Hopper, AMD's own, Marlin's elsewhere. gpt-oss-120b, 2,880 by 2,880, takes 64.4 and 66.0 GiB by the
    /// logs of Triton's and Marlin's on one H100 (vLLM issues 33155 and 23278), not 61.
    pub fn of(precision: Precision, gpu: &Gpu) -> Self {
        if precision != Precision::Mxfp4 {
            return Self { hidden: 1.0, width: 1.0 };
        }
        use GpuArchitecture as A;
        let (hidden, width) = match gpu.architecture {
            A::Blackwell | A::BlackwellUltra | A::Cdna3 | A::Cdna4 => (256.0, 256.0),
            A::Hopper => (256.0, 64.0),
            A::Xe2 => (128.0, 128.0),
            _ => (256.0, 128.0),
        };
        Self { hidden, width }
    }

    /// Values of a matrix of an expert in memory.
    fn area(&self, hidden: f64, width: f64) -> f64 {
        let up = |size: f64, step: f64| if step > 1.0 { libm::ceil(size / step) * step } else { size };
        up(hidden, self.hidden) * up(width, self.width)
    }
}

impl ServingModel<'_> {
    /// Bytes of weights on one GPU, a draft's included.
    pub(crate) fn weight_bytes(&self, cut: &Cut) -> f64 {
        let s = &self.sizes;
        // Embeddings stay in 16 bits; with pipeline stages the worst one holds one of the two.
        let tables = if s.tied || cut.pp > 1.0 { 1.0 } else { 2.0 };
        let draft = self.draft.as_ref().map_or(0.0, |draft| draft.weight_bytes(cut));
        self.stack_bytes(cut) / cut.pp + tables * 2.0 * s.vocab * s.hidden / cut.tp + draft
    }

    /// Bytes of the weights of all layers on the GPUs that hold the same share of each stage.
    pub(crate) fn stack_bytes(&self, cut: &Cut) -> f64 {
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
            let expert = (s.up + 1.0) * self.padding.area(s.hidden, moe.ffn / cut.expert_tp);
            let shared = (s.up + 1.0) * s.hidden * moe.shared / cut.tp;
            let router = 2.0 * s.hidden * moe.experts;
            bytes += s.moe_layers * ((expert * moe.held(cut) + shared) * experts + router);
        }
        bytes
    }

    /// Bytes of KV cache of one sequence of `tokens` on one GPU, all pipeline stages' streams counted; a draft's included.
    pub(crate) fn kv_bytes(&self, cut: &Cut, tokens: f64) -> f64 {
        let s = &self.sizes;
        let element = match s.mla {
            Some(mla) => mla.kv_lora + mla.rope,
            None => 2.0 * cut.kv_heads * s.head_dim,
        };
        let positions = s.full_layers * tokens + s.local_layers * tokens.min(s.window);
        // A draft runs behind the last stage: there its cache is as if every stage had it.
        let draft = self.draft.as_ref().map_or(0.0, |draft| cut.pp * draft.kv_bytes(cut, tokens));
        positions * element * self.formats.kv_bytes + draft
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
