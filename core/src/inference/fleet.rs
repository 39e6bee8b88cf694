//! Whole replicas and whole nodes for a peak of traffic.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_range};

use super::ServingPoint;

/// GPUs and nodes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Fleet {
    /// Replicas that carry the peak.
    pub replicas: u32,
    /// Replicas besides.
    pub spare_replicas: u32,
    /// GPUs rented: whole nodes.
    pub gpus: u32,
    /// Nodes rented.
    pub nodes: u32,
}

/// Fleet that carries `peak_requests_per_second` at `point`, the operating point of one replica (its own request rate
/// is what each replica is asked to carry, so that the targets hold at the peak).
///
/// Replicas: peak / rate of one, rounded up. Spare: `spare_share` of them, rounded up. Nodes: replicas smaller than a
/// node share one, as many as fit whole; larger ones take whole nodes. NVL72 counts nodes of 4.
///
/// # Errors
/// `OutOfRange` for a peak that is not positive, a share outside 0 to 10, a point that carries nothing, or more than
/// 4 billion GPUs.
pub fn fleet(
    point: &ServingPoint,
    peak_requests_per_second: f64,
    spare_share: f64,
    gpus_per_node: u32,
) -> Result<Fleet, Error> {
    check_range("traffic.peak_requests_per_second", peak_requests_per_second, 1e-12, 1e9)?;
    check_range("spare_share", spare_share, 0.0, 10.0)?;
    check_range("gpus_per_node", f64::from(gpus_per_node), 1.0, 1024.0)?;
    let copies = f64::from(point.replicas.max(1));
    let each = check_range("point.requests_per_second", point.requests_per_second, 1e-12, 1e9)? / copies;
    let size = f64::from(point.gpus) / copies;
    // A rate met to the last bit needs no further replica.
    let replicas = (peak_requests_per_second / each - 1e-9).ceil().max(1.0);
    let spare = (replicas * spare_share - 1e-9).ceil().max(0.0);
    let node = f64::from(gpus_per_node);
    let nodes = if size <= node {
        ((replicas + spare) / (node / size).floor().max(1.0)).ceil()
    } else {
        (replicas + spare) * (size / node).ceil()
    };
    let most = f64::from(u32::MAX);
    check_range("fleet.gpus", nodes * node, 1.0, most)?;
    check_range("fleet.replicas", replicas + spare, 1.0, most)?;
    Ok(Fleet {
        replicas: replicas as u32,
        spare_replicas: spare as u32,
        gpus: (nodes * node) as u32,
        nodes: nodes as u32,
    })
}
