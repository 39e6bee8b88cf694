//! Time of one collective: each algorithm by its steps and its slowest link, the fastest taken.
//!
//! The forms are those of the field (alpha-beta; ring and double binary tree as NCCL builds them, reduction in the
//! NVSwitch); the constants are fitted, see [`super::Constants`].

use super::crowding::{Pattern, crowding};
use super::{Algorithm, CollectiveOp, CollectiveTime, Constants, Group, ScaleUpKind, Topology};
use super::{LibraryConstants, ScaleOutConstants, ScaleUpConstants};
use crate::catalog::{FabricKind, Launch, LibraryAge};

/// Time of one collective over `group`, with the algorithm that the library would choose; `None` where there is no
/// such time: the group needs a fabric that the topology lacks (`scale_out_bytes_per_s` of 0, or a circuit between
/// clouds), has no rank, or `bytes` is negative or not a number.
///
/// `bytes` follows nccl-tests: all-reduce, broadcast and send: the buffer; all-gather and reduce-scatter: the full
/// (gathered) buffer; all-to-all: the whole buffer of one rank.
///
/// Each algorithm takes a start-up, the time on its slowest wire, and a share that rises with the root of both and ends
/// at a few start-ups (see `wire_time`). More bytes are never faster, more bandwidth never slower.
pub fn collective_time(
    op: CollectiveOp,
    bytes: f64,
    group: Group,
    topology: &Topology,
) -> Option<CollectiveTime> {
    collective_time_with(Constants::shipped(), op, bytes, group, topology)
}

/// Time with one algorithm, where the library is bound to it; `None` also where the algorithm cannot do it.
pub fn algorithm_time_with(
    constants: &Constants,
    algorithm: Algorithm,
    op: CollectiveOp,
    bytes: f64,
    group: Group,
    topology: &Topology,
) -> Option<CollectiveTime> {
    let free = collective_time_with(constants, op, bytes, group, topology)?;
    if free.algorithm == algorithm || op != CollectiveOp::AllReduce {
        return (free.algorithm == algorithm).then_some(free);
    }
    let paths = Paths::new(constants, group, topology)?;
    let candidate = match algorithm {
        Algorithm::Ring => paths.ring(bytes, 2.0),
        Algorithm::Tree if paths.domains > 1.0 || paths.inner_depth > 0.0 => paths.tree(bytes),
        Algorithm::Nvls if paths.in_switch && paths.domains == 1.0 => paths.nvls(bytes),
        Algorithm::NvlsTree if paths.in_switch && paths.domains > 1.0 => paths.nvls(bytes),
        Algorithm::FabricReduction if paths.fabric_sums => paths.fabric_reduction(bytes, paths.out?),
        _ => return None,
    };
    Some(paths.finish(&candidate)).filter(|time| time.seconds.is_finite())
}

/// [`collective_time`] with other constants: for fitting.
pub fn collective_time_with(
    constants: &Constants,
    op: CollectiveOp,
    bytes: f64,
    group: Group,
    topology: &Topology,
) -> Option<CollectiveTime> {
    collective_times_with(constants, op, [bytes], group, topology).next()?
}

/// [`collective_time_with`] of several sizes over one group: the group's paths are laid out once.
pub(super) fn collective_times_with<'a>(
    constants: &'a Constants,
    op: CollectiveOp,
    sizes: impl IntoIterator<Item = f64> + 'a,
    group: Group,
    topology: &'a Topology,
) -> impl Iterator<Item = Option<CollectiveTime>> + 'a {
    let paths = if group.ranks > 1 { Paths::new(constants, group, topology) } else { None };
    sizes.into_iter().map(move |bytes| {
        if !(bytes.is_finite() && bytes >= 0.0) || group.ranks == 0 {
            return None;
        }
        if group.ranks == 1 {
            return Some(CollectiveTime {
                seconds: 0.0,
                algorithm: Algorithm::None,
                scale_up_bytes: 0.0,
                scale_out_bytes: 0.0,
            });
        }
        let time = paths.as_ref()?.time(op, bytes);
        time.seconds.is_finite().then_some(time)
    })
}

/// Ranks of the group that the scale-up link joins: a domain's, or without NVLink those of a node over PCIe.
pub(super) fn local_ranks(group: Group, topology: &Topology) -> u32 {
    if topology.scale_up == ScaleUpKind::Pcie {
        (topology.gpus_per_node / group.stride.max(1)).clamp(1, group.ranks.max(1))
    } else {
        group.per_domain(topology)
    }
}

