//! Whole replicas, nodes and racks for a rate of requests, over the regions of a service.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_range};
use crate::network::Topology;

use super::ServingPoint;

/// Rounding noise that needs no further replica: a rate met to the last bit is met.
const NOISE: f64 = 1e-9;

/// GPUs and nodes of a service, all regions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Fleet {
    /// Replicas that carry the rate.
    pub replicas: u32,
    /// Replicas besides, which stand by.
    pub spare_replicas: u32,
    /// GPUs rented: whole nodes.
    pub gpus: u32,
    /// Nodes rented.
    pub nodes: u32,
    /// Racks that the nodes take at least, where the scale-up domain is a rack of several nodes; else none.
    pub racks: Option<u32>,
}

/// How much more is kept than the rate takes, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Redundancy {
    /// Share of its rate within the targets that a replica is asked to carry, 0.05 to 1.
    pub target_utilisation: f64,
    /// Spare replicas as a share of the needed ones, rounded up in each region.
    pub spare_share: f64,
    /// Spare replicas in each region besides.
    pub spare_replicas: u32,
    /// Regions, which share the load evenly.
    pub regions: u32,
    /// The other regions can carry all of it when one is lost.
    pub survive_region_loss: bool,
}

impl Default for Redundancy {
    /// One region, nothing spare.
    fn default() -> Self {
        Self {
            target_utilisation: 1.0,
            spare_share: 0.0,
            spare_replicas: 0,
            regions: 1,
            survive_region_loss: false,
        }
    }
}

