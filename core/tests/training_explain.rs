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
