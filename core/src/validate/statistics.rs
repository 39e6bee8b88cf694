//! How far predictions lie from measurements, each run counting once.

use serde::{Deserialize, Serialize};

use super::ValidationRow;

/// Errors of one quantity (and, where asked, of one group of rows).
///
/// An error is predicted / measured − 1; rows count by their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ValidationSummary {
    /// What was measured.
    pub quantity: String,
    /// Value of the column that was asked for; none for the whole table.
    pub group: Option<String>,
    /// Rows of this quantity.
    pub rows: u32,
    /// Rows with a measurement and a prediction.
    pub answered: u32,
    /// Rows with a measurement that we could not predict.
    pub refused: u32,
    /// Rows without a usable measurement.
    pub left_out: u32,
    /// Median of the absolute relative error; none without an answered row.
    pub median_absolute_relative_error: Option<f64>,
    /// Mean of the absolute relative error.
    pub mean_absolute_relative_error: Option<f64>,
    /// 90th percentile of the absolute relative error.
    pub p90_absolute_relative_error: Option<f64>,
    /// Median of the relative error with its sign: above 0 where predictions are too high.
    pub median_relative_error: Option<f64>,
}

/// Summaries of `rows`: of each quantity in order of appearance, then of each group of each quantity.
pub fn summarise(rows: &[ValidationRow]) -> Vec<ValidationSummary> {
    let mut quantities: Vec<&str> = Vec::new();
    let mut groups: Vec<&str> = Vec::new();
    for row in rows {
        if !quantities.contains(&row.quantity.as_str()) {
            quantities.push(&row.quantity);
        }
        if let Some(group) = row.group.as_deref()
            && !groups.contains(&group)
        {
            groups.push(group);
        }
    }
    let mut out: Vec<ValidationSummary> = quantities.iter().map(|q| summary(rows, q, None)).collect();
    for quantity in &quantities {
        for group in &groups {
            let one = summary(rows, quantity, Some(group));
            if one.rows > 0 {
                out.push(one);
            }
        }
    }
    out
}

fn summary(rows: &[ValidationRow], quantity: &str, group: Option<&str>) -> ValidationSummary {
    let mut out = ValidationSummary {
        quantity: quantity.to_owned(),
        group: group.map(str::to_owned),
        rows: 0,
        answered: 0,
        refused: 0,
        left_out: 0,
        median_absolute_relative_error: None,
        mean_absolute_relative_error: None,
        p90_absolute_relative_error: None,
        median_relative_error: None,
    };
    let mut errors: Vec<(f64, f64)> = Vec::new();
    for row in rows {
        if row.quantity != quantity || group.is_some_and(|g| row.group.as_deref() != Some(g)) {
            continue;
        }
        out.rows += 1;
        match (row.measured, row.predicted) {
            (None, _) => out.left_out += 1,
            (Some(_), None) => out.refused += 1,
            (Some(measured), Some(predicted)) => {
                out.answered += 1;
                errors.push((predicted / measured - 1.0, row.weight));
            }
        }
    }
    let absolute: Vec<(f64, f64)> = errors.iter().map(|(e, w)| (e.abs(), *w)).collect();
    out.median_absolute_relative_error = weighted_quantile(&absolute, 0.5);
    out.p90_absolute_relative_error = weighted_quantile(&absolute, 0.9);
    out.mean_absolute_relative_error = weighted_mean(&absolute);
    out.median_relative_error = weighted_quantile(&errors, 0.5);
    out
}

/// The smallest value at or below which at least `share` of the weight of `(value, weight)` lies; none without weight.
pub fn weighted_quantile(values: &[(f64, f64)], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    crate::order::sort_by(&mut sorted, |a, b| a.0.total_cmp(&b.0));
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    for (value, weight) in &sorted {
        below += weight;
        // A few ulps of slack, so that ten weights of 0.1 reach the whole.
        if *weight > 0.0 && below >= share * total * (1.0 - 1e-12) {
            return Some(*value);
        }
    }
    None
}

/// Mean of `(value, weight)`; none without weight.
pub fn weighted_mean(values: &[(f64, f64)]) -> Option<f64> {
    let total: f64 = values.iter().map(|(_, weight)| weight).sum();
    (total > 0.0).then(|| values.iter().map(|(value, weight)| value * weight).sum::<f64>() / total)
}

/// Weights by which every run counts alike: 1 / (rows of the same run) for each of `runs`.
pub fn equal_weights(runs: &[&str]) -> Vec<f64> {
    let mut counts: std::collections::BTreeMap<&str, f64> = std::collections::BTreeMap::new();
    for run in runs {
        *counts.entry(run).or_default() += 1.0;
    }
    runs.iter().map(|run| counts.get(run).map_or(0.0, |count| 1.0 / count)).collect()
}

/// The run that a row belongs to: its `id` without the running number at the end (`aic-h100-nccl-017` is of
/// `aic-h100-nccl`).
pub fn run_of(id: &str) -> &str {
    match id.rsplit_once('-') {
        Some((run, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => run,
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(run: &str, measured: Option<f64>, predicted: Option<f64>, weight: f64) -> ValidationRow {
        ValidationRow {
            id: run.to_owned(),
            quantity: "seconds".to_owned(),
            measured,
            predicted,
            refused: None,
            group: Some(run.to_owned()),
            weight,
        }
    }

    #[test]
    fn a_run_of_many_rows_counts_once() {
        let mut rows = vec![row("long", Some(1.0), Some(1.5), 0.01); 100];
        rows.push(row("short", Some(1.0), Some(1.0), 1.0));
        rows.push(row("other", Some(2.0), Some(1.8), 1.0));
        rows.push(row("other", Some(2.0), None, 1.0));
        rows.push(row("other", None, None, 1.0));
        let all = summarise(&rows);
        assert_eq!(all.len(), 4);
        assert_eq!((all[0].rows, all[0].answered, all[0].refused, all[0].left_out), (104, 102, 1, 1));
        assert!((all[0].median_absolute_relative_error.unwrap() - 0.1).abs() < 1e-12);
        assert!((all[0].mean_absolute_relative_error.unwrap() - 0.2).abs() < 1e-12);
        assert_eq!(all[0].p90_absolute_relative_error, Some(0.5));
        assert_eq!(all[0].median_relative_error, Some(0.0));
        assert_eq!(all[1].group.as_deref(), Some("long"));
    }

    #[test]
    fn a_run_is_the_id_without_its_number() {
        assert_eq!(run_of("aic-h100-nccl-017"), "aic-h100-nccl");
        assert_eq!(run_of("mine"), "mine");
        assert_eq!(run_of("mine-x"), "mine-x");
        assert_eq!(equal_weights(&["a", "b", "a"]), [0.5, 1.0, 0.5]);
    }
}
