//! Prints the JSON Schema of every request and answer as one document: what the Python types are generated from.
//!
//! `cargo run -p rackrate --features schema --example schema`
#![allow(clippy::print_stdout)] // printing is what this program is for

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;

fn main() {
    // As answers are written: a field with a default is always there.
    let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12().for_serialize());
    generator.subschema_for::<rackrate::plan::Scenario>();
    generator.subschema_for::<rackrate::plan::Plan>();
    generator.subschema_for::<rackrate::training::TrainingStepRequest>();
    generator.subschema_for::<rackrate::training::TrainingStep>();
    generator.subschema_for::<rackrate::training::LayoutSearchRequest>();
    generator.subschema_for::<rackrate::training::LayoutSearch>();
    generator.subschema_for::<rackrate::inference::ServingPointRequest>();
    generator.subschema_for::<rackrate::inference::ServingPoint>();
    generator.subschema_for::<rackrate::inference::ServingSearchRequest>();
    generator.subschema_for::<rackrate::inference::ServingSearch>();
    generator.subschema_for::<rackrate::inference::SimulationRequest>();
    generator.subschema_for::<rackrate::inference::SimulationReport>();
    generator.subschema_for::<rackrate::network::CollectiveRequest>();
    generator.subschema_for::<rackrate::network::CollectiveAnswer>();
    generator.subschema_for::<rackrate::sweep::SweepRequest>();
    // Of a sweep's answer only what is not an array: Python holds the rest as NumPy's own.
    generator.subschema_for::<rackrate::sweep::SweepRefusal>();
    generator.subschema_for::<rackrate::catalog::Catalog>();
    generator.subschema_for::<rackrate::validate::ValidationKind>();
    generator.subschema_for::<rackrate::validate::ValidationReport>();
    let definitions = generator.take_definitions(true);
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rackrate",
        "$defs": definitions,
    });
    println!("{schema:#}");
}
