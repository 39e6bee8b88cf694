//! A GPU: what it can do at most, as its vendor states it.

use serde::{Deserialize, Serialize};

use super::Source;

/// A GPU's datasheet. Rates are dense, never with sparsity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Canonical name, such as `H100-SXM`.
    pub name: String,
    /// NVIDIA, AMD or Intel.
    pub vendor: String,
    /// Generation of the chip: efficiency constants belong to it.
    pub architecture: GpuArchitecture,
    /// Dense TFLOP/s of the matrix units at 16-bit brain float; absent where the chip has none.
    pub bf16_tflops: Option<f64>,
    /// Dense TFLOP/s at 16-bit float.
    pub fp16_tflops: f64,
    /// Dense TFLOP/s at 8-bit float.
    pub fp8_tflops: Option<f64>,
    /// Dense TFLOP/s at 4-bit float.
    pub fp4_tflops: Option<f64>,
    /// Dense TOP/s at 8-bit integer.
    pub int8_tops: Option<f64>,
    /// TFLOP/s of the vector units at 32-bit float.
    pub fp32_tflops: f64,
    /// Memory that software can allocate, GiB, as the driver reports it (vendor's decimal GB converted where unread).
    pub memory_gib: f64,
    /// Memory bandwidth, TB/s (decimal).
    pub memory_tb_per_s: f64,
    /// Level-2 cache, MiB, where known.
    pub l2_mib: Option<f64>,
    /// Streaming multiprocessors (NVIDIA), compute units (AMD), Xe cores (Intel).
    pub sm_count: u32,
    /// Scale-up link: bandwidth of one GPU in one direction, GB/s. NVLink, Infinity Fabric or, without either, PCIe.
    pub scale_up_gb_per_s: f64,
    /// GPUs that the scale-up link joins at most; 1 where there is only PCIe.
    pub scale_up_domain: u32,
    /// Kind of scale-up link, such as `NVLink 4`.
    pub scale_up_link: String,
    /// Board power, W.
    pub tdp_watts: f64,
    /// Other spellings.
    pub aliases: Vec<String>,
    /// Where the figures are from.
    pub source: Source,
}

/// Generation of a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are the vendors' own
pub enum GpuArchitecture {
    Volta,
    Turing,
    Ampere,
    Ada,
    Hopper,
    Blackwell,
    BlackwellUltra,
    Cdna3,
    Cdna4,
    Xe2,
}
