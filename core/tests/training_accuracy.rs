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
    let asked =
        report.rows.iter().filter(|row| row.quantity == "step_seconds" && row.measured.is_some()).count();
    assert!(20 * errors.len() >= 19 * asked, "only {} of {asked} rows answered", errors.len());
    let median = weighted_quantile(&errors, 0.5).unwrap();
    assert!(median < 0.075, "median error {median}");
    let tail = weighted_quantile(&errors, 0.9).unwrap();
    assert!(tail < 0.25, "90th percentile {tail}");
}

/// The first table of METHODS.md prints the report's own figures; the one left out is the fit's.
#[test]
fn the_summary_of_methods_is_current() {
    let report = report();
    let summary = |name: &str| report.summary.quantities.iter().find(|one| one.quantity == name).unwrap();
    let (steps, fits) = (summary("step_seconds"), summary("fits"));
    let percent = |error: Option<f64>| 100.0 * error.unwrap();
    let row = format!(
        "| training step time | {} of {} | {:.1} % | {:.0} % |",
        steps.answered,
        steps.answered + steps.refused,
        percent(steps.median_absolute_relative_error),
        percent(steps.p90_absolute_relative_error),
    );
    let methods = include_str!("../../METHODS.md");
    assert!(methods.contains(&row), "METHODS.md lacks {row}");
    let fitting =
        |row: &&rackrate::validate::ValidationRow| row.quantity == "fits" && row.predicted == Some(1.0);
    let share = 100.0 * report.rows.iter().filter(fitting).count() as f64 / f64::from(fits.answered);
    let row = format!("| published layouts said to fit | {} | {share:.1} % fit |", fits.answered);
    assert!(methods.contains(&row), "METHODS.md lacks {row}");
}

#[test]
fn published_layouts_fit() {
    let report = report();
    let fits: Vec<f64> =
        report.rows.iter().filter(|row| row.quantity == "fits").filter_map(|row| row.predicted).collect();
    let share = fits.iter().sum::<f64>() / fits.len() as f64;
    assert!(share >= 0.98, "only {share} of the layouts that ran are said to fit");
    // Those whose source says what is done again: of the others the least that fits is taken.
    let csv = include_str!("../../tests/measured/training.csv");
    let table = rackrate::validate::Table::read(csv, &["id"]).unwrap();
    let stated: Vec<&str> = table
        .lines()
        .filter(|line| line.text("recompute").is_some())
        .filter_map(|line| line.need("id").ok())
        .collect();
    let fits: Vec<f64> = report
        .rows
        .iter()
        .filter(|row| row.quantity == "fits" && stated.contains(&row.id.as_str()))
        .filter_map(|row| row.predicted)
        .collect();
    let share = fits.iter().sum::<f64>() / fits.len() as f64;
    assert!(fits.len() >= 500 && share >= 0.98, "{share} of {} whose recompute is stated", fits.len());
}

/// Peak memory where it was printed; rows that print what the allocator had reserved are doubtful by their note.
#[test]
fn printed_memory_is_predicted() {
    let report = report();
    let errors: Vec<(f64, f64)> = report
        .rows
        .iter()
        .filter(|row| row.quantity == "peak_memory_gib")
        .filter_map(|row| Some(((row.predicted? / row.measured? - 1.0).abs(), row.weight)))
        .collect();
    let median = weighted_quantile(&errors, 0.5).unwrap();
    assert!(errors.len() >= 8 && median < 0.12, "median error {median} of {} rows", errors.len());
}

/// Table 5 of Korthikanti 2022 (arXiv 2205.05198): unfused attention, no overlap of tensor parallel exchange; full recompute without
/// sequence parallelism beside the attention core done again with it.
#[test]
fn korthikanti_table_5() {
    let report = report();
    let rows: Vec<(f64, f64)> = report
        .rows
        .iter()
        .filter(|row| row.quantity == "step_seconds" && row.id.starts_with("korthikanti-t5"))
        .map(|row| (row.predicted.unwrap(), row.measured.unwrap()))
        .collect();
    assert_eq!(rows.len(), 8);
    let errors: Vec<f64> = rows.iter().map(|(p, m)| (p / m - 1.0).abs()).collect();
    let mean = errors.iter().sum::<f64>() / 8.0;
    let worst = errors.iter().fold(0.0, |a: f64, b| a.max(*b));
    assert!(mean < 0.0365 && worst < 0.089, "mean {mean}, worst {worst}");
    for pair in rows.chunks(2) {
        let [(full, full_measured), (selective, selective_measured)] = pair else {
            panic!("full, then selective")
        };
        let ratio = (full / selective) / (full_measured / selective_measured);
        assert!((ratio - 1.0).abs() < 0.06, "full over selective is off by {ratio}");
    }
}

/// Every row with a full layout of layers that are priced is answered.
#[test]
fn full_layouts_are_answered() {
    let report = report();
    let steps: Vec<_> = report
        .rows
        .iter()
        .filter(|row| row.quantity == "step_seconds" && row.measured.is_some())
        .filter(|row| {
            let why = row.refused.as_deref().unwrap_or("");
            !why.contains("does not state it") && !why.contains("is not priced yet")
        })
        .collect();
    let refused: Vec<_> = steps.iter().filter_map(|row| row.refused.as_deref()).collect();
    assert!(refused.len() <= 1, "{refused:?}");
    assert!(steps.len() >= 600, "only {} rows", steps.len());
}

/// Layouts of 405B on 256 GB200 whose preset recomputes nothing, and 40 of 70B's layers offloaded on 64: all but full.
#[test]
fn published_layouts_fill_the_gpu_and_fit() {
    let csv = include_str!("../../tests/measured/training.csv");
    let table = rackrate::validate::Table::read(csv, &["id"]).unwrap();
    let mut seen = 0;
    for line in table.lines() {
        let id = line.need("id").unwrap();
        let full = ["405b-gb200x256-fp8-pretrain", "llama-3-70b-gb200x64-fp8-pretrain"]
            .iter()
            .any(|end| id.ends_with(end));
        if !full {
            continue;
        }
        let case = rackrate::validate::training::Case::read(Catalog::embedded().unwrap(), &line).unwrap();
        let memory = case.answer(&case.job).unwrap().memory;
        let share = memory.total_gib / memory.available_gib;
        assert!((0.9..=1.0).contains(&share), "{id}: {share} of the memory");
        seen += 1;
    }
    assert!(seen >= 8, "{seen} rows");
}
