//! The few constants of a training step that no datasheet gives, each with its source, read from
//! `core/data/training_constants.csv` and fitted by `cargo run --release --example fit_training`.

use std::sync::OnceLock;

use crate::catalog::GpuArchitecture;
use crate::error::Error;

/// The table itself.
pub const TABLE: &str = include_str!("../../data/training_constants.csv");

/// Constants of a training step. Shares lie between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingConstants {
    /// Share of tensor parallel communication that is waited for; the rest runs under the matrix products.
    pub tensor_exposed: f64,
    /// Share of expert exchange that is waited for.
    pub expert_exposed: f64,
    /// Share of expert exchange that costs time although it runs under another micro-batch's computation: its copy kernels
    /// take multiprocessors, its dependencies cut the micro-batch into chunks.
    pub expert_overlapped: f64,
    /// Share of pipeline sends that is waited for.
    pub pipeline_exposed: f64,
    /// Share of the passes under which gradient and weight exchange can hide.
    pub data_window: f64,
    /// Slow-down of computation while data parallel communication runs beside it: extra time as a share of the hidden
    /// communication (the copy kernels take multiprocessors and memory bandwidth).
    pub contention: f64,
    /// Seconds between two kernels of a layer.
    pub kernel_gap_seconds: f64,
    /// Seconds between two kernels of a captured layer.
    pub captured_gap_seconds: f64,
    /// Host seconds of a launch of one expert's kernel: framework and driver.
    pub launch_seconds: f64,
    /// Seconds that routing adds to each pass through a layer with experts: counts to the host, permutation tables, small
    /// kernels that nothing hides.
    pub routing_seconds: f64,
    /// Seconds of host work in a step: data, logging, optimiser launches.
    pub step_overhead_seconds: f64,
    /// Extra time for every doubling of the number of nodes: waiting for the slowest rank.
    pub straggler_per_doubling: f64,
    /// Bytes per element and linear layer that casting to 8 or 4 bits moves, forward and backward each.
    pub cast_bytes: f64,
    /// Times that unfused elementwise work passes memory, against fused.
    pub eager_passes: f64,
    /// Speed of a state-space scan's kernels, which Triton compiles, relative to what matrix units and memory allow: up to
    /// Hopper, and from Blackwell on.
    pub scan_rate: [f64; 2],
    /// Memory that the driver, the framework and the communication library hold, bytes.
    pub context_bytes: f64,
    /// Allocator slack: share of the activations.
    pub fragmentation: f64,
    /// Share of the kernels' speed that a training step sustains, by generation: power limits, cold caches, dependencies.
    pub sustained: [f64; 6],
}

