//! METHODS.md shows the data as the catalogue has them.
#![allow(clippy::unwrap_used)]

#[path = "support/methods.rs"]
mod support;

use rackrate::catalog::Catalog;

#[test]
fn the_tables_of_methods_are_current() {
    let text = std::fs::read_to_string(support::path()).unwrap();
    let renewed = support::renewed(&text, Catalog::embedded().unwrap());
    let stale = text.lines().zip(renewed.lines()).find(|(ours, new)| ours != new);
    assert_eq!(stale, None, "METHODS.md is stale: run `make methods`");
    assert_eq!(text, renewed, "METHODS.md is stale: run `make methods`");
}

#[test]
fn a_stale_figure_is_seen() {
    let text = std::fs::read_to_string(support::path()).unwrap();
    let mut catalog = Catalog::embedded().unwrap().clone();
    catalog.prices[0].source.as_of = "2020-01-01".to_owned();
    assert_ne!(support::renewed(&text, &catalog), text);
}
