//! A whole training run: failures, checkpoints, restarts; wall-clock days instead of steps × time.

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, FailureRange, FailureRate};
use crate::error::{Error, check_range};
use crate::quantity::{GB, HOUR};

/// How often things break and what is done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Reliability {
    /// Name of a published rate of failures, of the table `reliability`; either this or your own
    /// `gpu_hours_per_interruption`. Without either `llama3-405b`: unexpected interruptions of Llama 3, arXiv 2407.21783,
    /// section 3.3.4 and table 5. Published rates lie far apart: their range widens the interval of days.
    pub rate: Option<String>,
    /// Your own GPU-hours between interruptions of the job, taken as known: it widens no interval.
    pub gpu_hours_per_interruption: Option<f64>,
    /// Seconds from an interruption until training goes on, loading included. Default 660: the median interval of
    /// automatic retries, 11 minutes, on 504 B200 (arXiv 2605.09370).
    pub restart_seconds: f64,
    /// Seconds of training between two checkpoints; without it the interval that loses least, by Young's rule.
    pub checkpoint_interval_seconds: Option<f64>,
    /// Share of the time to write a checkpoint that training waits, 0 to 1. Default 1: it waits for all of it. Asynchronous
    /// writers make it wait for a copy alone; what that takes differs from system to system by more than ten times (arXiv
    /// 2407.20143 waits a 54th of others), so that no smaller share is assumed.
    pub checkpoint_stall_share: f64,
    /// Rate at which one node writes checkpoints, GB/s; the front-end network of its shape if not given, and where that
    /// is not known 5 (40 Gb/s).
    pub checkpoint_gb_per_s_per_node: Option<f64>,
    /// Rate at which the storage takes them from all nodes together, GB/s; that of the storage tier that the scenario
    /// names if not given, and without such a tier 2,000: what Llama 3's storage sustained, arXiv 2407.21783, section
    /// 3.3.1.
    pub checkpoint_gb_per_s_total: Option<f64>,
    /// Share of the nodes kept spare and paid for. They cost; that they shorten a restart no source says in numbers, and
    /// `restart_seconds` holds either way.
    pub spare_share: f64,
    /// Checkpoints kept in storage.
    pub checkpoints_kept: u32,
}

impl Default for Reliability {
    fn default() -> Self {
        Self {
            rate: None,
            gpu_hours_per_interruption: None,
            restart_seconds: 660.0,
            checkpoint_interval_seconds: None,
            checkpoint_stall_share: 1.0,
            checkpoint_gb_per_s_per_node: None,
            checkpoint_gb_per_s_total: None,
            spare_share: 0.0,
            checkpoints_kept: 3,
        }
    }
}

/// The rate of failures that a run is reckoned with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InterruptionRate<'a> {
    /// GPU-hours between interruptions.
    pub gpu_hours: f64,
    /// The row of the table that it stands in; none where the scenario gives the number.
    pub published: Option<&'a FailureRate>,
    /// Where the rates of published systems lie; none where the scenario gives the number.
    pub range: Option<FailureRange>,
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
    /// Seconds of them that training waits.
    pub checkpoint_stall_seconds: f64,
    /// Seconds of training between two: as given, else by Young's rule.
    pub checkpoint_interval_seconds: f64,
    /// GPU-hours between interruptions that this rests on.
    pub gpu_hours_per_interruption: f64,
    /// Hours between interruptions of the whole job.
    pub mean_hours_between_interruptions: f64,
    /// Share lost to writing checkpoints.
    pub checkpoint_share: f64,
    /// Share lost to work done again after an interruption.
    pub rework_share: f64,
    /// Share lost to restarting.
    pub restart_share: f64,
    /// Share lost to evaluations.
    pub evaluation_share: f64,
    /// Share lost to waiting for data.
    pub data_share: f64,
    /// Share lost before the first step.
    pub startup_share: f64,
}

/// Why a run makes no headway.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Stuck {
    /// Interruptions come faster than the job recovers.
    #[error("interrupted every {hours:.2} hours, faster than the job recovers")]
    Interrupted {
        /// Hours between interruptions.
        hours: f64,
    },
    /// A checkpoint is not yet written when the next one is due.
    #[error(
        "a checkpoint every {interval:.0} s of training cannot be kept: writing one goes on for {background:.0} s beside it"
    )]
    Overlap {
        /// Seconds of training between two checkpoints, as given.
        interval: f64,
        /// Seconds that writing one takes while training goes on.
        background: f64,
    },
    /// There is no way to storage.
    #[error("checkpoints pass no link to storage")]
    NoLink,
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

/// The published rate that stands where a scenario names none: the largest run whose interruptions are all told.
const USUAL_RATE: &str = "llama3-405b";

/// Seconds between interruptions of a job below which no run makes headway.
const LEAST_UPTIME: f64 = 1.0;

/// Seconds lost for every second trained from which on a run makes no headway worth the name.
const MOST_LOST: f64 = 10.0;

