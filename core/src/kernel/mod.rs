//! How long one operation takes on one GPU.

use crate::catalog::Gpu;
use crate::error::Error;
use crate::model::Precision;

/// A GPU as the kernels see it: peaks, bandwidth and fitted efficiencies, ready for the hot path.
///
/// All times are seconds of one kernel on one GPU, launch not included unless stated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Device {
    /// Dense FLOP/s by precision; 0 where the chip has none.
    pub peak: PeakRates,
    /// Memory bandwidth, bytes per second.
    pub memory_bytes_per_s: f64,
    /// Streaming multiprocessors or compute units.
    pub sm_count: f64,
}

/// Dense FLOP/s of the matrix units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakRates {
    /// 16-bit.
    pub half: f64,
    /// 8-bit float.
    pub fp8: f64,
    /// 4-bit float.
    pub fp4: f64,
    /// 8-bit integer.
    pub int8: f64,
}

/// Shape of one attention over a batch of sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: f64,
    /// Query positions of each.
    pub queries: f64,
    /// Key positions of each.
    pub keys: f64,
    /// Query heads on this GPU.
    pub heads: f64,
    /// Key and value heads on this GPU (at least 1; 1 for latent attention in decode).
    pub kv_heads: f64,
    /// Width of a query or key head.
    pub qk_dim: f64,
    /// Width of a value head.
    pub v_dim: f64,
    /// Queries see only earlier keys: half the work where queries = keys.
    pub causal: bool,
}

impl Device {
    /// The device for a GPU.
    pub fn new(gpu: &Gpu) -> Self {
        Self {
            peak: PeakRates {
                half: gpu.bf16_tflops.unwrap_or(gpu.fp16_tflops) * 1e12,
                fp8: gpu.fp8_tflops.unwrap_or(0.0) * 1e12,
                fp4: gpu.fp4_tflops.unwrap_or(0.0) * 1e12,
                int8: gpu.int8_tops.unwrap_or(0.0) * 1e12,
            },
            memory_bytes_per_s: gpu.memory_tb_per_s * 1e12,
            sm_count: f64::from(gpu.sm_count),
        }
    }

    /// Dense peak, FLOP/s, at which a matrix product of this precision counts.
    ///
    /// # Errors
    /// `Unsupported` where the chip has no such units.
    pub fn peak_flop_per_s(&self, field: &str, precision: Precision) -> Result<f64, Error> {
        let peak = match precision {
            Precision::Bf16 | Precision::Fp16 | Precision::Int8 | Precision::Int4 => self.peak.half,
            Precision::Fp8 | Precision::Fp8Blockwise | Precision::Mxfp8 => self.peak.fp8,
            Precision::Nvfp4 => self.peak.fp4,
        };
        if peak > 0.0 {
            Ok(peak)
        } else {
            Err(Error::Unsupported {
                field: field.to_owned(),
                given: format!("{precision:?}").to_lowercase(),
                reason: "this GPU has no matrix units for it".to_owned(),
            })
        }
    }

    /// Seconds of C = A·B with A m × k and B k × n; 16-bit result.
    pub fn gemm(&self, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.grouped_gemm(1.0, m, n, k, precision)
    }

    /// Seconds of `groups` products of the same shape in one kernel: experts, each with m rows.
    pub fn grouped_gemm(&self, groups: f64, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        let peak = match precision {
            Precision::Fp8 | Precision::Fp8Blockwise | Precision::Mxfp8 => self.peak.fp8,
            Precision::Nvfp4 => self.peak.fp4,
            _ => self.peak.half,
        };
        let flop = 2.0 * groups * m * n * k;
        let bytes = groups * ((m * k + k * n) * precision.weight_bytes() + 2.0 * m * n);
        (flop / (0.75 * peak)).max(bytes / (0.85 * self.memory_bytes_per_s))
    }

    /// Seconds of attention over whole sequences (training forward, prefill): flash attention, 16-bit.
    pub fn attention_prefill(&self, shape: &AttentionShape) -> f64 {
        let pairs = shape.queries * shape.keys * if shape.causal { 0.5 } else { 1.0 };
        2.0 * shape.batch * shape.heads * pairs * (shape.qk_dim + shape.v_dim) / (0.55 * self.peak.half)
    }

    /// Seconds of the backward pass of [`Device::attention_prefill`].
    pub fn attention_backward(&self, shape: &AttentionShape) -> f64 {
        // Five products instead of two (arXiv 2205.14135, section 3.1).
        2.5 * self.attention_prefill(shape)
    }

    /// Seconds of attention of one new token per sequence (decode): the KV cache is read once; `kv_bytes` per element.
    pub fn attention_decode(&self, shape: &AttentionShape, kv_bytes: f64) -> f64 {
        let elements = shape.batch * shape.keys * shape.kv_heads * (shape.qk_dim + shape.v_dim);
        elements * kv_bytes / (0.75 * self.memory_bytes_per_s)
    }

    /// Seconds of an operation that moves `bytes` through memory and computes little.
    pub fn memory_bound(&self, bytes: f64) -> f64 {
        bytes / (0.8 * self.memory_bytes_per_s)
    }
}