/// One-way bandwidth of a GPU inside a group of `local` ranks: on a full mesh only the links to the group's members
/// carry anything.
pub(super) fn scale_up_bandwidth(local: u32, topology: &Topology) -> f64 {
    let links = topology.scale_up_domain.saturating_sub(1);
    if topology.scale_up == ScaleUpKind::InfinityFabric && links > 0 {
        topology.scale_up_bytes_per_s * f64::from(local.saturating_sub(1).min(links)) / f64::from(links)
    } else {
        topology.scale_up_bytes_per_s
    }
}

/// The group on its links.
struct Paths<'a> {
    ranks: f64,
    /// Domains that the group spans, and how deep a binary tree over them is.
    domains: f64,
    depth: f64,
    /// Ranks in each domain (the mean where they do not divide).
    local: f64,
    /// Nodes joined inside a domain, less one, as tree depth; the rest of a domain is a chain within a node.
    chain: f64,
    inner_depth: f64,
    in_switch: bool,
    /// The fabric's switches sum too.
    fabric_sums: bool,
    up_bytes_per_s: f64,
    out_bytes_per_s: f64,
    /// What a port carries among neighbours, crowded as the fabric is.
    port_bytes_per_s: f64,
    group: Group,
    topology: &'a Topology,
    up: &'a ScaleUpConstants,
    /// None inside one domain.
    out: Option<&'a ScaleOutConstants>,
    library: &'a LibraryConstants,
}

impl<'a> Paths<'a> {
    fn new(constants: &'a Constants, group: Group, topology: &'a Topology) -> Option<Self> {
        let most = local_ranks(group, topology);
        let domains = group.ranks.div_ceil(most);
        let out = if domains > 1 {
            if !(topology.scale_out_bytes_per_s > 0.0 && topology.scale_out_bytes_per_s.is_finite()) {
                return None;
            }
            Some(constants.of_scale_out(topology.scale_out)?)
        } else {
            None
        };
        let largest = group.ranks.div_ceil(domains);
        let up_bytes_per_s = scale_up_bandwidth(largest, topology);
        if largest > 1 && !(up_bytes_per_s > 0.0 && up_bytes_per_s.is_finite()) {
            return None;
        }
        let in_node = (topology.gpus_per_node / group.stride.max(1)).clamp(1, largest);
        let local = f64::from(group.ranks) / f64::from(domains);
        let levels = depth(domains);
        let library = &constants.library;
        let crowded = out
            .map_or(1.0, |out| crowding(library, out, group, local, levels, topology, Pattern::Neighbours));
        Some(Self {
            ranks: f64::from(group.ranks),
            domains: f64::from(domains),
            depth: levels,
            local,
            chain: f64::from(in_node - 1),
            inner_depth: depth(largest.div_ceil(in_node)),
            // NCCL reduces in the switch above 4 GPUs on NVLink 4 and 5 (measured on H200 and B200).
            in_switch: largest > 4
                && matches!(topology.scale_up, ScaleUpKind::NvLink4 | ScaleUpKind::NvLink5),
            fabric_sums: domains > 1
                && topology.conditions.in_switch_reduction
                && topology.scale_out == FabricKind::InfiniBand,
            up_bytes_per_s,
            out_bytes_per_s: topology.scale_out_bytes_per_s,
            port_bytes_per_s: topology.scale_out_bytes_per_s / crowded,
            group,
            topology,
            up: constants.of_scale_up(topology.scale_up),
            out,
            library,
        })
    }

    fn time(&self, op: CollectiveOp, bytes: f64) -> CollectiveTime {
        match op {
            CollectiveOp::AllReduce => self.all_reduce(bytes),
            CollectiveOp::AllGather | CollectiveOp::ReduceScatter => self.gather(bytes),
            CollectiveOp::AllToAll => self.finish(&self.all_to_all(bytes)),
            CollectiveOp::Broadcast => self.finish(&self.broadcast(bytes)),
            CollectiveOp::SendRecv => self.finish(&self.send(bytes)),
        }
    }

    fn all_reduce(&self, bytes: f64) -> CollectiveTime {
        let mut best = self.finish(&self.ring(bytes, 2.0));
        if self.domains > 1.0 || self.inner_depth > 0.0 {
            best = self.faster(best, &self.tree(bytes));
        }
        if self.in_switch {
            best = self.faster(best, &self.nvls(bytes));
        }
        if let Some(out) = self.out.filter(|_| self.fabric_sums) {
            best = self.faster(best, &self.fabric_reduction(bytes, out));
        }
        best
    }

