//! Fits the kernels' efficiencies to published measurements and rewrites `core/data/kernel_constants.csv`.
//!
//! `cargo run --release --example fit_kernel` prints errors in-sample and with one GPU left out of its family. Values
//! of kind `fitted` are fitted, `assumed` values whose source begins `as` are copied from what it names, all others stay.
//! Deterministic: Nelder-Mead from fixed starting points, no random numbers.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/kernel_measured/mod.rs"]
mod kernel_measured;

use std::collections::BTreeMap;

use kernel_measured::{Row, errors, rows};
use rackrate::kernel::{Device, Family, KernelConstants};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/kernel_constants.csv");

/// What is fitted together: rows by op and precision, free constants.
const STAGES: [(&[&str], &[&str], &[&str]); 8] = [
    (
        &["gemm"],
        &["bf16", "fp16"],
        &[
            "gemm_half_peak_share",
            "gemm_half_operand_cost",
            "gemm_half_prologue",
            "gemm_fixed_us",
            "gemm_memory_share",
        ],
    ),
    (
        &["gemm"],
        &["fp8"],
        &[
            "gemm_fp8_peak_share",
            "gemm_fp8_operand_cost",
            "gemm_fp8_prologue",
            "gemm_fp8_quantise_fixed_us",
            "gemm_fp8_quantise_passes",
        ],
    ),
    (
        &["gemm", "grouped_gemm"],
        &["fp8_blockwise"],
        &[
            "gemm_fp8_blockwise_peak_share",
            "gemm_fp8_blockwise_operand_cost",
            "gemm_fp8_blockwise_prologue",
            "gemm_fp8_blockwise_quantise_fixed_us",
            "gemm_fp8_blockwise_quantise_passes",
        ],
    ),
    (
        &["gemm"],
        &["nvfp4"],
        &[
            "gemm_fp4_peak_share",
            "gemm_fp4_operand_cost",
            "gemm_fp4_prologue",
            "gemm_fp4_quantise_fixed_us",
            "gemm_fp4_quantise_passes",
        ],
    ),
    (&["attention_prefill"], &["bf16"], &["attention_peak_share", "attention_fixed_us", "rotary_passes"]),
    (&["attention_prefill"], &["fp8"], &["attention_fp8_gain"]),
    (&["attention_decode"], &["bf16", "fp8"], &["decode_memory_share", "decode_fixed_us", "decode_ramp_us"]),
    (
        &["moe_ffn"],
        &["bf16", "fp8", "fp8_blockwise", "nvfp4"],
        &[
            "moe_fixed_us",
            "gemm_half_expert_cost",
            "gemm_fp8_expert_cost",
            "gemm_fp8_blockwise_expert_cost",
            "gemm_fp4_expert_cost",
        ],
    ),
];

type Table = Vec<[String; 6]>;

fn main() {
    let rows = rows();
    let mut table: Table = csv::Reader::from_path(TABLE)
        .unwrap()
        .records()
        .map(|record| {
            let record = record.unwrap();
            std::array::from_fn(|column| record[column].to_owned())
        })
        .collect();
    // Twice: what is copied from a neighbour in the first round may stand beside what is fitted in the second.
    for _ in 0..2 {
        for family in Family::all() {
            let fitted = fit(&rows, family, &mut constants(&table, family), &table, None);
            for (name, value) in fitted {
                set(&mut table, family, &name, value);
            }
        }
        copy(&mut table);
    }
    write(&table);
    report("in-sample", &rows, |row| constants(&table, Family::of(&row.gpu)));
    let mut left_out: BTreeMap<String, KernelConstants> = BTreeMap::new();
    for row in &rows {
        let family = Family::of(&row.gpu);
        let others =
            rows.iter().any(|other| Family::of(&other.gpu) == family && other.gpu.name != row.gpu.name);
        if others && !left_out.contains_key(&row.gpu.name) {
            let mut with = constants(&table, family);
            fit(&rows, family, &mut with, &table, Some(&row.gpu.name));
            left_out.insert(row.gpu.name.clone(), with);
        }
    }
    let kept: Vec<Row> = rows.iter().filter(|row| is_fitted_by_others(row, &rows)).cloned().collect();
    report("this GPU left out of its family", &kept, |row| left_out[&row.gpu.name]);
    largest(&rows, &table);
}

