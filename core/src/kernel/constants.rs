//! Efficiencies of each generation, from the embedded table.

use std::sync::OnceLock;

use crate::catalog::{Gpu, GpuArchitecture};
use crate::error::Error;

/// The table itself: generation, name, value, unit, kind, source.
pub const TABLE: &str = include_str!("../../data/kernel_constants.csv");
const FIELD: &str = "kernel_constants.csv";

/// Chips that share kernels, and with them their efficiencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// V100.
    Volta,
    /// T4.
    Turing,
    /// A100, A10.
    Ampere,
    /// L40S.
    Ada,
    /// H100, H200, GH200.
    Hopper,
    /// B200, GB200.
    Blackwell,
    /// B300, GB300.
    BlackwellUltra,
    /// RTX PRO Blackwell: matrix units and kernels of the workstation chip (compute capability 12, not 10).
    BlackwellWorkstation,
    /// MI300X, MI325X.
    Cdna3,
    /// MI350X, MI355X.
    Cdna4,
    /// Arc Pro.
    Xe2,
}

/// Families in the order of the table.
const FAMILIES: [(Family, &str); 11] = [
    (Family::Volta, "volta"),
    (Family::Turing, "turing"),
    (Family::Ampere, "ampere"),
    (Family::Ada, "ada"),
    (Family::Hopper, "hopper"),
    (Family::Blackwell, "blackwell"),
    (Family::BlackwellUltra, "blackwell_ultra"),
    (Family::BlackwellWorkstation, "blackwell_workstation"),
    (Family::Cdna3, "cdna3"),
    (Family::Cdna4, "cdna4"),
    (Family::Xe2, "xe2"),
];

/// Dense 16-bit FLOP/s of one multiprocessor below which a Blackwell is the workstation chip: 1,024 against 8,192 FLOP
/// per clock, so 2.5 against 15 TFLOP/s.
const WORKSTATION_TFLOPS_PER_SM: f64 = 6.0;

impl Family {
    /// Every family.
    pub fn all() -> impl Iterator<Item = Self> {
        FAMILIES.iter().map(|&(family, _)| family)
    }

    /// Name in the table.
    pub fn name(self) -> &'static str {
        FAMILIES.iter().find(|&&(family, _)| family == self).map_or("", |&(_, name)| name)
    }

    /// The family of a GPU.
    pub fn of(gpu: &Gpu) -> Self {
        match gpu.architecture {
            GpuArchitecture::Volta => Self::Volta,
            GpuArchitecture::Turing => Self::Turing,
            GpuArchitecture::Ampere => Self::Ampere,
            GpuArchitecture::Ada => Self::Ada,
            GpuArchitecture::Hopper => Self::Hopper,
            GpuArchitecture::Blackwell
                if gpu.fp16_tflops < WORKSTATION_TFLOPS_PER_SM * f64::from(gpu.sm_count) =>
            {
                Self::BlackwellWorkstation
            }
            GpuArchitecture::Blackwell => Self::Blackwell,
            GpuArchitecture::BlackwellUltra => Self::BlackwellUltra,
            GpuArchitecture::Cdna3 => Self::Cdna3,
            GpuArchitecture::Cdna4 => Self::Cdna4,
            GpuArchitecture::Xe2 => Self::Xe2,
        }
    }
}

/// Efficiencies of one precision's matrix products.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MatrixConstants {
    /// Share of the dense peak that an endless tile would sustain, clocks under power included; at most 1.
    pub peak_share: f64,
    /// Extra cost of a tile of r rows and c columns: 1 + this × (1/r + 1/c).
    pub operand_cost: f64,
    /// Depth of K that filling and draining a tile costs.
    pub prologue: f64,
    /// Fixed time of bringing the activations into this format where no earlier kernel does it, µs.
    pub quantise_fixed_us: f64,
    /// Passes over the activations that bringing them into this format costs; one read and one write make one.
    pub quantise_passes: f64,
    /// Time of experts' grouped products against plain grouped products of even groups; at least 1.
    pub expert_cost: f64,
}

