//! How well the closed form of queues agrees with the simulation: the table of METHODS.md.
//!
//! `cargo run --release --example queue_agreement`; with an argument every cell outside of what is held.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/queues.rs"]
mod support;

fn main() {
    let cells = support::cells(support::REQUESTS, &support::SYSTEMS);
    if std::env::args().nth(1).is_some() {
        for cell in &cells {
            if cell.errors.iter().zip(support::HELD).any(|(e, held)| e.abs() > held) {
                println!("{:70} {:.2?}", cell.name, cell.errors);
            }
        }
    }
    println!(
        "| utilisation | cells | TTFT p50 | TTFT p95 | TPOT p50 | TPOT p95 |\n|---|---|---|---|---|---|"
    );
    for utilisation in support::UTILISATIONS {
        let here: Vec<_> = cells.iter().filter(|c| c.utilisation == utilisation).collect();
        row(&format!("{utilisation}"), &here);
    }
    println!("\n| spread | cells | TTFT p50 | TTFT p95 | TPOT p50 | TPOT p95 |\n|---|---|---|---|---|---|");
    for spread in ["0", "0.5", "1", "2", "Azure code", "Azure conversation"] {
        row(spread, &cells.iter().filter(|c| c.spread == spread).collect::<Vec<_>>());
    }
    row("all", &cells.iter().collect::<Vec<_>>());
}

/// Median and largest absolute error, and how many cells are outside of what is held.
fn row(name: &str, cells: &[&support::Cell]) {
    let column = |at: usize| {
        let mut errors: Vec<f64> = cells.iter().map(|c| c.errors[at].abs()).collect();
        errors.sort_by(f64::total_cmp);
        let out = errors.iter().filter(|e| **e > support::HELD[at]).count();
        let (median, most) = (errors[errors.len() / 2], errors[errors.len() - 1]);
        format!("{:.0} %, {:.0} %, {out}", median * 100.0, most * 100.0)
    };
    println!("| {name} | {} | {} | {} | {} | {} |", cells.len(), column(0), column(1), column(2), column(3));
}
