//! A search meets the conditions of its network.
#![allow(clippy::unwrap_used)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::training::{
    Layout, LayoutSearch, LayoutSearchRequest, TrainingStep, search_layouts, training_step,
};
use serde_json::{Value, json};

fn found(network: &Value) -> Result<LayoutSearch, Error> {
    let request = json!({
        "model": "llama-3.1-70b", "shape": "Standard_ND96isr_H100_v5", "gpus": 512, "global_batch": 1024,
        "sequence_length": 4096, "network": network,
    });
    let request: LayoutSearchRequest = serde_json::from_value(request).unwrap();
    search_layouts(Catalog::embedded().unwrap(), &request)
}

/// The same job in a layout that was found.
fn again(layout: &Layout, network: &Value) -> Result<TrainingStep, Error> {
    let request = json!({
        "model": "llama-3.1-70b", "shape": "Standard_ND96isr_H100_v5", "gpus": 512, "layout": layout,
        "sequence_length": 4096, "network": network,
    });
    training_step(Catalog::embedded().unwrap(), &serde_json::from_value(request).unwrap())
}

#[test]
fn a_found_layout_is_the_same_when_asked_alone() {
    let network = json!({"placement": "scattered"});
    let best = found(&network).unwrap().best[0].clone();
    assert_eq!(again(&best.layout, &network).unwrap(), best);
    assert!(again(&best.layout, &json!({})).unwrap().step_seconds < best.step_seconds);
    let error = again(&best.layout, &json!({"oversubscription": 0.5})).unwrap_err();
    assert_eq!(error.field(), "network.oversubscription");
}

#[test]
fn layouts_are_those_of_the_network_that_is_met() {
    let seconds = |network: Value| found(&network).unwrap().best[0].step_seconds;
    let stated = seconds(json!({}));
    assert!(seconds(json!({"placement": "scattered"})) > stated);
    // A ring through tiers of eight nodes sends one flow in eight out of a tier: 8 : 1 leaves it what it needs, 64 : 1 does not.
    let narrowed = |ratio: f64| seconds(json!({"oversubscription": ratio, "tier_gpus": 64}));
    assert!(narrowed(8.0) >= stated);
    assert!(narrowed(64.0) > stated);
    let error = found(&json!({"oversubscription": 0.5})).unwrap_err();
    assert_eq!(error.field(), "network.oversubscription");
}

/// 509 is a prime: no way of cutting shares 1,024 sequences, 80 layers or 64 heads among so many GPUs.
#[test]
fn gpus_that_no_layout_cuts_are_refused() {
    let request = json!({
        "model": "llama-3.1-70b", "gpu": "H100-SXM", "gpus": 509, "global_batch": 1024, "sequence_length": 4096,
    });
    let request: LayoutSearchRequest = serde_json::from_value(request).unwrap();
    let error = search_layouts(Catalog::embedded().unwrap(), &request).unwrap_err();
    assert_eq!((error.field(), error.code()), ("gpus", "conflict"));
    assert!(error.to_string().contains("no layout of 509 GPUs"), "{error}");
}
