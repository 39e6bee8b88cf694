//! What the state of a fabric does to the wires: congestion with scale, scattered placement, oversubscribed tiers.

use super::{Group, LibraryConstants, ScaleOutConstants, Topology};
use crate::catalog::Routing;

/// Who talks to whom between domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Neighbours in the order of the ranks: rings, trees, chains.
    Neighbours,
    /// Everybody with everybody.
    All,
    /// One message over the group's stride.
    Message,
}

/// How many times longer a wire of the fabric takes than alone: at least 1.
///
/// * Congestion: `1 + c·(log2 D − 1)` over D domains, c fitted by kind of fabric on compact groups.
/// * Scattered placement: `1 + s·k·min(log2 D − 1, m)` for a share s of scattered domains; k by routing, m the doublings
///   to the largest group that was measured (64 virtual machines of one user's allocation on Azure's H100).
/// * Oversubscription r of a tier: its uplinks carry `x·r` times their share, where x of a group's traffic crosses it:
///   `max(1, x·r)`. See [`crossing_share`].
pub(super) fn crowding(
    library: &LibraryConstants,
    out: &ScaleOutConstants,
    group: Group,
    local: f64,
    depth: f64,
    topology: &Topology,
    pattern: Pattern,
) -> f64 {
    let doublings = (depth - 1.0).max(0.0);
    let mut factor = 1.0 + out.congestion * doublings;
    let conditions = &topology.conditions;
    if conditions.scattered_share > 0.0 {
        let each = match conditions.routing {
            Routing::Adaptive => library.scatter_adaptive,
            Routing::Ecmp => library.scatter_ecmp,
        };
        factor *= 1.0 + conditions.scattered_share * each * doublings.min(library.scatter_doublings);
    }
    if conditions.oversubscription > 1.0 {
        factor *= (conditions.oversubscription * crossing_share(group, local, topology, pattern)).max(1.0);
    }
    factor
}

/// Share of what leaves a domain that also leaves the tier of `tier_gpus`.
///
/// Compact neighbours: a tier sends on what one of its domains does, so one over its domains; all-to-all: the share of
/// the peers outside; a message: the share of senders less than its distance from the edge. A scattered neighbour is
/// taken to lie in another tier.
fn crossing_share(group: Group, local: f64, topology: &Topology, pattern: Pattern) -> f64 {
    let tier = f64::from(topology.conditions.tier_gpus.max(1)) / f64::from(group.stride.max(1));
    let ranks = f64::from(group.ranks);
    let compact = if ranks <= tier {
        0.0
    } else {
        let tier = tier.max(local);
        match pattern {
            Pattern::Neighbours => local / tier,
            Pattern::All => ((ranks - tier) / (ranks - local)).clamp(0.0, 1.0),
            Pattern::Message => 1.0 / tier,
        }
    };
    let scattered = topology.conditions.scattered_share;
    (1.0 - scattered) * compact + scattered
}
