//! A GPU: what it can do at most, as its vendor states it.

use serde::{Deserialize, Serialize};

use super::ScaleUpKind;
use super::Source;
use super::table::{Read, Row};
use crate::error::Error;

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
    /// `memory_gib` is what the driver reports; false where it is the vendor's decimal GB × 10⁹ / 2³⁰.
    pub memory_reported: bool,
    /// Memory bandwidth, TB/s (decimal).
    pub memory_tb_per_s: f64,
    /// Level-2 cache, MiB, where known.
    pub l2_mib: Option<f64>,
    /// Streaming multiprocessors (NVIDIA), compute units (AMD), Xe cores (Intel).
    pub sm_count: u32,
    /// Highest clock of the chip, MHz, where known.
    pub boost_clock_mhz: Option<f64>,
    /// Clock at which the matrix units give their stated peak, MHz; often not the boost clock.
    pub matrix_clock_mhz: Option<f64>,
    /// Dense 16-bit FLOP of the matrix units per clock and SM or CU: peak = `sm_count` × this × `matrix_clock_mhz`.
    pub matrix_flop_per_clock_per_sm: Option<f64>,
    /// Scale-up link: bandwidth of one GPU in one direction, GB/s. NVLink, Infinity Fabric or, without either, PCIe.
    pub scale_up_gb_per_s: f64,
    /// GPUs that the scale-up link joins at most; 1 where there is only PCIe.
    pub scale_up_domain: u32,
    /// Kind of scale-up link, such as `NVLink 4`.
    pub scale_up_link: String,
    /// PCI Express bandwidth of one GPU in one direction, GB/s: what cards without a scale-up link talk over.
    pub pcie_gb_per_s: f64,
    /// Coherent link to the host's processor (NVLink-C2C): bandwidth of one GPU in one direction, GB/s; none where the host's
    /// memory is reached over PCIe.
    pub c2c_gb_per_s: Option<f64>,
    /// Fabric assumed where only the GPU is known (no shape): a name of the fabrics table; none where no published
    /// system with this GPU was read.
    pub reference_fabric: Option<String>,
    /// Board power, W.
    pub tdp_watts: f64,
    /// Other spellings.
    pub aliases: Vec<String>,
    /// Where the figures are from.
    pub source: Source,
}

impl Gpu {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "name",
        "vendor",
        "architecture",
        "form",
        "bf16_tflops",
        "fp16_tflops",
        "fp8_tflops",
        "fp4_tflops",
        "int8_tops",
        "fp32_tflops",
        "memory_gb_vendor",
        "memory_gib_reported",
        "memory_kind",
        "memory_tb_per_s",
        "l2_mib",
        "sm_count",
        "boost_clock_mhz",
        "matrix_clock_mhz",
        "matrix_flop_per_clock_per_sm",
        "scale_up_link",
        "scale_up_gb_per_s",
        "scale_up_domain",
        "pcie_gb_per_s",
        "c2c_gb_per_s",
        "tdp_watts",
        "reference_fabric",
        "aliases",
    ];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        let rate = |column| row.number(column, 0.01, 1e7);
        let rate_required = |column| row.number_required(column, 0.01, 1e7);
        let reported = row.number("memory_gib_reported", 0.1, 1e6)?;
        let memory_gib = match reported {
            Some(gib) => gib,
            None => row.number_required("memory_gb_vendor", 0.1, 1e6)? * 1e9 / GIB,
        };
        Ok(Self {
            name: row.required("name")?,
            vendor: row.required("vendor")?,
            architecture: row.required("architecture")?,
            bf16_tflops: rate("bf16_tflops")?,
            fp16_tflops: rate_required("fp16_tflops")?,
            fp8_tflops: rate("fp8_tflops")?,
            fp4_tflops: rate("fp4_tflops")?,
            int8_tops: rate("int8_tops")?,
            fp32_tflops: rate_required("fp32_tflops")?,
            memory_gib,
            memory_reported: reported.is_some(),
            memory_tb_per_s: row.number_required("memory_tb_per_s", 1e-3, 1e4)?,
            l2_mib: row.number("l2_mib", 0.01, 1e6)?,
            sm_count: row.count_required("sm_count", 1, 100_000)?,
            boost_clock_mhz: row.number("boost_clock_mhz", 1.0, 1e5)?,
            matrix_clock_mhz: row.number("matrix_clock_mhz", 1.0, 1e5)?,
            matrix_flop_per_clock_per_sm: row.number("matrix_flop_per_clock_per_sm", 1.0, 1e7)?,
            scale_up_gb_per_s: row.number_required("scale_up_gb_per_s", 0.1, 1e6)?,
            scale_up_domain: row.count_required("scale_up_domain", 1, 100_000)?,
            scale_up_link: row.required("scale_up_link")?,
            pcie_gb_per_s: row.number_required("pcie_gb_per_s", 0.1, 1e4)?,
            c2c_gb_per_s: row.number("c2c_gb_per_s", 0.1, 1e4)?,
            reference_fabric: row.optional("reference_fabric")?,
            tdp_watts: row.number_required("tdp_watts", 1.0, 1e5)?,
            aliases: row.names("aliases")?,
            source: row.source(titles)?,
        })
    }

    /// Bandwidth to the host's memory, GB/s of one direction.
    pub fn host_gb_per_s(&self) -> f64 {
        self.c2c_gb_per_s.unwrap_or(self.pcie_gb_per_s)
    }

    /// Kind of the scale-up link, read from its name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a link that is none of NVLink 2 to 5, xGMI (Infinity Fabric) and PCIe.
    pub fn scale_up_kind(&self) -> Result<ScaleUpKind, Error> {
        let link = self.scale_up_link.as_str();
        let kinds = [
            ("NVLink 2", ScaleUpKind::NvLink3),
            ("NVLink 3", ScaleUpKind::NvLink3),
            ("NVLink 4", ScaleUpKind::NvLink4),
            ("NVLink 5", ScaleUpKind::NvLink5),
            ("xGMI", ScaleUpKind::InfinityFabric),
            ("PCIe", ScaleUpKind::Pcie),
        ];
        kinds.iter().find(|(name, _)| link.starts_with(name)).map(|(_, kind)| *kind).ok_or_else(|| {
            Error::Unsupported {
                field: format!("{}.scale_up_link", self.name),
                given: link.to_owned(),
                reason: "known links begin with NVLink 2 to NVLink 5, xGMI or PCIe".to_owned(),
            }
        })
    }
}

/// Bytes in a GiB.
const GIB: f64 = 1_073_741_824.0;

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
