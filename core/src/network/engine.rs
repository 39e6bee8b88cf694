//! Kernels that inference engines bring themselves: small all-reduce inside a domain, expert-parallel exchange.

use serde::{Deserialize, Serialize};

use super::crowding::{Pattern, crowding};
use super::time::{depth, local_ranks, scale_up_bandwidth};
use super::{Algorithm, CollectiveOp, CollectiveTime, Constants, Group, Topology, collective_time_with};

/// Time of an all-reduce of `bytes` as an inference engine does it: the fastest of its own kernels and the library.
///
/// One-shot: every rank reads every other rank's buffer, `(n−1)·S` over its links and one synchronisation. Two-shot:
/// reduce-scatter then all-gather by direct reads, `2(n−1)/n·S` and two synchronisations. Start-up and efficiency are
/// fitted on TensorRT-LLM's and vLLM's kernels under CUDA graphs (A100, H100, B200, GB200). Groups that span domains
/// or nodes, and links for which no such kernel was measured (PCIe, Infinity Fabric), take [`super::collective_time`],
/// whose `None` it shares.
pub fn engine_all_reduce_time(bytes: f64, group: Group, topology: &Topology) -> Option<CollectiveTime> {
    engine_all_reduce_time_with(Constants::shipped(), bytes, group, topology)
}

/// [`engine_all_reduce_time`] with other constants: for fitting.
pub fn engine_all_reduce_time_with(
    constants: &Constants,
    bytes: f64,
    group: Group,
    topology: &Topology,
) -> Option<CollectiveTime> {
    let mut best = collective_time_with(constants, CollectiveOp::AllReduce, bytes, group, topology)?;
    // The kernels map their peers' memory, which one operating system's processes share: 8 GPUs at most were measured.
    if group.ranks < 2 || group.ranks > 8 || local_ranks(group, topology) < group.ranks {
        return Some(best);
    }
    let link = constants.of_scale_up(topology.scale_up);
    let ranks = f64::from(group.ranks);
    let bandwidth = scale_up_bandwidth(group.ranks, topology);
    let start = link.engine_start_s + ranks * link.engine_rank_s;
    let one_shot = (ranks - 1.0) * bytes;
    let two_shot = 2.0 * (ranks - 1.0) / ranks * bytes;
    for (seconds, moved) in [
        (start + one_shot / (bandwidth * link.engine_one_shot_efficiency), one_shot),
        (
            start + link.engine_second_shot_s + two_shot / (bandwidth * link.engine_two_shot_efficiency),
            two_shot,
        ),
    ] {
        if seconds < best.seconds {
            best = CollectiveTime {
                seconds,
                algorithm: Algorithm::Direct,
                scale_up_bytes: moved,
                scale_out_bytes: 0.0,
            };
        }
    }
    Some(best)
}

/// One direction of an expert-parallel exchange (dispatch to the experts, or combine back), for one rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ExpertExchange {
    /// Tokens that this rank holds.
    pub tokens: f64,
    /// Bytes of one token on the wire, scales included.
    pub bytes_per_token: f64,
    /// Routed experts of a token.
    pub experts_per_token: u32,
    /// Groups (scale-up domains) a token may visit at most, where the router limits them.
    pub max_domains: Option<u32>,
    /// The kernels.
    pub kernel: ExpertKernel,
}

impl ExpertExchange {
    /// Expected number of distinct places (domains, or the ranks of one) that a token goes to, of `places` with uniform
    /// routing: `D(1 − (1 − 1/D)^k)`, where the router limits them with D at most `max_domains`: a token's experts are uniform
    /// over the domains that it may visit.
    pub fn visited(&self, places: u32) -> f64 {
        distinct(self.allowed(places), f64::from(self.experts_per_token))
    }

    /// Of `domains`, those that a token may visit.
    fn allowed(&self, domains: u32) -> f64 {
        f64::from(self.max_domains.map_or(domains, |most| domains.min(most)).max(1))
    }
}

