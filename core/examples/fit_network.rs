//! Fits the constants of the network model to a table of measured collectives and rewrites the data file.
//!
//! ```text
//! cargo run --release --example fit_network -- tests/measured/collectives.csv [core/data/network_constants.csv]
//! ```
//!
//! Every run (rows of one `id` but for its number) counts alike. The objective is the sum over runs of the mean of
//! |ln(predicted / measured)| plus two weak pulls: of a kind of link towards the mean of all kinds, and of that mean
//! towards its first estimate (below), so that a kind which few runs determine lies where its sisters do. It is lowered
//! one constant at a time, in steps of a shrinking factor. Constants that no measurement touches keep their sourced
//! rows. Prints the errors of every row, those that no fit sees too, in sample and with each run left out of a fit from the first estimates on that predicts it.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;

use rackrate::catalog::Catalog;
use rackrate::network::{Constants, Topology};
use rackrate::validate::collectives::{Measurement, measurements};
use rackrate::validate::{run_of, weighted_quantile};

/// Runs that do not show a tuned machine: `az-h100-torch` has a third of the bandwidth of the same machines when tuned.
/// It is judged, not fitted to.
const LEFT_OUT: [&str; 1] = ["az-h100-torch"];

/// Runs whose messages below 1 MiB are slow for a reason that their tables do not state: all-to-all as NCCL did it in 2021
/// (five times today's start), a RoCE pair five times as slow as the others. They are judged, not fitted to.
const SLOW_START: [&str; 2] = ["sb-a100-alltoall", "amd-mi300x-2"];

/// First estimates, one for every kind of link alike: NCCL's own tuning model and the published tables as a whole.
const FIRST_SCALE_UP: [(&str, f64); 14] = [
    ("start_s", 6e-6),
    ("step_s", 1e-6),
    ("ring_efficiency", 0.78),
    ("pair_efficiency", 0.75),
    ("ramp", 0.7),
    ("nvls_start_s", 1.7e-5),
    ("nvls_rank_s", 1e-6),
    ("nvls_efficiency", 0.68),
    ("nvls_tree_efficiency", 0.62),
    ("engine_start_s", 3.6e-6),
    ("engine_rank_s", 1e-7),
    ("engine_one_shot_efficiency", 0.55),
    ("engine_second_shot_s", 4e-6),
    ("engine_two_shot_efficiency", 0.63),
];

/// Kinds that have no reduction in the switch, and those for which no engine's kernel was measured.
const NO_NVLS: [&str; 2] = ["nvlink3", "infinity_fabric"];
const NO_ENGINE: [&str; 1] = ["infinity_fabric"];

const FIRST_SCALE_OUT: [(&str, f64); 8] = [
    ("start_s", 2e-5),
    ("step_s", 6e-6),
    ("peer_s", 5e-6),
    ("ring_efficiency", 0.95),
    ("tree_efficiency", 0.94),
    ("pair_efficiency", 0.92),
    ("congestion", 0.03),
    ("ramp", 1.0),
];

const FIRST_LIBRARY: [(&str, f64); 17] = [
    ("pair_starts", 1.0),
    ("peer_steps", 0.3),
    ("tree_share", 0.92),
    ("ring_copy", 0.5),
    ("pair_copy", 0.3),
    ("ramp_limit", 6.0),
    ("rails", 10.0),
    ("old_start_s", 1e-5),
    ("rccl_fabric_start_s", 1e-5),
    ("framework_launch_s", 1e-5),
    ("scatter_adaptive", 0.1),
    ("scatter_ecmp", 0.1),
    ("expert_low_latency_start_s", 4e-5),
    ("expert_low_latency_fabric_start_s", 4e-5),
    ("expert_normal_start_s", 5e-5),
    ("expert_scale_up_efficiency", 0.75),
    ("expert_scale_out_efficiency", 0.95),
];

const SCALE_UP: [&str; 4] = ["nvlink3", "nvlink4", "nvlink5", "infinity_fabric"];
const SCALE_OUT: [&str; 3] = ["infini_band", "roce_v2", "efa"];

