//! Fits the engine constants to a table of measured serving points and rewrites the data files.
//!
//! ```text
//! cargo run --release --example fit_inference -- tests/measured/inference.csv [report]
//! ```
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use rackrate::catalog::Catalog;
use rackrate::inference::EngineConstants;
use rackrate::validate::inference::{COLUMNS, Quantity, Row};
use rackrate::validate::{Table, weighted_quantile};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: fit_inference MEASURED.csv [dump]")?;
    let text = fs::read_to_string(path)?;
    let catalog = Catalog::embedded()?;
    let table = Table::read(&text, &COLUMNS)?;
    let mut refused: BTreeMap<String, u32> = BTreeMap::new();
    let mut errors: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    println!("DUMP,id,quantity,measured,predicted,weight");
    for line in table.lines() {
        let row = Row::read(&line)?;
        let predicted = row.prepare(catalog).and_then(|p| p.predict(EngineConstants::shipped()));
        match predicted {
            Err(why) => *refused.entry(why).or_default() += 1,
            Ok(p) => {
                for quantity in Quantity::ALL {
                    if let (Some(measured), Some(ours)) = (row.measured(quantity), p.of(quantity)) {
                        println!("DUMP,{},{},{measured},{ours},{}", row.id, quantity.name(), row.weight);
                        errors
                            .entry(quantity.name().to_owned())
                            .or_default()
                            .push(((ours / measured - 1.0).abs(), row.weight));
                    }
                }
            }
        }
    }
    for (name, list) in &errors {
        println!(
            "{name}: {} rows, median {:?}, p90 {:?}",
            list.len(),
            weighted_quantile(list, 0.5),
            weighted_quantile(list, 0.9)
        );
    }
    for (why, count) in refused {
        println!("refused {count}: {why}");
    }
    Ok(())
}