/// Efficiencies of a family.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelConstants {
    /// 16-bit products.
    pub half: MatrixConstants,
    /// 8-bit float products, one scale per tensor.
    pub fp8: MatrixConstants,
    /// 8-bit float products, scales per block.
    pub fp8_blockwise: MatrixConstants,
    /// 4-bit float products.
    pub fp4: MatrixConstants,
    /// Fixed time of a product, µs.
    pub gemm_fixed_us: f64,
    /// Share of the bandwidth that operands of large products reach.
    pub gemm_memory_share: f64,
    /// Share of the bandwidth that streaming kernels reach.
    pub memory_share: f64,
    /// Fixed time of a streaming kernel, µs.
    pub memory_fixed_us: f64,
    /// Share of the 16-bit peak that attention over sequences would reach with endlessly wide heads; at most 1.
    pub attention_peak_share: f64,
    /// Head width (queries plus values) whose multiply-adds take as long as the exponentials that do not overlap.
    pub attention_softmax_width: f64,
    /// Rate of 8-bit attention over sequences relative to 16-bit, per FLOP: at least 1, and 2 at most.
    pub attention_fp8_gain: f64,
    /// Rate of the backward pass relative to the forward pass, per FLOP.
    pub attention_backward_rate: f64,
    /// Fixed time of attention over sequences, µs.
    pub attention_fixed_us: f64,
    /// Share of the bandwidth that reading the KV cache reaches.
    pub decode_memory_share: f64,
    /// Fixed time of attention of one token, µs.
    pub decode_fixed_us: f64,
    /// Further start-up of attention of one token, paid in full by large caches, µs.
    pub decode_ramp_us: f64,
    /// Passes over Q, K and V that rotary embedding and the writing of a cache cost, of which one read and one write
    /// are needed.
    pub rotary_passes: f64,
    /// Fixed time of the kernels around the grouped products of experts, µs.
    pub moe_fixed_us: f64,
}

impl KernelConstants {
    /// Names of all constants, in the order of the table.
    pub const NAMES: [&'static str; 38] = [
        "gemm_half_peak_share",
        "gemm_half_operand_cost",
        "gemm_half_prologue",
        "gemm_half_quantise_fixed_us",
        "gemm_half_quantise_passes",
        "gemm_half_expert_cost",
        "gemm_fp8_peak_share",
        "gemm_fp8_operand_cost",
        "gemm_fp8_prologue",
        "gemm_fp8_quantise_fixed_us",
        "gemm_fp8_quantise_passes",
        "gemm_fp8_expert_cost",
        "gemm_fp8_blockwise_peak_share",
        "gemm_fp8_blockwise_operand_cost",
        "gemm_fp8_blockwise_prologue",
        "gemm_fp8_blockwise_quantise_fixed_us",
        "gemm_fp8_blockwise_quantise_passes",
        "gemm_fp8_blockwise_expert_cost",
        "gemm_fp4_peak_share",
        "gemm_fp4_operand_cost",
        "gemm_fp4_prologue",
        "gemm_fp4_quantise_fixed_us",
        "gemm_fp4_quantise_passes",
        "gemm_fp4_expert_cost",
        "gemm_fixed_us",
        "gemm_memory_share",
        "memory_share",
        "memory_fixed_us",
        "attention_peak_share",
        "attention_softmax_width",
        "attention_fp8_gain",
        "attention_backward_rate",
        "attention_fixed_us",
        "decode_memory_share",
        "decode_fixed_us",
        "decode_ramp_us",
        "rotary_passes",
        "moe_fixed_us",
    ];

    /// The constants of a family.
    ///
    /// # Errors
    /// `Malformed` where the embedded table is incomplete or holds something that is not a number.
    pub fn of(family: Family) -> Result<Self, Error> {
        static PARSED: OnceLock<Result<Vec<(Family, KernelConstants)>, Error>> = OnceLock::new();
        let table = PARSED.get_or_init(|| parse(TABLE)).as_ref().map_err(Clone::clone)?;
        table
            .iter()
            .find(|(known, _)| *known == family)
            .map(|(_, constants)| *constants)
            .ok_or_else(|| malformed(format!("no constants for {}", family.name())))
    }

