//! The links between GPUs.

use serde::{Deserialize, Serialize};

use super::{Fabric, FabricKind};

/// The links that a group of GPUs sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Topology {
    /// GPUs of one node.
    pub gpus_per_node: u32,
    /// GPUs of one scale-up domain (8; 72 on NVL72; 1 without NVLink).
    pub scale_up_domain: u32,
    /// One GPU's scale-up bandwidth, one direction, bytes per second.
    pub scale_up_bytes_per_s: f64,
    /// Kind of scale-up link: start-up times and measured efficiency belong to it.
    pub scale_up: ScaleUpKind,
    /// One GPU's bandwidth into the fabric, one direction, bytes per second; 0 without RDMA.
    pub scale_out_bytes_per_s: f64,
    /// Protocol family of the fabric.
    pub scale_out: FabricKind,
    /// What a job meets on them: where it was placed, who shares the tiers, which software drives them.
    pub conditions: Conditions,
}

/// What decides a collective's time besides the rates of the links. The default is a compact job on a non-blocking
/// fabric, today's library, timed by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Share of a group's domains that lie anywhere in the fabric instead of next to each other: 0 compact, 1 scattered.
    pub scattered_share: f64,
    /// How the fabric spreads flows over equal paths; matters where the placement is scattered.
    pub routing: Routing,
    /// Bandwidth into a tier over bandwidth out of it: 1 non-blocking, 7 where a seventh of the traffic fits.
    pub oversubscription: f64,
    /// GPUs below the tier that is oversubscribed; 0 where it lies right above the scale-up domains.
    pub tier_gpus: u32,
    /// The fabric's switches sum (SHARP), for all-reduce over InfiniBand.
    pub in_switch_reduction: bool,
    /// What launches the collectives.
    pub launch: Launch,
    /// Age of the collective library.
    pub library: LibraryAge,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            scattered_share: 0.0,
            routing: Routing::Adaptive,
            oversubscription: 1.0,
            tier_gpus: 0,
            in_switch_reduction: false,
            launch: Launch::Benchmark,
            library: LibraryAge::Current,
        }
    }
}

impl Conditions {
    /// What the row of a fabric says in its words of routing and oversubscription: `1:7 at the aggregation tier` above a
    /// `pod of 3,072 GPUs` is a tier of 3,072 GPUs oversubscribed sevenfold. Words that start with `yes` or speak of
    /// spraying mean adaptive routing, other words none; without words InfiniBand routes adaptively, Ethernet does not.
    pub fn of_fabric(fabric: &Fabric) -> Self {
        let words = fabric.adaptive_routing.as_str();
        let adaptive = if words.is_empty() {
            fabric.kind == FabricKind::InfiniBand
        } else {
            words.starts_with("yes") || words.contains("spraying")
        };
        let ratios = fabric.oversubscription.split("1:").skip(1).filter_map(leading_number);
        let oversubscription = ratios.fold(1.0, f64::max);
        let pod =
            fabric.tiers.split("pod of ").nth(1).and_then(leading_number).filter(|_| oversubscription > 1.0);
        Self {
            routing: if adaptive { Routing::Adaptive } else { Routing::Ecmp },
            oversubscription,
            tier_gpus: pod.map_or(0, |gpus| gpus as u32),
            ..Self::default()
        }
    }
}

/// The number that a text starts with, thousands separated by commas or not.
fn leading_number(text: &str) -> Option<f64> {
    let digits: String =
        text.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().ok()
}

/// How a fabric spreads flows over equal paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Switches move packets to the path with the shortest queue (InfiniBand adaptive routing, packet spraying).
    Adaptive,
    /// Each flow keeps to one path: a hash over Ethernet (ECMP), InfiniBand's static routes.
    Ecmp,
}

/// What launches a collective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// A benchmark in C, or a framework that queues ahead of the GPU: launches cost no time of their own.
    #[default]
    Benchmark,
    /// A Python framework that waits for every collective: its launch is part of the time.
    Framework,
}

/// Age of the collective library.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum LibraryAge {
    /// Later than NCCL 2.18, or RCCL.
    #[default]
    Current,
    /// NCCL 2.18 (2023) or older, whose collectives start about half as fast.
    Nccl218,
}

impl Topology {
    /// The same links with only `used` GPUs of each node taking part (all of them if the node has no more).
    ///
    /// On a full mesh the links to the GPUs left out carry nothing; ports and switches serve those that remain.
    #[must_use]
    pub fn with_gpus_per_node(mut self, used: u32) -> Self {
        let node = self.gpus_per_node;
        if used >= 1 && used < node {
            self.gpus_per_node = used;
            self.scale_up_domain = (self.scale_up_domain / node).max(1) * used;
            self.conditions.tier_gpus = self.conditions.tier_gpus / node * used;
            if self.scale_up == ScaleUpKind::InfinityFabric {
                self.scale_up_bytes_per_s *= f64::from(used - 1) / f64::from(node - 1);
            }
        }
        self
    }
}

/// Kind of scale-up link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum ScaleUpKind {
    /// NVLink 2 and 3 (Volta, Ampere): no in-switch reduction.
    NvLink3,
    /// NVLink 4 (Hopper), with in-switch reduction.
    NvLink4,
    /// NVLink 5 (Blackwell), with in-switch reduction.
    NvLink5,
    /// AMD Infinity Fabric: a full mesh of point-to-point links.
    InfinityFabric,
    /// PCI Express only.
    Pcie,
}
