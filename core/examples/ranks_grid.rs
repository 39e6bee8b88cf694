//! How well the closed form of attention ranks that meet in the experts agrees with the simulation: both tables of METHODS.md.
//!
//! `cargo run --release --example ranks_grid` (minutes; `-- latencies` or `-- rates` for one table, `cells` behind it for every
//! cell too).
#![allow(clippy::print_stdout)]

#[path = "../tests/support/queues.rs"]
mod support;

use serde_json::{Value as Json, json};
use support::{HELD, merged, point, simulated};

/// Model, GPU, precision.
type System = (&'static str, &'static str, &'static str);
const SYSTEMS: [System; 3] = [
    ("deepseek-v3", "H200-SXM", "fp8"),
    ("deepseek-v3", "GB200", "nvfp4"),
    ("gpt-oss-120b", "H100-SXM", "bf16"),
];

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let told = given.iter().any(|word| word == "cells");
    let asked = |table: &str| given.iter().all(|word| word == table || word == "cells");
    if asked("latencies") {
        latencies(told);
    }
    if asked("rates") {
        rates(told);
    }
}

/// Ranks that serve prompts and answers of such mean lengths, both with this squared coefficient of variation.
struct Group {
    name: String,
    base: Json,
    lengths: (f64, f64),
    spread: f64,
}

impl Group {
    fn of((model, gpu, precision): System, ranks: u32, lengths: (f64, f64), spread: f64) -> Self {
        let (input, output) = lengths;
        Self {
            name: format!("{model} on {ranks} {gpu}, {input}/{output}, spread {spread}"),
            base: json!({"model": model, "gpu": gpu, "gpus": ranks, "precision": precision,
                "layout": {"tp": 1, "dp": ranks, "ep": ranks}}),
            lengths,
            spread,
        }
    }

    /// What the closed form says at so many requests per second.
    fn told(&self, rate: f64) -> rackrate::inference::ServingPoint {
        let (input, output) = self.lengths;
        let load = json!({"input_tokens": input, "output_tokens": output, "input_spread": self.spread,
            "output_spread": self.spread, "request_rate": rate});
        point(&merged(&self.base, load))
    }

    /// What the simulation sees at so many, over so many requests behind those that warm it up.
    fn seen(
        &self,
        rate: f64,
        (warmup, requests): (Option<f64>, f64),
    ) -> rackrate::inference::SimulationReport {
        let of = |mean: f64| match self.spread > 0.0 {
            true => {
                json!({"mean_tokens": mean, "family": "gamma", "coefficient_of_variation": self.spread.sqrt()})
            }
            false => json!({"mean_tokens": mean}),
        };
        let load = json!({"input": of(self.lengths.0), "output": of(self.lengths.1), "request_rate": rate,
            "requests": requests as u32, "warmup_requests": warmup.map(|requests| requests as u32)});
        simulated(&merged(&self.base, load))
    }
}

/// First tokens and times per token under random arrivals, by share of the sustainable rate.
fn latencies(told: bool) {
    println!(
        "| use | cells | TTFT p50 | TTFT p95 | TPOT p50 | TPOT p95 | within 20 % |\n|---|---|---|---|---|---|---|"
    );
    let [h200, gb200, h100] = SYSTEMS;
    let mut all = Vec::new();
    for usage in [0.1, 0.4, 0.7, 0.85, 0.95] {
        let mut cells: Vec<[f64; 4]> = Vec::new();
        for (system, ranks) in [(h200, 8), (h200, 16), (gb200, 32), (h100, 4)] {
            for lengths in
                [(2000.0, 300.0), (8000.0, 100.0), (8000.0, 600.0), (14_000.0, 400.0), (32_000.0, 500.0)]
            {
                for spread in [0.0, 0.5, 1.0] {
                    let group = Group::of(system, ranks, lengths, spread);
                    let rate = usage * group.told(1e-6).sustainable_request_rate;
                    let (ours, seen) = (group.told(rate), group.seen(rate, (None, 4000.0)));
                    let (Some(ours), Some(tpot)) = (ours.percentiles, seen.tpot) else { continue };
                    let cell = [
                        ours.ttft.p50_seconds / seen.ttft.p50_seconds - 1.0,
                        ours.ttft.p95_seconds / seen.ttft.p95_seconds - 1.0,
                        ours.tpot.p50_seconds / tpot.p50_seconds - 1.0,
                        ours.tpot.p95_seconds / tpot.p95_seconds - 1.0,
                    ];
                    if told {
                        println!("{}, at {usage}: {cell:.2?}", group.name);
                    }
                    cells.push(cell);
                }
            }
        }
        row(&usage.to_string(), &cells);
        all.extend(cells);
    }
    row("all", &all);
}

/// Of each measure: the median and the largest absolute error, and the cells within what is held (15 % at p50, 25 % at p95);
/// then the share of all cells and measures within 20 %.
fn row(name: &str, cells: &[[f64; 4]]) {
    let column = |at: usize| {
        let errors = sorted(cells.iter().map(|cell| cell[at].abs()));
        let within = errors.iter().filter(|error| **error <= HELD[at]).count();
        let (median, most) = (errors[errors.len() / 2], errors[errors.len() - 1]);
        format!("{:.0} %, {:.0} %, {within}", median * 100.0, most * 100.0)
    };
    let near = cells.iter().flatten().filter(|error| error.abs() <= 0.2).count();
    let share = 100.0 * near as f64 / (4 * cells.len()) as f64;
    let columns = [0, 1, 2, 3].map(column).join(" | ");
    println!("| {name} | {} | {columns} | {share:.0} % |", cells.len());
}

/// The rate that is sustained, over what the simulation answers when half more is asked of it.
fn rates(told: bool) {
    println!("| spread | cells | median, least, most | within 20 % |\n|---|---|---|---|");
    for spread in [0.05, 0.5, 1.0, 0.0] {
        let mut ratios = Vec::new();
        for system in SYSTEMS {
            for ranks in [4, 8, 16, 32] {
                for input in [1000.0, 2000.0, 4000.0, 8000.0, 12_000.0, 16_000.0, 32_000.0] {
                    for output in [100.0, 300.0, 1000.0] {
                        let group = Group::of(system, ranks, (input, output), spread);
                        let ratio = over_answered(&group, f64::from(ranks));
                        if told {
                            println!("{}: {ratio:.2}", group.name);
                        }
                        ratios.push(ratio);
                    }
                }
            }
        }
        let ratios = sorted(ratios.into_iter());
        let (count, near) = (ratios.len(), ratios.iter().filter(|ratio| (*ratio - 1.0).abs() <= 0.2).count());
        println!(
            "| {spread} | {count} | {:.2}, {:.2}, {:.2} | {:.0} % |",
            ratios[count / 2],
            ratios[0],
            ratios[count - 1],
            100.0 * near as f64 / count as f64
        );
    }
}

/// Sustainable rate over what is answered past it. More is asked for where the simulation keeps up with that too.
fn over_answered(group: &Group, ranks: f64) -> f64 {
    let most = group.told(1e-6).sustainable_request_rate;
    let places = group.told(1.5 * most).decode_batch.max(ranks);
    let mut asked = 1.5;
    loop {
        let run = (Some((4.0 * places * asked).max(4000.0)), (2.5 * places * asked).max(5000.0));
        let answered = group.seen(asked * most, run).requests_per_second;
        if answered < 0.93 * asked * most {
            return most / answered;
        }
        asked *= 1.5;
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut out: Vec<f64> = values.collect();
    out.sort_by(f64::total_cmp);
    out
}
