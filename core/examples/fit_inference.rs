//! Fits the engine constants to a table of measured serving points and rewrites the data files.
//!
//! ```text
//! cargo run --release --example fit_inference -- tests/measured/inference.csv [core/data]
//! ```
//!
//! Fitted are the constants whose source says so, on rows that hold a steady state of an engine of 2025 or later
//! (closed loops and offline maxima, grades A and B). Every group of rows counts alike. The objective is the weighted mean
//! of |ln(predicted / measured)| over time per output token and throughput, each held to at most ln 2 so that a row that
//! means something else does not steer; it is lowered one constant at a time in shrinking steps. With a folder, the
//! constants and the residuals (10th and 90th percentile of measured / predicted time per output token, all groups but
//! the one predicted) are written there. `--each` prints every prediction.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use rackrate::catalog::Catalog;
use rackrate::inference::Engines;
use rackrate::validate::inference::{COLUMNS, Prepared, Quantity, Row};
use rackrate::validate::{Table, weighted_quantile};

/// Constants that are fitted: where the search starts, and the range they may take.
const FITTED: [(&str, f64, f64, f64); 7] = [
    ("iteration_s", 1e-3, 2e-4, 1e-2),
    ("fixed_share", 1.0, 0.0, 1.5),
    ("sequence_s", 3e-6, 1e-7, 1e-4),
    ("gpu_time_factor", 1.05, 1.0, 2.0),
    ("answer_reserve", 0.9, 0.5, 1.0),
    ("rank_alignment", 0.6, 0.0, 1.0),
    ("expert_fp4_time", 0.8, 0.6, 1.0),
];

struct Sample {
    row: Row,
    prepared: Prepared,
    fitted: bool,
    weight: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("usage: fit_inference MEASURED.csv [DATA_FOLDER | --each]")?;
    let text = fs::read_to_string(path)?;
    let samples = samples(&text)?;
    let mut engine = Engines::shipped().clone();
    if arguments.get(1).is_some_and(|a| a == "--each") {
        each(&samples, &engine);
        return Ok(());
    }
    let all: Vec<&Sample> = samples.iter().filter(|s| s.fitted).collect();
    println!("{} rows can be predicted, {} are fitted", samples.len(), all.len());
    println!("as shipped: {:.4}", cost(&engine, &all));
    for (name, start, _, _) in FITTED {
        if let Some(slot) = engine.get_mut(name) {
            *slot = start;
        }
    }
    descend(&mut engine, &all);
    println!("fitted: {:.4}", cost(&engine, &all));
    for (name, _, _, _) in FITTED {
        println!("{name} = {:.4e}", value(&engine, name));
    }
    report(&samples, &engine);
    let Some(folder) = arguments.get(1) else { return Ok(()) };
    write_constants(&Path::new(folder).join("inference_constants.csv"), &engine)?;
    write_residuals(&Path::new(folder).join("inference_residuals.csv"), &all, &engine)
}

fn samples(text: &str) -> Result<Vec<Sample>, Box<dyn Error>> {
    let catalog = Catalog::embedded()?;
    let mut out = Vec::new();
    for line in Table::read(text, &COLUMNS)?.lines() {
        let row = Row::read(&line)?;
        let steady = matches!(line.text("load"), Some("closed_loop" | "offline_max"));
        let fitted = steady && row.date.as_str() >= "2025" && matches!(row.grade.as_str(), "A" | "B");
        if let Ok(prepared) = row.prepare(catalog) {
            out.push(Sample { row, prepared, fitted, weight: 0.0 });
        }
    }
    let mut counts: BTreeMap<(String, bool), f64> = BTreeMap::new();
    for s in &out {
        *counts.entry((s.row.group.clone(), s.fitted)).or_default() += 1.0;
    }
    for s in &mut out {
        s.weight = counts.get(&(s.row.group.clone(), s.fitted)).map_or(0.0, |n| 1.0 / n);
    }
    Ok(out)
}

/// ln(predicted / measured) of a row by quantity.
fn residuals(sample: &Sample, engine: &Engines) -> Vec<(Quantity, f64)> {
    let Ok(prediction) = sample.prepared.predict(engine) else { return Vec::new() };
    Quantity::ALL
        .into_iter()
        .filter_map(|q| Some((q, (prediction.of(q)? / sample.row.measured(q)?).ln())))
        .filter(|(_, r)| r.is_finite())
        .collect()
}

fn cost(engine: &Engines, samples: &[&Sample]) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for sample in samples {
        for (quantity, residual) in residuals(sample, engine) {
            if matches!(quantity, Quantity::Tpot | Quantity::Output) {
                sum += sample.weight * residual.abs().min(std::f64::consts::LN_2);
                weight += sample.weight;
            }
        }
    }
    sum / weight
}

