//! The links between GPUs.

use serde::{Deserialize, Serialize};

use super::FabricKind;

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