/// Expert-parallel kernels, in the manner of DeepEP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum ExpertKernel {
    /// For decode: a copy to each expert straight over the network, little start-up.
    LowLatency,
    /// For training and prefill: one copy to each domain, spread there over the scale-up link.
    Normal,
}

/// Scale-up domains over which a group of ranks lies.
pub fn domains_of(group: Group, topology: &Topology) -> u32 {
    group.ranks.div_ceil(local_ranks(group, topology).max(1))
}

/// Time of one expert-parallel dispatch or combine over `group`, with uniform routing; `None` as
/// [`super::collective_time`], and for tokens or bytes that are negative or not a number.
///
/// Low latency: start-up plus the slower of the copies that leave the domain over the fabric and those inside over the
/// scale-up link; `k` copies of each token. Normal: `D(1 − (1 − 1/D)^k)` distinct domains of the D that a token may visit (all,
/// or `max_domains`) get one copy over the fabric, and `n(1 − (1 − 1/n)^k)` distinct of their n ranks one over the scale-up
/// link.
/// Constants from DeepEP's published tables on H800 (128 and 4096 tokens, 8 to 256 ranks).
pub fn expert_all_to_all_time(
    exchange: &ExpertExchange,
    group: Group,
    topology: &Topology,
) -> Option<CollectiveTime> {
    expert_all_to_all_time_with(Constants::shipped(), exchange, group, topology)
}

/// [`expert_all_to_all_time`] with other constants: for fitting.
pub fn expert_all_to_all_time_with(
    constants: &Constants,
    exchange: &ExpertExchange,
    group: Group,
    topology: &Topology,
) -> Option<CollectiveTime> {
    let ExpertExchange { tokens, bytes_per_token, experts_per_token, kernel, .. } = *exchange;
    let bytes = tokens * bytes_per_token;
    if group.ranks == 0 || !(tokens >= 0.0 && bytes_per_token >= 0.0 && bytes.is_finite()) {
        return None;
    }
    if group.ranks == 1 {
        return collective_time_with(constants, CollectiveOp::AllToAll, bytes, group, topology);
    }
    let library = &constants.library;
    let domains = domains_of(group, topology);
    let largest = group.ranks.div_ceil(domains);
    let (ranks, domains_f) = (f64::from(group.ranks), f64::from(domains));
    let local = ranks / domains_f;
    let chosen = f64::from(experts_per_token);
    let (visited_domains, copies) = match kernel {
        ExpertKernel::LowLatency => (chosen, chosen),
        ExpertKernel::Normal => {
            (exchange.visited(domains), distinct(local * exchange.allowed(domains), chosen))
        }
    };
    let scale_out_bytes = bytes * visited_domains * (1.0 - 1.0 / domains_f);
    let scale_up_bytes = match kernel {
        // A copy crosses one link only, and one in n stays with its rank.
        ExpertKernel::LowLatency => bytes * copies * (local - 1.0) / ranks,
        // What arrives in a domain is spread there.
        ExpertKernel::Normal => bytes * copies * (1.0 - 1.0 / local),
    };
    let up_wire = if largest > 1 {
        scale_up_bytes / (scale_up_bandwidth(largest, topology) * library.expert_scale_up_efficiency)
    } else {
        0.0
    };
    let out_wire = if domains > 1 {
        let out = constants.of_scale_out(topology.scale_out)?;
        let bandwidth = Some(topology.scale_out_bytes_per_s).filter(|rate| *rate > 0.0)?;
        let crowded = crowding(library, out, group, local, depth(domains), topology, Pattern::All);
        scale_out_bytes * crowded / (bandwidth * library.expert_scale_out_efficiency)
    } else {
        0.0
    };
    let start = match (kernel, domains) {
        (ExpertKernel::Normal, _) => library.expert_normal_start_s,
        (ExpertKernel::LowLatency, 1) => library.expert_low_latency_start_s,
        (ExpertKernel::LowLatency, _) => library.expert_low_latency_fabric_start_s,
    };
    let seconds = start + up_wire.max(out_wire);
    seconds.is_finite().then_some(CollectiveTime {
        seconds,
        algorithm: Algorithm::Direct,
        scale_up_bytes,
        scale_out_bytes,
    })
}

