#![allow(clippy::print_stdout, clippy::unwrap_used)]
use rackrate::catalog::Catalog;
use rackrate::validate::{Table, training::Case};
fn main() {
    let csv = std::fs::read_to_string("tests/measured/training.csv").unwrap();
    let table = Table::read(&csv, &["id"]).unwrap();
    for line in table.lines() {
        let Ok(case) = Case::read(Catalog::embedded().unwrap(), &line) else { continue };
        let Ok(s) = case.answer(&case.job) else { continue };
        let mut v = serde_json::to_value(&s).unwrap();
        v["id"] = line.text("id").unwrap().into();
        println!("{v}");
    }
}
