//! An explained step: its operations add up to its parts, and telling them changes nothing.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::training::{StepPart, TrainingStep, TrainingStepRequest, training_step};

/// Every shared case of a training step that has an answer.
fn cases() -> Vec<TrainingStepRequest> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases");
    let mut requests = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let case: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        if case["call"] == "training_step" && case.get("answer").is_some() {
            requests.push(serde_json::from_value(case["request"].clone()).unwrap());
        }
    }
    requests
}

fn seconds(step: &TrainingStep, part: StepPart) -> f64 {
    step.operations.iter().filter(|o| o.part == part).map(|o| o.seconds).fold(0.0, |a, b| a + b)
}

#[test]
fn operations_add_up_to_the_parts() {
    let catalog = Catalog::embedded().unwrap();
    let requests = cases();
    assert!(requests.len() >= 10, "only {} cases", requests.len());
    for request in requests {
        let step = training_step(catalog, &TrainingStepRequest { explain: true, ..request }).unwrap();
        let p = &step.parts;
        for (part, whole) in [
            (StepPart::Compute, p.compute_seconds),
            (StepPart::MemoryBound, p.memory_bound_seconds),
            (StepPart::Recompute, p.recompute_seconds),
            (StepPart::TensorParallel, p.tensor_parallel_seconds),
            (StepPart::ContextParallel, p.context_parallel_seconds),
            (StepPart::ExpertParallel, p.expert_parallel_seconds),
            (StepPart::Pipeline, p.pipeline_seconds),
            (StepPart::Bubble, p.bubble_seconds),
            (StepPart::DataParallel, p.data_parallel_seconds),
            (StepPart::Optimizer, p.optimizer_seconds),
            (StepPart::Offload, p.offload_seconds),
            (StepPart::Overhead, p.overhead_seconds),
        ] {
            let sum = seconds(&step, part);
            assert!((sum - whole).abs() <= 1e-9 * whole, "{part:?}: {sum} of {whole}, {:?}", step.layout);
        }
        for o in &step.operations {
            assert!(o.seconds >= 0.0 && o.hidden_seconds >= 0.0 && o.count > 0.0, "{o:?}");
            assert!((0.0..=1.0).contains(&o.flop_share) && (0.0..=1.0).contains(&o.bandwidth_share), "{o:?}");
        }
    }
}

#[test]
fn telling_changes_nothing_else() {
    let catalog = Catalog::embedded().unwrap();
    for request in cases() {
        let priced =
            |explain| training_step(catalog, &TrainingStepRequest { explain, ..request.clone() }).unwrap();
        let (plain, told) = (priced(false), priced(true));
        assert!(plain.operations.is_empty() && !told.operations.is_empty());
        assert_eq!(plain, TrainingStep { operations: Vec::new(), ..told });
    }
}

#[test]
fn products_are_six_flop_for_each_weight_and_token() {
    let catalog = Catalog::embedded().unwrap();
    let request = serde_json::from_value(serde_json::json!({
        "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 8, "explain": true, "sequence_length": 8192,
        "layout": { "tp": 2, "micro_batch": 1, "global_batch": 16 },
    }))
    .unwrap();
    let step = training_step(catalog, &request).unwrap();
    let products =
        step.operations.iter().filter(|o| o.name != "attention").map(|o| o.flop).fold(0.0, |a, b| a + b);
    // Llama 3.1 8B: 32 layers of width 4096 with 8 of 32 heads for keys and values, 14336 wide between; 128256 words
    // (arXiv 2407.21783, table 3).
    let attention = 4096.0 * (2.0 * 4096.0 + 2.0 * 1024.0);
    let weights = 32.0 * (attention + 3.0 * 4096.0 * 14_336.0) + 4096.0 * 128_256.0;
    let expected = 6.0 * weights * 16.0 * 8192.0 / 8.0;
    assert!((products / expected - 1.0).abs() < 1e-12, "{products} of {expected}");
    let attention =
        step.operations.iter().filter(|o| o.name == "attention").map(|o| o.flop).fold(0.0, |a, b| a + b);
    assert!(attention > 0.0);
    // The model's FLOP count attention's backward pass as two of the forward pass, where 2.5 run, and no tiles beyond the
    // causal edge.
    let done = (products + attention) / step.step_seconds / 1e12;
    let stated = step.model_tflops_per_gpu;
    assert!(done > stated && done < 1.05 * stated, "{done} beside {stated}");
}
