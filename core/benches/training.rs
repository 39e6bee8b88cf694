//! Budgets of training and of the whole plan.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rackrate::catalog::Catalog;
use rackrate::model::Precision;
use rackrate::plan;
use rackrate::training::{Job, Layout, Task, search, step};

fn job(model: &str, gpu: &str, per_node: u32) -> Job {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", gpu).unwrap();
    let topology = catalog.topology_of_gpu(gpu, per_node, None).unwrap().topology;
    let model = catalog.model("model", model).unwrap().architecture.clone();
    Job::new(model, gpu, topology, 8192, Precision::Bf16, Task::Pretrain).unwrap()
}

fn benches(c: &mut Criterion) {
    let dense = job("llama-3.1-405b", "H100-SXM", 8);
    let layout = Layout { tp: 8, pp: 16, vp: 8, ..Layout::data_parallel(2048) };
    c.bench_function("training_step", |b| b.iter(|| step(black_box(&dense), &layout, 16_384)));
    c.bench_function("search_layouts, 405B on 16,384 H100", |b| {
        b.iter(|| search(black_box(&dense), 16_384, 2048, 10));
    });
    let moe = job("deepseek-v3", "GB200", 4);
    c.bench_function("search_layouts, DeepSeek-V3 on 2,048 GB200", |b| {
        b.iter(|| search(black_box(&moe), 2048, 8192, 10));
    });
    let scenario = plan::built_in().unwrap().remove(0);
    c.bench_function("plan, azure-trains-oci-serves", |b| {
        b.iter(|| plan::plan(Catalog::embedded().unwrap(), black_box(&scenario)));
    });
}

criterion_group! {
    name = training;
    config = Criterion::default().sample_size(20);
    targets = benches
}
criterion_main!(training);