fn value(engine: &Engines, name: &str) -> f64 {
    let mut copy = engine.clone();
    copy.get_mut(name).map_or(f64::NAN, |x| *x)
}

fn descend(engine: &mut Engines, samples: &[&Sample]) {
    let mut best = cost(engine, samples);
    for step in [0.3, 0.15, 0.07, 0.03, 0.015] {
        for _ in 0..8 {
            let before = best;
            for (name, _, min, max) in FITTED {
                for factor in [1.0 + step, 1.0 / (1.0 + step)] {
                    let mut tried = engine.clone();
                    let Some(slot) = tried.get_mut(name) else { continue };
                    *slot = (*slot * factor).clamp(min, max);
                    let now = cost(&tried, samples);
                    if now < best {
                        (*engine, best) = (tried, now);
                    }
                }
            }
            if before - best < 1e-5 {
                break;
            }
        }
    }
}

fn report(samples: &[Sample], engine: &Engines) {
    let mut errors: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples {
        let kind = if sample.fitted { "steady, 2025 on" } else { "others" };
        for (quantity, residual) in residuals(sample, engine) {
            let error = (residual.exp() - 1.0).abs();
            errors.entry(format!("{kind}: {}", quantity.name())).or_default().push((error, sample.weight));
        }
    }
    for (name, list) in &errors {
        let at = |share| weighted_quantile(list, share).unwrap_or(f64::NAN);
        println!("{name}: {} rows, median {:.3}, p90 {:.3}", list.len(), at(0.5), at(0.9));
    }
}

fn each(samples: &[Sample], engine: &Engines) {
    println!("DUMP,id,quantity,measured,predicted,weight");
    for sample in samples {
        if let Ok(prediction) = sample.prepared.predict(engine) {
            for q in Quantity::ALL {
                if let (Some(measured), Some(ours)) = (sample.row.measured(q), prediction.of(q)) {
                    println!("DUMP,{},{},{measured},{ours},{}", sample.row.id, q.name(), sample.row.weight);
                }
            }
        }
    }
}

/// The table with the fitted values in place; all else stays.
fn write_constants(path: &Path, engine: &Engines) -> Result<(), Box<dyn Error>> {
    let old = fs::read_to_string(path)?;
    let mut new = String::new();
    for line in old.lines() {
        let cells: Vec<&str> = line.splitn(3, ',').collect();
        match cells.as_slice() {
            [name, _, rest] if FITTED.iter().any(|(n, _, _, _)| n == name) => {
                let text = format!("{:.3e}", value(engine, name)).parse::<f64>()?.to_string();
                new.push_str(&format!("{name},{text},{rest}\n"));
            }
            _ => new.push_str(&format!("{line}\n")),
        }
    }
    fs::write(path, new)?;
    Ok(())
}

/// Ends that hold 80 % of measured / predicted, and the share of each group that lies between the ends which the other
/// groups give.
fn write_residuals(path: &Path, samples: &[&Sample], engine: &Engines) -> Result<(), Box<dyn Error>> {
    let mut ratios: Vec<(&str, f64, f64)> = Vec::new();
    for sample in samples {
        for (quantity, residual) in residuals(sample, engine) {
            if quantity == Quantity::Tpot {
                ratios.push((&sample.row.group, (-residual).exp(), sample.weight));
            }
        }
    }
    let ends = |without: Option<&str>| {
        let kept: Vec<(f64, f64)> =
            ratios.iter().filter(|(g, _, _)| Some(*g) != without).map(|(_, r, w)| (*r, *w)).collect();
        (weighted_quantile(&kept, 0.1).unwrap_or(f64::NAN), weighted_quantile(&kept, 0.9).unwrap_or(f64::NAN))
    };
    let groups: BTreeSet<&str> = ratios.iter().map(|(g, _, _)| *g).collect();
    let (mut inside, mut total) = (0.0, 0.0);
    for group in &groups {
        let (low, high) = ends(Some(group));
        for (_, ratio, weight) in ratios.iter().filter(|(g, _, _)| g == group) {
            total += weight;
            if (low..=high).contains(ratio) {
                inside += weight;
            }
        }
    }
    let (low, high) = ends(None);
    let coverage = inside / total;
    println!("interval {low:.3} to {high:.3}, coverage with the group left out {coverage:.3}");
    fs::write(
        path,
        format!(
            "quantity,low,high,coverage,rows,groups\ntpot_seconds,{low:.3},{high:.3},{coverage:.3},{},{}\n",
            ratios.len(),
            groups.len()
        ),
    )?;
    Ok(())
}
