//! Prints the plan of a built-in scenario as JSON.
//!
//! `cargo run --release --example plan -- azure-trains-oci-serves`
#![allow(clippy::print_stdout)]

use rackrate::catalog::Catalog;
use rackrate::{Error, plan};

fn main() -> Result<(), Error> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "azure-trains-oci-serves".to_owned());
    let scenarios = plan::built_in()?;
    let names = scenarios.iter().map(|scenario| scenario.name.as_str());
    let Some(scenario) = scenarios.iter().find(|scenario| scenario.name == name) else {
        return Err(Error::unknown_name("scenario", "built-in scenario", &name, names));
    };
    let answer = plan::plan(Catalog::embedded()?, scenario)?;
    println!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
    Ok(())
}
