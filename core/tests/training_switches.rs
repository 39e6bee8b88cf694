//! What the switches of the training software and the router's groups change in a step, and what they cannot.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::model::Precision;
use rackrate::training::{
    Dimension, Job, Layout, PipelineSchedule, Recompute, Software, Task, TrainingStep, explained_step, step,
};

fn job(gpu: &str, model: &str, precision: Precision) -> Job {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", gpu).unwrap();
    let topology = catalog.topology_of_gpu(gpu, 8, None).unwrap().topology;
    let model = catalog.model("model", model).unwrap().architecture.clone();
    Job::new(model, gpu, topology, 4096, precision, Task::Pretrain).unwrap()
}

fn under(job: &Job, software: Software, layout: Layout, gpus: u32) -> TrainingStep {
    step(&job.clone().with_software(software).unwrap(), &layout, gpus).unwrap()
}

fn fabric_bytes(step: &TrainingStep, dimension: Dimension) -> f64 {
    step.traffic.iter().find(|one| one.dimension == dimension).unwrap().fabric_bytes
}

/// Llama 3.1 405B in 8 bits on 64 H100.
fn tensor_parallel() -> (Job, Layout) {
    let layout = Layout { tp: 8, pp: 8, recompute: Recompute::None, ..Layout::data_parallel(32) };
    (job("H100-SXM", "llama-3.1-405b", Precision::Fp8), layout)
}

/// The exchange is shorter than the products beside it: of the forward pass's reduce-scatter the last of eight tiles shows.
/// Each rank starts a gather with its own tile, and the backward pass's reduce-scatter runs under a weight gradient that waits
/// for none of it; where weights are frozen it has none. In 16 bits all four collectives of a half take as long.
#[test]
fn of_an_exchange_in_tiles_one_shows() {
    let job = job("H100-SXM", "llama-3.1-405b", Precision::Bf16);
    let shown = |task, tensor_overlap, tensor_tiles| {
        let software = Software { tensor_overlap, tensor_tiles, ..Software::default() };
        let job = Job { task, ..job.clone() };
        under(&job, software, tensor_parallel().1, 64).parts.tensor_parallel_seconds
    };
    for (task, tiles) in [(Task::Pretrain, 1.0 / 8.0), (Task::Lora, 1.0 / 8.0 + 1.0)] {
        let (whole, tiled) = (shown(task, false, false), shown(task, true, true));
        assert!((tiled / (whole / 4.0 * tiles) - 1.0).abs() < 1e-9, "{tiled} of {whole} s");
    }
}

/// Routed experts' products hide nothing: of Mixtral, whose experts are cut like a dense layer, the exchange around them
/// shows whole, which is half of all.
#[test]
fn tiles_do_not_hide_under_routed_experts() {
    let job = job("H100-SXM", "mixtral-8x7b", Precision::Bf16);
    let shown = |tensor_overlap, tensor_tiles| {
        let software = Software { tensor_overlap, tensor_tiles, ..Software::default() };
        let layout = Layout { tp: 8, expert_tp: Some(8), ..Layout::data_parallel(32) };
        under(&job, software, layout, 64).parts.tensor_parallel_seconds
    };
    let (whole, tiled) = (shown(false, false), shown(true, true));
    assert!(tiled < whole && tiled > 0.5 * whole, "{tiled} of {whole} s");
}

/// Over the fabric it is longer than the products: what is too long shows too, and never more than all of it.
#[test]
fn tiles_hide_no_more_than_the_products_last() {
    let (mut job, layout) = tensor_parallel();
    job.topology.scale_up_bytes_per_s /= 100.0;
    let at = |tensor_overlap, tensor_tiles| {
        let software = Software { tensor_overlap, tensor_tiles, ..Software::default() };
        under(&job, software, layout, 64).parts
    };
    let (whole, tiled) = (at(false, false), at(true, true));
    let hidden = whole.tensor_parallel_seconds - tiled.tensor_parallel_seconds;
    assert!(tiled.tensor_parallel_seconds > 0.5 * whole.tensor_parallel_seconds);
    assert!(hidden > 0.0 && hidden <= whole.compute_seconds, "{hidden} s under the products");
}

