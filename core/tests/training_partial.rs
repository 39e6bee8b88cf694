//! Laws and errors of recompute in part, of offload, of expert tensor parallel ranks and of pipeline schedules.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::model::Precision;
use rackrate::training::{
    AttentionKernel, Job, Layout, Offload, PipelineSchedule, Recompute, RecomputeParts, Software, Task,
    TrainingStep, step,
};

fn job(gpu: &str, model: &str) -> Job {
    let catalog = Catalog::embedded().unwrap();
    let gpu = catalog.gpu("gpu", gpu).unwrap();
    let topology = catalog.topology_of_gpu(gpu, 8, None).unwrap().topology;
    let model = catalog.model("model", model).unwrap().architecture.clone();
    Job::new(model, gpu, topology, 4096, Precision::Bf16, Task::Pretrain).unwrap()
}

fn dense() -> Job {
    job("H100-SXM", "llama-3.1-70b")
}

fn sparse() -> Job {
    job("H100-SXM", "deepseek-v3")
}

/// A layout of 80 or 61 layers on so many GPUs.
fn layouts() -> impl Strategy<Value = (Layout, u32)> {
    (0u32..4, 0u32..4, 0u32..3, 0u32..2, 1u32..3, 0u8..4, 1u32..4).prop_map(
        |(tp, pp, dp, cp, micro_batch, zero, rounds)| {
            let (tp, pp, dp, cp) = (1 << tp, 1 << pp, 1 << dp, 1 << cp);
            let batch = dp * micro_batch * pp * rounds;
            let layout = Layout { tp, pp, cp, micro_batch, zero, ..Layout::data_parallel(batch) };
            (layout, tp * pp * dp * cp)
        },
    )
}

fn priced(job: &Job, layout: Layout, gpus: u32) -> TrainingStep {
    step(job, &layout, gpus).unwrap()
}

fn error(job: &Job, layout: Layout, gpus: u32) -> (String, String) {
    let error: Error = step(job, &layout, gpus).unwrap_err();
    (error.field().to_owned(), error.to_string())
}

