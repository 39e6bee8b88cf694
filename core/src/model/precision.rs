//! Number formats of weights, activations and caches.

use serde::{Deserialize, Serialize};

/// Number format of the matrix products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 16-bit brain float.
    #[default]
    Bf16,
    /// 16-bit float.
    Fp16,
    /// 8-bit float, one scale per tensor.
    Fp8,
    /// 8-bit float, scales per block of 128 (DeepSeek-V3, arXiv 2412.19437, section 3.3).
    Fp8Blockwise,
    /// 8-bit float, scales per 32 values in hardware (OCP MX).
    Mxfp8,
    /// 4-bit float, scales per 16 values in hardware.
    Nvfp4,
    /// 4-bit float weights, scales per 32 values (OCP MX; gpt-oss' experts): products with 8-bit activations where the GPU's units
    /// take both (on CDNA 4 with 4-bit ones), 16-bit ones else.
    Mxfp4,
    /// 8-bit integer weights, 16-bit products.
    Int8,
    /// 4-bit integer weights, 16-bit products.
    Int4,
}

impl Precision {
    /// Bytes of one weight, its scales included.
    pub fn weight_bytes(self) -> f64 {
        match self {
            Self::Bf16 | Self::Fp16 => 2.0,
            Self::Fp8 | Self::Int8 => 1.0,
            // One 32-bit scale per 128 × 128 block.
            Self::Fp8Blockwise => 1.0 + 4.0 / 16_384.0,
            // One 8-bit scale per 32 values.
            Self::Mxfp8 => 1.0 + 1.0 / 32.0,
            // One 8-bit scale per 16 values.
            Self::Nvfp4 => 0.5 + 1.0 / 16.0,
            // One 8-bit scale per 32 values.
            Self::Mxfp4 => 0.5 + 1.0 / 32.0,
            // One 16-bit scale per 128 values.
            Self::Int4 => 0.5 + 2.0 / 128.0,
        }
    }
}