/// Whether another GPU of the family has rows of the kind that fits this one: else leaving this GPU out changes nothing,
/// and its error is not one of prediction.
fn is_fitted_by_others(row: &Row, rows: &[Row]) -> bool {
    let family = Family::of(&row.gpu);
    let by_best_shapes = matches!(family, Family::Cdna3 | Family::Cdna4);
    let op = if row.op == "gemm_best_shape" && !by_best_shapes { "gemm" } else { &row.op };
    rows.iter().any(|other| {
        other.gpu.name != row.gpu.name
            && Family::of(&other.gpu) == family
            && other.op == op
            && other.even
            && (other.precision == row.precision || !op.contains("gemm"))
    })
}

fn constants(table: &Table, family: Family) -> KernelConstants {
    let mut constants = KernelConstants::default();
    for row in table.iter().filter(|row| row[0] == family.name()) {
        *constants.value_mut(&row[1]).unwrap() = row[2].parse().unwrap();
    }
    constants
}

fn set(table: &mut Table, family: Family, name: &str, value: f64) {
    let row = table.iter_mut().find(|row| row[0] == family.name() && row[1] == name).unwrap();
    row[2] = format!("{}", round(value));
}

/// Four significant digits: more would be noise.
fn round(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap()
}

/// Copies `as <family>` and `as <family> <name>`.
fn copy(table: &mut Table) {
    for _ in 0..3 {
        for index in 0..table.len() {
            let source = table[index][5].clone();
            let Some(words) = source.strip_prefix("as ") else { continue };
            let mut words = words.split_whitespace();
            let from = words.next().unwrap().trim_end_matches([';', ':']).to_owned();
            let own = table[index][1].clone();
            let name = words.next().unwrap_or(&own).to_owned();
            let value = table.iter().find(|row| row[0] == from && row[1] == name).unwrap()[2].clone();
            table[index][2] = value;
        }
    }
}

fn write(table: &Table) {
    let mut writer = csv::Writer::from_path(TABLE).unwrap();
    writer.write_record(["generation", "name", "value", "unit", "kind", "source"]).unwrap();
    for row in table {
        writer.write_record(row).unwrap();
    }
    writer.flush().unwrap();
}

/// Fits every stage that has rows and free constants in the table; returns what changed.
fn fit(
    rows: &[Row],
    family: Family,
    constants: &mut KernelConstants,
    table: &Table,
    without: Option<&str>,
) -> Vec<(String, f64)> {
    let mine: Vec<&Row> = rows
        .iter()
        .filter(|row| {
            Family::of(&row.gpu) == family && row.usable() && Some(row.gpu.name.as_str()) != without
        })
        .collect();
    let is_free =
        |name: &str| table.iter().any(|row| row[0] == family.name() && row[1] == name && row[4] == "fitted");
    let mut changed = Vec::new();
    let streams: Vec<f64> = mine
        .iter()
        .filter(|row| row.gbps > 0.0)
        .map(|row| row.gbps / (row.gpu.memory_tb_per_s * 1e3))
        .collect();
    if !streams.is_empty() && is_free("memory_share") {
        constants.memory_share = round(streams.iter().sum::<f64>() / streams.len() as f64);
        changed.push(("memory_share".to_owned(), constants.memory_share));
    }
    for (ops, precisions, names) in STAGES {
        let chosen: Vec<&Row> = mine
            .iter()
            .filter(|row| {
                let best_shape_only = row.op == "gemm_best_shape"
                    && ops.contains(&"gemm")
                    && matches!(family, Family::Cdna3 | Family::Cdna4);
                (ops.contains(&row.op.as_str()) || best_shape_only)
                    && precisions.contains(&row.precision.as_str())
                    && row.even
            })
            .copied()
            .collect();
        let free: Vec<&str> = names.iter().copied().filter(|name| is_free(name)).collect();
        if chosen.is_empty() || free.is_empty() {
            continue;
        }
        fit_stage(&chosen, &free, constants);
        for name in free {
            let slot = constants.value_mut(name).unwrap();
            *slot = round(*slot);
            changed.push((name.to_owned(), *slot));
        }
    }
    changed
}