/// What products in 8 bits read is gathered in 8 bits, what they sum is scattered in 16: three quarters of the bytes.
#[test]
fn eight_bit_products_gather_eight_bits() {
    let layout = tensor_parallel().1;
    let at = |precision, cast_after_gather| {
        let job = job("H100-SXM", "llama-3.1-405b", precision);
        let step = under(&job, Software { cast_after_gather, ..Software::default() }, layout, 64);
        let tensor = step.traffic.iter().find(|one| one.dimension == Dimension::Tensor).unwrap();
        (tensor.scale_up_bytes, step.parts.memory_bound_seconds)
    };
    let (half, before, after) =
        (at(Precision::Bf16, false), at(Precision::Fp8, false), at(Precision::Fp8, true));
    assert!((before.0 / half.0 - 0.75).abs() < 1e-9 && after.0 == half.0);
    // Each rank casts its own tokens, or all ranks all of them.
    assert!(half.1 < before.1 && before.1 < after.1);
}

/// Of 2 bytes a gradient and 2 a weight, 3 remain, but for embedding and output projection.
#[test]
fn weights_of_layers_are_gathered_in_8_bits() {
    let job = job("H100-SXM", "llama-3.1-8b", Precision::Fp8);
    let bytes = |fp8_weight_gather| {
        let software = Software { fp8_weight_gather, ..Software::default() };
        fabric_bytes(&under(&job, software, Layout::data_parallel(64), 64), Dimension::Data)
    };
    let sizes = &job.sizes;
    let (layers, ends) = (sizes.dense_parameters(), sizes.embedding + sizes.output);
    let expected = (3.0 * layers + 4.0 * ends) / (4.0 * (layers + ends));
    assert!((bytes(true) / bytes(false) - expected).abs() < 1e-9, "{} of {}", bytes(true), bytes(false));
}

/// MXFP8 and NVFP4 are cast after the gather.
#[test]
fn eight_bits_are_gathered_for_recipes_with_8_bit_weights_only() {
    let software = Software { fp8_weight_gather: true, ..Software::default() };
    let at = |precision| job("B200", "llama-3.1-8b", precision).with_software(software);
    for precision in [Precision::Fp8, Precision::Fp8Blockwise] {
        assert!(at(precision).is_ok(), "{precision:?}");
    }
    for precision in [Precision::Bf16, Precision::Mxfp8, Precision::Nvfp4] {
        let error = at(precision).unwrap_err().to_string();
        assert!(error.contains("software.fp8_weight_gather"), "{precision:?}: {error}");
    }
}

#[test]
fn switches_that_contradict_are_refused_by_name() {
    let job = job("H100-SXM", "llama-3.1-8b", Precision::Bf16);
    let refused = |software| job.clone().with_software(software).unwrap_err().to_string();
    let tiles = Software { tensor_tiles: true, tensor_overlap: false, ..Software::default() };
    assert!(refused(tiles).contains("software.tensor_tiles"));
    let gather = Software { fp8_weight_gather: true, ..Software::default() };
    assert!(refused(gather).contains("software.fp8_weight_gather"));
}

/// DeepSeek-V3's experts over eight nodes.
fn expert_parallel() -> Layout {
    Layout { ep: 64, ..Layout::data_parallel(64) }
}

/// A token's eight experts lie on 8(1 − (7/8)⁸) = 5.25 of eight nodes if chosen among all, on 4(1 − (3/4)⁸) = 3.60 if chosen among
/// four (arXiv 2412.19437, section 2.1.2); an all-to-all sends one copy to each of the eight.
#[test]
fn a_router_with_groups_sends_to_fewer_nodes() {
    let limited = job("H800-SXM", "deepseek-v3", Precision::Fp8Blockwise);
    let mut free = limited.clone();
    let moe = free.architecture.moe.as_mut().unwrap();
    assert_eq!((moe.expert_groups, moe.groups_per_token), (8, 4));
    (moe.expert_groups, moe.groups_per_token) = (0, 0);
    let bytes = |job: &Job, expert_all_to_all| {
        let software = Software { expert_all_to_all, ..Software::default() };
        fabric_bytes(&under(job, software, expert_parallel(), 64), Dimension::Expert)
    };
    let nodes = |among: f64| among * (1.0 - (1.0 - 1.0 / among).powi(8));
    let expected = nodes(4.0) / nodes(8.0);
    assert!((bytes(&limited, false) / bytes(&free, false) / expected - 1.0).abs() < 1e-9);
    assert!((bytes(&limited, true) / bytes(&limited, false) - 8.0 / nodes(4.0)).abs() < 0.01);
}