impl Reliability {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// `OutOfRange`, `Conflict` or `UnknownName`, with paths below `reliability`.
    pub fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        let given = [
            ("gpu_hours_per_interruption", self.gpu_hours_per_interruption, 1.0, 1e12),
            ("restart_seconds", Some(self.restart_seconds), 0.0, 1e6),
            ("checkpoint_interval_seconds", self.checkpoint_interval_seconds, 1.0, 1e8),
            ("checkpoint_stall_share", Some(self.checkpoint_stall_share), 0.0, 1.0),
            ("checkpoint_gb_per_s_total", self.checkpoint_gb_per_s_total, 1e-3, 1e6),
            ("checkpoint_gb_per_s_per_node", self.checkpoint_gb_per_s_per_node, 1e-3, 1e4),
            ("spare_share", Some(self.spare_share), 0.0, 1.0),
            ("checkpoints_kept", Some(f64::from(self.checkpoints_kept)), 0.0, 1e6),
        ];
        for (field, value, min, max) in given {
            let Some(value) = value else { continue };
            check_range(&format!("reliability.{field}"), value, min, max)?;
        }
        self.interruptions(catalog).map(drop)
    }

    /// The rate of failures: the scenario's own number, or the published one that it names.
    ///
    /// # Errors
    /// `Conflict` for both, `UnknownName` for no published one, with paths below `reliability`.
    pub fn interruptions<'a>(&self, catalog: &'a Catalog) -> Result<InterruptionRate<'a>, Error> {
        match (self.gpu_hours_per_interruption, &self.rate) {
            (Some(_), Some(name)) => Err(Error::Conflict {
                field: "reliability.rate".to_owned(),
                message: format!(
                    "\"{name}\" given beside gpu_hours_per_interruption: give a published rate's name or your own \
                     number, not both"
                ),
            }),
            (Some(gpu_hours), None) => Ok(InterruptionRate { gpu_hours, published: None, range: None }),
            (None, name) => {
                let name = name.as_deref().unwrap_or(USUAL_RATE);
                let published = catalog.failure_rate("reliability.rate", name)?;
                Ok(InterruptionRate {
                    gpu_hours: published.gpu_hours_per_event,
                    published: Some(published),
                    range: catalog.failure_range(),
                })
            }
        }
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

    /// Share of wall-clock time that trains under failures and checkpoints alone, and where the rest goes; `parameters`
    /// are the trained ones. A checkpoint is written at the rate of the slowest of `links`.
    ///
    /// Checkpoints every τ seconds of training: as given, else √(2 s M) (Young 1974, doi 10.1145/361147.361115), s the
    /// seconds of a write δ that training waits and M the seconds between interruptions of the job; at least the δ − s
    /// that the write goes on beside training. Each interruption loses half an interval, what was trained since the last
    /// checkpoint that is whole (δ − s more), and the restart.
    ///
    /// # Errors
    /// [`Stuck`] if interruptions come faster than the job recovers, if a checkpoint would be due before the last one is
    /// written, or if there are no links.
    pub fn goodput(
        &self,
        gpu_hours_per_interruption: f64,
        parameters: f64,
        gpus: f64,
        links: &[CheckpointLink],
    ) -> Result<(f64, GoodputLosses), Stuck> {
        let slowest = links.iter().min_by(|a, b| a.gb_per_s.total_cmp(&b.gb_per_s)).ok_or(Stuck::NoLink)?;
        let bytes = parameters * CHECKPOINT_BYTES_PER_PARAMETER;
        let write = bytes / (slowest.gb_per_s * GB);
        let uptime = gpu_hours_per_interruption / gpus * HOUR;
        let stall = write * self.checkpoint_stall_share;
        let background = write - stall;
        let interval = match self.checkpoint_interval_seconds {
            Some(interval) if interval < background => return Err(Stuck::Overlap { interval, background }),
            Some(interval) => interval,
            None => (2.0 * stall * uptime).sqrt().max(background),
        };
        let checkpoint_share = stall / (interval + stall);
        let rework = (interval / 2.0 + background) / uptime;
        let restart = self.restart_seconds / uptime;
        // An interruption costs time in which nothing is trained: shares of the wall clock.
        let lost = rework + restart;
        let goodput = (1.0 - checkpoint_share) * (1.0 - lost / (1.0 + lost));
        if !goodput.is_finite() || uptime <= LEAST_UPTIME || lost >= MOST_LOST {
            return Err(Stuck::Interrupted { hours: uptime / HOUR });
        }
        let losses = GoodputLosses {
            checkpoint_gb: bytes / GB,
            checkpoint_seconds: write,
            checkpoint_gb_per_s: slowest.gb_per_s,
            checkpoint_bound: slowest.bound,
            checkpoint_stall_seconds: stall,
            checkpoint_interval_seconds: interval,
            gpu_hours_per_interruption,
            mean_hours_between_interruptions: uptime / HOUR,
            checkpoint_share,
            rework_share: rework / (1.0 + lost) * (1.0 - checkpoint_share),
            restart_share: restart / (1.0 + lost) * (1.0 - checkpoint_share),
            evaluation_share: 0.0,
            data_share: 0.0,
            startup_share: 0.0,
        };
        Ok((goodput, losses))
    }
}
