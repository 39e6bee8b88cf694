//! Fits the constants of `core/data/training_constants.csv` to published steps, and measures how well they carry over.
//!
//! `cargo run --release --example fit_training -- tests/measured/training.csv [--write]`
//!
//! Coordinate descent on the weighted mean of |ln(predicted / measured)|, each (source, model, GPU, precision) group
//! counting once, with a weak pull to the first estimates below: a constant that the data do not speak of stays where
//! physics puts it. Then every source, and every GPU, is left out in turn and predicted by a fit to the others. With `--write` the
//! constants and the residual quantiles of the left-out predictions are written to `core/data`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rackrate::catalog::Catalog;
use rackrate::training::TrainingConstants;
use rackrate::validate::{Table, training::Case, weighted_mean, weighted_quantile};

/// Name, first estimate, smallest and largest value, unit, and what the first estimate rests on.
const PRIORS: [(&str, f64, f64, f64, &str, &str); 19] = [
    ("tensor_exposed", 0.5, 0.05, 1.0, "share", "half of a collective under the halves of a product"),
    ("expert_exposed", 0.8, 0.05, 1.0, "share", "exchange waits for the router"),
    ("expert_overlapped", 0.3, 0.02, 1.0, "share", "copy kernels take multiprocessors"),
    ("pipeline_exposed", 0.3, 0.0, 1.0, "share", "sends run beside the next micro-batch"),
    ("data_window", 0.8, 0.1, 1.0, "share", "buckets follow the passes closely"),
    ("contention", 0.15, 0.0, 0.6, "share", "copy kernels take about a sixth of the multiprocessors"),
    ("kernel_gap_seconds", 1.5e-6, 2e-7, 1e-5, "s", "launch to launch on a busy stream"),
    ("captured_gap_seconds", 1e-6, 2e-7, 5e-6, "s", "kernel to kernel inside a graph"),
    ("launch_seconds", 1e-5, 2e-6, 5e-5, "s", "a launch through framework and driver"),
    ("routing_seconds", 1e-4, 1e-6, 2e-3, "s", "a device-to-host round trip with a few small kernels"),
    ("step_overhead_seconds", 0.01, 1e-4, 0.1, "s", "data, logging, optimiser launches"),
    ("straggler_per_doubling", 0.005, 0.0, 0.03, "share", "a few per cent over a thousand nodes"),
    ("cast_bytes", 4.0, 1.0, 12.0, "B", "read 16 bits, write 8 bits in two layouts"),
    ("eager_passes", 3.0, 1.0, 6.0, "ratio", "a norm of six operations, an activation of two, casts between"),
    ("sustained_ampere", 0.97, 0.6, 1.0, "share", "microbenchmarks run cooler than a step"),
    ("sustained_hopper", 0.97, 0.6, 1.0, "share", "microbenchmarks run cooler than a step"),
    ("sustained_blackwell", 0.97, 0.6, 1.0, "share", "microbenchmarks run cooler than a step"),
    ("sustained_blackwell_ultra", 0.97, 0.6, 1.0, "share", "microbenchmarks run cooler than a step"),
    ("sustained_cdna3", 0.97, 0.5, 1.0, "share", "microbenchmarks run cooler than a step"),
];

/// Constants that are not fitted here: name, value, unit, kind, source.
const FIXED: [(&str, f64, &str, &str, &str); 5] = [
    (
        "context_bytes",
        2.0 * 1_073_741_824.0,
        "B",
        "assumed",
        "driver, framework and communicator of a training process",
    ),
    ("fragmentation", 0.02, "share", "assumed", "allocator slack with expandable segments"),
    // Left to a fit they would take the blame for what experts of the same releases lose on Blackwell: 0.54 and 0.15, which
    // Nemotron-H 56B, without experts, contradicts.
    (
        "scan_rate_hopper",
        0.57,
        "ratio",
        "assumed",
        "Triton's kernels use the instructions of the generation before; as FlashAttention-2 (arXiv 2407.08608 section 4.1)",
    ),
    (
        "scan_rate_blackwell",
        0.28,
        "ratio",
        "assumed",
        "the same kernels: half of the share of a peak that is twice Hopper's",
    ),
    (
        "sustained_cdna4",
        0.97,
        "share",
        "assumed",
        "no published step with its layout: as the first estimate of the others",
    ),
];

