//! Rewrites the answers of the shared cases under `tests/cases` with what core says now.
//!
//! `cargo run --release --example cases`: then read the diff; a number that moved needs a reason in CHANGELOG.md.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::fs;

#[path = "../tests/support/cases.rs"]
mod support;

fn main() {
    for path in support::paths() {
        let case = support::read(&path);
        let text = support::render(&case.call, &case.request, &support::answer(&case.call, &case.request));
        if fs::read_to_string(&path).expect("a readable case") != text {
            println!("{} changes", path.display());
            fs::write(&path, text).expect("a writable case");
        }
    }
}
