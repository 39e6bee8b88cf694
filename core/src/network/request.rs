//! The question "how long does this collective take?", for every face.

use serde::{Deserialize, Serialize};

use super::{Algorithm, CollectiveOp, Group, Topology, collective_time};
use crate::catalog::{Catalog, Overlay};
use crate::error::{Error, check_range};

/// One collective on whole nodes, or on the same number of GPUs of each node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct CollectiveRequest {
    /// The operation.
    pub op: CollectiveOp,
    /// Message size as nccl-tests counts it, bytes: all-reduce, broadcast, send: the buffer; all-gather and
    /// reduce-scatter: the full (gathered) buffer; all-to-all: the whole buffer of one rank.
    pub bytes: f64,
    /// Instance shape; this or `gpu`.
    #[serde(default)]
    pub shape: Option<String>,
    /// GPU, on the fabric of a published system with it; this or `shape`.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Nodes.
    pub nodes: u32,
    /// GPUs of each node that take part: all of the shape's, or with `gpu` the usual 8 (4 on rack-scale parts), if not given.
    #[serde(default)]
    pub gpus_per_node: Option<u32>,
    /// The user's own data laid over the catalogue for this call.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

/// Time and bandwidth of one collective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct CollectiveAnswer {
    /// The operation.
    pub op: CollectiveOp,
    /// Message size, bytes.
    pub bytes: f64,
    /// GPUs that take part.
    pub ranks: u32,
    /// Time, s.
    pub seconds: f64,
    /// `bytes` / time, GB/s (decimal).
    pub algbw: f64,
    /// algbw times nccl-tests' factor of the operation, GB/s (decimal): comparable with a link's rate.
    pub busbw: f64,
    /// The algorithm with the least time.
    pub algorithm: Algorithm,
    /// Bytes that one GPU sends over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes that one GPU sends into the fabric.
    pub scale_out_bytes: f64,
    /// The same collective from 1 KiB to 16 GiB, each size twice the one before.
    pub curve: Vec<CollectivePoint>,
    /// What was assumed, in words.
    pub assumed: Vec<String>,
}

/// One size on the curve of a collective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct CollectivePoint {
    /// Message size, bytes.
    pub bytes: f64,
    /// Time, s.
    pub seconds: f64,
    /// Bus bandwidth, GB/s (decimal).
    pub busbw: f64,
    /// The algorithm with the least time.
    pub algorithm: Algorithm,
}

/// Time, algbw and busbw of the collective that `request` describes.
///
/// # Errors
/// With the field's path: neither or both of `shape` and `gpu`, an unknown name, `bytes` outside 1 to 1e15, `nodes`
/// outside 1 to 100,000, `gpus_per_node` more than the node has, fewer than two GPUs in all, or
/// several nodes (or racks) without an RDMA network of known rate between them.
pub fn collective(catalog: &Catalog, request: &CollectiveRequest) -> Result<CollectiveAnswer, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let bytes = check_range("bytes", request.bytes, 1.0, 1e15)?;
    check_range("nodes", f64::from(request.nodes), 1.0, 1e5)?;
    let (topology, used, no_fabric, assumed) = links(catalog, request)?;
    let ranks = request.nodes.saturating_mul(used);
    if ranks < 2 {
        return Err(Error::Conflict {
            field: "nodes".to_owned(),
            message: "one GPU has no other to exchange data with; give more nodes or gpus_per_node"
                .to_owned(),
        });
    }
    let group = Group { ranks, stride: 1 };
    let refused = || Error::Conflict {
        field: "nodes".to_owned(),
        message: format!("no time over {} nodes: {no_fabric}", request.nodes),
    };
    let time = collective_time(request.op, bytes, group, &topology).ok_or_else(refused)?;
    let algbw = bytes / time.seconds / 1e9;
    Ok(CollectiveAnswer {
        op: request.op,
        bytes,
        ranks,
        seconds: time.seconds,
        algbw,
        busbw: algbw * request.op.bus_factor(ranks),
        algorithm: time.algorithm,
        scale_up_bytes: time.scale_up_bytes,
        scale_out_bytes: time.scale_out_bytes,
        curve: busbw_curve(request.op, CURVE_BYTES, group, &topology).ok_or_else(refused)?,
        assumed,
    })
}

/// Bus bandwidth over message sizes: a point for each of `sizes` (bytes), in their order; none as
/// [`collective_time`]. With one rank every bandwidth is 0.
pub fn busbw_curve(
    op: CollectiveOp,
    sizes: impl IntoIterator<Item = f64>,
    group: Group,
    topology: &Topology,
) -> Option<Vec<CollectivePoint>> {
    let factor = op.bus_factor(group.ranks);
    let point = |bytes: f64| {
        let time = collective_time(op, bytes, group, topology)?;
        let busbw = if time.seconds > 0.0 { bytes / time.seconds / 1e9 * factor } else { 0.0 };
        Some(CollectivePoint { bytes, seconds: time.seconds, busbw, algorithm: time.algorithm })
    };
    sizes.into_iter().map(point).collect()
}

