//! Prints the plan of a built-in scenario as JSON.
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use rackrate::catalog::Catalog;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let s = rackrate::api::scenarios().unwrap().into_iter().find(|s| s.name == name).unwrap();
    let t = std::time::Instant::now();
    let p = rackrate::plan::plan(Catalog::embedded().unwrap(), &s).unwrap();
    eprintln!("{:?}", t.elapsed());
    println!("{}", serde_json::to_string_pretty(&p).unwrap());
}