    /// Gather or scatter: a ring, or parallel trees where every domain has one rank, as the library has them there only.
    fn gather(&self, bytes: f64) -> CollectiveTime {
        let ring = self.finish(&self.ring(bytes, 1.0));
        match self.out {
            Some(out) if self.local <= 1.0 => self.faster(ring, &self.parallel_trees(bytes, out)),
            _ => ring,
        }
    }

    /// Parallel aggregated trees (PAT): as few steps as a tree, as few bytes as a ring, at less of the rate.
    fn parallel_trees(&self, bytes: f64, out: &ScaleOutConstants) -> Candidate {
        let library = self.library;
        let start = self.up.start_s
            + self.out_start(out)
            + self.depth * out.step_s / library.pat_overlap
            + self.ranks * library.pat_rank_s;
        let moved = (self.ranks - 1.0) * bytes / self.ranks;
        let wire = self.crossing_to(out, moved, out.ring_efficiency * library.pat_efficiency, Pattern::All);
        self.answer(Algorithm::ParallelTrees, start, wire, out.ramp, 0.0, moved)
    }

    /// Reduction in the fabric's switches: a domain sends the buffer once and receives the sum once, through all its
    /// ports; inside the domain as the scale-up link does it. The depth of the fabric costs nothing that was measured.
    fn fabric_reduction(&self, bytes: f64, out: &ScaleOutConstants) -> Candidate {
        let laps = (2.0 * (self.local - 1.0) + self.library.ring_copy) / self.local * bytes;
        let (scale_up, up_start, efficiency) = if self.in_switch {
            let start = self.up.nvls_start_s + self.local * self.up.nvls_rank_s;
            (bytes * (1.0 + 1.0 / self.local), start, self.up.nvls_tree_efficiency)
        } else {
            let steps = 2.0 * (self.local - 1.0) * self.up.step_s;
            (laps, self.up.start_s + steps, self.up.ring_efficiency)
        };
        let up_wire = if self.local > 1.0 { scale_up / (self.up_bytes_per_s * efficiency) } else { 0.0 };
        let start = self.out_start(out) + up_start + self.library.fabric_reduction_start_s;
        let out_wire = self.crossing(bytes / self.rails(), out.tree_efficiency);
        let scale_up = if self.local > 1.0 { scale_up } else { 0.0 };
        self.answer(
            Algorithm::FabricReduction,
            start,
            up_wire.max(out_wire),
            out.ramp,
            scale_up,
            bytes / self.local,
        )
    }

    /// `laps` rounds of a ring: 1 gathers or scatters, 2 reduces and gathers. A lap leaves each domain once; channels
    /// open rings through every NIC of the group, so the fabric's share of a domain is all its members' NICs.
    fn ring(&self, bytes: f64, laps: f64) -> Candidate {
        let shard = bytes / self.ranks;
        let moved = laps * (self.ranks - 1.0) * shard;
        let copied = self.library.ring_copy * shard;
        let up_wire = (moved + copied) / (self.up_bytes_per_s * self.up.ring_efficiency);
        let up_steps = laps * (self.ranks - self.domains) * self.up.step_s;
        let (start, wire, ramp, scale_out) = match self.out {
            None => (self.up.start_s + up_steps, up_wire, self.up.ramp, 0.0),
            Some(out) => {
                let out_wire = self.crossing(moved / self.rails(), out.ring_efficiency);
                let start = self.up.start_s
                    + self.out_start(out)
                    + up_steps
                    + laps * (self.domains - 1.0) * out.step_s;
                let wire = if self.local > 1.0 { up_wire.max(out_wire) } else { out_wire };
                (start, wire, out.ramp, moved / self.local)
            }
        };
        let scale_up = if self.local > 1.0 { moved } else { 0.0 };
        self.answer(Algorithm::Ring, start, wire, ramp, scale_up, scale_out)
    }