/// 1 KiB to 16 GiB.
const CURVE_BYTES: [f64; 25] = {
    let mut out = [1024.0; 25];
    let mut i = 1;
    while i < out.len() {
        out[i] = 2.0 * out[i - 1];
        i += 1;
    }
    out
};

/// The links, the GPUs used in a node, why there might be no fabric, and what was assumed.
fn links(
    catalog: &Catalog,
    request: &CollectiveRequest,
) -> Result<(Topology, u32, String, Vec<String>), Error> {
    let target = catalog.target(request.shape.as_deref(), request.gpu.as_deref(), request.gpus_per_node)?;
    let topology = target.topology;
    let used = request.gpus_per_node.unwrap_or(topology.gpus_per_node);
    if let Some(shape) = target.shape {
        check_range("gpus_per_node", f64::from(used), 1.0, f64::from(shape.gpus_per_node))?;
    }
    let why = target.no_network.unwrap_or_default();
    Ok((topology.with_gpus_per_node(used), used, why, target.assumed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(json: &str) -> Result<CollectiveAnswer, Error> {
        let value = serde_json::from_str(json).unwrap();
        collective(Catalog::embedded().unwrap(), &crate::input::read(&value)?)
    }

    #[test]
    fn an_answer_agrees_with_itself() {
        let two = ask(r#"{"op": "all_reduce", "bytes": 8589934592, "shape": "BM.GPU.H100.8", "nodes": 2}"#)
            .unwrap();
        assert_eq!(two.ranks, 16);
        assert!((two.busbw / two.algbw - 1.875).abs() < 1e-12);
        assert!((two.algbw * 1e9 * two.seconds / two.bytes - 1.0).abs() < 1e-12);
        // Oracle's own example for two nodes of this shape shows 450 to 471 GB/s.
        assert!((430.0..510.0).contains(&two.busbw), "{}", two.busbw);
        assert_eq!(two.curve.len(), 25);
        assert!(two.curve.windows(2).all(|w| w[1].seconds > w[0].seconds));
        let mean =
            ask(r#"{"op": "alltoall", "bytes": 1e6, "gpu": "MI300X", "nodes": 1, "gpus_per_node": 8}"#)
                .unwrap();
        assert_eq!(mean.algorithm, Algorithm::Pairwise);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field() {
        let field = |json: &str| ask(json).unwrap_err().field().to_owned();
        assert_eq!(field(r#"{"op": "all_reduce", "bytes": 1e6, "nodes": 2}"#), "shape");
        assert_eq!(
            field(
                r#"{"op": "all_reduce", "bytes": 1e6, "nodes": 2, "shape": "BM.GPU.H100.8", "gpu": "H100"}"#
            ),
            "gpu"
        );
        assert_eq!(
            field(r#"{"op": "all_reduce", "bytes": 0, "shape": "BM.GPU.H100.8", "nodes": 2}"#),
            "bytes"
        );
        assert_eq!(
            field(r#"{"op": "all_reduce", "bytes": 1, "shape": "BM.GPU.H100.8", "nodes": 0}"#),
            "nodes"
        );
        assert_eq!(
            field(
                r#"{"op": "all_reduce", "bytes": 1, "shape": "BM.GPU.H100.8", "nodes": 2, "gpus_per_node": 9}"#
            ),
            "gpus_per_node"
        );
        assert_eq!(field(r#"{"op": "all_reduces", "bytes": 1, "gpu": "H100-SXM", "nodes": 2}"#), "op");
    }

    #[test]
    fn no_fabric_gives_no_number() {
        let catalog = Catalog::embedded().unwrap();
        let apart = catalog.shapes.iter().filter(|s| s.fabric.is_none() && s.gpus_per_node > 1);
        let mut seen = 0;
        for shape in apart {
            let mut request = CollectiveRequest {
                op: CollectiveOp::AllReduce,
                bytes: 1e6,
                shape: Some(shape.name.clone()),
                gpu: None,
                nodes: 1,
                gpus_per_node: None,
                overlay: None,
            };
            assert!(collective(catalog, &request).unwrap().seconds > 0.0, "{}", shape.name);
            request.nodes = 2;
            assert_eq!(collective(catalog, &request).unwrap_err().field(), "nodes", "{}", shape.name);
            seen += 1;
        }
        assert!(seen > 0);
    }
}
