//! A search meets the conditions of its network.
#![allow(clippy::unwrap_used)]

use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::training::{LayoutSearch, LayoutSearchRequest, search_layouts};
use serde_json::{Value, json};

fn found(network: &Value) -> Result<LayoutSearch, Error> {
    let request = json!({
        "model": "llama-3.1-70b", "shape": "Standard_ND96isr_H100_v5", "gpus": 512, "global_batch": 1024,
        "sequence_length": 4096, "network": network,
    });
    let request: LayoutSearchRequest = serde_json::from_value(request).unwrap();
    search_layouts(Catalog::embedded().unwrap(), &request)
}

#[test]
fn layouts_are_those_of_the_network_that_is_met() {
    let seconds = |network: Value| found(&network).unwrap().best[0].step_seconds;
    let stated = seconds(json!({}));
    assert!(seconds(json!({"placement": "scattered"})) > stated);
    assert!(seconds(json!({"oversubscription": 8.0, "tier_gpus": 64})) > stated);
    let error = found(&json!({"oversubscription": 0.5})).unwrap_err();
    assert_eq!(error.field(), "network.oversubscription");
}
