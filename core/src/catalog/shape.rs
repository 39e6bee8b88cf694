//! What a cloud rents: instance shapes and the fabric between them.

use serde::{Deserialize, Serialize};

use super::Source;

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Microsoft Azure.
    Azure,
    /// Oracle Cloud Infrastructure.
    Oci,
}

/// An instance type that a cloud rents (Azure "size", OCI "shape"); one rented instance is a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Who rents it.
    pub provider: Provider,
    /// The provider's own name, such as `Standard_ND96isr_H100_v5` or `BM.GPU.H100.8`.
    pub name: String,
    /// Canonical name of its GPU.
    pub gpu: String,
    /// GPUs in a node.
    pub gpus_per_node: u32,
    /// GPUs that one scale-up domain joins: all of a node, 72 on NVL72, 1 without NVLink or Infinity Fabric.
    pub scale_up_domain: u32,
    /// Name of the fabric between nodes; none where nodes have no RDMA network.
    pub fabric: Option<String>,
    /// RDMA bandwidth of a GPU, one direction, Gb/s; none without RDMA.
    pub rdma_gbit_per_s_per_gpu: Option<f64>,
    /// Front-end network of a node, Gb/s, where known.
    pub frontend_gbit_per_s: Option<f64>,
    /// Host memory, GiB, where known.
    pub host_memory_gib: Option<f64>,
    /// Local NVMe, decimal TB, where known.
    pub local_disk_tb: Option<f64>,
    /// Largest published cluster, GPUs, where a figure is published.
    pub max_cluster_gpus: Option<u32>,
    /// Where the figures are from.
    pub source: Source,
}

/// The network between nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Fabric {
    /// Canonical name, such as `azure-ndr-h100`.
    pub name: String,
    /// Who runs it, in the table's words (other clouds' fabrics are listed for comparison).
    pub operator: String,
    /// Protocol family: the measured efficiency belongs to it.
    pub kind: FabricKind,
    /// GPUs in one scale-up domain.
    pub scale_up_domain: Option<u32>,
    /// Scale-up bandwidth of one GPU in one direction, GB/s.
    pub scale_up_gb_per_s: Option<f64>,
    /// Injection bandwidth of a GPU, one direction, GB/s.
    pub injection_gb_per_s_per_gpu: Option<f64>,
    /// Tiers, as the source words it.
    pub tiers: String,
    /// Oversubscription, as the source words it.
    pub oversubscription: String,
    /// Adaptive routing, as the source words it.
    pub adaptive_routing: String,
    /// Largest scale, as the source words it.
    pub max_scale: String,
    /// Where the figures are from.
    pub source: Source,
}

/// Protocol family of a fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum FabricKind {
    /// InfiniBand, credit-based flow control and adaptive routing.
    InfiniBand,
    /// RDMA over converged Ethernet, version 2.
    RoceV2,
    /// Amazon's elastic fabric adapter.
    Efa,
    /// A private circuit between clouds.
    PrivateCircuit,
}
