//! Prints our predictions beside a table of measurements as JSON.
//!
//! `cargo run --release --example validate -- training tests/measured/training.csv`
#![allow(clippy::print_stdout)]

use rackrate::{Error, api};

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let missing = || Error::MissingField {
        field: "arguments".to_owned(),
        expected: "a kind (training, inference, collectives) and a file".to_owned(),
    };
    let (kind, path) = (args.next().ok_or_else(missing)?, args.next().ok_or_else(missing)?);
    let csv = std::fs::read_to_string(&path)
        .map_err(|error| Error::Malformed { field: path, message: error.to_string() })?;
    let report = api::validate(&kind, &csv, args.next().as_deref(), None)?;
    println!("{}", serde_json::to_string(&report).unwrap_or_default());
    Ok(())
}
