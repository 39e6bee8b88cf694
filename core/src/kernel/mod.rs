//! How long one operation takes on one GPU.
//!
//! Every time is a roofline with efficiencies that depend on the shape, plus the fixed time of a kernel:
//!
//! - **Matrix product** ([`gemm`](Device::gemm)): `t₀ + ‖bytes / (e·bandwidth), tiles‖₄`. Operands and result pass through
//!   memory once. The product is cut into tiles; tiles run in whole waves over the multiprocessors; a tile costs its
//!   multiply-adds over the depth of K plus a prologue, more where the tile is small (operands are reused less); the
//!   library takes the fastest of four tile shapes and may split K where tiles are fewer than multiprocessors. The
//!   4-norm stands for a maximum whose two sides overlap imperfectly near the ridge.
//! - **Attention over sequences**: mathematics at a share of the peak that grows with the head's width (exponentials
//!   cost the same for every width: arXiv 2407.08608, section 3.1), whole tiles on the causal diagonal, one read of
//!   Q, K, V and one write of the result.
//! - **Scan** of state-space layers ([`scan`](Device::scan)): products inside of chunks at attention's rate, states between
//!   them through memory.
//! - **Attention of one token**: the KV cache once through memory, with a start-up that grows until the GPU is full.
//! - **Experts**: two grouped products of the active experts at a measured surcharge, the rows' way through memory, and
//!   the fixed time of sorting and combining. Unequal routing is the caller's: give the rows of the busiest GPU.
//!
//! What engines may fuse stands apart: bringing activations into an 8- or 4-bit format ([`quantise`](Device::quantise)),
//! rotary embedding and the cache's writing ([`rotary_and_cache`](Device::rotary_and_cache)).
//!
//! Efficiencies belong to a generation of chips, not to one GPU; `core/data/kernel_constants.csv` holds them with their
//! sources, `core/examples/fit_kernel.rs` fits them to `tests/measured/kernels.csv`.

mod attention;
mod constants;
mod cost;
mod gemm;
mod moe;
mod scan;

pub use attention::AttentionShape;
pub use constants::TABLE as CONSTANTS_TABLE;
pub use constants::{Family, KernelConstants, MatrixConstants};
pub use cost::{Bound, Cost};
pub use moe::ExpertShape;
pub use scan::{SCAN_KERNELS, ScanShape};

use crate::catalog::{Gpu, GpuArchitecture};
use crate::error::Error;
use crate::model::Precision;

use gemm::MatrixUnit;

/// A GPU as the kernels see it: peaks, bandwidth and fitted efficiencies, ready for the hot path.
///
/// All times are seconds of one kernel on one GPU, as measured inside a captured graph or a queue that never runs dry:
/// the fixed time of a kernel on the GPU is in, the CPU's time to launch it is not. Weights, caches and activations
/// come from memory, not from the level-2 cache: a problem small enough to stay in the cache between kernels can be
/// faster than said here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Device {
    /// Dense FLOP/s by precision; 0 where the chip has none.
    pub peak: PeakRates,
    /// Memory bandwidth, bytes per second.
    pub memory_bytes_per_s: f64,
    /// Streaming multiprocessors or compute units.
    pub sm_count: f64,
    /// MXFP4 weights meet tokens of 4 bits too: AMD's checkpoints, where NVIDIA's have NVFP4 for that.
    mxfp4_both: bool,
    constants: KernelConstants,
    half: MatrixUnit,
    fp8: MatrixUnit,
    fp8_blockwise: MatrixUnit,
    fp4: MatrixUnit,
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

impl Device {
    /// The device for a GPU, with the constants of its generation.
    ///
    /// # Errors
    /// `Malformed` where the embedded table of constants lacks a value (a defect of the build, not of the request).
    pub fn new(gpu: &Gpu) -> Result<Self, Error> {
        Ok(Self::with_constants(gpu, &KernelConstants::of(Family::of(gpu))?))
    }

    /// The device for a GPU with the caller's constants: for fitting, and for users' own measurements.
    pub fn with_constants(gpu: &Gpu, constants: &KernelConstants) -> Self {
        let peak = PeakRates {
            half: gpu.bf16_tflops.unwrap_or(gpu.fp16_tflops) * 1e12,
            fp8: gpu.fp8_tflops.unwrap_or(0.0) * 1e12,
            fp4: gpu.fp4_tflops.unwrap_or(0.0) * 1e12,
            int8: gpu.int8_tops.unwrap_or(0.0) * 1e12,
        };
        let sm_count = f64::from(gpu.sm_count);
        let memory_bytes_per_s = gpu.memory_tb_per_s * 1e12;
        let unit = |peak: f64, matrix: &MatrixConstants| {
            MatrixUnit::new(
                peak,
                sm_count,
                memory_bytes_per_s * constants.gemm_memory_share,
                constants.gemm_fixed_us,
                matrix,
            )
        };
        Self {
            peak,
            memory_bytes_per_s,
            sm_count,
            mxfp4_both: gpu.architecture == GpuArchitecture::Cdna4,
            constants: *constants,
            half: unit(peak.half, &constants.half),
            fp8: unit(peak.fp8, &constants.fp8),
            fp8_blockwise: unit(peak.fp8, &constants.fp8_blockwise),
            fp4: unit(peak.fp4, &constants.fp4),
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
            Precision::Mxfp4 if self.stores_only(precision) => self.peak.half,
            Precision::Mxfp4 if self.mxfp4_both => self.peak.fp4,
            // Units for 4-bit numbers take them with 8-bit activations at the rate of those.
            Precision::Mxfp4 => self.peak.fp8,
        };
        if peak > 0.0 {
            Ok(peak)
        } else {
            Err(Error::Unsupported {
                field: field.to_owned(),
                given: format!("{precision:?}").to_ascii_lowercase(),
                reason: "this GPU has no matrix units for it".to_owned(),
            })
        }
    }