/// Expected number of distinct bins that `draws` uniform draws hit out of `bins`.
fn distinct(bins: f64, draws: f64) -> f64 {
    bins * (1.0 - libm::pow(1.0 - 1.0 / bins, draws))
}

#[cfg(test)]
mod tests {
    use super::super::{Conditions, ScaleUpKind, collective_time};
    use super::*;
    use crate::catalog::FabricKind;

    /// Eight H800 a node: NVLink of 200 GB/s one way, one 400 Gb/s InfiniBand port for each GPU.
    fn h800() -> Topology {
        Topology {
            gpus_per_node: 8,
            scale_up_domain: 8,
            scale_up_bytes_per_s: 200e9,
            scale_up: ScaleUpKind::NvLink4,
            scale_out_bytes_per_s: 50e9,
            scale_out: FabricKind::InfiniBand,
            conditions: Conditions::default(),
        }
    }

    #[track_caller]
    fn near(ours: f64, measured: f64, share: f64) {
        assert!((ours / measured - 1.0).abs() <= share, "{ours} beside {measured}");
    }

    /// DeepEP's README (v1): 128 tokens a rank, hidden 7168, top-8, FP8 with scales out, BF16 back; microseconds.
    #[test]
    fn low_latency_experts_take_what_deepep_measured() {
        for (ranks, dispatch, combine) in [
            (8, 77.0, 114.0),
            (16, 118.0, 195.0),
            (32, 155.0, 273.0),
            (64, 173.0, 314.0),
            (128, 192.0, 369.0),
            (256, 194.0, 360.0),
        ] {
            for (bytes_per_token, measured) in [(7168.0 + 224.0, dispatch), (2.0 * 7168.0, combine)] {
                let exchange = ExpertExchange {
                    tokens: 128.0,
                    bytes_per_token,
                    experts_per_token: 8,
                    max_domains: None,
                    kernel: ExpertKernel::LowLatency,
                };
                let time = expert_all_to_all_time(&exchange, Group { ranks, stride: 1 }, &h800()).unwrap();
                near(time.seconds * 1e6, measured, 0.15);
            }
        }
    }

    /// DeepEP's README (v1): 4096 tokens, hidden 7168, top-8 of at most 4 nodes, FP8 out; the published GB/s count a
    /// token once for each node it goes to (each rank at 8 ranks), its own included.
    #[test]
    fn normal_experts_take_what_deepep_measured() {
        for (ranks, copies, gb_per_s) in [(8, 5.25, 153.0), (16, 2.0, 43.0), (32, 3.6, 58.0), (64, 3.6, 51.0)]
        {
            let exchange = ExpertExchange {
                tokens: 4096.0,
                bytes_per_token: 7168.0 + 224.0,
                experts_per_token: 8,
                max_domains: Some(4),
                kernel: ExpertKernel::Normal,
            };
            let time = expert_all_to_all_time(&exchange, Group { ranks, stride: 1 }, &h800()).unwrap();
            let measured = exchange.tokens * exchange.bytes_per_token * copies / (gb_per_s * 1e9);
            near(time.seconds, measured, 0.25);
        }
    }

    #[test]
    fn an_engine_is_never_slower_than_the_library_and_falls_back_to_it() {
        let node = Group { ranks: 8, stride: 1 };
        for exponent in 8..30 {
            let bytes = f64::from(1u32 << exponent);
            let own = engine_all_reduce_time(bytes, node, &h800()).unwrap();
            let library = collective_time(CollectiveOp::AllReduce, bytes, node, &h800()).unwrap();
            assert!(own.seconds <= library.seconds);
            assert!(bytes > 1e5 || own.seconds < library.seconds / 2.0, "{bytes}");
        }
        let two_nodes = Group { ranks: 16, stride: 1 };
        assert_eq!(
            engine_all_reduce_time(1e4, two_nodes, &h800()),
            collective_time(CollectiveOp::AllReduce, 1e4, two_nodes, &h800())
        );
    }
}
