//! What a step says that it sends is what its operations send, and is waited for no longer than it lasts.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::model::Precision;
use rackrate::training::{
    Dimension, Job, Layout, PipelineSchedule, Recompute, RecomputeParts, StepPart, Task, explained_step, step,
};

fn job(model: &str, gpu: &str, precision: Precision) -> Job {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", gpu).unwrap();
    let topology = catalog.topology_of_gpu(gpu, 8, None).unwrap().topology;
    let model = catalog.model("model", model).unwrap().architecture.clone();
    Job::new(model, gpu, topology, 8192, precision, Task::Pretrain).unwrap()
}

/// Layouts that send along every dimension, with all that may be done again: model, precision, layout, GPUs.
fn cases() -> Vec<(&'static str, Precision, Layout, u32)> {
    use Precision::{Bf16, Fp8, Fp8Blockwise};
    let base = Layout::data_parallel(256);
    let full = Recompute::Full;
    let parts = |some: RecomputeParts| Layout {
        recompute: Recompute::Selective,
        recompute_parts: Some(some),
        ..base
    };
    let experts = parts(RecomputeParts { experts: true, core_attention: true, ..Default::default() });
    let shared = parts(RecomputeParts { shared_experts: true, ..Default::default() });
    let dense = parts(RecomputeParts { feed_forward: true, attention_output: true, ..Default::default() });
    vec![
        ("llama-3.1-70b", Bf16, Layout { tp: 8, cp: 2, recompute: full, ..base }, 64),
        ("llama-3.1-70b", Fp8, Layout { tp: 4, pp: 4, vp: 2, cp: 2, ..dense }, 64),
        ("llama-3.1-70b", Bf16, Layout { pp: 4, recompute: full, recompute_layers: Some(7), ..base }, 64),
        ("mixtral-8x7b", Bf16, Layout { tp: 8, cp: 2, recompute: full, ..base }, 64),
        ("llama-4-maverick", Bf16, Layout { tp: 4, pp: 2, ep: 16, ..experts }, 256),
        ("qwen3-235b-a22b", Bf16, Layout { tp: 4, cp: 2, ep: 8, pp: 2, ..experts }, 128),
        ("deepseek-v3", Fp8, Layout { tp: 8, ep: 32, pp: 4, ..shared }, 256),
        ("deepseek-v3", Fp8, Layout { tp: 8, ep: 32, pp: 4, recompute: full, ..base }, 256),
        (
            "deepseek-v3",
            Fp8Blockwise,
            Layout { ep: 32, pp: 8, schedule: PipelineSchedule::DualPipe, recompute: full, ..base },
            256,
        ),
        ("deepseek-v3", Bf16, Layout { ep: 64, zero: 3, ..base }, 256),
    ]
}

/// What is done again and multi-token prediction are sent too, on the busiest stage.
#[test]
fn traffic_is_that_of_the_operations() {
    for (model, precision, layout, gpus) in cases() {
        let name = format!("{model}, {layout:?}");
        let step = explained_step(&job(model, "H100-SXM", precision), &layout, gpus).unwrap();
        for (dimension, part) in [
            (Dimension::Tensor, StepPart::TensorParallel),
            (Dimension::Context, StepPart::ContextParallel),
            (Dimension::Expert, StepPart::ExpertParallel),
            (Dimension::Data, StepPart::DataParallel),
            (Dimension::Pipeline, StepPart::Pipeline),
        ] {
            let sum = |of: fn(&rackrate::training::StepOperation) -> f64| {
                step.operations.iter().filter(|one| one.part == part).map(of).fold(0.0, |a, b| a + b)
            };
            let sent = step.traffic.iter().find(|one| one.dimension == dimension);
            let bytes = sent.map_or(0.0, |one| one.scale_up_bytes + one.fabric_bytes);
            let told = sum(|one| one.scale_up_bytes + one.fabric_bytes);
            assert!(
                (bytes - told).abs() <= 1e-9 * told,
                "{name}: {dimension:?} {bytes} B, operations {told} B"
            );
            if let Some(one) = sent {
                assert_ne!(one.algorithm, rackrate::network::Algorithm::None, "{name}: {dimension:?}");
            }
        }
    }
}