impl Redundancy {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Shares and counts outside their ranges; a lost region that leaves none; `spare_share` beside `spare_replicas`.
    pub fn check(&self) -> Result<(), Error> {
        check_range("spare_share", self.spare_share, 0.0, 10.0)?;
        check_range("fleet.target_utilisation", self.target_utilisation, 0.05, 1.0)?;
        check_range("fleet.spare_replicas", f64::from(self.spare_replicas), 0.0, 1e6)?;
        check_range("fleet.regions", f64::from(self.regions), 1.0, 1e3)?;
        if self.spare_share > 0.0 && self.spare_replicas > 0 {
            return Err(Error::Conflict {
                field: "fleet.spare_replicas".to_owned(),
                message: "spare_share already says how many are spare: give one of them".to_owned(),
            });
        }
        if self.survive_region_loss && self.regions < 2 {
            return Err(Error::Conflict {
                field: "fleet.survive_region_loss".to_owned(),
                message: "with one region nothing is left to carry its load: give fleet.regions of 2 or more"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Rate that the regions are sized for together, for a rate of requests: that of all but one is the whole rate
    /// where one may be lost.
    pub fn carried(&self, requests_per_second: f64) -> f64 {
        let regions = f64::from(self.regions);
        let left = if self.survive_region_loss { regions - 1.0 } else { regions };
        requests_per_second * regions / left
    }

    /// Rate that one region is sized for, of a rate of requests.
    pub(crate) fn part(&self, requests_per_second: f64) -> f64 {
        self.carried(requests_per_second) / f64::from(self.regions)
    }

    /// Replicas of one region that carry `part` of the requests at `each` within the targets, and spare ones.
    pub(crate) fn replicas(&self, part: f64, each: f64) -> (f64, f64) {
        let replicas = up(part / (each * self.target_utilisation) - NOISE).max(1.0);
        let share = if self.spare_share > 0.0 { up(replicas * self.spare_share - NOISE) } else { 0.0 };
        (replicas, share + f64::from(self.spare_replicas))
    }
}

/// Rounded up, not below 0: what `ceil` gives, without a call where there is no instruction for it.
fn up(value: f64) -> f64 {
    // Past 2^52 all numbers are whole.
    if value >= 4_503_599_627_370_496.0 {
        return value;
    }
    let whole = value as u64 as f64;
    if whole < value { whole + 1.0 } else { whole }
}

/// How replicas of one size fill nodes and racks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// GPUs of a replica, or of pools that work together.
    pub replica_gpus: u32,
    /// GPUs of a node.
    pub gpus_per_node: u32,
    /// Nodes of a rack, where the scale-up domain is a rack of several nodes.
    pub nodes_per_rack: Option<u32>,
    /// Racks are rented whole.
    pub whole_racks: bool,
}

impl Packing {
    /// Of replicas of so many GPUs on nodes with these links.
    pub fn on(topology: &Topology, replica_gpus: u32, whole_racks: bool) -> Self {
        let gpus_per_node = topology.gpus_per_node.max(1);
        let nodes = topology.scale_up_domain / gpus_per_node;
        let nodes_per_rack = (nodes > 1).then_some(nodes);
        Self { replica_gpus: replica_gpus.max(1), gpus_per_node, nodes_per_rack, whole_racks }
    }

    /// Replicas that a node holds whole; 0 where a replica takes several nodes.
    pub fn replicas_per_node(&self) -> u32 {
        self.gpus_per_node / self.replica_gpus
    }

    /// Nodes that one replica takes; 1 where several share one.
    pub fn nodes_per_replica(&self) -> u32 {
        self.replica_gpus.div_ceil(self.gpus_per_node)
    }

    /// Replicas that so many nodes hold whole.
    pub fn replicas_on(&self, nodes: u32) -> u32 {
        let shared = self.replicas_per_node();
        if shared > 0 {
            return nodes.saturating_mul(shared);
        }
        match self.nodes_per_rack.filter(|rack| self.whole_racks && *rack >= self.nodes_per_replica()) {
            Some(rack) => nodes / rack * (rack / self.nodes_per_replica()),
            None => nodes / self.nodes_per_replica(),
        }
    }

    /// GPUs rented for each of many replicas: no fleet has fewer.
    pub(crate) fn gpus_each(&self) -> f64 {
        let Filled { shared, own, rack, in_rack, whole } = self.filled();
        let nodes = match rack.filter(|_| whole) {
            _ if shared > 0.0 => 1.0 / shared,
            Some(rack) if in_rack >= 1.0 => rack / in_rack,
            Some(rack) => rack * up(own / rack),
            None => own,
        };
        nodes * f64::from(self.gpus_per_node)
    }

    /// Nodes that any number of replicas of one region takes.
    pub(crate) fn filled(&self) -> Filled {
        let own = f64::from(self.nodes_per_replica());
        let rack = self.nodes_per_rack.map(f64::from);
        Filled {
            shared: f64::from(self.replicas_per_node()),
            own,
            rack,
            in_rack: rack.map_or(0.0, |rack| (rack / own).floor()),
            whole: self.whole_racks,
        }
    }
}

/// Nodes and racks that replicas fill.
///
/// A replica that fits in a rack lies in one; whole racks leave nodes empty where its size does not divide them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    /// Replicas that share a node; 0 where each takes its `own` nodes.
    shared: f64,
    own: f64,
    /// Nodes of a rack, and the replicas that lie in one; 0 where one takes several.
    rack: Option<f64>,
    in_rack: f64,
    /// Racks are rented whole.
    whole: bool,
}

impl Filled {
    /// Nodes rented for so many replicas.
    pub fn nodes(&self, replicas: f64) -> f64 {
        match self.rack.filter(|_| self.whole) {
            Some(rack) => rack * self.racks_of(replicas, rack),
            None => self.taken(replicas),
        }
    }

    /// Racks that they take at least, where there are racks.
    fn racks(&self, replicas: f64) -> Option<f64> {
        self.rack.map(|rack| self.racks_of(replicas, rack))
    }

    /// Nodes with replicas in them.
    fn taken(&self, replicas: f64) -> f64 {
        if self.shared > 0.0 { up(replicas / self.shared) } else { replicas * self.own }
    }

    fn racks_of(&self, replicas: f64, rack: f64) -> f64 {
        match (self.shared > 0.0, self.in_rack >= 1.0) {
            (true, _) => up(self.taken(replicas) / rack),
            (false, true) => up(replicas / self.in_rack),
            (false, false) => replicas * up(self.own / rack),
        }
    }
}

/// Fleet that carries a rate of requests at `point`: the operating point of one replica, or of pools that work together
/// and count as one, at the rate that each is asked to carry so that the targets hold.
///
/// In each region: its part of the rate / (rate of one × target utilisation), rounded up, at least one replica; spare
/// ones besides. Nodes: replicas smaller than a node share one, as many as fit whole; larger ones take whole nodes.
/// NVL72 counts nodes of 4, and racks of 18 of them.
///
/// # Errors
/// `OutOfRange` for a rate that is negative, a point that carries nothing, or more than 4 billion GPUs; as
/// [`Redundancy::check`].
pub fn fleet(
    point: &ServingPoint,
    requests_per_second: f64,
    redundancy: &Redundancy,
    packing: &Packing,
) -> Result<Fleet, Error> {
    check_range("traffic.peak_requests_per_second", requests_per_second, 0.0, 1e9)?;
    redundancy.check()?;
    let copies = f64::from(point.units());
    let each = check_range("point.requests_per_second", point.requests_per_second, 1e-12, 1e9)? / copies;
    let regions = f64::from(redundancy.regions);
    let (replicas, spare) = redundancy.replicas(redundancy.part(requests_per_second), each);
    let filled = packing.filled();
    let (nodes, racks) = (filled.nodes(replicas + spare), filled.racks(replicas + spare));
    let most = f64::from(u32::MAX);
    let gpus = check_range("fleet.gpus", regions * nodes * f64::from(packing.gpus_per_node), 1.0, most)?;
    check_range("fleet.replicas", regions * (replicas + spare), 1.0, most)?;
    Ok(Fleet {
        replicas: (regions * replicas) as u32,
        spare_replicas: (regions * spare) as u32,
        gpus: gpus as u32,
        nodes: (regions * nodes) as u32,
        racks: racks.map(|racks| (regions * racks) as u32),
    })
}