const BASE: fn() -> Layout = || Layout { tp: 8, pp: 2, ..Layout::data_parallel(64) };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Every layer more that is done again takes time and frees memory, from none to all.
    #[test]
    fn layers_done_again_lie_between_none_and_all((layout, gpus) in layouts(), sparse_model: bool, few in 1u32..8, more in 0u32..8) {
        let job = if sparse_model { sparse() } else { dense() };
        let rank = job.architecture.layers.div_ceil(layout.pp);
        let few = few.min(rank);
        let more = (few + more).min(rank);
        let under = |recompute, recompute_layers| {
            let found = priced(&job, Layout { recompute, recompute_layers, ..layout }, gpus);
            (found.step_seconds, found.memory.total_gib, found.hfu / found.mfu)
        };
        let steps = [
            under(Recompute::None, None),
            under(Recompute::Full, Some(few)),
            under(Recompute::Full, Some(more)),
            under(Recompute::Full, None),
        ];
        for pair in steps.windows(2) {
            prop_assert!(pair[0].0 <= pair[1].0 * (1.0 + 1e-12), "time {:?}", steps);
            prop_assert!(pair[0].2 <= pair[1].2 + 1e-12, "HFU {:?}", steps);
        }
        // All layers are done again one at a time: the last stands whole beside the inputs of the others.
        prop_assert!(steps[1].1 <= steps[0].1 * (1.0 + 1e-12), "memory {:?}", steps);
        prop_assert!(steps[2].1 <= steps[1].1 * (1.0 + 1e-12) || more == rank, "memory {:?}", steps);
        prop_assert!(steps[3].1 <= steps[0].1 * (1.0 + 1e-12), "memory {:?}", steps);
        prop_assert!((under(Recompute::Full, Some(rank)).0 - steps[3].0).abs() <= 1e-12 * steps[3].0);
    }

    /// A part more takes time and frees memory; none costs more time than the whole layer.
    #[test]
    fn parts_done_again_lie_between_none_and_all((layout, gpus) in layouts(), sparse_model: bool, chosen in 1u16..1024) {
        let job = if sparse_model { sparse() } else { dense() };
        let on = |bit: u16| chosen & (1 << bit) != 0;
        let parts = RecomputeParts {
            norms: on(0),
            core_attention: on(1),
            attention_output: on(8),
            feed_forward_up: on(9),
            latent_projections: on(2) && sparse_model,
            activations: on(3),
            expert_activations: on(4) && sparse_model,
            feed_forward: on(5),
            shared_experts: on(6) && sparse_model,
            experts: on(7) && sparse_model,
        };
        prop_assume!(!parts.is_empty());
        let under = |recompute, recompute_parts| {
            let found = priced(&job, Layout { recompute, recompute_parts, ..layout }, gpus);
            (found.step_seconds, found.memory.total_gib)
        };
        let none = under(Recompute::None, None);
        let some = under(Recompute::Selective, Some(parts));
        let with_norms = under(Recompute::Selective, Some(RecomputeParts { norms: true, ..parts }));
        let full = under(Recompute::Full, None);
        let most = 1.0 + 1e-12;
        prop_assert!(none.0 <= some.0 * most && some.0 <= with_norms.0 * most && some.0 <= full.0 * most);
        prop_assert!(some.1 <= none.1 * most && with_norms.1 <= some.1 * most);
    }

    /// Offload never needs more of the GPU, never makes a step faster, and what leaves the GPU lies on the host.
    #[test]
    fn offload_moves_memory_to_the_host((layout, gpus) in layouts(), away in 0u32..12, optimizer: bool, full: bool) {
        let job = dense();
        let recompute = if full { Recompute::Full } else { Recompute::None };
        let layout = Layout { recompute, ..layout };
        let plain = priced(&job, layout, gpus);
        let away = away.min(job.architecture.layers.div_ceil(layout.pp));
        let offload = Offload { activation_layers: away, optimizer };
        let found = priced(&job, Layout { offload, ..layout }, gpus);
        prop_assert!(found.memory.total_gib <= plain.memory.total_gib * (1.0 + 1e-12));
        prop_assert!(found.step_seconds >= plain.step_seconds * (1.0 - 1e-12));
        prop_assert_eq!(plain.memory.host_gib, 0.0);
        let left = plain.memory.activations_gib + plain.memory.optimizer_gib
            - found.memory.activations_gib - found.memory.optimizer_gib;
        // The layers on their way are counted on both sides; in a pipeline, another rank may be the fullest then.
        prop_assert!(layout.pp > 1 || left <= found.memory.host_gib + 1e-9, "{left} left, {} there", found.memory.host_gib);
        let mut slow = job.clone();
        slow.host_bytes_per_s /= 8.0;
        let slower = priced(&slow, Layout { offload, ..layout }, gpus).step_seconds;
        prop_assert!(slower >= found.step_seconds);
    }

    /// Ranks that cut each expert hold less of it; without expert parallel ranks, tp of them is what is assumed.
    #[test]
    fn experts_are_cut_along_their_width(expert_tp in 0u32..4, ep in 0u32..4) {
        let job = job("H100-SXM", "mixtral-8x7b");
        let (expert_tp, ep) = (1 << expert_tp, 1 << ep);
        let layout = Layout { tp: 8, ep, ..Layout::data_parallel(64) };
        let under = |expert_tp| priced(&job, Layout { expert_tp, ..layout }, 64);
        let one = under(Some(expert_tp));
        if expert_tp < 8 {
            let two = under(Some(expert_tp * 2));
            prop_assert!(two.memory.weights_gib < one.memory.weights_gib);
        }
        let assumed = under(None);
        prop_assert_eq!(assumed.step_seconds, under(Some(if ep > 1 { 1 } else { 8 })).step_seconds);
    }

    /// No schedule beats its pipeline's work, and each later one waits less than 1F1B.
    #[test]
    fn schedules_wait_as_published(pp in 1u32..4, rounds in 2u32..6) {
        let job = sparse();
        let pp = 1 << pp;
        let layout = Layout { pp, ep: 8, ..Layout::data_parallel(8 * pp * rounds) };
        let bubble = |schedule| priced(&job, Layout { schedule, ..layout }, 8 * pp).parts.bubble_seconds;
        let one = bubble(PipelineSchedule::OneForwardOneBackward);
        let zero = bubble(PipelineSchedule::ZeroBubble);
        prop_assert!(zero < one && zero >= 0.0);
        prop_assert!(bubble(PipelineSchedule::DualPipe) < one);
    }
}

#[test]
fn offloaded_activations_hide_under_the_passes_of_a_fast_link() {
    // A layer of 70B keeps 1.2 GiB for 4,096 tokens; PCIe carries 53 GB/s, NVLink-C2C 186.
    let layout = Layout {
        zero: 3,
        offload: Offload { activation_layers: 40, optimizer: false },
        ..Layout::data_parallel(64)
    };
    let grace = priced(&job("GB200", "llama-3.1-70b"), layout, 64);
    let pcie = priced(&job("B200-SXM", "llama-3.1-70b"), layout, 64);
    assert_eq!(grace.parts.offload_seconds, 0.0);
    assert!(pcie.parts.offload_seconds > 0.0);
    assert!(grace.memory.host_gib > 40.0, "{} GiB", grace.memory.host_gib);
}

