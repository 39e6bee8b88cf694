//! The tables of METHODS.md on how far training steps are off, from tests/measured/training.csv.

use std::collections::BTreeMap;

use rackrate::catalog::Catalog;
use rackrate::validate::{Table, training};

use super::table;

const MEASURED: &str = include_str!("../../../tests/measured/training.csv");

/// Groups of [`worst`].
const WORST: usize = 10;

/// A published step beside ours.
struct Step {
    source: String,
    model: String,
    gpu: String,
    precision: String,
    experts: bool,
    /// Predicted / measured − 1.
    error: f64,
}

/// Every step that is answered; rows that failed a check of the collection are left out, as in the fit.
fn steps(catalog: &Catalog) -> Vec<Step> {
    let lines = Table::read(MEASURED, &training::COLUMNS).expect("the table of steps");
    let mut steps = Vec::new();
    for line in lines.lines() {
        let seconds = line.number("step_time_s", 0.0, 1e9).expect("a number or nothing");
        let flagged = line.text("note").is_some_and(|note| note.starts_with("flag:"));
        let (Some(seconds), false) = (seconds, flagged) else { continue };
        let Ok(case) = training::Case::read(catalog, &line) else { continue };
        let Ok(step) = case.answer(&case.job) else { continue };
        let text = |column| line.text(column).unwrap_or_default().to_owned();
        steps.push(Step {
            source: text("source"),
            model: text("model"),
            gpu: text("gpu"),
            precision: text("precision"),
            experts: case.job.architecture.moe.is_some(),
            error: step.step_seconds / seconds - 1.0,
        });
    }
    steps
}

/// Errors by GPU, precision and kind of model.
pub fn by_gpu(catalog: &Catalog) -> String {
    let mut groups: BTreeMap<[String; 3], Vec<f64>> = BTreeMap::new();
    for step in steps(catalog) {
        let kind = if step.experts { "experts" } else { "dense" };
        groups.entry([step.gpu, step.precision, kind.to_owned()]).or_default().push(step.error);
    }
    let rows = groups.into_iter().map(|([gpu, precision, kind], errors)| {
        vec![gpu, precision, kind, errors.len().to_string(), typical(&errors), bias(&errors)]
    });
    table(&["GPU", "precision", "model", "rows", "median", "bias"], &[3, 4, 5], rows)
}

/// The groups of source, model, GPU and precision whose steps are furthest off.
pub fn worst(catalog: &Catalog) -> String {
    let mut groups: BTreeMap<[String; 4], Vec<f64>> = BTreeMap::new();
    for step in steps(catalog) {
        groups.entry([step.source, step.model, step.gpu, step.precision]).or_default().push(step.error);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // By the median, then by name: a stable order for equal errors.
    groups.sort_by(|a, b| median(absolute(&b.1)).total_cmp(&median(absolute(&a.1))));
    let rows = groups.into_iter().take(WORST).map(|([source, model, gpu, precision], errors)| {
        vec![source, model, gpu, precision, errors.len().to_string(), typical(&errors), bias(&errors)]
    });
    table(&["source", "model", "GPU", "precision", "rows", "median", "bias"], &[4, 5, 6], rows)
}

fn typical(errors: &[f64]) -> String {
    format!("{:.0} %", 100.0 * median(absolute(errors)))
}

fn bias(errors: &[f64]) -> String {
    format!("{:+.0} %", 100.0 * median(errors.to_vec())).replace('-', "−")
}

fn absolute(errors: &[f64]) -> Vec<f64> {
    errors.iter().map(|error| error.abs()).collect()
}

/// The median; the mean of the two in the middle of an even number.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = values.get(half).copied().expect("a group has a row");
    if values.len().is_multiple_of(2) { f64::midpoint(values[half - 1], upper) } else { upper }
}