/// Rounds of a fit at most.
const ROUNDS: usize = 12;

/// Weight of the pull to the first estimates, per constant and squared unit of its logarithm.
const PULL: f64 = 0.004;

struct Row {
    source: String,
    case: Case,
    seconds: f64,
    weight: f64,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("the table of published steps");
    let write = args.next().is_some_and(|flag| flag == "--write");
    let rows = rows(&std::fs::read_to_string(path).expect("a readable table"));
    let all: Vec<&Row> = rows.iter().collect();
    println!("{} rows answered", all.len());

    let mut start = *TrainingConstants::embedded().unwrap();
    for (name, first, ..) in PRIORS {
        set(&mut start, name, first);
    }
    for (name, value, ..) in FIXED {
        set(&mut start, name, value);
    }
    report("first estimates", &all, &start);
    let fitted = fit(&all, start, ROUNDS);
    report("in sample", &all, &fitted);
    for (name, ..) in PRIORS {
        println!("  {name} = {:.6e}", get(&fitted, name));
    }

    // Each in turn, from the first estimates as above: a fit that starts where all rows have led it stays there.
    let by_source = left_out("source left out", &rows, &start, |row| &row.source);
    let unseen = left_out("GPU left out", &rows, &start, |row| &row.case.job.gpu);

    let experts = |row: &Row| row.case.job.architecture.moe.is_some();
    let (sparse, dense): (Vec<_>, Vec<_>) = by_source.into_iter().partition(|(_, row)| experts(row));
    let quantiles = [
        residuals("step time of dense models", &dense),
        residuals("step time of models with experts", &sparse),
        residuals("step time on a GPU that no fit has seen", &unseen),
    ];
    if write {
        write_constants(&fitted);
        write_residuals(&quantiles);
        write_measured(&rows);
    }
}

/// Every row as predicted by a fit to the rows that differ from it in `by`.
fn left_out<'a>(
    title: &str,
    rows: &'a [Row],
    start: &TrainingConstants,
    by: impl Fn(&Row) -> &str + Copy + Sync,
) -> Vec<(f64, &'a Row)> {
    let names: Vec<&str> = rows.iter().map(by).collect::<BTreeSet<_>>().into_iter().collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let predicted = |name: &str| {
        let (members, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| by(row) == name);
        let constants = fit(&others, *start, ROUNDS);
        members.into_iter().map(|row| (predict(&row.case, &constants), row)).collect::<Vec<_>>()
    };
    let mut out = Vec::new();
    for some in names.chunks(threads) {
        std::thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|&name| scope.spawn(move || predicted(name))).collect();
            out.extend(running.into_iter().flat_map(|thread| thread.join().expect("a fit")));
        });
    }
    let errors: Vec<(f64, f64)> =
        out.iter().map(|(p, row)| ((p / row.seconds - 1.0).abs(), row.weight)).collect();
    print_errors(title, &errors);
    out
}

/// A line of the table of residuals: the 10 % and 90 % quantiles of measured / predicted.
fn residuals(name: &str, predictions: &[(f64, &Row)]) -> String {
    let ratios: Vec<(f64, f64)> = predictions.iter().map(|(p, row)| (row.seconds / p, row.weight)).collect();
    let (low, high) = (quantile(&ratios, 0.1), quantile(&ratios, 0.9));
    println!("{name}: measured / predicted {low:.3} to {high:.3}, {} rows", ratios.len());
    format!("training,{name},{low:.3},{high:.3},0.8,{}", ratios.len())
}

fn rows(csv: &str) -> Vec<Row> {
    let catalog = Catalog::embedded().unwrap();
    let table = Table::read(csv, &["id", "source"]).expect("a table of steps");
    let mut out = Vec::new();
    for line in table.lines() {
        let Some(seconds) = line.number("step_time_s", 0.0, 1e9).unwrap() else { continue };
        // Flagged rows failed a check of the collection.
        if line.text("note").is_some_and(|note| note.starts_with("flag:")) {
            continue;
        }
        let Ok(case) = Case::read(catalog, &line) else { continue };
        if case.answer(&case.job).is_err() {
            continue;
        }
        out.push(Row {
            source: line.need("source").unwrap().to_owned(),
            seconds,
            weight: line.number("weight", 0.0, 1e9).unwrap().unwrap_or(1.0),
            case,
        });
    }
    out
}

