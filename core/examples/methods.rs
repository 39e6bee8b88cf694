//! Writes the tables of METHODS.md anew from the catalogue.
//!
//! `cargo run --example methods`: the blocks between `<!-- generated: NAME -->` and `<!-- end -->`; a test compares.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::fs;

use rackrate::Error;
use rackrate::catalog::Catalog;

#[path = "../tests/support/methods.rs"]
mod support;

fn main() -> Result<(), Error> {
    let path = support::path();
    let text = fs::read_to_string(&path).expect("a readable METHODS.md");
    let renewed = support::renewed(&text, Catalog::embedded()?);
    if renewed != text {
        println!("METHODS.md changes");
        fs::write(&path, renewed).expect("a writable METHODS.md");
    }
    Ok(())
}