    /// One constant by its name in the table.
    pub fn value_mut(&mut self, name: &str) -> Option<&mut f64> {
        // The longer prefix first: "fp8" begins "fp8_blockwise".
        for (prefix, constants) in [
            ("gemm_half_", &mut self.half),
            ("gemm_fp8_blockwise_", &mut self.fp8_blockwise),
            ("gemm_fp8_", &mut self.fp8),
            ("gemm_fp4_", &mut self.fp4),
        ] {
            let Some(field) = name.strip_prefix(prefix) else { continue };
            return match field {
                "peak_share" => Some(&mut constants.peak_share),
                "operand_cost" => Some(&mut constants.operand_cost),
                "prologue" => Some(&mut constants.prologue),
                "quantise_fixed_us" => Some(&mut constants.quantise_fixed_us),
                "quantise_passes" => Some(&mut constants.quantise_passes),
                "expert_cost" => Some(&mut constants.expert_cost),
                _ => None,
            };
        }
        match name {
            "gemm_fixed_us" => Some(&mut self.gemm_fixed_us),
            "gemm_memory_share" => Some(&mut self.gemm_memory_share),
            "memory_share" => Some(&mut self.memory_share),
            "memory_fixed_us" => Some(&mut self.memory_fixed_us),
            "attention_peak_share" => Some(&mut self.attention_peak_share),
            "attention_softmax_width" => Some(&mut self.attention_softmax_width),
            "attention_fp8_gain" => Some(&mut self.attention_fp8_gain),
            "attention_backward_rate" => Some(&mut self.attention_backward_rate),
            "attention_fixed_us" => Some(&mut self.attention_fixed_us),
            "decode_memory_share" => Some(&mut self.decode_memory_share),
            "decode_fixed_us" => Some(&mut self.decode_fixed_us),
            "decode_ramp_us" => Some(&mut self.decode_ramp_us),
            "rotary_passes" => Some(&mut self.rotary_passes),
            "moe_fixed_us" => Some(&mut self.moe_fixed_us),
            _ => None,
        }
    }
}

fn malformed(message: String) -> Error {
    Error::Malformed { field: FIELD.to_owned(), message }
}

/// Reads the table: every family must have every constant exactly once.
fn parse(text: &str) -> Result<Vec<(Family, KernelConstants)>, Error> {
    let mut table: Vec<(Family, KernelConstants)> =
        Family::all().map(|family| (family, KernelConstants::default())).collect();
    let mut seen = vec![[false; KernelConstants::NAMES.len()]; FAMILIES.len()];
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for row in reader.records() {
        let row = row.map_err(|error| malformed(error.to_string()))?;
        let (Some(generation), Some(name), Some(value)) = (row.get(0), row.get(1), row.get(2)) else {
            return Err(malformed("a row has fewer than three columns".to_owned()));
        };
        let Some(family) = FAMILIES.iter().position(|&(_, known)| known == generation) else {
            return Err(malformed(format!("unknown generation {generation}")));
        };
        let Some(constant) = KernelConstants::NAMES.iter().position(|&known| known == name) else {
            return Err(malformed(format!("unknown constant {name}")));
        };
        let value: f64 =
            value.parse().map_err(|_| malformed(format!("{generation}, {name}: {value} is no number")))?;
        if !(value.is_finite() && value >= 0.0) {
            return Err(malformed(format!("{generation}, {name}: {value} is not a positive number")));
        }
        if std::mem::replace(&mut seen[family][constant], true) {
            return Err(malformed(format!("{generation}, {name} stands twice")));
        }
        if let Some(slot) = table[family].1.value_mut(name) {
            *slot = value;
        }
    }
    for (family, seen) in FAMILIES.iter().zip(&seen) {
        if let Some(missing) = seen.iter().position(|&seen| !seen) {
            return Err(malformed(format!("{} lacks {}", family.1, KernelConstants::NAMES[missing])));
        }
    }
    Ok(table)
}