/// How strongly a kind of link is pulled towards the mean of all kinds, in units of one run's error: a whole e-fold of a
/// time costs this; efficiencies, which the sources give closely, many times as much.
const PULL_TOGETHER: f64 = 0.2;
const EFFICIENCY_PULL: f64 = 40.0;

/// How strongly that mean is pulled towards its first estimate.
const PULL_FIRST: f64 = 0.05;

struct Sample {
    run: usize,
    /// Judged only: no fit sees it.
    judged: bool,
    /// 1 over the fitted samples of its run.
    weight: f64,
    measurement: Measurement,
    topology: Topology,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let table = arguments.next().ok_or("usage: fit_network MEASURED.csv [CONSTANTS.csv]")?;
    let target = arguments.next();
    let catalog = Catalog::embedded()?;
    let mut runs: Vec<String> = Vec::new();
    let mut samples = Vec::new();
    for measurement in measurements(&fs::read_to_string(table)?)? {
        let run = run_of(&measurement.id).to_owned();
        let topology = match measurement.topology(catalog) {
            Ok(topology) => topology,
            Err(why) => {
                println!("passed over: {} ({why})", measurement.id);
                continue;
            }
        };
        let slow_start = SLOW_START.contains(&run.as_str()) && measurement.quantity() == "time_below_1mib_s";
        let judged = LEFT_OUT.contains(&run.as_str()) || slow_start;
        let index = runs.iter().position(|r| *r == run).unwrap_or_else(|| {
            runs.push(run);
            runs.len() - 1
        });
        samples.push(Sample { run: index, judged, weight: 1.0, measurement, topology });
    }
    let counts: Vec<usize> =
        (0..runs.len()).map(|run| samples.iter().filter(|s| s.run == run && !s.judged).count()).collect();
    for sample in &mut samples {
        sample.weight = 1.0 / counts[sample.run].max(1) as f64;
    }
    println!("{} measurements of {} runs", samples.len(), runs.len());

    let all: Vec<&Sample> = samples.iter().collect();
    let seen: Vec<&Sample> = samples.iter().filter(|s| !s.judged).collect();
    let free = knobs(&seen);
    let mut fitted = start();
    descend(&mut fitted, &free, &FULL);
    println!(
        "mean |ln(predicted/measured)| per run: {:.4}",
        misfit(&fitted, &seen) / counts.iter().filter(|count| **count > 0).count() as f64
    );
    report("in sample", &all, |_| &fitted);
    worst(&runs, &all, |_| &fitted);
    if let Some(target) = target {
        let names: Vec<(&str, bool)> =
            free.iter().map(|knob| (knob.name.as_str(), !knob.samples.is_empty())).collect();
        let fitted_runs = counts.iter().filter(|count| **count > 0).count();
        rewrite(&target, &fitted, &names, fitted_runs)?;
    }
    let mut held_out: Vec<Constants> = Vec::new();
    for run in 0..runs.len() {
        let rest: Vec<&Sample> = samples.iter().filter(|s| s.run != run && !s.judged).collect();
        let free = knobs(&rest);
        let mut without = start();
        descend(&mut without, &free, &FULL);
        held_out.push(without);
    }
    report("one run left out", &all, |s| &held_out[s.run]);
    by_group(&all, &fitted, &held_out);
    worst(&runs, &all, |s| &held_out[s.run]);
    Ok(())
}

/// The first estimates by name.
fn first_estimates() -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for (field, value) in FIRST_SCALE_UP {
        for kind in SCALE_UP {
            let absent = field.starts_with("nvls") && NO_NVLS.contains(&kind)
                || field.starts_with("engine") && NO_ENGINE.contains(&kind);
            if !absent {
                out.insert(format!("{kind}.{field}"), value);
            }
        }
    }
    for (field, value) in FIRST_SCALE_OUT {
        for kind in SCALE_OUT {
            out.insert(format!("{kind}.{field}"), value);
        }
    }
    for (field, value) in FIRST_LIBRARY {
        out.insert(format!("library.{field}"), value);
    }
    out
}