fn fit_stage(rows: &[&Row], free: &[&str], constants: &mut KernelConstants) {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry((&row.gpu.name, &row.op, &row.precision)).or_default().push(row);
    }
    let base = *constants;
    let with = |point: &[f64]| {
        let mut constants = base;
        for (name, &x) in free.iter().zip(point) {
            *constants.value_mut(name).unwrap() = decode(name, x);
        }
        constants
    };
    // Each GPU, op and precision counts once; absolute log errors, rounded at 2 %, so that outliers do not rule.
    let loss = |point: &[f64]| {
        let constants = with(point);
        let mut total = 0.0;
        for rows in groups.values() {
            let device = Device::with_constants(&rows[0].gpu, &constants);
            let sum: f64 = rows
                .iter()
                .map(|row| {
                    let error = libm::log(row.predicted(&device) / row.seconds);
                    (error * error + 0.02 * 0.02).sqrt()
                })
                .sum();
            total += sum / rows.len() as f64;
        }
        total / groups.len() as f64
            + PRIOR_WEIGHT * free.iter().zip(point).map(|(name, &x)| prior(name, x)).sum::<f64>()
    };
    let mut point: Vec<f64> = free.iter().map(|name| encode(name, usual(name))).collect();
    for size in [1.0, 0.5, 0.25, 0.1] {
        point = nelder_mead(&loss, &point, size);
    }
    *constants = with(&point);
}

/// How much a constant that the rows do not determine is drawn to its usual size: so little that an error of one
/// per cent outweighs a factor of two.
const PRIOR_WEIGHT: f64 = 0.002;

/// Squared distance, in natural logarithms, from the usual size of a constant.
fn prior(name: &str, x: f64) -> f64 {
    let distance = x - encode(name, usual(name));
    distance * distance
}

/// The usual size of a constant: where every fit starts.
fn usual(name: &str) -> f64 {
    match name {
        _ if name.ends_with("operand_cost") => 8.0,
        _ if name.ends_with("prologue") => 128.0,
        _ if name.ends_with("_us") => 5.0,
        _ if name.ends_with("expert_cost") || name.ends_with("gain") => 1.2,
        _ if name.ends_with("quantise_passes") => 1.5,
        "rotary_passes" => 3.0,
        _ => 0.8,
    }
}

/// Shares lie between 0 and 1, other constants above 0 (the cost of experts' products, passes and gains above 1).
fn decode(name: &str, x: f64) -> f64 {
    if name.ends_with("share") {
        1.0 / (1.0 + libm::exp(-x))
    } else if name.ends_with("expert_cost") || name.ends_with("gain") || name.ends_with("passes") {
        1.0 + libm::exp(x)
    } else {
        libm::exp(x)
    }
}

fn encode(name: &str, value: f64) -> f64 {
    if name.ends_with("share") {
        libm::log(value.clamp(0.01, 0.995) / (1.0 - value.clamp(0.01, 0.995)))
    } else if name.ends_with("expert_cost") || name.ends_with("gain") || name.ends_with("passes") {
        libm::log((value - 1.0).max(1e-3))
    } else {
        libm::log(value.max(1e-3))
    }
}