    /// Whether this chip has no matrix units for `precision`, so that it can only store weights in it: they are unpacked to 16 bits
    /// for every product.
    pub fn stores_only(&self, precision: Precision) -> bool {
        match precision {
            Precision::Int8 | Precision::Int4 => true,
            Precision::Nvfp4 | Precision::Mxfp4 => self.peak.fp4 <= 0.0,
            Precision::Fp8 | Precision::Fp8Blockwise | Precision::Mxfp8 => self.peak.fp8 <= 0.0,
            Precision::Bf16 | Precision::Fp16 => false,
        }
    }

    /// Bytes of a value that a product of this precision reads beside the weights, its scales included: 16 bits where weights are
    /// unpacked, 8 beside NVIDIA's MXFP4 (TensorRT-LLM's and FlashInfer's `mxfp4_mxfp8` kernels), else as many as the weights'.
    pub fn activation_bytes(&self, precision: Precision) -> f64 {
        match precision {
            _ if self.stores_only(precision) => 2.0,
            Precision::Mxfp4 if !self.mxfp4_both => Precision::Mxfp8.weight_bytes(),
            _ => precision.weight_bytes(),
        }
    }

    /// The constants in use.
    pub fn constants(&self) -> &KernelConstants {
        &self.constants
    }

    /// Fixed seconds of a matrix product, already inside [`Device::gemm`]: what fusing two of them would save.
    pub fn gemm_fixed_seconds(&self) -> f64 {
        self.constants.gemm_fixed_us * 1e-6
    }

    /// Fixed seconds of a memory-bound kernel, already inside [`Device::memory_bound`].
    pub fn memory_fixed_seconds(&self) -> f64 {
        self.constants.memory_fixed_us * 1e-6
    }

    /// Seconds of C = A·B with A m × k and B k × n; 16-bit result. Infinite where the chip has no units for the
    /// precision: ask [`Device::peak_flop_per_s`] first.
    pub fn gemm(&self, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        self.grouped_gemm(1.0, m, n, k, precision)
    }

    /// Seconds of `groups` products of the same shape in one kernel: experts, each with m rows.
    pub fn grouped_gemm(&self, groups: f64, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        let bytes = self.gemm_bytes(groups, m, n, k, precision);
        self.unit(precision).seconds(groups, m, n, k, bytes)
    }

    /// [`Device::grouped_gemm`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn grouped_gemm_cost(&self, groups: f64, m: f64, n: f64, k: f64, precision: Precision) -> Cost {
        let bytes = self.gemm_bytes(groups, m, n, k, precision);
        self.unit(precision).cost(groups, m, n, k, bytes)
    }

    /// Bytes of `groups` products m × n × k: operands and 16-bit result once through memory.
    #[inline]
    fn gemm_bytes(&self, groups: f64, m: f64, n: f64, k: f64, precision: Precision) -> f64 {
        let weight_bytes = precision.weight_bytes();
        let row_bytes = self.activation_bytes(precision);
        groups * (m * k * row_bytes + k * n * weight_bytes + 2.0 * m * n)
    }

    /// Seconds of bringing `rows` × `width` 16-bit activations into the format of a product, scales included, as kernels
    /// of their own; 0 for 16-bit and weight-only formats. [`Device::gemm`] does not include it: an engine may fuse it
    /// into the kernel before.
    pub fn quantise(&self, rows: f64, width: f64, precision: Precision) -> f64 {
        match precision {
            Precision::Bf16 | Precision::Fp16 => 0.0,
            _ if self.stores_only(precision) => 0.0,
            _ => {
                let bytes = rows * width * (2.0 + self.activation_bytes(precision));
                // Scales of blocks need no largest value of the whole tensor first.
                let unit = match precision {
                    Precision::Mxfp4 if !self.mxfp4_both => &self.fp8_blockwise,
                    _ => self.unit(precision),
                };
                unit.quantise_fixed_seconds
                    + unit.quantise_passes * bytes / (self.constants.memory_share * self.memory_bytes_per_s)
            }
        }
    }

    /// Seconds of an operation that moves `bytes` through memory in one kernel and computes little.
    pub fn memory_bound(&self, bytes: f64) -> f64 {
        self.memory_bound_cost(bytes).seconds
    }

    /// [`Device::memory_bound`] with its bounds.
    #[inline]
    pub fn memory_bound_cost(&self, bytes: f64) -> Cost {
        let fixed_seconds = self.memory_fixed_seconds();
        let memory_seconds = bytes / (self.constants.memory_share * self.memory_bytes_per_s);
        Cost {
            seconds: fixed_seconds + memory_seconds,
            bytes,
            memory_seconds,
            fixed_seconds,
            ..Cost::default()
        }
    }

    fn unit(&self, precision: Precision) -> &MatrixUnit {
        match precision {
            Precision::Bf16 | Precision::Fp16 | Precision::Int8 | Precision::Int4 => &self.half,
            Precision::Mxfp4 if self.stores_only(precision) => &self.half,
            Precision::Mxfp4 if self.mxfp4_both => &self.fp4,
            Precision::Fp8 | Precision::Mxfp8 | Precision::Mxfp4 => &self.fp8,
            Precision::Fp8Blockwise => &self.fp8_blockwise,
            Precision::Nvfp4 => &self.fp4,
        }
    }
}