/// Where the search starts; constants without a first estimate as shipped.
fn start() -> Constants {
    let mut out = *Constants::shipped();
    for (name, value) in first_estimates() {
        if let Some(slot) = out.get_mut(&name) {
            *slot = value;
        }
    }
    out
}

fn bounds(name: &str) -> (f64, f64) {
    if name.ends_with("efficiency") {
        // No payload fills a link: headers alone take 2 %.
        (0.05, 0.98)
    } else if name.ends_with("tree_share") {
        // NCCL's tuning takes 0.92, and caps the rate of a tree's channels by generation.
        (0.7, 1.0)
    } else if name.ends_with("rails") {
        (8.0, 72.0)
    } else if name.ends_with("ramp_limit") {
        (0.5, 1e3)
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
fn misfit(constants: &Constants, samples: &[&Sample]) -> f64 {
    samples.iter().map(|s| s.weight * error_of(s, constants).abs()).sum()
}

/// A constant to fit, with the samples that it touches and the same constant of every fitted kind.
struct Knob<'a> {
    name: String,
    first: f64,
    sisters: Vec<String>,
    samples: Vec<&'a Sample>,
}

impl Knob<'_> {
    fn pull(&self, constants: &mut Constants) -> f64 {
        let strength = if self.name.ends_with("efficiency") { EFFICIENCY_PULL } else { 1.0 };
        let folds: Vec<f64> = self
            .sisters
            .iter()
            .filter_map(|name| constants.get_mut(name).map(|value| libm::log(*value / self.first)))
            .collect();
        let mean = folds.iter().sum::<f64>() / folds.len() as f64;
        let spread: f64 = folds.iter().map(|fold| (fold - mean) * (fold - mean)).sum();
        strength * (PULL_TOGETHER * spread + PULL_FIRST * mean * mean)
    }

    fn cost(&self, constants: &Constants) -> f64 {
        let mut constants = *constants;
        misfit(&constants, &self.samples) + self.pull(&mut constants)
    }
}

/// The constants that change a prediction, and their sisters of other kinds of link.
fn knobs<'a>(samples: &[&'a Sample]) -> Vec<Knob<'a>> {
    let start = start();
    let names = first_estimates();
    // Amazon's protocol has nothing in common with the other two but the rates' shares.
    let field = |name: &str| {
        let (kind, field) = name.split_once('.').unwrap_or((name, ""));
        let family = if SCALE_UP.contains(&kind) {
            "scale_up"
        } else if kind == "efa" && field.ends_with("_s") {
            "efa"
        } else {
            "scale_out"
        };
        (family, field.to_owned())
    };
    let mut out = Vec::new();
    for (name, first) in &names {
        let touched = |sample: &&'a Sample| {
            // Far off in both directions, so that an algorithm that is never fastest from the start is seen too.
            [1e-2, 0.25, 4.0, 1e2].iter().any(|factor| {
                let mut other = start;
                let Some(slot) = other.get_mut(name) else { return false };
                *slot *= factor;
                error_of(sample, &other) != error_of(sample, &start)
            })
        };
        let samples: Vec<&Sample> = samples.iter().copied().filter(touched).collect();
        let sisters: Vec<String> =
            names.keys().filter(|other| field(other) == field(name)).cloned().collect();
        // Without a measurement a constant still follows its sisters.
        if !samples.is_empty() || sisters.len() > 1 {
            out.push(Knob { name: name.clone(), first: *first, sisters, samples });
        }
    }
    out
}

/// Step factors, each tried until no constant moves.
const FULL: [f64; 9] = [1.5, 1.2, 1.06, 1.5, 1.2, 1.06, 1.02, 1.006, 1.002];