fn nelder_mead(loss: &impl Fn(&[f64]) -> f64, start: &[f64], size: f64) -> Vec<f64> {
    let n = start.len();
    let mut simplex: Vec<(f64, Vec<f64>)> = (0..=n)
        .map(|corner| {
            let mut point = start.to_vec();
            if corner > 0 {
                point[corner - 1] += size;
            }
            (loss(&point), point)
        })
        .collect();
    for _ in 0..300 {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worst = simplex[n].clone();
        let centre: Vec<f64> = (0..n)
            .map(|axis| simplex[..n].iter().map(|corner| corner.1[axis]).sum::<f64>() / n as f64)
            .collect();
        let along = |step: f64| -> (f64, Vec<f64>) {
            let point: Vec<f64> = centre.iter().zip(&worst.1).map(|(c, w)| c + step * (c - w)).collect();
            (loss(&point), point)
        };
        let reflected = along(1.0);
        if reflected.0 < simplex[0].0 {
            let further = along(2.0);
            simplex[n] = if further.0 < reflected.0 { further } else { reflected };
        } else if reflected.0 < simplex[n - 1].0 {
            simplex[n] = reflected;
        } else {
            let nearer = along(if reflected.0 < worst.0 { 0.5 } else { -0.5 });
            if nearer.0 < worst.0.min(reflected.0) {
                simplex[n] = nearer;
            } else {
                let best = simplex[0].1.clone();
                for corner in &mut simplex[1..] {
                    for (x, b) in corner.1.iter_mut().zip(&best) {
                        *x = b + 0.5 * (*x - b);
                    }
                    corner.0 = loss(&corner.1);
                }
            }
        }
    }
    simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
    simplex[0].1.clone()
}

fn report(title: &str, rows: &[Row], constants: impl Fn(&Row) -> KernelConstants) {
    println!(
        "\n{title}: |predicted / measured - 1|, median and 90th percentile; geometric mean of the ratio"
    );
    let mut cells: BTreeMap<(String, String, String), Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.usable() && row.seconds > 0.0) {
        let device = Device::with_constants(&row.gpu, &constants(row));
        let pair = (row.predicted(&device), row.seconds);
        let mut ops = vec![if row.even { row.op.clone() } else { format!("{} power law", row.op) }];
        if row.op == "gemm" {
            ops.push(format!("gemm m {}", if row.m() < 2048.0 { "< 2048" } else { ">= 2048" }));
        }
        for op in ops {
            for gpu in [row.gpu.name.clone(), "all".to_owned()] {
                cells.entry((op.clone(), row.precision.clone(), gpu)).or_default().push(pair);
            }
        }
    }
    for ((op, precision, gpu), pairs) in &cells {
        let (median, tenth, bias) = errors(pairs);
        println!(
            "{op:<22} {precision:<14} {gpu:<17} {:>5}  {:>5.1} %  {:>5.1} %  {bias:.3}",
            pairs.len(),
            100.0 * median,
            100.0 * tenth
        );
    }
}

/// The rows that the model misses most.
fn largest(rows: &[Row], table: &Table) {
    if std::env::args().nth(1).as_deref() != Some("--worst") {
        return;
    }
    let filter = std::env::args().nth(2).unwrap_or_default();
    let mut all: Vec<(f64, &Row)> = rows
        .iter()
        .filter(|row| row.usable() && row.seconds > 0.0 && row.even)
        .filter(|row| format!("{} {} {}", row.op, row.precision, row.gpu.name).contains(&filter))
        .map(|row| {
            let device = Device::with_constants(&row.gpu, &constants(table, Family::of(&row.gpu)));
            (row.predicted(&device) / row.seconds, row)
        })
        .collect();
    all.sort_by(|a, b| libm::log(b.0).abs().total_cmp(&libm::log(a.0).abs()));
    for (ratio, row) in all.iter().take(60) {
        let numbers: Vec<f64> = row.numbers.iter().copied().filter(|&number| number > 0.0).collect();
        println!(
            "{ratio:.2} {} {} {} {numbers:?} {:.1} us",
            row.op,
            row.precision,
            row.gpu.name,
            row.seconds * 1e6
        );
    }
}
