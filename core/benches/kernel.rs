//! Time of one call: a search makes millions.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/kernel_measured/mod.rs"]
mod kernel_measured;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rackrate::kernel::{AttentionShape, Device};
use rackrate::model::Precision;

fn kernel(c: &mut Criterion) {
    let gpu = kernel_measured::gpus().into_iter().find(|gpu| gpu.name == "H100-SXM").unwrap();
    let device = Device::new(&gpu).unwrap();
    c.bench_function("kernel/gemm", |b| {
        b.iter(|| device.gemm(black_box(8192.0), black_box(4096.0), black_box(1024.0), Precision::Bf16));
    });
    let shape = AttentionShape {
        batch: 1.0,
        queries: 8192.0,
        keys: 8192.0,
        heads: 16.0,
        kv_heads: 2.0,
        qk_dim: 128.0,
        v_dim: 128.0,
        causal: true,
    };
    c.bench_function("kernel/attention_prefill", |b| {
        b.iter(|| device.attention_prefill(black_box(&shape)));
    });
    c.bench_function("kernel/attention_decode", |b| {
        b.iter(|| device.attention_decode(black_box(&shape), 2.0));
    });
    c.bench_function("kernel/device", |b| {
        b.iter(|| Device::new(black_box(&gpu)).unwrap());
    });
}

criterion_group!(benches, kernel);
criterion_main!(benches);
