//! What low-rank adapters keep, train and leave out.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::model::Precision;
use rackrate::training::{
    Job, Layout, Lora, LoraTargets, PipelineSchedule, Recompute, Task, explained_step, step,
};

fn job(task: Task, precision: Precision) -> Job {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", "H100-SXM").unwrap();
    let topology = catalog.topology_of_gpu(gpu, 8, None).unwrap().topology;
    let model = catalog.model("model", "llama-3.1-8b").unwrap().architecture.clone();
    Job::new(model, gpu, topology, 8192, precision, task).unwrap()
}

fn adapters(rank: u32, targets: LoraTargets) -> Job {
    job(Task::Lora, Precision::Bf16).with_lora(Some(Lora { rank, targets })).unwrap()
}

fn layout(recompute: Recompute) -> Layout {
    Layout { recompute, ..Layout::data_parallel(8) }
}

/// Llama 3.1 8B, rank 16 beside all matrices: 16 × (in + out) of q and o (4096 + 4096), k and v (4096 + 1024), gate, up and
/// down (4096 + 14336), 32 layers: 41.9 M, as PEFT counts them.
#[test]
fn adapters_are_counted() {
    let sides = 2.0 * 8192.0 + 2.0 * 5120.0 + 3.0 * 18432.0;
    let job = adapters(16, LoraTargets::All);
    assert_eq!(job.lora.parameters(&job.architecture), 16.0 * 32.0 * sides);
    assert_eq!(job.trained_share(), 16.0 * 32.0 * sides / job.architecture.parameters());
}

/// A layer keeps, in units of 2 bytes for each token and hidden unit: both norms' inputs, the inputs of queries, keys and
/// values, of the output projection (attention's output) and, where they are adapted, of the feed-forward layers (one, and
/// 3.5 behind the activation); queries, keys and values (1.5) and the activation's inputs (7).
#[test]
fn inputs_of_adapted_matrices_are_kept() {
    let unit = 2.0 * 8192.0 * 4096.0 * 32.0 / f64::from(1 << 30);
    let kept =
        |targets| step(&adapters(16, targets), &layout(Recompute::None), 8).unwrap().memory.activations_gib;
    assert!((kept(LoraTargets::Attention) / unit - (2.0 + 2.0 + 1.5 + 7.0)).abs() < 0.05);
    assert!((kept(LoraTargets::All) / unit - (2.0 + 2.0 + 1.5 + 7.0 + 4.5)).abs() < 0.05);
    // What is kept can be done again.
    let again = step(&adapters(16, LoraTargets::All), &layout(Recompute::Selective), 8).unwrap();
    assert!(again.memory.activations_gib < 0.75 * kept(LoraTargets::All));
}

/// No weight gradient is computed, the output projection's neither.
#[test]
fn frozen_matrices_have_no_weight_gradients() {
    let names = |task| {
        let step = explained_step(&job(task, Precision::Bf16), &layout(Recompute::None), 8).unwrap();
        step.operations.iter().filter(|one| one.name.ends_with("weight gradient")).count()
    };
    assert_eq!(names(Task::Lora), 0);
    assert!(names(Task::Pretrain) >= 5);
}

/// All layers again cost half of what the forward and the input gradient take, a third with weight gradients.
#[test]
fn recompute_counts_against_the_work_that_is_there() {
    let of = |task| {
        let step = step(&job(task, Precision::Bf16), &layout(Recompute::Full), 8).unwrap();
        step.hfu / step.mfu
    };
    // The output projection is not done again.
    assert!((1.40..1.50).contains(&of(Task::Lora)), "{}", of(Task::Lora));
    assert!((1.25..1.3334).contains(&of(Task::Pretrain)), "{}", of(Task::Pretrain));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let lora = Some(Lora::default());
    let error = job(Task::Pretrain, Precision::Bf16).with_lora(lora).unwrap_err();
    assert_eq!((error.code(), error.field()), ("conflict", "lora"));
    let error =
        job(Task::Lora, Precision::Bf16).with_lora(Some(Lora { rank: 0, ..Lora::default() })).unwrap_err();
    assert_eq!((error.code(), error.field()), ("out_of_range", "lora.rank"));
    let catalog = Catalog::embedded().unwrap();
    let gpu = |name| catalog.gpu("gpu", name).unwrap();
    let topology = catalog.topology_of_gpu(gpu("H100-SXM"), 8, None).unwrap().topology;
    let model = |name| catalog.model("model", name).unwrap().architecture.clone();
    for (name, precision) in [("H100-SXM", Precision::Mxfp8), ("MI355X", Precision::Nvfp4)] {
        let job = Job::new(model("llama-3.1-8b"), gpu(name), topology, 8192, precision, Task::Pretrain);
        let error = job.unwrap_err();
        assert_eq!((error.code(), error.field()), ("unsupported", "precision"), "{name}");
    }
    let experts =
        Job::new(model("mixtral-8x7b"), gpu("H100-SXM"), topology, 8192, Precision::Bf16, Task::Pretrain);
    let repeated = Layout { tp: 2, ep: 8, sequence_parallel: false, ..Layout::data_parallel(64) };
    let error = step(&experts.unwrap(), &repeated, 64).unwrap_err();
    assert_eq!((error.code(), error.field()), ("conflict", "layout.sequence_parallel"));
    let schedule = PipelineSchedule::ZeroBubble;
    let interleaved = Layout { pp: 2, vp: 2, schedule, ..Layout::data_parallel(64) };
    let error = step(&job(Task::Pretrain, Precision::Bf16), &interleaved, 8).unwrap_err();
    assert_eq!((error.code(), error.field()), ("conflict", "layout.schedule"));
}