/// Each group of experts lies in as few domains as can hold it.
#[test]
fn groups_spread_over_more_domains_than_there_are_of_them() {
    let moe = job("H800-SXM", "deepseek-v3", Precision::Bf16).architecture.moe.unwrap();
    assert_eq!([4, 8, 16, 32].map(|domains| moe.most_domains(domains)), [4, 4, 8, 16].map(Some));
    let all = job("H800-SXM", "mixtral-8x7b", Precision::Bf16).architecture.moe.unwrap();
    assert_eq!(all.most_domains(8), None);
}

/// Under DualPipe a rank holds stages i and p − 1 − i: of four stages of a model with eight layers' worth of embeddings the ends
/// hold both embeddings, and no rank more than that.
#[test]
fn a_rank_under_dual_pipe_holds_two_stages_of_its_own() {
    let job = job("H100-SXM", "llama-3.1-8b", Precision::Bf16);
    let at = |schedule| {
        let layout = Layout { pp: 4, schedule, zero: 0, ..Layout::data_parallel(32) };
        step(&job, &layout, 8).unwrap().memory
    };
    let (one, two) = (at(PipelineSchedule::OneForwardOneBackward), at(PipelineSchedule::DualPipe));
    let sizes = &job.sizes;
    let gib = |parameters: f64| 2.0 * parameters / 1024.0_f64.powi(3);
    let stage = sizes.dense_parameters() / 4.0;
    assert!((one.weights_gib - gib(stage + sizes.embedding.max(sizes.output))).abs() < 1e-6);
    assert!((two.weights_gib - gib(2.0 * stage + sizes.embedding + sizes.output)).abs() < 1e-6);
    assert!((two.optimizer_gib / two.weights_gib - 6.0).abs() < 1e-9);
}

/// DeepSeek-V3 as published, 128 ranks to each of 16 stages, under ZeRO 3.
fn sharded(schedule: PipelineSchedule, shard_group: Option<u32>) -> TrainingStep {
    let job = job("H800-SXM", "deepseek-v3", Precision::Fp8Blockwise);
    let layout = Layout { pp: 16, ep: 64, schedule, zero: 3, shard_group, ..Layout::data_parallel(15_360) };
    explained_step(&job, &layout, 2048).unwrap()
}

/// Each pass of a micro-batch gathers one of a rank's stages, and a rank computes for as long as under any schedule: as much
/// hides. Twice as many ranks send more bytes, and what is too long for the passes shows.
#[test]
fn dual_pipe_hides_as_much_of_zero_3_as_one_stage_does() {
    let of = |schedule| {
        let step = sharded(schedule, None);
        let data = step.traffic.iter().find(|one| one.dimension == Dimension::Data).unwrap();
        (data.seconds - data.exposed_seconds, data.exposed_seconds, data.fabric_bytes)
    };
    let (one, two) = (of(PipelineSchedule::OneForwardOneBackward), of(PipelineSchedule::DualPipe));
    assert!((two.0 / one.0 - 1.0).abs() < 0.05, "{two:?} of {one:?}");
    assert!(two.1 > one.1 && two.2 > one.2, "{two:?} of {one:?}");
}

/// What is sharded over all ranks that hold it has no second group to sum with.
#[test]
fn dual_pipe_sums_between_shard_groups_only_where_there_are_some() {
    let sums = |group| {
        let step = sharded(PipelineSchedule::DualPipe, group);
        step.operations.iter().filter(|o| o.name.contains("between shard groups")).count()
    };
    assert_eq!((sums(None), sums(Some(128))), (0, 0));
    assert!(sums(Some(64)) > 0);
}

/// Four ranks of a stage fit into a node with the four of the next stage, but the first and the last stage are 28 GPUs apart.
#[test]
fn dual_pipes_two_stages_of_a_rank_lie_on_two_nodes() {
    let job = job("H100-SXM", "llama-3.1-8b", Precision::Bf16);
    let bytes = |schedule, pp| {
        let layout = Layout { pp, schedule, zero: 1, ..Layout::data_parallel(64) };
        fabric_bytes(&step(&job, &layout, 4 * pp).unwrap(), Dimension::Data)
    };
    assert_eq!(bytes(PipelineSchedule::OneForwardOneBackward, 8), 0.0);
    assert_eq!(bytes(PipelineSchedule::DualPipe, 2), 0.0);
    assert!(bytes(PipelineSchedule::DualPipe, 8) > 0.0);
}
