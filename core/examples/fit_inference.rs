//! Fits the engine constants to a table of measured serving points and rewrites the data files.
//!
//! ```text
//! cargo run --release --example fit_inference -- tests/measured/inference.csv [core/data]
//! ```
//!
//! Fitted are the constants whose source says so, on the rows of grades A and B. Every group of rows counts alike in
//! each quantity. The objective is the weighted mean of |ln(predicted / measured)| over time per output token, throughput
//! and the time to first token outside bursts (by a quarter where more than 8 requests are in flight), each held to at most ln 2 so that a row that means something else
//! does not steer, plus a prior that holds the classes' factors at 1; it is lowered one constant at a time in shrinking
//! steps, from several starts, the shipped constants among them, and then from near the lowest place found. Each group is then predicted by constants fitted without it (from the fit of all as the
//! start); both errors are printed side by side. With a folder, the constants and the residuals (10th and 90th percentile of measured / predicted
//! time per output token, all groups but the one predicted) are written there; with `--constants` after it the constants
//! only, and no group is left out. `--each` prints every prediction, `--show`
//! the errors of the shipped constants.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use rackrate::catalog::Catalog;
use rackrate::inference::Engines;
use rackrate::validate::inference::{COLUMNS, Prepared, Quantity, Row};
use rackrate::validate::{Table, equal_weights, weighted_quantile};

/// Constants that are fitted: where the search starts, and the range they may take.
const FITTED: [(&str, f64, f64, f64); 33] = [
    ("iteration_s", 5e-4, 2e-4, 1e-2),
    ("fixed_share", 0.9, 0.0, 1.5),
    ("sequence_s", 4e-6, 1e-7, 1e-4),
    ("answer_reserve", 0.9, 0.5, 1.0),
    ("rank_alignment", 0.8, 0.0, 1.0),
    ("expert_scv", 0.5, 0.01, 3.0),
    ("expert_fp4_time", 0.8, 0.6, 1.0),
    ("request_s", 3e-2, 1e-3, 1e-1),
    ("request_token_s", 3e-6, 1e-8, 5e-5),
    ("launch_layer_s", 2e-4, 1e-5, 1e-3),
    ("launch_experts_s", 4e-4, 1e-5, 2e-3),
    ("unpack", 0.1, 0.0, 0.3),
    ("exchange_overlap", 0.8, 0.0, 1.0),
    ("year", 1.1, 1.0, 1.5),
    ("tensorrt_llm.iteration", 1.0, 0.3, 3.0),
    ("tensorrt_llm.launch", 1.0, 0.3, 3.0),
    ("tensorrt_llm.sequence", 1.0, 0.3, 3.0),
    ("tensorrt_llm.kernels", 1.0, 0.8, 2.0),
    ("tensorrt_llm.request", 1.0, 0.3, 3.0),
    ("vllm.iteration", 1.0, 0.3, 3.0),
    ("vllm.launch", 1.0, 0.3, 3.0),
    ("vllm.sequence", 1.0, 0.3, 3.0),
    ("vllm.kernels", 1.0, 0.8, 2.0),
    ("vllm.request", 1.0, 0.3, 3.0),
    ("sglang.iteration", 1.0, 0.3, 3.0),
    ("sglang.launch", 1.0, 0.3, 3.0),
    ("sglang.sequence", 1.0, 0.3, 3.0),
    ("sglang.kernels", 1.0, 0.8, 2.0),
    ("sglang.request", 1.0, 0.3, 3.0),
    ("rocm_vllm.iteration", 1.0, 0.3, 3.0),
    ("rocm_vllm.launch", 1.0, 0.3, 3.0),
    ("rocm_vllm.sequence", 1.0, 0.3, 3.0),
    ("rocm_vllm.kernels", 1.0, 0.8, 2.0),
];

/// Searches from places apart, of which, and of one from the shipped constants, the lowest counts: the cost has several valleys of
/// nearly the same depth.
const STARTS: u32 = 4;

/// Further searches, each from near the lowest place found so far.
const HOPS: u32 = 8;

