//! Laws of the network model, over every operation, kind of link and size.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::catalog::FabricKind;
use rackrate::network::{
    Algorithm, CollectiveOp, Conditions, ExpertExchange, ExpertKernel, Group, Launch, LibraryAge, Routing,
    ScaleUpKind, Topology, collective_time, engine_all_reduce_time, expert_all_to_all_time,
};

const OPS: [CollectiveOp; 6] = [
    CollectiveOp::AllReduce,
    CollectiveOp::AllGather,
    CollectiveOp::ReduceScatter,
    CollectiveOp::AllToAll,
    CollectiveOp::Broadcast,
    CollectiveOp::SendRecv,
];

fn op() -> impl Strategy<Value = CollectiveOp> {
    prop::sample::select(OPS.to_vec())
}

fn group() -> impl Strategy<Value = Group> {
    // As many small groups as large ones, to the largest system that was announced.
    let ranks = prop_oneof![1u32..5000, 1u32..800_000];
    (ranks, prop::sample::select(vec![1u32, 2, 4, 8, 16, 64]))
        .prop_map(|(ranks, stride)| Group { ranks, stride })
}

fn conditions() -> impl Strategy<Value = Conditions> {
    (
        0.0..1.0f64,
        prop::sample::select(vec![Routing::Adaptive, Routing::Ecmp]),
        1.0..10.0f64,
        prop::sample::select(vec![0u32, 256, 3072, 131_072]),
        any::<bool>(),
    )
        .prop_map(|(scattered_share, routing, oversubscription, tier_gpus, in_switch_reduction)| {
            Conditions {
                scattered_share,
                routing,
                oversubscription,
                tier_gpus,
                in_switch_reduction,
                ..Conditions::default()
            }
        })
}

fn topology() -> impl Strategy<Value = Topology> {
    use FabricKind::{Efa, InfiniBand, RoceV2};
    use ScaleUpKind::{InfinityFabric, NvLink3, NvLink4, NvLink5, Pcie};
    (
        prop::sample::select(vec![(8u32, 8u32), (4, 72), (4, 4), (2, 2)]),
        prop::sample::select(vec![NvLink3, NvLink4, NvLink5, InfinityFabric, Pcie]),
        prop::sample::select(vec![InfiniBand, RoceV2, Efa]),
        20.0..1800.0f64,
        5.0..200.0f64,
        conditions(),
    )
        .prop_map(|((gpus_per_node, scale_up_domain), scale_up, scale_out, up, out, conditions)| {
            Topology {
                conditions,
                gpus_per_node,
                scale_up_domain,
                scale_up_bytes_per_s: up * 1e9,
                scale_up,
                scale_out_bytes_per_s: out * 1e9,
                scale_out,
            }
        })
}

