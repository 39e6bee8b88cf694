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
    /// Rate at which the storage takes them from all nodes together, GB/s; that of the storage tier that the scenario
    /// names if not given, and without such a tier 2,000: what Llama 3's storage sustained, arXiv 2407.21783, section
    /// 3.3.1.
    pub checkpoint_gb_per_s_total: Option<f64>,
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
            checkpoint_gb_per_s_total: None,
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
    /// Rate at which all nodes together write one, GB/s: that of the slowest link on the way.
    pub checkpoint_gb_per_s: f64,
    /// The slowest link.
    pub checkpoint_bound: CheckpointBound,
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

/// What may bound the rate at which checkpoints are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum CheckpointBound {
    /// The storage tier at its provisioned capacity.
    StorageTier,
    /// The rate of all nodes together that the scenario gives.
    TotalGiven,
    /// Storage as fast as Llama 3's, because no tier with a known throughput is named.
    AssumedStorage,
    /// The front-end networks of the nodes.
    NodeNic,
    /// The rate of a node that the scenario gives.
    NodeGiven,
    /// The assumed rate of nodes whose front-end network is not known.
    AssumedNode,
    /// What a virtual machine exchanges with its remote disks.
    VmDisks,
}

/// A link that checkpoints pass on their way to storage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckpointLink {
    /// Which one.
    pub bound: CheckpointBound,
    /// Its rate for all nodes together, GB/s.
    pub gb_per_s: f64,
}

/// Rate of storage where no tier with a known throughput is named, GB/s: sustained by Llama 3's storage, arXiv
/// 2407.21783, section 3.3.1.
const ASSUMED_STORAGE_GB_PER_S: f64 = 2000.0;

/// Rate of a node whose front-end network is not known, GB/s: 40 Gb/s, assumed.
const ASSUMED_NODE_GB_PER_S: f64 = 5.0;

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
        if let Some(rate) = self.checkpoint_gb_per_s_total {
            check_range("reliability.checkpoint_gb_per_s_total", rate, 1e-3, 1e6)?;
        }
        if let Some(rate) = self.checkpoint_gb_per_s_per_node {
            check_range("reliability.checkpoint_gb_per_s_per_node", rate, 1e-3, 1e4)?;
        }
        check_range("reliability.spare_share", self.spare_share, 0.0, 1.0)?;
        check_range("reliability.checkpoints_kept", f64::from(self.checkpoints_kept), 0.0, 1e6)?;
        Ok(())
    }

    /// The links that checkpoints of `nodes` nodes pass: storage, then the nodes' own. `tier_gb_per_s` is the rate of the
    /// named storage tier, `nic_gb_per_s` that of a node's front-end network, where they are known.
    pub fn checkpoint_links(
        &self,
        nodes: f64,
        nic_gb_per_s: Option<f64>,
        tier_gb_per_s: Option<f64>,
    ) -> Vec<CheckpointLink> {
        use CheckpointBound as Bound;
        let node = match (self.checkpoint_gb_per_s_per_node, nic_gb_per_s) {
            (Some(given), _) => (Bound::NodeGiven, given),
            (None, Some(nic)) => (Bound::NodeNic, nic),
            (None, None) => (Bound::AssumedNode, ASSUMED_NODE_GB_PER_S),
        };
        let storage = [
            tier_gb_per_s.map(|rate| (Bound::StorageTier, rate)),
            self.checkpoint_gb_per_s_total.map(|rate| (Bound::TotalGiven, rate)),
        ];
        let known: Vec<(Bound, f64)> = storage.into_iter().flatten().collect();
        let assumed = known.is_empty().then_some((Bound::AssumedStorage, ASSUMED_STORAGE_GB_PER_S));
        known
            .into_iter()
            .chain(assumed)
            .chain([(node.0, nodes * node.1)])
            .map(|(bound, gb_per_s)| CheckpointLink { bound, gb_per_s })
            .collect()
    }

    /// Share of wall-clock time that trains, and where the rest goes; `parameters` are the trained ones. A checkpoint is
    /// written at the rate of the slowest of `links`.
    ///
    /// Checkpoints every τ = √(2 δ M) seconds (Young 1974, doi 10.1145/361147.361115), δ the seconds to write one and M
    /// the seconds between interruptions of the job; each interruption loses half an interval and the restart. None if
    /// interruptions come faster than the job recovers, or if there are no links.
    pub fn goodput(
        &self,
        parameters: f64,
        gpus: f64,
        links: &[CheckpointLink],
    ) -> Option<(f64, GoodputLosses)> {
        let slowest = links.iter().min_by(|a, b| a.gb_per_s.total_cmp(&b.gb_per_s))?;
        let bytes = parameters * CHECKPOINT_BYTES_PER_PARAMETER;
        let write = bytes / (slowest.gb_per_s * GB);
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
                checkpoint_gb_per_s: slowest.gb_per_s,
                checkpoint_bound: slowest.bound,
                checkpoint_interval_seconds: interval,
                mean_hours_between_interruptions: uptime / HOUR,
                checkpoint_share,
                rework_share: rework / (1.0 + lost) * (1.0 - checkpoint_share),
                restart_share: restart / (1.0 + lost) * (1.0 - checkpoint_share),
            },
        ))
    }
}
