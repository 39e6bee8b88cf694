//! The training estimate beside published steps: the bars are what was measured, rounded up a little.
#![allow(clippy::unwrap_used, clippy::panic)]

use rackrate::catalog::Catalog;
use rackrate::validate::{ValidationKind, ValidationReport, validate, weighted_quantile};

fn report() -> ValidationReport {
    let csv = include_str!("../../tests/measured/training.csv");
    validate(Catalog::embedded().unwrap(), ValidationKind::Training, csv, None).unwrap()
}

#[test]
fn published_steps_are_predicted() {
    let report = report();
    let errors: Vec<(f64, f64)> = report
        .rows
        .iter()
        .filter(|row| row.quantity == "step_seconds")
        .filter_map(|row| Some(((row.predicted? / row.measured? - 1.0).abs(), row.weight)))
        .collect();
    assert!(errors.len() > 550, "only {} rows answered", errors.len());
    let median = weighted_quantile(&errors, 0.5).unwrap();
    assert!(median < 0.12, "median error {median}");
    let tail = weighted_quantile(&errors, 0.9).unwrap();
    assert!(tail < 0.40, "90th percentile {tail}");
}

#[test]
fn published_layouts_fit() {
    let report = report();
    let fits: Vec<f64> =
        report.rows.iter().filter(|row| row.quantity == "fits").filter_map(|row| row.predicted).collect();
    let share = fits.iter().sum::<f64>() / fits.len() as f64;
    assert!(share >= 0.95, "only {share} of the layouts that ran are said to fit");
}

/// Llama 3 405B at 16,384 H100 and 8k tokens: 400 TFLOP/s per GPU and 41 % MFU (arXiv 2407.21783, table 4).
#[test]
fn llama_3_405b_on_16384_h100() {
    let scenario = rackrate::plan::built_in()
        .unwrap()
        .into_iter()
        .find(|scenario| scenario.name == "llama3-405b-as-published")
        .unwrap();
    let plan = rackrate::plan::plan(Catalog::embedded().unwrap(), &scenario).unwrap();
    let step = &plan.training.unwrap().options[0].step;
    let error = step.model_tflops_per_gpu / 400.0 - 1.0;
    // Virtual stages and the FLOP convention are not printed; the estimate is 15 % fast.
    assert!(error.abs() < 0.20, "{} TFLOP/s", step.model_tflops_per_gpu);
    assert!(step.memory.fits);
}