fn descend(constants: &mut Constants, knobs: &[Knob<'_>], steps: &[f64]) {
    for step in steps {
        for _ in 0..60 {
            let mut moved_any = false;
            for knob in knobs {
                let (low, high) = bounds(&knob.name);
                let mut best = knob.cost(constants);
                for factor in [*step, 1.0 / step] {
                    loop {
                        let mut other = *constants;
                        let Some(slot) = other.get_mut(&knob.name) else { break };
                        *slot = (*slot * factor).clamp(low, high);
                        let cost = knob.cost(&other);
                        if cost >= best - 1e-6 {
                            break;
                        }
                        best = cost;
                        *constants = other;
                        moved_any = true;
                    }
                }
            }
            if !moved_any {
                break;
            }
        }
    }
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

/// A table by operation, scale-up link and fabric: rows, runs, median and 90th percentile in sample and left out.
fn by_group(samples: &[&Sample], fitted: &Constants, held_out: &[Constants]) {
    let mut groups: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        let (links, regime) = (&sample.topology, sample.measurement.quantity());
        let crosses = sample.measurement.ranks > links.scale_up_domain.max(links.gpus_per_node);
        let fabric = if crosses { format!("{:?}", links.scale_out) } else { "one domain".to_owned() };
        for kind in [format!("{:?}", sample.measurement.op), format!("{:?}", links.scale_up), fabric] {
            groups.entry(format!("{regime} {kind}")).or_default().push(sample);
        }
    }
    for (name, group) in groups {
        let runs: BTreeSet<usize> = group.iter().map(|s| s.run).collect();
        let quantiles = |constants: &dyn Fn(&Sample) -> Constants| {
            let errors: Vec<(f64, f64)> = group
                .iter()
                .map(|s| {
                    let alike = group.iter().filter(|other| other.run == s.run).count();
                    ((libm::exp(error_of(s, &constants(s))) - 1.0).abs(), 1.0 / alike as f64)
                })
                .collect();
            [0.5, 0.9].map(|share| 100.0 * weighted_quantile(&errors, share).unwrap_or(f64::NAN))
        };
        let (seen, unseen) = (quantiles(&|_| *fitted), quantiles(&|s| held_out[s.run]));
        println!(
            "| {name} | {} | {} | {:.1} % | {:.0} % | {:.1} % | {:.0} % |",
            group.len(),
            runs.len(),
            seen[0],
            seen[1],
            unseen[0],
            unseen[1]
        );
    }
}

const QUANTITIES: [&str; 4] = ["time_below_1mib_s", "time_from_1mib_s", "engine_time_s", "expert_time_s"];

fn worst<'a>(runs: &[String], samples: &[&Sample], constants: impl Fn(&Sample) -> &'a Constants) {
    for (index, run) in runs.iter().enumerate() {
        let mut line = format!("  {run:22}");
        for quantity in QUANTITIES {
            let errors: Vec<(f64, f64)> = samples
                .iter()
                .filter(|s| s.run == index && s.measurement.quantity() == quantity)
                .map(|s| (libm::exp(error_of(s, constants(s))) - 1.0, 1.0))
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

/// `names` are the fitted constants, and whether a measurement touches them.
fn rewrite(
    target: &str,
    fitted: &Constants,
    names: &[(&str, bool)],
    runs: usize,
) -> Result<(), Box<dyn Error>> {
    let old = fs::read_to_string(target)?;
    let mut fitted = *fitted;
    let mut out = String::from("name,value,unit,origin,source\n");
    for name in Constants::names() {
        let unit = if name.ends_with("_s") { "s" } else { "1" };
        let value = fitted.get_mut(&name).map_or(f64::NAN, |slot| *slot);
        let known = names.iter().find(|(one, _)| *one == name);
        if let Some((_, measured)) = known {
            let source = if *measured {
                format!("examples/fit_network.rs on tests/measured/collectives.csv ({runs} runs)")
            } else {
                "the mean of the other kinds of link in examples/fit_network.rs; no measurement of its own"
                    .to_owned()
            };
            let origin = if *measured { "fitted" } else { "assumed" };
            out += &format!("{name},{value:.4e},{unit},{origin},{source}\n");
        } else if let Some(line) = old.lines().find(|line| line.split(',').next() == Some(name.as_str())) {
            out += line;
            out.push('\n');
        }
    }
    fs::write(target, out)?;
    Ok(())
}