/// How hard the common prior holds a class's factors at 1: this times ln² of each is added to the objective.
const PRIOR: f64 = 0.01;

/// One measured quantity of one row.
struct Measure {
    quantity: Quantity,
    value: f64,
    /// 1 / the rows of its group that have this quantity.
    weight: f64,
    /// How much it counts in the fit.
    fit: f64,
}

struct Sample {
    row: Row,
    prepared: Prepared,
    load: String,
    measures: Vec<Measure>,
}

/// ln(predicted / measured) with its group, quantity, date and weight.
struct Residual<'a> {
    sample: &'a Sample,
    quantity: Quantity,
    weight: f64,
    fit: f64,
    ln: f64,
    /// Requests come at random at more than 95 % of what we take as sustainable.
    near_saturation: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path =
        arguments.first().ok_or("usage: fit_inference MEASURED.csv [DATA_FOLDER | --each | --show]")?;
    let samples = samples(&fs::read_to_string(path)?)?;
    let shipped = Engines::shipped();
    let all: Vec<&Sample> = samples.iter().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--each") => {
            each(&samples, shipped);
            return Ok(());
        }
        Some("--show") => {
            report("shipped", &residuals(&all, shipped));
            return Ok(());
        }
        _ => {}
    }
    println!("{} rows are fitted", samples.len());
    println!("as shipped: {:.4}", cost(shipped, &all));
    let mut engine = (0..STARTS)
        .map(|at| start(shipped, at))
        .chain([shipped.clone()])
        .map(|from| fit(from, &all))
        .min_by(|a, b| cost(a, &all).total_cmp(&cost(b, &all)))
        .ok_or("no start")?;
    for at in 1..=HOPS {
        let near = fit(moved(&engine, at, 1.2, |engine, name, _| value(engine, name)), &all);
        if cost(&near, &all) < cost(&engine, &all) {
            engine = near;
        }
    }
    println!("fitted: {:.4}", cost(&engine, &all));
    for (name, _, _, _) in FITTED {
        println!("{name} = {:.4e}", value(&engine, name));
    }
    report("in sample", &residuals(&all, &engine));
    if let Some(folder) = arguments.get(1) {
        write_constants(&Path::new(folder).join("inference_constants.csv"), &engine)?;
    }
    if arguments.get(2).is_some_and(|a| a == "--constants") {
        return Ok(());
    }
    let left_out = left_out(&samples, &engine);
    report("group left out", &left_out);
    let Some(folder) = arguments.get(1) else { return Ok(()) };
    write_residuals(&Path::new(folder).join("inference_residuals.csv"), &left_out)
}

/// The rows of grades A and B that can be predicted; with weight 0 in the fit, doubtful ones.
fn samples(text: &str) -> Result<Vec<Sample>, Box<dyn Error>> {
    let catalog = Catalog::embedded()?;
    let mut out = Vec::new();
    for line in Table::read(text, &COLUMNS)?.lines() {
        let row = Row::read(&line)?;
        let doubtful = !row.doubt.is_empty();
        if !doubtful && !matches!(row.grade.as_str(), "A" | "B") {
            continue;
        }
        let load = line.text("load").unwrap_or("").to_owned();
        let Ok(prepared) = row.prepare(catalog) else { continue };
        let Ok(prediction) = prepared.predict(Engines::shipped()) else { continue };
        let measures: Vec<Measure> = Quantity::ALL
            .into_iter()
            .filter(|q| prediction.of(*q).is_some())
            // The throughput of an open loop is what was offered.
            .filter(|q| !(load == "poisson" && *q == Quantity::Output))
            .filter_map(|quantity| {
                let value = row.measured(quantity)?;
                Some(Measure {
                    quantity,
                    value,
                    weight: 0.0,
                    fit: if doubtful { 0.0 } else { share_in_fit(quantity, &load, row.concurrency()) },
                })
            })
            .collect();
        out.push(Sample { row, prepared, load, measures });
    }
    let mut counts: BTreeMap<(String, &str), f64> = BTreeMap::new();
    for s in &out {
        for m in &s.measures {
            *counts.entry((s.row.group.clone(), m.quantity.name())).or_default() += 1.0;
        }
    }
    for s in &mut out {
        for m in &mut s.measures {
            m.weight = counts.get(&(s.row.group.clone(), m.quantity.name())).map_or(0.0, |n| 1.0 / n);
        }
    }
    Ok(out)
}