    /// Double binary tree over nodes or domains, a chain inside a node, pipelined up and down.
    fn tree(&self, bytes: f64) -> Candidate {
        let up_steps = 2.0 * (self.chain + self.inner_depth) * self.up.step_s;
        let scale_up = if self.local > 1.0 { 2.0 * bytes } else { 0.0 };
        let efficiency = self.up.ring_efficiency * self.library.tree_share;
        let up_wire = if self.local > 1.0 { scale_up / (self.up_bytes_per_s * efficiency) } else { 0.0 };
        let Some(out) = self.out else {
            return self.answer(
                Algorithm::Tree,
                self.up.start_s + up_steps,
                up_wire,
                self.up.ramp,
                scale_up,
                0.0,
            );
        };
        let start = self.up.start_s + self.out_start(out) + up_steps + 2.0 * self.depth * out.step_s;
        let crossing = self.tree_crossing() * bytes;
        let scale_out = crossing / self.local;
        let wire = up_wire.max(self.crossing(crossing / self.rails(), out.tree_efficiency));
        self.answer(Algorithm::Tree, start, wire, out.ramp, scale_up, scale_out)
    }

    /// Reduction in the switch: a GPU sends its buffer once and the share it sums once more; over several domains a
    /// tree between the switches.
    fn nvls(&self, bytes: f64) -> Candidate {
        let scale_up = bytes * (1.0 + 1.0 / self.local);
        let up_start = self.up.nvls_start_s + self.local * self.up.nvls_rank_s;
        let Some(out) = self.out else {
            let wire = scale_up / (self.up_bytes_per_s * self.up.nvls_efficiency);
            return self.answer(Algorithm::Nvls, up_start, wire, self.up.ramp, scale_up, 0.0);
        };
        let up_wire = scale_up / (self.up_bytes_per_s * self.up.nvls_tree_efficiency);
        let start = self.out_start(out) + up_start + 2.0 * self.depth * out.step_s;
        let crossing = self.tree_crossing() * bytes;
        let wire = up_wire.max(self.crossing(crossing / self.rails(), out.tree_efficiency));
        self.answer(Algorithm::NvlsTree, start, wire, out.ramp, scale_up, crossing / self.local)
    }

    /// Pairwise exchange. What leaves the domain goes over each GPU's own share of the fabric.
    fn all_to_all(&self, bytes: f64) -> Candidate {
        let shard = bytes / self.ranks;
        let scale_up = (self.local - 1.0) * shard;
        let up_wire = if self.local > 1.0 {
            (scale_up + self.library.pair_copy * shard) / (self.up_bytes_per_s * self.up.pair_efficiency)
        } else {
            0.0
        };
        let up_start = self.library.pair_starts * self.up.start_s
            + (self.local - 1.0) * self.library.peer_steps * self.up.step_s;
        let Some(out) = self.out else {
            return self.answer(Algorithm::Pairwise, up_start, up_wire, self.up.ramp, scale_up, 0.0);
        };
        let start = up_start + self.out_start(out) + (self.domains - 1.0) * out.peer_s;
        let scale_out = (self.ranks - self.local) * shard;
        let wire = up_wire.max(self.crossing_to(out, scale_out, out.pair_efficiency, Pattern::All));
        self.answer(Algorithm::Pairwise, start, wire, out.ramp, scale_up, scale_out)
    }

    /// One way along a pipelined chain inside the domain and a tree between domains.
    fn broadcast(&self, bytes: f64) -> Candidate {
        let up_steps = (self.local - 1.0) * self.up.step_s;
        let (scale_up, up_wire) = if self.local > 1.0 {
            (bytes, bytes / (self.up_bytes_per_s * self.up.ring_efficiency))
        } else {
            (0.0, 0.0)
        };
        let Some(out) = self.out else {
            return self.answer(
                Algorithm::Ring,
                self.up.start_s + up_steps,
                up_wire,
                self.up.ramp,
                scale_up,
                0.0,
            );
        };
        let start = self.up.start_s + self.out_start(out) + up_steps + self.depth * out.step_s;
        let scale_out = bytes / self.local;
        let wire = up_wire.max(self.crossing(bytes / self.rails(), out.ring_efficiency));
        self.answer(Algorithm::Tree, start, wire, out.ramp, scale_up, scale_out)
    }

    /// One message. Neighbours of a group that spans domains are taken to lie in different domains.
    fn send(&self, bytes: f64) -> Candidate {
        match self.out {
            None => {
                let wire = bytes / (self.up_bytes_per_s * self.up.pair_efficiency);
                self.answer(
                    Algorithm::Direct,
                    self.library.pair_starts * self.up.start_s + self.library.peer_steps * self.up.step_s,
                    wire,
                    self.up.ramp,
                    bytes,
                    0.0,
                )
            }
            Some(out) => {
                let wire = self.crossing_to(out, bytes, out.ring_efficiency, Pattern::Message);
                let start = self.up.start_s + self.out_start(out) + out.step_s;
                self.answer(Algorithm::Direct, start, wire, out.ramp, 0.0, bytes)
            }
        }
    }

