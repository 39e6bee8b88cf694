//! Cells in which the closed form of queues is compared with the simulation.
#![allow(missing_docs, clippy::unwrap_used, clippy::needless_pass_by_value, dead_code)]

use rackrate::catalog::Catalog;
use rackrate::inference::{Percentiles, ServingPoint, SimulationReport, serving_point, simulate};
use rackrate::input::{Value, read};
use serde_json::{Value as Json, json};

/// Model, GPU, tensor ranks, stages, precision: single streams and two; dense models and experts.
pub const SYSTEMS: [(&str, &str, u32, u32, &str); 4] = [
    ("llama-3.1-8b", "H100-SXM", 1, 1, "bf16"),
    ("llama-3.3-70b", "H100-SXM", 8, 1, "fp8"),
    ("deepseek-v3", "H200-SXM", 8, 1, "fp8"),
    ("llama-3.3-70b", "H100-SXM", 2, 2, "fp8"),
];
pub const LENGTHS: [(f64, f64); 4] = [(1000.0, 300.0), (4000.0, 100.0), (200.0, 1000.0), (2048.0, 28.0)];
pub const SPREADS: [f64; 4] = [0.0, 0.5, 1.0, 2.0];
pub const UTILISATIONS: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.85];
pub const TRACES: [(&str, &str); 2] = [
    ("Azure code", include_str!("../../../tests/measured/azure_llm_2023_code.csv")),
    ("Azure conversation", include_str!("../../../tests/measured/azure_llm_2023_conv.csv")),
];

/// Closed form over simulation − 1, of TTFT p50, p95, TPOT p50, p95.
#[derive(Debug, Clone)]
pub struct Cell {
    pub name: String,
    pub system: String,
    pub spread: String,
    pub utilisation: f64,
    pub errors: [f64; 4],
}

/// Requests measured in a cell.
pub const REQUESTS: u32 = 20_000;
/// What is held: 15 % at p50, 25 % at p95.
pub const HELD: [f64; 4] = [0.15, 0.25, 0.15, 0.25];

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

pub fn point(request: &Json) -> ServingPoint {
    let value: Value = serde_json::from_value(request.clone()).unwrap();
    serving_point(catalog(), &read(&value).unwrap()).unwrap()
}

pub fn simulated(request: &Json) -> SimulationReport {
    let value: Value = serde_json::from_value(request.clone()).unwrap();
    simulate(catalog(), &read(&value).unwrap()).unwrap()
}

pub fn merged(base: &Json, more: Json) -> Json {
    let mut out = base.clone();
    for (key, value) in more.as_object().unwrap() {
        out[key] = value.clone();
    }
    out
}

/// All cells of these of the systems; `requests` are measured in each.
pub fn cells(requests: u32, systems: &[(&str, &str, u32, u32, &str)]) -> Vec<Cell> {
    let mut out = Vec::new();
    for &(model, gpu, tp, pp, precision) in systems {
        let base = json!({"model": model, "gpu": gpu, "gpus": tp * pp, "layout": {"tp": tp, "pp": pp}, "precision": precision});
        let system = format!("{model}, tp {tp}, pp {pp}");
        for (input, output) in LENGTHS {
            for scv in SPREADS {
                let lengths = |mean: f64| match scv > 0.0 {
                    true => {
                        json!({"mean_tokens": mean, "family": "gamma", "coefficient_of_variation": scv.sqrt()})
                    }
                    false => json!({"mean_tokens": mean}),
                };
                let asked = json!({"input": lengths(input), "output": lengths(output)});
                let told = [input, output, scv, scv];
                let name = format!("{system}, {input}/{output}, spread {scv}");
                at_all_rates(&mut out, &base, &told, &asked, requests, [&name, &system, &scv.to_string()]);
            }
        }
        for (trace, text) in TRACES {
            let rows: Vec<Vec<f64>> =
                text.lines().skip(1).map(|l| l.split(',').map(|c| c.parse().unwrap()).collect()).collect();
            let of = |column: usize| {
                let list: Vec<f64> = rows.iter().map(|row| row[column]).collect();
                let mean = list.iter().sum::<f64>() / list.len() as f64;
                (
                    list.clone(),
                    mean,
                    list.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>()
                        / list.len() as f64
                        / (mean * mean),
                )
            };
            let (input, output) = (of(1), of(2));
            let asked = json!({"trace": {"input_tokens": input.0, "output_tokens": output.0}});
            let told = [input.1, output.1, input.2, output.2];
            at_all_rates(
                &mut out,
                &base,
                &told,
                &asked,
                requests,
                [&format!("{system}, {trace}"), &system, trace],
            );
        }
    }
    out
}

fn at_all_rates(
    out: &mut Vec<Cell>,
    base: &Json,
    told: &[f64; 4],
    asked: &Json,
    requests: u32,
    names: [&str; 3],
) {
    let at = |rate: f64| {
        point(&merged(
            base,
            json!({"input_tokens": told[0], "output_tokens": told[1], "input_spread": told[2],
            "output_spread": told[3], "request_rate": rate}),
        ))
    };
    let most = at(1e-6).sustainable_request_rate;
    for utilisation in UTILISATIONS {
        let rate = most * utilisation;
        let ours = at(rate).percentiles.unwrap();
        // Streams are told apart by chance, as the closed form has it.
        let load = json!({"request_rate": rate, "requests": requests, "routing": "random"});
        let seen = simulated(&merged(&merged(base, asked.clone()), load));
        let tpot = seen.tpot.unwrap();
        let pair = |a: &Percentiles, b: &Percentiles| {
            [a.p50_seconds / b.p50_seconds - 1.0, a.p95_seconds / b.p95_seconds - 1.0]
        };
        let (first, token) = (pair(&ours.ttft, &seen.ttft), pair(&ours.tpot, &tpot));
        out.push(Cell {
            name: format!("{}, at {utilisation}", names[0]),
            system: names[1].to_owned(),
            spread: names[2].to_owned(),
            utilisation,
            errors: [first[0], first[1], token[0], token[1]],
        });
    }
}
