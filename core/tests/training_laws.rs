//! Laws that a training step obeys whatever the model, layout and machine.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::catalog::Catalog;
use rackrate::model::Precision;
use rackrate::training::{Job, Layout, Recompute, Reliability, Task, TrainingStep, step};

fn job(gpu: &str, model: &str, sequence: u32, precision: Precision, change: impl Fn(&mut Job)) -> Job {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", gpu).unwrap();
    let topology = catalog.topology_of_gpu(gpu, 8, None).unwrap().topology;
    let model = catalog.model("model", model).unwrap().architecture.clone();
    let mut job = Job::new(model, gpu, topology, sequence, precision, Task::Pretrain).unwrap();
    change(&mut job);
    job
}

fn layouts() -> impl Strategy<Value = (Layout, u32)> {
    (0u32..4, 0u32..4, 0u32..4, 0u32..2, 0u32..3, 0u8..4, 0u32..3, 0u32..4).prop_map(
        |(tp, pp, dp, cp, micro_batch, zero, recompute, rounds)| {
            let (tp, pp, dp, cp, micro_batch) = (1 << tp, 1 << pp, 1 << dp, 1 << cp, 1 << micro_batch);
            let layout = Layout {
                tp,
                pp,
                cp,
                micro_batch,
                recompute: [Recompute::None, Recompute::Selective, Recompute::Full][recompute as usize],
                zero,
                ..Layout::data_parallel(dp * micro_batch * (1 << rounds))
            };
            (layout, tp * pp * dp * cp)
        },
    )
}

const GPUS: [&str; 5] = ["A100-80GB-SXM", "H100-SXM", "B200-SXM", "MI300X", "H800-SXM"];
const MODELS: [&str; 3] = ["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"];

fn check(step: &TrainingStep, job: &Job) {
    // No step beats the dense peak of its GPUs on the model FLOP alone.
    let tokens = f64::from(step.layout.global_batch) * job.sequence;
    let floor = tokens * job.sizes.model_flop_per_token / (f64::from(step.gpus) * job.peak);
    assert!(step.step_seconds >= floor, "{} under the roofline {floor}", step.step_seconds);
    assert!(step.mfu <= 1.0 && step.mfu > 0.0);
    let sum = step.parts.sum();
    assert!((sum - step.step_seconds).abs() <= 1e-9 * sum);
    let m = &step.memory;
    let parts = m.weights_gib
        + m.gradients_gib
        + m.optimizer_gib
        + m.activations_gib
        + m.logits_gib
        + m.workspace_gib;
    assert!((parts - m.total_gib).abs() <= 1e-9 * parts);
    assert!(step.interval.low < step.step_seconds && step.step_seconds < step.interval.high);
    assert!((0.0..=1.0).contains(&step.exposed_share));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_step_beats_the_roofline_and_parts_add_up(
        (layout, gpus) in layouts(), gpu in 0usize..5, model in 0usize..3, sequence in 10u32..15,
    ) {
        let job = job(GPUS[gpu], MODELS[model], 1 << sequence, Precision::Bf16, |_| ());
        check(&step(&job, &layout, gpus).unwrap(), &job);
    }

    #[test]
    fn more_bandwidth_is_never_slower(
        (layout, gpus) in layouts(), gpu in 0usize..5, model in 0usize..3, factor in 1.0..8.0f64,
    ) {
        let slow = job(GPUS[gpu], MODELS[model], 4096, Precision::Bf16, |_| ());
        let seconds = |job: &Job| step(job, &layout, gpus).unwrap().step_seconds;
        let before = seconds(&slow);
        for change in [
            (|j: &mut Job, f| j.topology.scale_out_bytes_per_s *= f) as fn(&mut Job, f64),
            |j, f| j.topology.scale_up_bytes_per_s *= f,
        ] {
            let mut fast = slow.clone();
            change(&mut fast, factor);
            prop_assert!(seconds(&fast) <= before * (1.0 + 1e-12));
        }
    }

    #[test]
    fn memory_falls_with_sharding((layout, gpus) in layouts(), model in 0usize..3) {
        let job = job("H100-SXM", MODELS[model], 4096, Precision::Bf16, |_| ());
        let gib = |zero, recompute| {
            let m = step(&job, &Layout { zero, recompute, ..layout }, gpus).unwrap().memory;
            (m.total_gib, m.weights_gib + m.gradients_gib + m.optimizer_gib)
        };
        // Each stage shards what the one before replicates; ZeRO 3 holds two gathered layers on top.
        let state = |zero| gib(zero, layout.recompute).1;
        prop_assert!(state(1) <= state(0) && state(2) <= state(1));
        let keeps = |recompute| gib(layout.zero, recompute).0;
        prop_assert!(keeps(Recompute::Full) <= keeps(Recompute::None) + 1e-9 || layout.pp == 1 && job.sizes.layers() < 2.0);
        // Twice the tensor parallel ranks never hold more of the weights.
        if layout.tp < 8 {
            let wider = Layout { tp: layout.tp * 2, ..layout };
            let weights = |l: &Layout, n| step(&job, l, n).unwrap().memory.weights_gib;
            prop_assert!(weights(&wider, gpus * 2) <= weights(&layout, gpus) * (1.0 + 1e-12));
        }
    }

    #[test]
    fn recompute_costs_time((layout, gpus) in layouts(), model in 0usize..3) {
        let job = job("H100-SXM", MODELS[model], 4096, Precision::Bf16, |_| ());
        let seconds = |recompute| step(&job, &Layout { recompute, ..layout }, gpus).unwrap().step_seconds;
        prop_assert!(seconds(Recompute::None) <= seconds(Recompute::Selective));
        prop_assert!(seconds(Recompute::Selective) <= seconds(Recompute::Full));
    }

    #[test]
    fn goodput_is_a_share_and_falls_with_failures(
        gpus in 1u32..200_000, parameters in 1e8..2e12f64, hours in 1e3..1e7f64,
    ) {
        let nodes = (f64::from(gpus) / 8.0).ceil();
        let reliability = Reliability::default();
        let links = reliability.checkpoint_links(nodes, Some(5.0), None);
        if let Ok((share, losses)) = reliability.goodput(hours, parameters, f64::from(gpus), &links) {
            prop_assert!(share > 0.0 && share < 1.0);
            let lost = losses.checkpoint_share + losses.rework_share + losses.restart_share;
            prop_assert!((share + lost - 1.0).abs() < 1e-9);
            let (better, _) = reliability.goodput(hours * 2.0, parameters, f64::from(gpus), &links).unwrap();
            prop_assert!(better >= share);
        }
    }
}