    fn answer(
        &self,
        algorithm: Algorithm,
        start: f64,
        wire: f64,
        ramp: f64,
        scale_up_bytes: f64,
        scale_out_bytes: f64,
    ) -> Candidate {
        let start = match self.topology.conditions.library {
            LibraryAge::Current => start,
            LibraryAge::Nccl218 => start + self.library.old_start_s,
        };
        Candidate { start, wire, ramp, algorithm, scale_up_bytes, scale_out_bytes }
    }

    /// The time of an algorithm.
    fn finish(&self, candidate: &Candidate) -> CollectiveTime {
        let launch = match self.topology.conditions.launch {
            Launch::Benchmark => 0.0,
            Launch::Framework => self.library.framework_launch_s,
        };
        let Candidate { start, wire, ramp, algorithm, scale_up_bytes, scale_out_bytes } = *candidate;
        let seconds = launch + wire_time(start, wire, ramp, self.library.ramp_limit);
        CollectiveTime { seconds, algorithm, scale_up_bytes, scale_out_bytes }
    }

    /// The faster of two; the first where they tie or the second has no time.
    fn faster(&self, best: CollectiveTime, other: &Candidate) -> CollectiveTime {
        // Start-up and wire alone are its least; most algorithms are far off and need no root.
        if other.start + other.wire >= best.seconds {
            return best;
        }
        let other = self.finish(other);
        if other.seconds < best.seconds { other } else { best }
    }

    /// What crossing the fabric adds to a start-up.
    fn out_start(&self, out: &ScaleOutConstants) -> f64 {
        let rccl = self.topology.scale_up == ScaleUpKind::InfinityFabric;
        out.start_s + if rccl { self.library.rccl_fabric_start_s } else { 0.0 }
    }

    /// Buffers that a domain sends in a double binary tree: one over two domains, an edge's both directions shared by
    /// three, and from four on twice the buffer (inner in one tree, leaf in the other).
    fn tree_crossing(&self) -> f64 {
        if self.domains > 3.0 { 2.0 } else { 2.0 * (self.domains - 1.0) / self.domains }
    }

    /// GPUs of a domain whose ports the rings or trees use.
    fn rails(&self) -> f64 {
        self.local.min(self.library.rails)
    }

    /// Time on the wire of the ports in use, each with so many bytes to a neighbour.
    fn crossing(&self, bytes_per_port: f64, efficiency: f64) -> f64 {
        bytes_per_port / (self.port_bytes_per_s * efficiency)
    }

    /// The same where the bytes go to others than a neighbour.
    fn crossing_to(&self, out: &ScaleOutConstants, bytes: f64, efficiency: f64, pattern: Pattern) -> f64 {
        let crowded = crowding(self.library, out, self.group, self.local, self.depth, self.topology, pattern);
        bytes * crowded / (self.out_bytes_per_s * efficiency)
    }
}

/// An algorithm's parts, before they are put together.
struct Candidate {
    start: f64,
    wire: f64,
    ramp: f64,
    algorithm: Algorithm,
    scale_up_bytes: f64,
    scale_out_bytes: f64,
}

/// Start-up and wire time, and what lies between: `limit·start·r / (limit + r)` with `r = 2·ramp·√(wire/start)`.
///
/// For medium messages this is `2·ramp·√(start·wire)`: with `ramp` of 1 the time of a message cut into the best number
/// of pipeline chunks, the square of the sum of the roots. For large ones it ends at `limit` start-ups: the library has
/// changed to the protocol with slower steps and full bandwidth, and no step costs more than it does there.
fn wire_time(start: f64, wire: f64, ramp: f64, limit: f64) -> f64 {
    if start <= 0.0 {
        return wire;
    }
    let rise = 2.0 * ramp * (wire / start).sqrt();
    start + wire + start * limit * rise / (limit + rise)
}

/// Levels of a binary tree over `count` members: the logarithm to base 2, rounded up.
pub(super) fn depth(count: u32) -> f64 {
    f64::from(u32::BITS - count.max(1).saturating_sub(1).leading_zeros())
}