impl TrainingConstants {
    /// The embedded constants.
    ///
    /// # Errors
    /// `Malformed` if the table lacks a constant; a test shows that it does not.
    pub fn embedded() -> Result<&'static Self, Error> {
        static LOADED: OnceLock<Result<TrainingConstants, Error>> = OnceLock::new();
        LOADED.get_or_init(|| Self::parse(TABLE)).as_ref().map_err(Clone::clone)
    }

    /// The constants in a table with the columns `name` and `value`.
    ///
    /// # Errors
    /// `Malformed` if a constant is missing or not a number.
    pub fn parse(table: &str) -> Result<Self, Error> {
        let value = |name: &str| -> Result<f64, Error> {
            table
                .lines()
                .find_map(|line| {
                    let mut cells = line.split(',');
                    (cells.next() == Some(name)).then(|| cells.next())?.and_then(|cell| cell.parse().ok())
                })
                .ok_or_else(|| Error::Malformed {
                    field: format!("training_constants.{name}"),
                    message: "missing or not a number".to_owned(),
                })
        };
        Ok(Self {
            tensor_exposed: value("tensor_exposed")?,
            expert_exposed: value("expert_exposed")?,
            expert_overlapped: value("expert_overlapped")?,
            pipeline_exposed: value("pipeline_exposed")?,
            data_window: value("data_window")?,
            contention: value("contention")?,
            kernel_gap_seconds: value("kernel_gap_seconds")?,
            captured_gap_seconds: value("captured_gap_seconds")?,
            launch_seconds: value("launch_seconds")?,
            routing_seconds: value("routing_seconds")?,
            step_overhead_seconds: value("step_overhead_seconds")?,
            straggler_per_doubling: value("straggler_per_doubling")?,
            cast_bytes: value("cast_bytes")?,
            eager_passes: value("eager_passes")?,
            scan_rate: [value("scan_rate_hopper")?, value("scan_rate_blackwell")?],
            context_bytes: value("context_bytes")?,
            fragmentation: value("fragmentation")?,
            sustained: [
                value("sustained_ampere")?,
                value("sustained_hopper")?,
                value("sustained_blackwell")?,
                value("sustained_blackwell_ultra")?,
                value("sustained_cdna3")?,
                value("sustained_cdna4")?,
            ],
        })
    }

    /// The constants by name, for fitting.
    pub fn named(&mut self) -> Vec<(&'static str, &mut f64)> {
        let [ampere, hopper, blackwell, ultra, cdna3, cdna4] = &mut self.sustained;
        let [scan_hopper, scan_blackwell] = &mut self.scan_rate;
        vec![
            ("tensor_exposed", &mut self.tensor_exposed),
            ("expert_exposed", &mut self.expert_exposed),
            ("expert_overlapped", &mut self.expert_overlapped),
            ("pipeline_exposed", &mut self.pipeline_exposed),
            ("data_window", &mut self.data_window),
            ("contention", &mut self.contention),
            ("kernel_gap_seconds", &mut self.kernel_gap_seconds),
            ("captured_gap_seconds", &mut self.captured_gap_seconds),
            ("launch_seconds", &mut self.launch_seconds),
            ("routing_seconds", &mut self.routing_seconds),
            ("step_overhead_seconds", &mut self.step_overhead_seconds),
            ("straggler_per_doubling", &mut self.straggler_per_doubling),
            ("cast_bytes", &mut self.cast_bytes),
            ("eager_passes", &mut self.eager_passes),
            ("scan_rate_hopper", scan_hopper),
            ("scan_rate_blackwell", scan_blackwell),
            ("context_bytes", &mut self.context_bytes),
            ("fragmentation", &mut self.fragmentation),
            ("sustained_ampere", ampere),
            ("sustained_hopper", hopper),
            ("sustained_blackwell", blackwell),
            ("sustained_blackwell_ultra", ultra),
            ("sustained_cdna3", cdna3),
            ("sustained_cdna4", cdna4),
        ]
    }

    /// Relative speed of a scan's kernels on a generation; other vendors' parts go with Hopper.
    pub fn scan_rate(&self, architecture: GpuArchitecture) -> f64 {
        use GpuArchitecture as A;
        let [hopper, blackwell] = self.scan_rate;
        if matches!(architecture, A::Blackwell | A::BlackwellUltra) { blackwell } else { hopper }
    }

    /// Share of the kernels' speed that a generation sustains; older and consumer parts go with Ampere.
    pub fn sustained(&self, architecture: GpuArchitecture) -> f64 {
        use GpuArchitecture as A;
        self.sustained[match architecture {
            A::Volta | A::Turing | A::Ampere | A::Ada | A::Xe2 => 0,
            A::Hopper => 1,
            A::Blackwell => 2,
            A::BlackwellUltra => 3,
            A::Cdna3 => 4,
            A::Cdna4 => 5,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_table_is_whole() {
        let constants = TrainingConstants::embedded().unwrap();
        for share in [constants.tensor_exposed, constants.expert_exposed, constants.pipeline_exposed] {
            assert!((0.0..=1.0).contains(&share));
        }
        assert_eq!(TrainingConstants::parse("name,value").unwrap_err().code(), "malformed");
    }
}
