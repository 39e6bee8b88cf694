//! The pruned search finds what looking at everything finds.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::model::Precision;
use rackrate::training::{Job, Layout, PipelineSchedule, Searcher, Task, Wanted, search, step};

#[test]
fn the_first_of_many_is_the_best_of_one() {
    // Keeping a thousand layouts leaves nothing to prune; keeping one prunes most.
    let catalog = Catalog::embedded().unwrap();
    for (model, gpu, gpus, batch) in [
        ("llama-3.1-70b", "H100-SXM", 256, 512),
        ("deepseek-v3", "GB200", 512, 2048),
        ("llama-3.1-8b", "L40S", 4, 16),
    ] {
        let gpu = catalog.gpu("gpu", gpu).unwrap();
        let per_node = if gpu.scale_up_domain > 16 { 4 } else { 8 };
        let topology = catalog.topology_of_gpu(gpu, per_node, None).unwrap().topology;
        let model = catalog.model("model", model).unwrap().architecture.clone();
        let job = Job::new(model, gpu, topology, 4096, Precision::Bf16, Task::Pretrain).unwrap();
        let all = search(&job, gpus, batch, 1000).unwrap();
        let one = search(&job, gpus, batch, 1).unwrap();
        assert_eq!((all.considered, all.fitting), (one.considered, one.fitting));
        assert_eq!(all.best.first(), one.best.first());
        let seconds: Vec<f64> =
            all.best.iter().map(|layout| step(&job, layout, gpus).unwrap().step_seconds).collect();
        assert!(seconds.is_sorted(), "best first");
    }
}

#[test]
fn the_front_is_that_of_every_layout() {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", "H100-SXM").unwrap();
    let topology = catalog.topology_of_gpu(gpu, 8, None).unwrap().topology;
    let schedules = &[PipelineSchedule::OneForwardOneBackward, PipelineSchedule::ZeroBubble];
    for (model, gpus, batch) in [("llama-3.1-8b", 8, 8), ("qwen3-30b-a3b", 8, 2)] {
        let model = catalog.model("model", model).unwrap().architecture.clone();
        let job = Job::new(model, gpu, topology, 4096, Precision::Bf16, Task::Pretrain).unwrap();
        let found = |best| {
            let wanted = Wanted { best, seconds: f64::INFINITY, front: true, schedules };
            Searcher::new(&job).find(gpus, batch, &wanted).unwrap()
        };
        let (all, one) = (found(1000), found(1));
        assert!(all.fitting <= 1000, "{} layouts: some were cut off", all.fitting);
        let cost = |layout: &Layout| {
            let step = step(&job, layout, gpus).unwrap();
            (step.step_seconds, step.memory.total_gib)
        };
        let costs: Vec<(f64, f64)> = all.best.iter().map(cost).collect();
        let mut front: Vec<(f64, f64)> = costs
            .iter()
            .filter(|(s, m)| !costs.iter().any(|(t, n)| t <= s && n <= m && (t < s || n < m)))
            .copied()
            .collect();
        front.dedup();
        assert!(front.len() > 1, "a front of one shows nothing");
        assert_eq!(one.front.iter().map(cost).collect::<Vec<_>>(), front);
        assert_eq!(all.front, one.front);
        assert_eq!(one.best.first(), one.front.first());
    }
}

/// A limit of time cuts a front off, and leaves the rest of it and the best as they are.
#[test]
fn a_limit_of_time_takes_nothing_from_below_it() {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", "H100-SXM").unwrap();
    let topology = catalog.topology_of_gpu(gpu, 8, None).unwrap().topology;
    let model = catalog.model("model", "deepseek-v3").unwrap().architecture.clone();
    let job = Job::new(model, gpu, topology, 4096, Precision::Fp8, Task::Pretrain).unwrap();
    let schedules = &[PipelineSchedule::OneForwardOneBackward, PipelineSchedule::DualPipe];
    // The searcher is the same: what it kept of the first question is right for the others.
    let mut searcher = Searcher::new(&job);
    for (gpus, batch) in [(512, 2048), (192, 1536), (2048, 2048)] {
        let mut found = |seconds| {
            let wanted = Wanted { best: 10, seconds, front: true, schedules };
            searcher.find(gpus, batch, &wanted).unwrap()
        };
        let seconds = |layout: &Layout| step(&job, layout, gpus).unwrap().step_seconds;
        let all = found(f64::INFINITY);
        assert!(all.front.len() > 2, "a short front shows little");
        for point in [0, all.front.len() / 2] {
            let limit = seconds(&all.front[point]);
            let some = found(limit);
            assert_eq!(some.front, all.front[..=point]);
            let within = all.best.iter().filter(|layout| seconds(layout) <= limit);
            assert!(within.eq(&some.best));
        }
    }
}
