//! Fits the constants of the network model to a table of measured collectives and rewrites the data file.
//!
//! ```text
//! cargo run --release --example fit_network -- tests/measured/collectives.csv [core/data/network_constants.csv]
//! ```
//!
//! Every run (rows of one `id` but for its number) counts alike. The objective is the sum over runs of the mean of
//! |ln(predicted / measured)|; it is lowered one constant at a time, in steps of a shrinking factor, from the same start
//! for every kind of link. Constants that no measurement touches keep their sourced rows. Prints the errors in sample
//! and with each run left out of the fit that predicts it.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;

use rackrate::network::{Constants, ScaleUpKind, Topology};
use rackrate::validate::collectives::{GpuLinks, Measurement, measurements};
use rackrate::validate::{run_of, weighted_quantile};

/// Runs that say nothing of the hardware's links: an untuned set-up (a third of the bandwidth of the same machines
/// when tuned), and an all-to-all whose source does not explain a quarter of the expected rate.
const LEFT_OUT: [&str; 1] = ["az-h100-torch"];

struct Sample {
    run: usize,
    measurement: Measurement,
    topology: Topology,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let table = arguments.next().ok_or("usage: fit_network MEASURED.csv [CONSTANTS.csv]")?;
    let target = arguments.next();
    let mut runs: Vec<String> = Vec::new();
    let mut samples = Vec::new();
    for measurement in measurements(&fs::read_to_string(table)?)? {
        let run = run_of(&measurement.id).to_owned();
        let Some(links) = links_of(&measurement.gpu) else {
            println!("passed over: {} ({})", measurement.id, measurement.gpu);
            continue;
        };
        if LEFT_OUT.contains(&run.as_str()) {
            continue;
        }
        let index = runs.iter().position(|r| *r == run).unwrap_or_else(|| {
            runs.push(run);
            runs.len() - 1
        });
        let topology = measurement.topology(&links);
        samples.push(Sample { run: index, measurement, topology });
    }
    println!("{} measurements of {} runs", samples.len(), runs.len());

    let start = start();
    let all: Vec<&Sample> = samples.iter().collect();
    let names = touched(&start, &all);
    let mut fitted = start;
    let cost = descend(&mut fitted, &names, &all, &FULL);
    println!("mean |ln(predicted/measured)| per run: {:.4}", cost / runs.len() as f64);
    report("in sample", &all, |_| &fitted);
    worst(&runs, &all, &fitted);

    if let Some(target) = target {
        rewrite(&target, &fitted, &names, runs.len())?;
    }
    let mut held_out: Vec<Constants> = Vec::new();
    for run in 0..runs.len() {
        let rest: Vec<&Sample> = samples.iter().filter(|s| s.run != run).collect();
        let mut without = fitted;
        descend(&mut without, &names, &rest, &WARM);
        held_out.push(without);
    }
    report("one run left out", &all, |s| &held_out[s.run]);
    Ok(())
}

/// Where the search starts: alike for every kind; constants that are not fitted as shipped.
fn start() -> Constants {
    let mut out = *Constants::shipped();
    for name in Constants::names() {
        let value = match name.split('.').nth(1).unwrap_or("") {
            "start_s" | "pair_start_s" | "nvls_start_s" => 1e-5,
            "engine_start_s" | "engine_second_shot_s" => 3e-6,
            "step_s" if !name.contains("nvlink") && !name.starts_with("inf") => 5e-6,
            "step_s" => 1e-6,
            "peer_s" | "nvls_rank_s" => 1e-6,
            "engine_rank_s" => 1e-7,
            "ramp" => 0.6,
            "congestion" => 0.05,
            "ring_copy" | "pair_copy" => 0.3,
            "nvls_efficiency" | "engine_one_shot_efficiency" | "engine_two_shot_efficiency" => 0.7,
            "ring_efficiency" | "tree_efficiency" | "pair_efficiency" => 0.85,
            _ => continue,
        };
        if let Some(slot) = out.get_mut(&name)
            && slot.is_finite()
        {
            *slot = value;
        }
    }
    out
}

fn bounds(name: &str) -> (f64, f64) {
    if name.ends_with("efficiency") {
        (0.05, 1.0)
    } else if name.ends_with("ramp") {
        (0.05, 3.0)
    } else if name.ends_with("_s") {
        (1e-9, 1e-2)
    } else {
        (1e-4, 2.0)
    }
}

fn error_of(sample: &Sample, constants: &Constants) -> f64 {
    match sample.measurement.predict(constants, &sample.topology) {
        Some(time) => libm::log(time.seconds / sample.measurement.seconds),
        None => 10.0,
    }
}

/// Sum over runs of the mean absolute logarithmic error.
fn objective(constants: &Constants, samples: &[&Sample]) -> f64 {
    let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for sample in samples {
        let sum = sums.entry(sample.run).or_default();
        sum.0 += error_of(sample, constants).abs();
        sum.1 += 1.0;
    }
    sums.values().map(|(sum, count)| sum / count).sum()
}

