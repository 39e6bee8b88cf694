//! Intervals: how far our predictions lay from published measurements, as ratios, by kind of estimate.
//!
//! The table is written by the fit programs (`cargo run --release --example fit_training` and its siblings) from rows
//! that were left out of the fit by source; METHODS.md shows its coverage.

use crate::quantity::Interval;

const TABLE: &str = include_str!("../data/residuals.csv");

const MEASURED: &str = include_str!("../data/measured_gpus.csv");

/// Published measurements of this kind on a GPU that the constants were fitted to; 0 where there is none.
pub fn measurements(kind: &str, gpu: &str) -> u32 {
    let found = MEASURED.lines().find_map(|line| {
        let mut cells = line.split(',');
        ((cells.next(), cells.next()) == (Some(kind), Some(gpu))).then(|| cells.next())?
    });
    found.and_then(|cell| cell.parse().ok()).unwrap_or(0)
}

/// The interval around an estimate of this kind ("training", "inference") and quantity ("step_seconds"), from the
/// quantiles of measured / predicted. Without measurements the interval is the estimate itself with coverage 0.
pub fn interval(kind: &str, quantity: &str, value: f64) -> Interval {
    let found = TABLE.lines().find_map(|line| {
        let mut cells = line.split(',');
        if (cells.next(), cells.next()) != (Some(kind), Some(quantity)) {
            return None;
        }
        let mut number = || cells.next().and_then(|cell| cell.parse::<f64>().ok());
        Some((number()?, number()?, number()?, number()?))
    });
    match found {
        Some((low, high, coverage, rows)) => Interval {
            low: value * low,
            high: value * high,
            coverage,
            basis: format!(
                "{quantity}: residuals of {rows} published measurements, each predicted without its own source or GPU"
            ),
        },
        None => {
            Interval { low: value, high: value, coverage: 0.0, basis: "no published measurement".to_owned() }
        }
    }
}