/// First tokens of bursts are queueing, which throughput tells already, and the more so the more requests are in flight.
fn share_in_fit(quantity: Quantity, load: &str, in_flight: Option<f64>) -> f64 {
    match (quantity, load) {
        (Quantity::Ttft, "burst_all_at_once") => 0.0,
        (Quantity::Ttft, _) if in_flight.is_some_and(|requests| requests <= FEW) => 1.0,
        (Quantity::Ttft, _) => 0.25,
        _ => 1.0,
    }
}

/// Requests in flight up to which first tokens tell of service.
const FEW: f64 = 8.0;

fn residuals<'a>(samples: &[&'a Sample], engine: &Engines) -> Vec<Residual<'a>> {
    let mut out = Vec::new();
    for sample in samples {
        let Ok(prediction) = sample.prepared.predict(engine) else { continue };
        for m in &sample.measures {
            let Some(predicted) = prediction.of(m.quantity) else { continue };
            let ln = (predicted / m.value).ln();
            if ln.is_finite() {
                out.push(Residual {
                    sample,
                    quantity: m.quantity,
                    weight: m.weight,
                    fit: m.fit,
                    ln,
                    near_saturation: prediction.near_saturation(),
                });
            }
        }
    }
    out
}

fn cost(engine: &Engines, samples: &[&Sample]) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for r in residuals(samples, engine) {
        sum += r.weight * r.fit * r.ln.abs().min(std::f64::consts::LN_2);
        weight += r.weight * r.fit;
    }
    let prior = FITTED.iter().filter(|(name, ..)| name.contains('.')).fold(0.0, |sum, (name, ..)| {
        let ln = value(engine, name).ln();
        sum + PRIOR * ln * ln
    });
    sum / weight + prior
}

fn value(engine: &Engines, name: &str) -> f64 {
    engine.clone().get_mut(name).map_or(f64::NAN, |x| *x)
}

/// Where the search starts for the `at`th time: first estimates, then these up to half as large again or as small.
fn start(shipped: &Engines, at: u32) -> Engines {
    moved(shipped, at, if at == 0 { 1.0 } else { 1.5 }, |_, _, first| first)
}

/// The constants `of` an engine, each up to `most` times as large or as small, spread evenly (multiples of the golden ratio).
fn moved(engine: &Engines, at: u32, most: f64, of: impl Fn(&Engines, &str, f64) -> f64) -> Engines {
    let mut out = engine.clone();
    for (place, (name, first, min, max)) in (0_u32..).zip(FITTED) {
        let even = (f64::from(at * (2 * place + 1)) * 0.618_033_988_749_895).fract();
        if let Some(slot) = out.get_mut(name) {
            *slot = (of(engine, name, first) * most.powf(2.0 * even - 1.0)).clamp(min, max);
        }
    }
    out
}

/// The constants to which a search from `engine` leads.
fn fit(mut engine: Engines, samples: &[&Sample]) -> Engines {
    // One constant at a time stops in the first valley: again with large steps from there, until that finds no other.
    let mut reached = f64::INFINITY;
    while reached - cost(&engine, samples) > 1e-4 {
        reached = cost(&engine, samples);
        descend(&mut engine, samples, &[0.5, 0.25, 0.12, 0.06, 0.03, 0.015], 6);
    }
    println!("reached {:.4}", cost(&engine, samples));
    engine
}

fn descend(engine: &mut Engines, samples: &[&Sample], steps: &[f64], rounds: usize) {
    let mut best = cost(engine, samples);
    for step in steps {
        for _ in 0..rounds {
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
            if before - best < 1e-4 {
                break;
            }
        }
    }
}

