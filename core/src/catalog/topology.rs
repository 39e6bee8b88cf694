//! The links that a shape's GPUs see, for the network model.

use super::{Catalog, ClusterLimit, FabricKind, Gpu, LimitClaim, Provider, Shape};
use super::{Conditions, ScaleUpKind, Topology};
use crate::error::{Error, check_range};

/// A topology of which only the GPU was known, with what had to be assumed.
#[derive(Debug, Clone, PartialEq)]
pub struct AssumedTopology {
    /// The links.
    pub topology: Topology,
    /// What was assumed, in words, for the plan's warnings; empty if everything was stated.
    pub assumed: Vec<String>,
}

impl Catalog {
    /// The links that the GPUs of `shape` see, from the datasheet of its GPU and the shape's own network.
    ///
    /// Where NVLink or Infinity Fabric joins fewer GPUs than the node holds (one card, or bridged pairs), the node's GPUs
    /// talk over PCI Express: kind [`ScaleUpKind::Pcie`], domain the whole node. `scale_out_bytes_per_s` is 0 where the
    /// shape has no RDMA network or its rate was not published ([`Catalog::scale_out_note`] says which).
    ///
    /// # Errors
    /// If the shape names a GPU, fabric or link kind that the catalogue does not know, which loading rules out.
    pub fn topology(&self, shape: &Shape) -> Result<Topology, Error> {
        let gpu = self.gpu("shape.gpu", &shape.gpu)?;
        let scale_up = scale_up(gpu, shape.gpus_per_node, shape.scale_up_domain)?;
        let fabric = shape.fabric.as_ref().map(|name| self.fabric("shape.fabric", name)).transpose()?;
        let scale_out = match fabric {
            Some(fabric) => fabric.kind,
            // No traffic passes: the kind names what the provider builds its networks from.
            None => match shape.provider {
                Provider::Azure => FabricKind::InfiniBand,
                Provider::Oci => FabricKind::RoceV2,
            },
        };
        let gbit = shape.rdma_gbit_per_s_per_gpu.unwrap_or(0.0);
        Ok(Topology {
            gpus_per_node: shape.gpus_per_node,
            scale_up_domain: scale_up.domain,
            scale_up_bytes_per_s: scale_up.bytes_per_s,
            scale_up: scale_up.kind,
            scale_out_bytes_per_s: gbit * 1e9 / 8.0,
            scale_out,
            conditions: fabric.map_or_else(Conditions::default, Conditions::of_fabric),
        })
    }

    /// Why nodes of `shape` cannot exchange data over RDMA; none if they can.
    pub fn scale_out_note(&self, shape: &Shape) -> Option<String> {
        match (&shape.fabric, shape.rdma_gbit_per_s_per_gpu) {
            (Some(_), Some(_)) => None,
            (Some(fabric), None) => {
                Some(format!("{} joins {fabric}, whose rate for this shape is not published", shape.name))
            }
            (None, _) => Some(format!("{} has no RDMA network of known rate", shape.name)),
        }
    }

    /// The row of the largest cluster of `shape` that anybody published; none where no figure was.
    pub fn largest_published(&self, shape: &str) -> Option<&ClusterLimit> {
        let claims = [LimitClaim::Published, LimitClaim::Press, LimitClaim::Recalled];
        self.limits
            .iter()
            .filter(|limit| limit.shape.as_deref() == Some(shape) && claims.contains(&limit.claim))
            .filter(|limit| limit.max_gpus.is_some())
            .max_by_key(|limit| limit.max_gpus)
    }

    /// The links of `gpu` in nodes of `gpus_per_node`, for GPUs that no cloud of the catalogue rents or where the shape
    /// is unknown: over `fabric`, or over the GPU's reference fabric (a published system with it) if none is given.
    ///
    /// A scale-up domain of more than 16 GPUs spans nodes (NVL72); a smaller one ends with the node. What was assumed is
    /// told in [`AssumedTopology::assumed`]; if nothing is known of a fabric, `scale_out_bytes_per_s` is 0.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for `gpus_per_node` outside 1 to 1,024, [`Error::UnknownName`] for an unknown `fabric`.
    pub fn topology_of_gpu(
        &self,
        gpu: &Gpu,
        gpus_per_node: u32,
        fabric: Option<&str>,
    ) -> Result<AssumedTopology, Error> {
        check_range("gpus_per_node", f64::from(gpus_per_node), 1.0, 1024.0)?;
        let mut assumed = Vec::new();
        let rack_scale = gpu.scale_up_domain > MOST_GPUS_OF_A_SERVER;
        let domain = if rack_scale { gpu.scale_up_domain } else { gpu.scale_up_domain.min(gpus_per_node) };
        let scale_up = scale_up(gpu, gpus_per_node, domain)?;
        let fabric = match (fabric, &gpu.reference_fabric) {
            (Some(name), _) => Some(self.fabric("fabric", name)?),
            (None, Some(name)) => {
                assumed.push(format!("{} is taken to be joined as in {name}", gpu.name));
                Some(self.fabric("reference_fabric", name)?)
            }
            (None, None) => {
                assumed.push(format!("no network between nodes of {} is known: none is assumed", gpu.name));
                None
            }
        };
        let rate = fabric.and_then(|f| f.injection_gb_per_s_per_gpu);
        if let (Some(f), None) = (fabric, rate) {
            assumed.push(format!("the rate of {} is not published: none is assumed", f.name));
        }
        let topology = Topology {
            gpus_per_node,
            scale_up_domain: scale_up.domain,
            scale_up_bytes_per_s: scale_up.bytes_per_s,
            scale_up: scale_up.kind,
            scale_out_bytes_per_s: rate.unwrap_or(0.0) * 1e9,
            // Without a fabric no traffic passes and the kind is without effect.
            scale_out: fabric.map_or(FabricKind::InfiniBand, |f| f.kind),
            conditions: fabric.map_or_else(Conditions::default, Conditions::of_fabric),
        };
        Ok(AssumedTopology { topology, assumed })
    }
}

/// The largest servers hold 16 GPUs on one board (HGX-2): a larger domain is a rack.
const MOST_GPUS_OF_A_SERVER: u32 = 16;

struct ScaleUp {
    domain: u32,
    bytes_per_s: f64,
    kind: ScaleUpKind,
}

fn scale_up(gpu: &Gpu, gpus_per_node: u32, domain: u32) -> Result<ScaleUp, Error> {
    let kind = gpu.scale_up_kind()?;
    Ok(if kind == ScaleUpKind::Pcie || domain < gpus_per_node {
        ScaleUp { domain: gpus_per_node, bytes_per_s: gpu.pcie_gb_per_s * 1e9, kind: ScaleUpKind::Pcie }
    } else {
        ScaleUp { domain, bytes_per_s: gpu.scale_up_gb_per_s * 1e9, kind }
    })
}