/// Beside what it slows down, data parallel exchange is waited for no longer than it lasts, and all others too.
#[test]
fn nothing_is_waited_for_longer_than_it_lasts() {
    for (model, precision, layout, gpus) in cases() {
        let step = step(&job(model, "H100-SXM", precision), &layout, gpus).unwrap();
        for one in &step.traffic {
            let longest = one.seconds * (1.0 + 1e-9);
            assert!(one.exposed_seconds <= longest, "{model}, {layout:?}: {one:?}");
        }
    }
}

/// Nobody holds whole gradients under ZeRO 2, so that each of eight micro-batches is scattered.
#[test]
fn zero_2_scatters_each_micro_batch() {
    let job = job("llama-3.1-8b", "H100-SXM", Precision::Bf16);
    let at = |zero, global_batch| {
        let step = step(&job, &Layout { zero, ..Layout::data_parallel(global_batch) }, 8).unwrap();
        let bytes = step.traffic.iter().map(|one| one.scale_up_bytes).fold(0.0, |a, b| a + b);
        (bytes, step.memory.gradients_gib)
    };
    // Reduce-scatter of gradients and all-gather of weights are as large: one each, or eight and one.
    let (once, eight) = (at(2, 8), at(2, 64));
    assert!((eight.0 / once.0 - 4.5).abs() < 1e-9, "{} times the bytes", eight.0 / once.0);
    assert!(eight.1 < at(1, 64).1 && at(1, 64).0 == once.0);
    // With a pipeline they add up whole.
    let piped = |zero| step(&job, &Layout { zero, pp: 2, ..Layout::data_parallel(64) }, 8).unwrap();
    assert_eq!(piped(1).memory, piped(2).memory);
    assert_eq!(piped(1).step_seconds, piped(2).step_seconds);
}

/// A predicting layer of DeepSeek-V3 has 256 experts, a projection of two hidden states and logits of its own.
#[test]
fn multi_token_prediction_weighs() {
    let with = job("deepseek-v3", "B200", Precision::Bf16);
    let mut architecture = with.architecture.clone();
    architecture.mtp_layers = 0;
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", "B200").unwrap();
    let without = Job::new(architecture, gpu, with.topology, 8192, Precision::Bf16, Task::Pretrain).unwrap();
    let layout = Layout { ep: 64, ..Layout::data_parallel(256) };
    let [with, without] = [&with, &without].map(|job| step(job, &layout, 256).unwrap().memory);
    // 2 bytes a parameter: all but the routed experts whole, those over 64 ranks.
    let model = catalog.model("model", "deepseek-v3").unwrap().architecture.clone();
    let experts = 256.0 * model.expert_parameters();
    let weights = 2.0 * (model.mtp_parameters() - experts + experts / 64.0) / f64::from(1 << 30);
    assert!((with.weights_gib - without.weights_gib - weights).abs() < 1e-6);
    assert!(with.activations_gib > without.activations_gib && with.optimizer_gib > without.optimizer_gib);
}

/// Every second layer of Llama 4 Maverick has experts, so every stage has layers of both kinds.
#[test]
fn layers_that_alternate_do_so_on_every_stage() {
    let job = job("llama-4-maverick", "H100-SXM", Precision::Bf16);
    for pp in [1, 2, 8] {
        let layout = Layout { pp, ep: 16, ..Layout::data_parallel(256) };
        let step = explained_step(&job, &layout, 256).unwrap();
        let runs = |name: &str| {
            step.operations.iter().filter(|one| one.name == name).map(|one| one.count).fold(0.0, |a, b| a + b)
        };
        let (dense, routed) = (runs("feed-forward up projection"), runs("expert up projection"));
        assert!(dense > 0.0 && (dense / routed - 1.0).abs() < 1e-9, "{dense} dense, {routed} routed");
    }
}