/// Constants that change the objective.
fn touched(constants: &Constants, samples: &[&Sample]) -> Vec<String> {
    let before = objective(constants, samples);
    let changes = |name: &String| {
        [0.25, 4.0].iter().any(|factor| {
            let mut other = *constants;
            let Some(slot) = other.get_mut(name) else { return false };
            *slot *= factor;
            objective(&other, samples) != before
        })
    };
    Constants::names().into_iter().filter(changes).collect()
}

/// Step factors, each tried until no constant moves.
const FULL: [f64; 9] = [1.6, 1.2, 1.06, 1.6, 1.2, 1.06, 1.02, 1.006, 1.002];
const WARM: [f64; 3] = [1.2, 1.05, 1.01];

fn descend(constants: &mut Constants, names: &[String], samples: &[&Sample], steps: &[f64]) -> f64 {
    let mut best = objective(constants, samples);
    for step in steps {
        for _ in 0..40 {
            let before = best;
            for name in names {
                let (low, high) = bounds(name);
                for factor in [*step, 1.0 / step] {
                    loop {
                        let mut other = *constants;
                        let Some(slot) = other.get_mut(name) else { break };
                        let moved = (*slot * factor).clamp(low, high);
                        if moved == *slot {
                            break;
                        }
                        *slot = moved;
                        let cost = objective(&other, samples);
                        if cost >= best - 1e-9 {
                            break;
                        }
                        best = cost;
                        *constants = other;
                    }
                }
            }
            if before - best < 1e-4 * before {
                break;
            }
        }
    }
    best
}

fn report<'a>(title: &str, samples: &[&Sample], constants: impl Fn(&Sample) -> &'a Constants) {
    let quantities: BTreeSet<&str> = samples.iter().map(|s| s.measurement.quantity()).collect();
    for quantity in quantities {
        let of: Vec<&&Sample> = samples.iter().filter(|s| s.measurement.quantity() == quantity).collect();
        let errors: Vec<(f64, f64)> = of
            .iter()
            .map(|s| {
                let alike = of.iter().filter(|other| other.run == s.run).count();
                ((libm::exp(error_of(s, constants(s))) - 1.0).abs(), 1.0 / alike as f64)
            })
            .collect();
        println!(
            "{title:>18} {quantity:>18}: median {:5.1} %, p90 {:5.1} % ({} rows)",
            100.0 * weighted_quantile(&errors, 0.5).unwrap_or(f64::NAN),
            100.0 * weighted_quantile(&errors, 0.9).unwrap_or(f64::NAN),
            errors.len()
        );
    }
}

fn worst(runs: &[String], samples: &[&Sample], constants: &Constants) {
    for (index, run) in runs.iter().enumerate() {
        let mut line = format!("  {run:22}");
        for quantity in ["time_below_1mib_s", "time_from_1mib_s", "engine_time_s"] {
            let errors: Vec<(f64, f64)> = samples
                .iter()
                .filter(|s| s.run == index && s.measurement.quantity() == quantity)
                .map(|s| (libm::exp(error_of(s, constants)) - 1.0, 1.0))
                .collect();
            let absolute: Vec<(f64, f64)> = errors.iter().map(|(e, w)| (e.abs(), *w)).collect();
            match (weighted_quantile(&errors, 0.5), weighted_quantile(&absolute, 0.5)) {
                (Some(signed), Some(median)) => {
                    line +=
                        &format!("  {:+6.1} %|{:5.1} % ({:3})", 100.0 * signed, 100.0 * median, errors.len());
                }
                _ => line += &" ".repeat(25),
            }
        }
        println!("{line}");
    }
}

fn rewrite(target: &str, fitted: &Constants, names: &[String], runs: usize) -> Result<(), Box<dyn Error>> {
    let old = fs::read_to_string(target)?;
    let mut fitted = *fitted;
    let mut out = String::from("name,value,unit,origin,source\n");
    for name in Constants::names() {
        let unit = if name.ends_with("_s") { "s" } else { "1" };
        let value = fitted.get_mut(&name).map_or(f64::NAN, |slot| *slot);
        if names.contains(&name) {
            out += &format!(
                "{name},{value:.4e},{unit},fitted,examples/fit_network.rs on tests/measured/collectives.csv ({runs} runs)\n"
            );
        } else if let Some(line) = old.lines().find(|line| line.split(',').next() == Some(name.as_str())) {
            out += line;
            out.push('\n');
        }
    }
    fs::write(target, out)?;
    Ok(())
}

fn links_of(gpu: &str) -> Option<GpuLinks> {
    let (kind, gb, domain) = match gpu {
        "A100-80GB-SXM" | "A100-40GB-SXM" | "A100" => (ScaleUpKind::NvLink3, 300.0, 8),
        "H100-80GB-SXM" | "H200-141GB-SXM" => (ScaleUpKind::NvLink4, 450.0, 8),
        "B200" | "B300" => (ScaleUpKind::NvLink5, 900.0, 8),
        "GB200" | "GB300" => (ScaleUpKind::NvLink5, 900.0, 72),
        "MI300X" | "MI325X" => (ScaleUpKind::InfinityFabric, 448.0, 8),
        "MI355X" => (ScaleUpKind::InfinityFabric, 535.5, 8),
        _ => return None,
    };
    Some(GpuLinks { kind, bytes_per_s: gb * 1e9, domain })
}
