//! How long one collective takes on one fabric.
//!
//! [`collective_time`] is the library's (NCCL, RCCL), [`engine_all_reduce_time`] an inference engine's own small
//! all-reduce, [`expert_all_to_all_time`] an expert-parallel dispatch or combine; [`collective`] is the question as the
//! faces ask it. All give no number where the group needs a fabric that is not there.
//!
//! Held against 2,223 published measurements, every run counting once, the median error of a time is 3 % (90th percentile
//! 22 %) from 1 MiB, 9 % (51 %) below, 9 % (32 %) for engines' kernels and 2 % (12 %) for experts'. Each run predicted by a
//! fit without it: 5 % (26 %), 14 % (65 %), 13 % (42 %) and 5 % (15 %); `examples/fit_network.rs` prints them. Measured
//! only between 2 and 1,440 ranks. Placement, routing, oversubscription and software come in [`Conditions`]. Not modelled:
//! other jobs on the same fabric.

mod conditions;
mod constants;
mod crowding;
mod engine;
mod request;
mod time;

use serde::{Deserialize, Serialize};

pub use crate::catalog::{Conditions, Launch, LibraryAge, Routing, ScaleUpKind, Topology};

pub use conditions::{NetworkConditions, Placement};
pub use constants::TABLE as CONSTANTS_TABLE;
pub use constants::{Constants, LibraryConstants, ScaleOutConstants, ScaleUpConstants};
pub use engine::{
    ExpertExchange, ExpertKernel, domains_of, engine_all_reduce_time, engine_all_reduce_time_with,
    expert_all_to_all_time, expert_all_to_all_time_with,
};
pub use request::{
    CollectiveAnswer, CollectivePoint, CollectiveRequest, ExpertRouting, busbw_curve, collective,
};
pub use time::{algorithm_time_with, collective_time, collective_time_with};

/// A collective operation, named as nccl-tests names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum CollectiveOp {
    /// Sum over all ranks, result everywhere.
    AllReduce,
    /// Every rank's shard, everywhere.
    AllGather,
    /// Sum over all ranks, each keeps its shard.
    ReduceScatter,
    /// Each rank sends a different part to each other rank.
    AllToAll,
    /// One rank's buffer, everywhere.
    Broadcast,
    /// From one rank to one other.
    SendRecv,
}

/// The names of operations, nccl-tests' own without an underscore among them. As variants, not as aliases: requests are
/// read by the place of a name among all ([`crate::input`]).
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OpName {
    AllReduce,
    AllGather,
    ReduceScatter,
    AllToAll,
    Alltoall,
    Broadcast,
    SendRecv,
    Sendrecv,
}

impl<'de> Deserialize<'de> for CollectiveOp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match OpName::deserialize(deserializer)? {
            OpName::AllReduce => Self::AllReduce,
            OpName::AllGather => Self::AllGather,
            OpName::ReduceScatter => Self::ReduceScatter,
            OpName::AllToAll | OpName::Alltoall => Self::AllToAll,
            OpName::Broadcast => Self::Broadcast,
            OpName::SendRecv | OpName::Sendrecv => Self::SendRecv,
        })
    }
}

impl CollectiveOp {
    /// busbw / algbw, as nccl-tests defines it: 2(n−1)/n for all-reduce, (n−1)/n for all-gather, reduce-scatter and
    /// all-to-all, 1 for broadcast and send; 0 without a rank.
    pub fn bus_factor(self, ranks: u32) -> f64 {
        if ranks == 0 {
            return 0.0;
        }
        let once = f64::from(ranks - 1) / f64::from(ranks);
        match self {
            Self::AllReduce => 2.0 * once,
            Self::AllGather | Self::ReduceScatter | Self::AllToAll => once,
            Self::Broadcast | Self::SendRecv => 1.0,
        }
    }

    /// Bus bandwidth as nccl-tests defines it, GB/s: `bytes` over `seconds` times [`Self::bus_factor`]; 0 where nothing
    /// takes time.
    pub fn busbw_gb_per_s(self, bytes: f64, ranks: u32, seconds: f64) -> f64 {
        if seconds > 0.0 { bytes / seconds / 1e9 * self.bus_factor(ranks) } else { 0.0 }
    }
}

/// Which ranks of the job take part: a group of `ranks` GPUs, `stride` GPUs apart in the job's numbering.
///
/// Tensor parallel groups have stride 1 and stay inside a node; a data parallel group with tp × pp = 64 has stride 64 and
/// puts one rank on each of many nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// Ranks in the group.
    pub ranks: u32,
    /// Distance between neighbouring ranks in GPUs.
    pub stride: u32,
}

impl Group {
    /// Ranks of this group that share one scale-up domain (at least 1).
    pub fn per_domain(&self, topology: &Topology) -> u32 {
        (topology.scale_up_domain / self.stride.max(1)).clamp(1, self.ranks.max(1))
    }
}

/// Time of one collective with what it achieved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CollectiveTime {
    /// Seconds.
    pub seconds: f64,
    /// The algorithm with the least time.
    pub algorithm: Algorithm,
    /// Bytes that one GPU sends over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes that one GPU sends into the fabric.
    pub scale_out_bytes: f64,
}

/// How the library moves the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Nothing to move: one rank.
    #[default]
    None,
    /// Ring.
    Ring,
    /// Double binary tree.
    Tree,
    /// Reduction in the scale-up switch.
    Nvls,
    /// Reduction in the scale-up switch, tree between domains.
    NvlsTree,
    /// Reduction in the fabric's switches (SHARP).
    FabricReduction,
    /// Parallel aggregated trees (PAT).
    ParallelTrees,
    /// Pairwise exchange.
    Pairwise,
    /// One message.
    Direct,
}