fn bytes() -> impl Strategy<Value = f64> {
    (0.0..40.0f64).prop_map(f64::exp2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_group_on_a_fabric_has_a_time(op in op(), bytes in bytes(), group in group(), topology in topology()) {
        let time = collective_time(op, bytes, group, &topology).unwrap();
        prop_assert!(time.seconds.is_finite() && time.seconds >= 0.0);
        prop_assert_eq!(time.seconds == 0.0, group.ranks == 1);
        prop_assert_eq!(time.algorithm == Algorithm::None, group.ranks == 1);
    }

    #[test]
    fn more_bytes_are_never_faster(
        op in op(), bytes in bytes(), more in 1.0..3.0f64, group in group(), topology in topology()
    ) {
        let less = collective_time(op, bytes, group, &topology).unwrap().seconds;
        let more = collective_time(op, bytes * more, group, &topology).unwrap().seconds;
        prop_assert!(more >= less);
    }

    #[test]
    fn more_bandwidth_is_never_slower(
        op in op(), bytes in bytes(), up in 1.0..3.0f64, out in 1.0..3.0f64, group in group(), topology in topology()
    ) {
        let mut wider = topology;
        wider.scale_up_bytes_per_s *= up;
        wider.scale_out_bytes_per_s *= out;
        let before = collective_time(op, bytes, group, &topology).unwrap().seconds;
        prop_assert!(collective_time(op, bytes, group, &wider).unwrap().seconds <= before);
    }

    /// No GPU sends its bytes faster than its links carry them.
    #[test]
    fn no_time_beats_the_wires(op in op(), bytes in bytes(), group in group(), topology in topology()) {
        let time = collective_time(op, bytes, group, &topology).unwrap();
        prop_assert!(time.seconds * topology.scale_up_bytes_per_s >= time.scale_up_bytes);
        prop_assert!(time.seconds * topology.scale_out_bytes_per_s >= time.scale_out_bytes);
    }

    /// More whole domains are never faster, up to the largest system that was announced; and finite there.
    #[test]
    fn more_gpus_are_never_faster(
        op in op(), bytes in bytes(), domains in prop_oneof![1u32..16, 1u32..10_000], factor in 1.0..80.0f64, topology in topology()
    ) {
        // Where ports outrun the scale-up link, all-to-all gains by leaving the domain; no system has such.
        let out = topology.scale_out_bytes_per_s.min(0.5 * topology.scale_up_bytes_per_s);
        let topology = Topology { scale_out_bytes_per_s: out, ..topology };
        let domain = topology.scale_up_domain.max(topology.gpus_per_node);
        let most = 800_000 / domain;
        let fewer = domains.min(most);
        let more = ((f64::from(fewer) * factor) as u32).clamp(fewer, most);
        let over = |domains: u32| {
            collective_time(op, bytes, Group { ranks: domains * domain, stride: 1 }, &topology).unwrap().seconds
        };
        prop_assert!(over(more) >= over(fewer) * (1.0 - 1e-12), "{} over {more}, {} over {fewer}", over(more), over(fewer));
    }

    /// The same along a dimension that has one rank in each domain.
    #[test]
    fn longer_rails_are_never_faster(
        op in op(), bytes in bytes(), ranks in prop_oneof![1u32..16, 1u32..10_000], factor in 1.0..10.0f64, topology in topology()
    ) {
        let stride = topology.scale_up_domain.max(topology.gpus_per_node);
        let more = (f64::from(ranks) * factor) as u32;
        let over = |ranks: u32| collective_time(op, bytes, Group { ranks, stride }, &topology).unwrap().seconds;
        prop_assert!(over(more) >= over(ranks) * (1.0 - 1e-12), "{} over {more}, {} over {ranks}", over(more), over(ranks));
    }

    /// Scattered placement, static routes and oversubscribed tiers never help; the switches' sums never hurt.
    #[test]
    fn a_worse_fabric_is_never_faster(
        op in op(), bytes in bytes(), group in group(), topology in topology(), more in 0.0..1.0f64, ratio in 1.0..5.0f64
    ) {
        let seconds = |conditions: Conditions| {
            collective_time(op, bytes, group, &Topology { conditions, ..topology }).unwrap().seconds
        };
        let given = topology.conditions;
        let now = seconds(given);
        let share = given.scattered_share;
        let worse = [
            Conditions { scattered_share: share + more * (1.0 - share), ..given },
            Conditions { oversubscription: given.oversubscription * ratio, ..given },
            Conditions { routing: Routing::Ecmp, ..given },
            Conditions { in_switch_reduction: false, ..given },
            Conditions { library: LibraryAge::Nccl218, ..given },
            Conditions { launch: Launch::Framework, ..given },
        ];
        for other in worse {
            let then = seconds(other);
            prop_assert!(then >= now, "{then} under {other:?}, {now} under {given:?}");
        }
        let exchange = ExpertExchange {
            tokens: bytes / 7168.0, bytes_per_token: 7168.0, experts_per_token: 8, max_domains: None,
            kernel: ExpertKernel::Normal,
        };
        let experts = |conditions: Conditions| {
            expert_all_to_all_time(&exchange, group, &Topology { conditions, ..topology }).unwrap().seconds
        };
        prop_assert!(experts(given) >= experts(Conditions::default()));
    }

    /// Bus bandwidth stays below the links': a domain's ports over several domains (twice that where two share a tree, or
    /// switches sum), the scale-up link inside one (nearly twice that where its switch sums).
    #[test]
    fn no_bus_bandwidth_is_above_the_links(
        op in op(), bytes in bytes(), group in group(), topology in topology()
    ) {
        let group = Group { ranks: group.ranks + 1, ..group };
        let time = collective_time(op, bytes, group, &topology).unwrap();
        let busbw = op.busbw_gb_per_s(bytes, group.ranks, time.seconds) * 1e9;
        let per_domain = f64::from(group.per_domain(&topology).max(topology.gpus_per_node / group.stride));
        let twice = if op == CollectiveOp::AllReduce { 2.0 } else { 1.0 };
        let up = twice * topology.scale_up_bytes_per_s;
        let inside = time.scale_out_bytes == 0.0;
        let ports = topology.scale_out_bytes_per_s * per_domain.max(1.0);
        let across = match op {
            // What stays inside the domain does not burden the ports.
            CollectiveOp::AllToAll => up.max(ports),
            // One port, or the scale-up link.
            CollectiveOp::SendRecv => topology.scale_out_bytes_per_s,
            _ => twice * ports,
        };
        prop_assert!(busbw <= if inside { up } else { across } * (1.0 + 1e-9), "{busbw} of {up} and {across}");
    }

    /// A reduction to all is not faster than either half of it.
    #[test]
    fn a_gather_is_not_slower_than_a_ring_reduction(bytes in bytes(), group in group(), topology in topology()) {
        let reduce = collective_time(CollectiveOp::AllReduce, bytes, group, &topology).unwrap();
        let gather = collective_time(CollectiveOp::AllGather, bytes, group, &topology).unwrap();
        prop_assert!(reduce.algorithm != Algorithm::Ring || gather.seconds <= reduce.seconds);
    }

    #[test]
    fn without_a_fabric_there_is_no_number(op in op(), bytes in bytes(), group in group(), topology in topology()) {
        let mut apart = topology;
        apart.scale_out_bytes_per_s = 0.0;
        let joined = topology.scale_up_domain / group.stride;
        let inside = group.ranks <= joined.max(1);
        // Over PCIe a group reaches as far as its node.
        if topology.scale_up != ScaleUpKind::Pcie {
            prop_assert_eq!(collective_time(op, bytes, group, &apart).is_some(), inside);
            prop_assert_eq!(engine_all_reduce_time(bytes, group, &apart).is_some(), inside);
        }
        let mut circuit = topology;
        circuit.scale_out = FabricKind::PrivateCircuit;
        prop_assert_eq!(collective_time(op, bytes, group, &circuit), collective_time(op, bytes, group, &apart));
    }

    #[test]
    fn experts_take_longer_for_more_tokens(
        tokens in 1.0..1e5f64, more in 1.0..3.0f64, experts_per_token in 1u32..16, normal: bool,
        group in group(), topology in topology()
    ) {
        let kernel = if normal { ExpertKernel::Normal } else { ExpertKernel::LowLatency };
        let exchange = |tokens| ExpertExchange {
            tokens, bytes_per_token: 7168.0, experts_per_token, max_domains: None, kernel
        };
        let less = expert_all_to_all_time(&exchange(tokens), group, &topology).unwrap().seconds;
        let more = expert_all_to_all_time(&exchange(tokens * more), group, &topology).unwrap().seconds;
        prop_assert!(less.is_finite() && more >= less);
    }

    /// A router that keeps a token to L of D domains is one that has only L; a limit that is no limit changes nothing.
    #[test]
    fn a_limited_router_is_one_over_fewer_domains(domains in 1u32..64, most in 1u32..64, experts_per_token in 1u32..16) {
        let visited = |max_domains, places| {
            ExpertExchange {
                tokens: 1.0, bytes_per_token: 1.0, experts_per_token, max_domains, kernel: ExpertKernel::Normal
            }
            .visited(places)
        };
        prop_assert_eq!(visited(Some(most), domains), visited(None, domains.min(most)));
        prop_assert!(visited(Some(most), domains) <= f64::from(experts_per_token.min(domains).min(most)) * (1.0 + 1e-12));
    }
}

#[test]
fn nonsense_has_no_time() {
    let topology = Topology {
        conditions: Conditions::default(),
        gpus_per_node: 8,
        scale_up_domain: 8,
        scale_up_bytes_per_s: 450e9,
        scale_up: ScaleUpKind::NvLink4,
        scale_out_bytes_per_s: 50e9,
        scale_out: FabricKind::InfiniBand,
    };
    for op in OPS {
        for bytes in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(collective_time(op, bytes, Group { ranks: 16, stride: 1 }, &topology), None);
        }
        assert_eq!(collective_time(op, 1.0, Group { ranks: 0, stride: 1 }, &topology), None);
        assert!(collective_time(op, 1.0, Group { ranks: u32::MAX, stride: 0 }, &topology).is_some());
    }
}

/// What the published measurements show, not only what the fit minimised.
#[test]
fn algorithms_are_those_that_the_library_takes() {
    let h100 = Topology {
        conditions: Conditions::default(),
        gpus_per_node: 8,
        scale_up_domain: 8,
        scale_up_bytes_per_s: 450e9,
        scale_up: ScaleUpKind::NvLink4,
        scale_out_bytes_per_s: 50e9,
        scale_out: FabricKind::InfiniBand,
    };
    let reduce = |bytes, ranks| {
        collective_time(CollectiveOp::AllReduce, bytes, Group { ranks, stride: 1 }, &h100).unwrap().algorithm
    };
    assert_eq!(reduce(8e9, 8), Algorithm::Nvls);
    assert_eq!(reduce(8e9, 4), Algorithm::Ring);
    assert_eq!(reduce(8e9, 16), Algorithm::NvlsTree);
    assert_eq!(reduce(1e3, 512), Algorithm::Tree);
}
