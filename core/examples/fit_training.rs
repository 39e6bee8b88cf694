//! Prints the error of the training estimate on a table of published steps.
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use rackrate::catalog::Catalog;
use rackrate::validate::{ValidationReport, training};
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let by = std::env::args().nth(2);
    let csv = std::fs::read_to_string(path).unwrap();
    let rows = training::rows(Catalog::embedded().unwrap(), &csv, by.as_deref()).unwrap();
    let report = ValidationReport::of(rows);
    println!("id,quantity,measured,predicted,refused");
    for r in &report.rows {
        println!(
            "{},{},{},{},{:?}",
            r.id,
            r.quantity,
            r.measured.unwrap_or(f64::NAN),
            r.predicted.unwrap_or(f64::NAN),
            r.refused.clone().unwrap_or_default().replace(',', ";")
        );
    }
}