fn predict(case: &Case, constants: &TrainingConstants) -> f64 {
    case.answer(&case.job.clone().with_constants(constants)).unwrap().step_seconds
}

fn loss(rows: &[&Row], constants: &TrainingConstants) -> f64 {
    let errors: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| (libm::log(predict(&row.case, constants) / row.seconds).abs().min(0.7), row.weight))
        .collect();
    let pull: f64 = PRIORS
        .iter()
        .map(|&(name, first, ..)| {
            let distance = libm::log((get(constants, name) + 1e-3 * first) / first);
            distance * distance
        })
        .sum();
    mean(&errors) + PULL * pull
}

fn fit(rows: &[&Row], start: TrainingConstants, rounds: usize) -> TrainingConstants {
    let mut best = start;
    let mut least = loss(rows, &best);
    for round in 0..rounds {
        let stretch = 1.0 + 0.5 / (1.0 + round as f64 * 0.7);
        let before = least;
        for (name, first, min, max, ..) in PRIORS {
            for factor in [stretch, 1.0 / stretch, libm::sqrt(stretch), 1.0 / libm::sqrt(stretch)] {
                let mut trial = best;
                let value = (get(&best, name).max(1e-3 * first) * factor).clamp(min, max);
                set(&mut trial, name, value);
                let found = loss(rows, &trial);
                if found < least {
                    (best, least) = (trial, found);
                }
            }
        }
        if before - least < 1e-5 {
            break;
        }
    }
    best
}

fn report(title: &str, rows: &[&Row], constants: &TrainingConstants) {
    let errors: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| ((predict(&row.case, constants) / row.seconds - 1.0).abs(), row.weight))
        .collect();
    print_errors(title, &errors);
}

fn print_errors(title: &str, errors: &[(f64, f64)]) {
    println!(
        "{title}: median {:.1} %, mean {:.1} %, 90th percentile {:.1} %",
        100.0 * quantile(errors, 0.5),
        100.0 * mean(errors),
        100.0 * quantile(errors, 0.9)
    );
}

fn quantile(values: &[(f64, f64)], share: f64) -> f64 {
    weighted_quantile(values, share).unwrap()
}

fn mean(values: &[(f64, f64)]) -> f64 {
    weighted_mean(values).unwrap()
}

fn get(constants: &TrainingConstants, name: &str) -> f64 {
    let mut copy = *constants;
    copy.named().into_iter().find(|(n, _)| *n == name).map(|(_, value)| *value).expect("a known constant")
}

fn set(constants: &mut TrainingConstants, name: &str, value: f64) {
    for (n, slot) in constants.named() {
        if n == name {
            *slot = value;
        }
    }
}

fn write_constants(constants: &TrainingConstants) {
    let mut text = String::from("name,value,unit,kind,source\n");
    for (name, _, _, _, unit, why) in PRIORS {
        // Four digits: the data do not know more.
        let value: f64 = format!("{:.3e}", get(constants, name)).parse().unwrap();
        let _ = writeln!(
            text,
            "{name},{value},{unit},fitted,fit_training on tests/measured/training.csv; {}",
            plain(why)
        );
    }
    for (name, value, unit, kind, source) in FIXED {
        let _ = writeln!(text, "{name},{value},{unit},{kind},{}", plain(source));
    }
    std::fs::write("core/data/training_constants.csv", text).expect("core/data is writable");
}

fn plain(words: &str) -> String {
    words.replace(',', ";")
}

/// GPUs with published steps: a plan on any other says that nobody measured it.
fn write_measured(rows: &[Row]) {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *count.entry(&row.case.job.gpu).or_default() += 1;
    }
    let path = "core/data/measured_gpus.csv";
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let mut text = String::from("kind,gpu,rows\n");
    for (gpu, rows) in count {
        let _ = writeln!(text, "training,{gpu},{rows}");
    }
    for line in old.lines().skip(1).filter(|line| !line.starts_with("training,")) {
        let _ = writeln!(text, "{line}");
    }
    std::fs::write(path, text).expect("core/data is writable");
}

fn write_residuals(lines: &[String]) {
    let path = "core/data/residuals.csv";
    let old = std::fs::read_to_string(path).expect("the table of residuals");
    let others = old.lines().filter(|line| !line.starts_with("training,")).map(str::to_owned);
    let text: String = others.chain(lines.iter().cloned()).map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).expect("core/data is writable");
}
