//! A whole training run: failures, checkpoints, restarts; wall-clock days instead of steps × time.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_range};
use crate::quantity::{GB, HOUR};

/// How often things break and what is done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Reliability {
    /// GPU-hours between interruptions of the job. Default 50,677: unexpected interruptions of Llama 3, arXiv
    /// 2407.21783, section 3.3.4 and table 5.
    pub gpu_hours_per_interruption: f64,
    /// Seconds from an interruption until training goes on, loading included. Default 660: the median interval of
    /// automatic retries, 11 minutes, on 504 B200 (arXiv 2605.09370).
    pub restart_seconds: f64,
    /// Rate at which one node writes checkpoints, GB/s; the front-end network of its shape if not given, and where that
    /// is not known 5 (40 Gb/s).
    pub checkpoint_gb_per_s_per_node: Option<f64>,
    /// Rate at which the storage takes them from all nodes together, GB/s. Default 2,000: what Llama 3's storage
    /// sustained, arXiv 2407.21783, section 3.3.1.
    pub checkpoint_gb_per_s_total: f64,
    /// Share of the nodes kept spare and paid for.
    pub spare_share: f64,
    /// Checkpoints kept in storage.
    pub checkpoints_kept: u32,
}

impl Default for Reliability {
    fn default() -> Self {
        Self {
            gpu_hours_per_interruption: 50_677.0,
            restart_seconds: 660.0,
            checkpoint_gb_per_s_per_node: None,
            checkpoint_gb_per_s_total: 2000.0,
            spare_share: 0.0,
            checkpoints_kept: 3,
        }
    }
}

/// Wall-clock time that does not train, as shares of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct GoodputLosses {
    /// Size of a checkpoint, decimal GB.
    pub checkpoint_gb: f64,
    /// Seconds to write one.
    pub checkpoint_seconds: f64,
    /// Seconds between two, by Young's rule.
    pub checkpoint_interval_seconds: f64,
    /// Hours between interruptions of the whole job.
    pub mean_hours_between_interruptions: f64,
    /// Share lost to writing checkpoints.
    pub checkpoint_share: f64,
    /// Share lost to work done again after an interruption.
    pub rework_share: f64,
    /// Share lost to restarting.
    pub restart_share: f64,
}

/// Bytes of a checkpoint: 16-bit weights, 32-bit master weights and two moments for every trained parameter.
pub const CHECKPOINT_BYTES_PER_PARAMETER: f64 = 14.0;

/// Seconds between interruptions of a job below which no run makes headway.
const LEAST_UPTIME: f64 = 1.0;

impl Reliability {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// `OutOfRange`, with paths below `reliability`.
    pub fn check(&self) -> Result<(), Error> {
        check_range("reliability.gpu_hours_per_interruption", self.gpu_hours_per_interruption, 1.0, 1e12)?;
        check_range("reliability.restart_seconds", self.restart_seconds, 0.0, 1e6)?;
        check_range("reliability.checkpoint_gb_per_s_total", self.checkpoint_gb_per_s_total, 1e-3, 1e6)?;
        if let Some(rate) = self.checkpoint_gb_per_s_per_node {
            check_range("reliability.checkpoint_gb_per_s_per_node", rate, 1e-3, 1e4)?;
        }
        check_range("reliability.spare_share", self.spare_share, 0.0, 1.0)?;
        check_range("reliability.checkpoints_kept", f64::from(self.checkpoints_kept), 0.0, 1e6)?;
        Ok(())
    }

    /// Share of wall-clock time that trains, and where the rest goes; `parameters` are the trained ones.
    ///
    /// Checkpoints every τ = √(2 δ M) seconds (Young 1974, doi 10.1145/361147.361115), δ the seconds to write one and M
    /// the seconds between interruptions of the job; each interruption loses half an interval and the restart. None if
    /// interruptions come faster than the job recovers.
    pub fn goodput(
        &self,
        parameters: f64,
        gpus: f64,
        nodes: f64,
        node_gb_per_s: f64,
    ) -> Option<(f64, GoodputLosses)> {
        let bytes = parameters * CHECKPOINT_BYTES_PER_PARAMETER;
        let rate = (nodes * node_gb_per_s).min(self.checkpoint_gb_per_s_total) * GB;
        let write = bytes / rate;
        let uptime = self.gpu_hours_per_interruption / gpus * HOUR;
        let interval = (2.0 * write * uptime).sqrt();
        let checkpoint_share = write / (interval + write);
        let rework = interval / 2.0 / uptime;
        let restart = self.restart_seconds / uptime;
        // An interruption costs time in which nothing is trained: shares of the wall clock.
        let lost = rework + restart;
        let goodput = (1.0 - checkpoint_share) * (1.0 - lost / (1.0 + lost));
        let sound = goodput.is_finite() && uptime > LEAST_UPTIME && lost < 10.0;
        sound.then_some((
            goodput,
            GoodputLosses {
                checkpoint_gb: bytes / GB,
                checkpoint_seconds: write,
                checkpoint_interval_seconds: interval,
                mean_hours_between_interruptions: uptime / HOUR,
                checkpoint_share,
                rework_share: rework / (1.0 + lost) * (1.0 - checkpoint_share),
                restart_share: restart / (1.0 + lost) * (1.0 - checkpoint_share),
            },
        ))
    }
}