/// Residuals of each group by constants fitted without it.
fn left_out<'a>(samples: &'a [Sample], engine: &Engines) -> Vec<Residual<'a>> {
    let groups: BTreeSet<&str> = samples.iter().map(|s| s.row.group.as_str()).collect();
    let mut out = Vec::new();
    for group in groups {
        let (inside, others): (Vec<&Sample>, Vec<&Sample>) =
            samples.iter().partition(|s| s.row.group == group);
        let mut without = engine.clone();
        descend(&mut without, &others, &[0.2, 0.05], 2);
        out.extend(residuals(&inside, &without));
    }
    out
}

fn report(title: &str, residuals: &[Residual<'_>]) {
    type Key = (String, &'static str);
    let mut errors: BTreeMap<Key, Vec<(f64, &str)>> = BTreeMap::new();
    for r in residuals {
        // A source without a date ships with a tool of 2026.
        let recent = r.sample.row.date.is_empty() || r.sample.row.date.as_str() >= "2025";
        let latency = matches!(r.quantity, Quantity::Tpot | Quantity::Ttft);
        let mut kinds = vec![if recent { "2025 on, every row" } else { "older, every row" }.to_owned()];
        if r.near_saturation && latency {
            kinds.push("near saturation".to_owned());
        } else if r.sample.row.doubt.is_empty() {
            kinds.push((if recent { "2025 on" } else { "older" }).to_owned());
            kinds.push(format!("load {}", r.sample.load));
            kinds.push(format!("kind {}", kind(&r.sample.row.group)));
        } else {
            kinds.push("doubtful".to_owned());
        }
        if r.sample.row.doubt.is_empty()
            && r.quantity == Quantity::Ttft
            && r.sample.row.concurrency().is_some_and(|c| c <= FEW)
        {
            kinds.push("at most 8 in flight".to_owned());
        }
        for k in kinds {
            let key = (k, r.quantity.name());
            errors.entry(key).or_default().push(((r.ln.exp() - 1.0).abs(), &r.sample.row.group));
        }
    }
    for (key, list) in &errors {
        // Every group counts once among the rows that are told here.
        let groups: Vec<&str> = list.iter().map(|(_, group)| *group).collect();
        let weighted: Vec<(f64, f64)> = list.iter().map(|(e, _)| *e).zip(equal_weights(&groups)).collect();
        let at = |share| weighted_quantile(&weighted, share).unwrap_or(f64::NAN);
        let plain: Vec<(f64, f64)> = list.iter().map(|(e, _)| (*e, 1.0)).collect();
        println!(
            "{title} | {} | {} | {} rows | {} groups | median {:.3} p90 {:.3} | by row {:.3}",
            key.0,
            key.1,
            list.len(),
            groups.iter().collect::<BTreeSet<_>>().len(),
            at(0.5),
            at(0.9),
            weighted_quantile(&plain, 0.5).unwrap_or(f64::NAN)
        );
    }
}

/// The first word of a group's name: who measured.
fn kind(group: &str) -> &str {
    group.split('-').next().unwrap_or(group)
}

fn each(samples: &[Sample], engine: &Engines) {
    println!("DUMP,id,quantity,measured,predicted,weight");
    for sample in samples {
        if let Ok(prediction) = sample.prepared.predict(engine) {
            for m in &sample.measures {
                if let Some(ours) = prediction.of(m.quantity) {
                    println!(
                        "DUMP,{},{},{},{ours},{},{}",
                        sample.row.id,
                        m.quantity.name(),
                        m.value,
                        m.weight,
                        prediction.near_saturation()
                    );
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

/// Ends that hold 80 % of measured / predicted where the group was left out, and the share of each group that lies between
/// the ends which the other groups give.
fn write_residuals(path: &Path, residuals: &[Residual<'_>]) -> Result<(), Box<dyn Error>> {
    let ratios: Vec<(&str, f64, f64)> = residuals
        .iter()
        .filter(|r| r.quantity == Quantity::Tpot && r.sample.row.doubt.is_empty() && !r.near_saturation)
        .map(|r| (r.sample.row.group.as_str(), (-r.ln).exp(), r.weight))
        .collect();
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
