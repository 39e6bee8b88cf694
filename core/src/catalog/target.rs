//! What an estimate runs on: a shape that a cloud rents, or a bare GPU in its usual nodes.

use super::Topology;
use super::{Catalog, Gpu, Shape};
use crate::error::Error;

/// A GPU with the links that it sees.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// Its shape, if a cloud's shape is meant.
    pub shape: Option<&'a Shape>,
    /// The links.
    pub topology: Topology,
    /// What had to be assumed, in words.
    pub assumed: Vec<String>,
    /// Why nodes cannot exchange data; none if they can.
    pub no_network: Option<String>,
}

impl Catalog {
    /// The links of a bare GPU over a fabric that is named: a published system's, or a cloud's.
    ///
    /// Without `gpu`, that of the first shape on the fabric, or of the first GPU whose reference fabric it is.
    ///
    /// # Errors
    /// An unknown name; `MissingField` for `gpu` where the catalogue knows none on the fabric; `Unsupported` for a fabric
    /// whose rate is not published.
    pub fn target_on_fabric(
        &self,
        fabric: &str,
        gpu: Option<&str>,
        gpus_per_node: Option<u32>,
    ) -> Result<Target<'_>, Error> {
        let fabric = self.fabric("fabric", fabric)?;
        if fabric.injection_gb_per_s_per_gpu.is_none() {
            return Err(Error::Unsupported {
                field: "fabric".to_owned(),
                given: fabric.name.clone(),
                reason: "the rate of a GPU into it is not published".to_owned(),
            });
        }
        let own = || {
            let shape = self.shapes.iter().find(|shape| shape.fabric.as_deref() == Some(&fabric.name));
            let reference =
                self.gpus.iter().find(|gpu| gpu.reference_fabric.as_deref() == Some(&fabric.name));
            shape.map(|shape| shape.gpu.as_str()).or(reference.map(|gpu| gpu.name.as_str()))
        };
        let Some(name) = gpu.or_else(own) else {
            return Err(Error::MissingField {
                field: "gpu".to_owned(),
                expected: format!("the catalogue knows no GPU on {}: name one", fabric.name),
            });
        };
        let gpu = self.gpu("gpu", name)?;
        let usual = usual_node(gpu);
        let links = self.topology_of_gpu(gpu, gpus_per_node.unwrap_or(usual), Some(&fabric.name))?;
        let mut assumed = links.assumed;
        if gpus_per_node.is_none() {
            assumed.push(format!("a node is taken to hold {usual} {}", gpu.name));
        }
        Ok(Target { gpu, shape: None, topology: links.topology, assumed, no_network: None })
    }

    /// The target of a request that names a shape or a GPU.
    ///
    /// `gpus_per_node` holds for a bare GPU; if not given: 4 on rack-scale parts, as NVL72 has them, else 8.
    ///
    /// # Errors
    /// Neither or both of `shape` and `gpu`, or an unknown name.
    pub fn target(
        &self,
        shape: Option<&str>,
        gpu: Option<&str>,
        gpus_per_node: Option<u32>,
    ) -> Result<Target<'_>, Error> {
        match (shape, gpu) {
            (Some(name), None) => {
                let shape = self.shape("shape", name)?;
                Ok(Target {
                    gpu: self.gpu("shape.gpu", &shape.gpu)?,
                    shape: Some(shape),
                    topology: self.topology(shape)?,
                    assumed: Vec::new(),
                    no_network: self.scale_out_note(shape),
                })
            }
            (None, Some(name)) => {
                let gpu = self.gpu("gpu", name)?;
                let usual = usual_node(gpu);
                let links = self.topology_of_gpu(gpu, gpus_per_node.unwrap_or(usual), None)?;
                let mut assumed = links.assumed;
                if gpus_per_node.is_none() {
                    assumed.push(format!("a node is taken to hold {usual} {}", gpu.name));
                }
                let joined = links.topology.scale_out_bytes_per_s > 0.0;
                let no_network =
                    (!joined).then(|| format!("no network between nodes of {} is known", gpu.name));
                Ok(Target { gpu, shape: None, topology: links.topology, assumed, no_network })
            }
            (None, None) => Err(Error::MissingField {
                field: "shape".to_owned(),
                expected: "give a cloud's shape, or gpu for a bare GPU".to_owned(),
            }),
            (Some(_), Some(_)) => Err(Error::Conflict {
                field: "gpu".to_owned(),
                message: "a shape has its own GPU: give shape or gpu, not both".to_owned(),
            }),
        }
    }
}

/// GPUs of a node: 4 on rack-scale parts, as NVL72 has them, else 8.
fn usual_node(gpu: &Gpu) -> u32 {
    if gpu.scale_up_domain > 16 { 4 } else { 8 }
}
