//! One collective, on a good fabric and a poor one, and a curve of 64 sizes.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rackrate::catalog::FabricKind;
use rackrate::network::{
    CollectiveOp, Conditions, Group, ScaleUpKind, Topology, busbw_curve, collective_time,
};

fn benches(c: &mut Criterion) {
    let topology = Topology {
        conditions: Conditions::default(),
        gpus_per_node: 8,
        scale_up_domain: 8,
        scale_up_bytes_per_s: 450e9,
        scale_up: ScaleUpKind::NvLink4,
        scale_out_bytes_per_s: 50e9,
        scale_out: FabricKind::InfiniBand,
    };
    let group = Group { ranks: 1024, stride: 1 };
    c.bench_function("collective_time, all-reduce over 1,024 GPUs", |b| {
        b.iter(|| collective_time(CollectiveOp::AllReduce, black_box(1e9), black_box(group), &topology));
    });
    let mut poor = topology;
    poor.conditions = Conditions {
        scattered_share: 1.0,
        oversubscription: 4.0,
        tier_gpus: 2048,
        in_switch_reduction: true,
        ..topology.conditions
    };
    let announced = Group { ranks: 800_000, stride: 1 };
    c.bench_function("collective_time, scattered and oversubscribed, 800,000 GPUs", |b| {
        b.iter(|| collective_time(CollectiveOp::AllReduce, black_box(1e9), black_box(announced), &poor));
    });
    let rail = Group { ranks: 1024, stride: 8 };
    c.bench_function("collective_time, gather along 1,024 domains", |b| {
        b.iter(|| collective_time(CollectiveOp::AllGather, black_box(1e8), black_box(rail), &topology));
    });
    let sizes: Vec<f64> = (0..64).map(|i| 1024.0 * 1.3f64.powi(i)).collect();
    c.bench_function("busbw_curve, 64 sizes", |b| {
        b.iter(|| busbw_curve(CollectiveOp::AllReduce, black_box(&sizes).iter().copied(), group, &topology));
    });
}

criterion_group!(network, benches);
criterion_main!(network);