#[test]
fn an_offloaded_optimizer_takes_its_bytes_over_the_link() {
    let offload = Offload { activation_layers: 0, optimizer: true };
    let plain = priced(&dense(), BASE(), 16);
    let found = priced(&dense(), Layout { offload, ..BASE() }, 16);
    // 12 bytes for each of the 70.6 billion parameters, over 16 ranks of which none is a replica.
    assert!((found.memory.host_gib - 12.0 * 70.6e9 / 16.0 / 1_073_741_824.0).abs() < 2.0);
    assert!(found.memory.optimizer_gib < 0.1 * plain.memory.optimizer_gib);
    let seconds = found.memory.host_gib * 1_073_741_824.0 / (64e9 * 0.825);
    assert!((found.parts.offload_seconds + plain.parts.optimizer_seconds - seconds).abs() < 0.02 * seconds);
}

/// What Korthikanti 2022 (arXiv 2205.05198, section 4.1) writes as 5as/h of a layer's bytes, of which dropout, which
/// current models do not have, takes 3.
#[test]
fn unfused_attention_keeps_its_probabilities() {
    let catalog = Catalog::embedded().unwrap();
    let job = job("A100-80GB-SXM", "korthikanti-22b");
    let unfused = Software { attention: Some(AttentionKernel::Unfused), ..Software::default() };
    let unfused = job.clone().with_software(unfused).unwrap();
    let layout = Layout { tp: 8, ..Layout::data_parallel(1) };
    let gib = |job: &Job, layout| priced(job, layout, 8).memory.activations_gib;
    let model = &catalog.model("model", "korthikanti-22b").unwrap().architecture;
    let scores =
        2.0 * f64::from(model.heads) / 8.0 * 4096.0 * 4096.0 * f64::from(model.layers) / 1_073_741_824.0;
    assert!((gib(&unfused, layout) - gib(&job, layout) - scores).abs() < 1e-9);
    // Done again, they stand in one layer at a time.
    let parts = RecomputeParts { core_attention: true, ..RecomputeParts::default() };
    let again = Layout { recompute: Recompute::Selective, recompute_parts: Some(parts), ..layout };
    let one = scores / f64::from(model.layers);
    assert!((gib(&unfused, again) - gib(&job, layout) - one).abs() < 1e-9);
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let parts = RecomputeParts { norms: true, ..RecomputeParts::default() };
    let selective = |recompute_parts| Layout {
        recompute: Recompute::Selective,
        recompute_parts: Some(recompute_parts),
        ..BASE()
    };
    let offload = |activation_layers| Offload { activation_layers, optimizer: false };
    let full = |layers| Layout { recompute: Recompute::Full, recompute_layers: Some(layers), ..BASE() };
    let dual = |pp| Layout { pp, schedule: PipelineSchedule::DualPipe, ..BASE() };
    for (layout, gpus, field, says) in [
        (Layout { recompute_layers: Some(3), ..BASE() }, 16, "layout.recompute_layers", "recompute = full"),
        (full(41), 16, "layout.recompute_layers", "40 layers"),
        (full(0), 16, "layout.recompute_layers", "1"),
        (Layout { recompute_parts: Some(parts), ..BASE() }, 16, "layout.recompute_parts", "selective"),
        (selective(RecomputeParts::default()), 16, "layout.recompute_parts", "no part"),
        (Layout { offload: offload(41), ..BASE() }, 16, "layout.offload.activation_layers", "40 layers"),
        (Layout { expert_tp: Some(2), ..BASE() }, 16, "layout.expert_tp", "no experts"),
        (dual(5), 40, "layout.schedule", "even number"),
        (
            selective(RecomputeParts { latent_projections: true, ..parts }),
            16,
            "layout.recompute_parts.latent_projections",
            "no latent attention",
        ),
        (
            selective(RecomputeParts { experts: true, ..parts }),
            16,
            "layout.recompute_parts.experts",
            "no experts",
        ),
        (
            selective(RecomputeParts { shared_experts: true, ..parts }),
            16,
            "layout.recompute_parts.shared_experts",
            "no shared experts",
        ),
    ] {
        let (at, message) = error(&dense(), layout, gpus);
        assert_eq!(at, field, "{message}");
        assert!(message.contains(says), "{message}");
    }
    let mixtral = job("H100-SXM", "mixtral-8x7b");
    let cut = |ep, expert_tp| Layout { tp: 8, ep, expert_tp: Some(expert_tp), ..Layout::data_parallel(64) };
    for (layout, gpus) in [(cut(8, 3), 64), (cut(8, 16), 64)] {
        assert_eq!(error(&mixtral, layout, gpus).0, "layout.expert_tp");
    }
}
