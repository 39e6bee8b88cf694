//! What a cloud rents: instance shapes and the fabric between them.

use serde::{Deserialize, Serialize};

use super::Source;
use super::table::{Read, Row};
use crate::error::Error;

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
    /// Other spellings.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Where the figures are from.
    pub source: Source,
}

impl Shape {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "provider",
        "name",
        "gpu",
        "gpus_per_node",
        "scale_up_domain",
        "fabric",
        "rdma_gbit_per_s_per_gpu",
        "frontend_gbit_per_s",
        "cpu_unit",
        "cpus",
        "host_memory_gib",
        "local_disk_tb",
        "max_cluster_gpus",
        "aliases",
    ];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        Ok(Self {
            provider: row.required("provider")?,
            name: row.required("name")?,
            gpu: row.required("gpu")?,
            gpus_per_node: row.count_required("gpus_per_node", 1, 1024)?,
            scale_up_domain: row.count_required("scale_up_domain", 1, 100_000)?,
            fabric: row.optional("fabric")?,
            rdma_gbit_per_s_per_gpu: row.number("rdma_gbit_per_s_per_gpu", 0.1, 1e6)?,
            frontend_gbit_per_s: row.number("frontend_gbit_per_s", 0.1, 1e6)?,
            host_memory_gib: row.number("host_memory_gib", 1.0, 1e6)?,
            local_disk_tb: row.number("local_disk_tb", 0.0, 1e5)?,
            max_cluster_gpus: row.count("max_cluster_gpus", 1, 100_000_000)?,
            aliases: row.names("aliases")?,
            source: row.source(titles)?,
        })
    }

    /// The fields agree with each other.
    pub(super) fn check(&self, path: &str) -> Result<(), Error> {
        if self.fabric.is_none() && self.rdma_gbit_per_s_per_gpu.is_some() {
            return Err(Error::MissingField {
                field: format!("{path}.fabric"),
                expected: "an RDMA rate needs the fabric it belongs to".to_owned(),
            });
        }
        Ok(())
    }
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
    /// Latency of a hop or across the fabric, as the source words it.
    pub hop_latency: String,
    /// Adaptive routing, as the source words it.
    pub adaptive_routing: String,
    /// Congestion control, as the source words it.
    pub congestion_control: String,
    /// Largest scale, as the source words it.
    pub max_scale: String,
    /// Where the figures are from.
    pub source: Source,
}

impl Fabric {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "name",
        "operator",
        "kind",
        "scale_up_domain",
        "scale_up_gb_per_s",
        "injection_gb_per_s_per_gpu",
        "tiers",
        "oversubscription",
        "hop_latency",
        "adaptive_routing",
        "congestion_control",
        "max_scale",
    ];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        Ok(Self {
            name: row.required("name")?,
            operator: row.required("operator")?,
            kind: row.required("kind")?,
            scale_up_domain: row.count("scale_up_domain", 1, 100_000)?,
            scale_up_gb_per_s: row.number("scale_up_gb_per_s", 0.1, 1e6)?,
            injection_gb_per_s_per_gpu: row.number("injection_gb_per_s_per_gpu", 0.01, 1e5)?,
            tiers: row.text("tiers")?,
            oversubscription: row.text("oversubscription")?,
            hop_latency: row.text("hop_latency")?,
            adaptive_routing: row.text("adaptive_routing")?,
            congestion_control: row.text("congestion_control")?,
            max_scale: row.text("max_scale")?,
            source: row.source(titles)?,
        })
    }
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
