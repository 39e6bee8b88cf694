//! Moving weights between the clouds: regions and their zones, the interconnect's pairs, links and prices.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::Error;
use rackrate::catalog::{Catalog, Overlay, Provider, TransferKind};
use rackrate::cost::{End, Link, Move, TransferChoice, TransferPath, move_between};
use rackrate::input::{Value, read};
use rackrate::plan::{Plan, Scenario, Split, built_in_named, plan};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

fn overlaid(json: &str) -> Catalog {
    over(catalog(), json)
}

fn over(catalog: &Catalog, json: &str) -> Catalog {
    let value: Value = serde_json::from_str(json).unwrap();
    catalog.overlaid(&read::<Overlay>(&value).unwrap()).unwrap()
}

/// The catalogue with [`CIRCUITS`] in place of every circuit and gateway of Azure.
fn with_own_circuits() -> Catalog {
    let mut bare = catalog().clone();
    bare.transfers.retain(|tariff| {
        tariff.provider == Provider::Oci
            || !matches!(
                tariff.kind,
                TransferKind::InterconnectPort
                    | TransferKind::InterconnectData
                    | TransferKind::InterconnectGateway
            )
    });
    over(&bare, CIRCUITS)
}

/// 8B trained on Azure, served on OCI, one shape each: quick to plan.
fn scenario() -> Scenario {
    let mut scenario = built_in_named("fine-tune-8b").unwrap();
    let training = scenario.training.as_mut().unwrap();
    (training.shapes, training.cloud) = (vec!["Standard_ND96isr_H100_v5".to_owned()], Some(Provider::Azure));
    let mut serving = built_in_named("serve-70b").unwrap().serving.unwrap();
    (serving.shapes, serving.cloud) = (vec!["BM.GPU.H200.8".to_owned()], Some(Provider::Oci));
    (serving.model, serving.traffic.requests_per_second) = ("llama-3.1-8b".into(), Some(1.0));
    scenario.serving = Some(serving);
    scenario
}

fn over_interconnect() -> Scenario {
    let mut scenario = scenario();
    scenario.transfer.path = TransferPath::Interconnect;
    scenario
}

/// The other way round: trained on OCI, served on Azure.
fn reversed(mut scenario: Scenario) -> Scenario {
    let training = scenario.training.as_mut().unwrap();
    (training.shapes, training.cloud) = (vec!["BM.GPU.H100.8".to_owned()], Some(Provider::Oci));
    let serving = scenario.serving.as_mut().unwrap();
    (serving.shapes, serving.cloud) = (vec!["Standard_ND96isr_H200_v5".to_owned()], Some(Provider::Azure));
    scenario
}

fn answer(scenario: &Scenario) -> Plan {
    plan(catalog(), scenario).unwrap()
}

fn split(scenario: &Scenario) -> Split {
    answer(scenario).chosen_split().unwrap().clone()
}

fn refused(change: impl Fn(&mut Scenario)) -> Error {
    let mut scenario = over_interconnect();
    change(&mut scenario);
    plan(catalog(), &scenario).unwrap_err()
}

fn end(provider: Provider, region: Option<&str>, links: &[f64]) -> End {
    let links = links.iter().map(|rate| Link { name: format!("{rate} Gb/s"), gbit_per_s: *rate }).collect();
    End { provider, region: region.map(str::to_owned), links }
}

fn moved(catalog: &Catalog, from: &End, to: &End, gb: f64, choice: &TransferChoice) -> Move {
    move_between(catalog, from, to, gb * 1e9, choice, 730.0)
}

fn usd(moved: &Move) -> f64 {
    moved.lines.iter().map(|line| line.usd).sum()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// A region in a zone of its own, with made-up tiers: a free one, a paid one, and a gap that nobody has priced.
const OWN_ZONE: &str = r#"{
    "regions": [{"provider": "azure", "name": "nowhere", "egress_zone": "zone-9", "aliases": ["No Where"]}],
    "transfers": [
        {"provider": "azure", "kind": "internet_egress", "origin": "zone-9", "destination": "internet",
         "tier_from_gb": 0, "tier_to_gb": 100, "usd": 0, "usd_per": "gb"},
        {"provider": "azure", "kind": "internet_egress", "origin": "zone-9", "destination": "internet",
         "tier_from_gb": 100, "tier_to_gb": 1000, "usd": 0.2, "usd_per": "gb"},
        {"provider": "azure", "kind": "internet_egress", "origin": "zone-9", "destination": "internet, cheaper routing",
         "tier_from_gb": 100, "usd": 0.01, "usd_per": "gb"}]}"#;

#[test]
fn egress_is_priced_by_the_zone_of_the_region() {
    let own = overlaid(OWN_ZONE);
    let to = end(Provider::Oci, None, &[]);
    let from = end(Provider::Azure, Some("nowhere"), &[]);
    let choice = TransferChoice::default();
    let small = moved(&own, &from, &to, 600.0, &choice);
    assert!(near(usd(&small), 500.0 * 0.2) && small.unpriced.is_empty());
    // What lies past the last tier with a price is named, not priced as the last one.
    let large = moved(&own, &from, &to, 1500.0, &choice);
    assert!(near(usd(&large), 900.0 * 0.2));
    assert!(large.unpriced[0].contains("500 GB from zone-9"), "{:?}", large.unpriced);
    // A zone that no tariff knows has no price at all.
    let lost = overlaid(r#"{"regions": [{"provider": "azure", "name": "nowhere"}]}"#);
    let unknown = moved(&lost, &from, &to, 600.0, &choice);
    assert!(unknown.lines.is_empty() && unknown.unpriced[0].contains("nowhere"), "{:?}", unknown.unpriced);
    // Your own price holds for all of it.
    let choice = TransferChoice { data_usd_per_gb: Some(0.01), ..choice };
    assert!(near(usd(&moved(&own, &from, &to, 1500.0, &choice)), 15.0));
}

#[test]
fn every_zone_of_a_region_has_a_tariff_from_the_table() {
    let to = |provider| match provider {
        Provider::Azure => end(Provider::Oci, None, &[]),
        Provider::Oci => end(Provider::Azure, None, &[]),
    };
    for region in &catalog().regions {
        let from = end(region.provider, Some(&region.name), &[]);
        let found = moved(catalog(), &from, &to(region.provider), 11_000.0, &TransferChoice::default());
        let Some(zone) = region.egress_zone.as_deref() else {
            assert!(found.lines.is_empty() && found.unpriced[0].contains(&region.name));
            continue;
        };
        let tariffs: Vec<_> = catalog()
            .transfers
            .iter()
            .filter(|t| t.provider == region.provider && t.kind == TransferKind::InternetEgress)
            .filter(|t| t.origin == zone && t.usd.is_some())
            .collect();
        assert!(!tariffs.is_empty(), "{}: {zone}", region.name);
        // Each line is one of the zone's tiers, or one that holds for every zone.
        for line in &found.lines {
            let known = tariffs.iter().any(|t| t.usd == Some(line.unit_usd)) || line.what.contains("any");
            assert!(known, "{}: {line:?}", region.name);
        }
        let priced: f64 = found.lines.iter().map(|line| line.quantity).sum();
        assert!(near(priced, 11_000.0) != found.unpriced.iter().any(|what| what.contains("not known")));
    }
}

#[test]
fn the_region_asked_for_decides_and_its_spelling_is_forgiven() {
    let mut scenario = scenario();
    // Without a region: the one whose price was taken.
    let plain = split(&scenario);
    let training = answer(&scenario).training.unwrap();
    assert_eq!(plain.transfer_from.as_ref(), Some(&training.options[0].terms[0].region));
    scenario.pricing.azure_region = Some("EastUS".to_owned());
    let asked = split(&scenario);
    for alias in &catalog().region("region", Provider::Azure, "eastus").unwrap().aliases {
        scenario.pricing.azure_region = Some(alias.clone());
        assert_eq!(split(&scenario), asked);
    }
    assert_eq!(asked.transfer_from.as_deref(), Some("eastus"));
    assert!(asked.transfer_lines.iter().all(|line| line.what.ends_with("(eastus)")));
    let option = answer(&scenario).training.unwrap().options.remove(0);
    assert!(option.terms.iter().all(|term| term.region == "eastus"), "{:?}", option.terms);

    scenario.pricing.oci_region = Some("us-ashburn-2".to_owned());
    let error = plan(catalog(), &scenario).unwrap_err();
    assert_eq!((error.field(), error.code()), ("pricing.oci_region", "unknown_name"));
    assert_eq!(error.hint().as_deref(), Some("us-ashburn-1"));
}

#[test]
fn a_region_that_only_an_overlaid_price_knows_may_be_asked_for() {
    let mut scenario = scenario();
    let json = r#"{"prices": [{"shape": "Standard_ND96isr_H100_v5", "region": "marseille", "term": "payg",
        "usd_per_node_hour": 50}]}"#;
    scenario.overlay = Some(read(&serde_json::from_str::<Value>(json).unwrap()).unwrap());
    scenario.pricing.azure_region = Some("marseille".to_owned());
    let plan = answer(&scenario);
    let split = plan.chosen_split().unwrap();
    assert_eq!(split.transfer_from.as_deref(), Some("marseille"));
    assert!(split.transfer_lines.is_empty() && split.transfer_unpriced[0].contains("marseille"));
    assert!(plan.warnings_of("price_missing").any(|w| w.about == "transfer"));
}

#[test]
fn the_zone_of_oci_is_said_where_it_is_taken() {
    let mut scenario = reversed(scenario());
    scenario.transfer.weight_releases = 1000;
    let plan = answer(&scenario);
    let taken = plan.warnings_of("egress_zone").next().unwrap();
    assert_eq!((taken.about.as_str(), taken.message.contains("na-eu-uk")), ("pricing.oci_region", true));
    let paid = |scenario: &Scenario| split(scenario).transfer_usd;
    let assumed = paid(&scenario);
    scenario.pricing.oci_region = Some("us-ashburn-1".to_owned());
    assert_eq!(paid(&scenario), assumed);
    assert!(answer(&scenario).warnings_of("egress_zone").next().is_none());
    scenario.pricing.oci_region = Some("me-jeddah-1".to_owned());
    assert!(paid(&scenario) > 3.0 * assumed);
    // Data that leave Azure do not ask for OCI's zone.
    assert!(answer(&self::scenario()).warnings_of("egress_zone").next().is_none());
}

#[test]
fn the_pair_is_the_one_asked_for_or_the_nearest_and_named() {
    let mut scenario = over_interconnect();
    scenario.pricing.azure_region = Some("eastus".to_owned());
    let plan = answer(&scenario);
    let found = plan.chosen_split().unwrap();
    assert_eq!(found.transfer_to.as_deref(), Some("us-ashburn-1"));
    assert!(found.transfer_links.iter().any(|link| link.name == "circuit eastus – us-ashburn-1"));
    let said = plan.warnings_of("interconnect_region").next().unwrap();
    assert_eq!(said.about, "pricing.oci_region");
    assert!(said.message.contains("us-ashburn-1"), "{}", said.message);
    scenario.pricing.oci_region = Some("us-ashburn-1".to_owned());
    assert!(answer(&scenario).warnings_of("interconnect_region").next().is_none());

    // Data in a region that no circuit reaches: the nearest one, the way to it named and not priced.
    let from = end(Provider::Azure, Some("eastus2"), &[]);
    let choice = TransferChoice { path: TransferPath::Interconnect, ..TransferChoice::default() };
    let far = moved(catalog(), &from, &end(Provider::Oci, None, &[]), 100.0, &choice);
    assert!(far.unpriced.iter().any(|what| what.contains("between eastus2 and")), "{:?}", far.unpriced);
    let circuit = far.links.iter().find(|link| link.name.starts_with("circuit")).unwrap();
    let country = |name: &str| catalog().region("r", Provider::Azure, name).unwrap().country.clone();
    let near_by = circuit.name.strip_prefix("circuit ").unwrap().split(' ').next().unwrap();
    assert_eq!(country(near_by), country("eastus2"));
}

#[test]
fn regions_that_no_circuit_joins_are_refused_with_those_that_are() {
    let error = refused(|s| {
        s.pricing.azure_region = Some("eastus".to_owned());
        s.pricing.oci_region = Some("us-phoenix-1".to_owned());
    });
    assert_eq!((error.field(), error.code()), ("pricing.oci_region", "conflict"));
    let message = error.to_string();
    assert!(message.contains("nearest is eastus with us-ashburn-1"), "{message}");
    for pair in &catalog().pairs {
        assert!(message.contains(&format!("{} with {}", pair.azure_region, pair.oci_region)), "{message}");
    }
    let error = refused(|s| s.pricing.azure_region = Some("italynorth".to_owned()));
    assert_eq!((error.field(), error.code()), ("pricing.azure_region", "conflict"));
    // Within one country or zone before any other.
    let message = error.to_string();
    let (_, nearest) = message.split_once("nearest is ").unwrap();
    let nearest = catalog().region("r", Provider::Azure, nearest.split(' ').next().unwrap()).unwrap();
    assert_eq!(nearest.egress_zone.as_deref(), Some("zone-1"));
    // The internet reaches everywhere, and one cloud alone needs no circuit.
    let mut elsewhere = over_interconnect();
    elsewhere.pricing.azure_region = Some("italynorth".to_owned());
    let mut alone = elsewhere.clone();
    alone.serving = None;
    answer(&alone);
    let serving = elsewhere.serving.as_mut().unwrap();
    (serving.cloud, serving.shapes) = (Some(Provider::Azure), vec!["Standard_ND96isr_H200_v5".to_owned()]);
    answer(&elsewhere);
}

#[test]
fn only_circuits_on_offer_can_be_had() {
    let error = refused(|s| s.transfer.gbit_per_s = 3.0);
    assert_eq!((error.field(), error.code()), ("transfer.gbit_per_s", "unsupported"));
    assert!(error.to_string().contains("1, 2, 5, 10"), "{error}");
    assert_eq!(refused(|s| s.transfer.gbit_per_s = 400.0).code(), "out_of_range");
    let error = refused(|s| {
        s.transfer.path = TransferPath::Internet;
        s.transfer.gateway_usd_per_hour = Some(1.0);
    });
    assert_eq!((error.field(), error.code()), ("transfer.gateway_usd_per_hour", "conflict"));
    assert_eq!(refused(|s| s.transfer.data_usd_per_gb = Some(-1.0)).field(), "transfer.data_usd_per_gb");
}

/// Circuits with made-up prices, read for a zone and for a region.
const CIRCUITS: &str = r#"{"transfers": [
    {"provider": "azure", "kind": "interconnect_port", "origin": "ExpressRoute Local 10 Gbps", "destination": "zone-1",
     "usd": 6000, "usd_per": "month", "gbit_per_s": 10},
    {"provider": "azure", "kind": "interconnect_port", "origin": "ExpressRoute Standard Metered 10 Gbps",
     "destination": "zone-1", "usd": 5000, "usd_per": "month", "gbit_per_s": 10},
    {"provider": "azure", "kind": "interconnect_port", "origin": "ExpressRoute Direct 10G", "destination": "zone-1",
     "usd": 1, "usd_per": "month", "gbit_per_s": 10},
    {"provider": "azure", "kind": "interconnect_data", "origin": "ExpressRoute metered", "destination": "zone-1",
     "tier_from_gb": 0, "usd": 0.025, "usd_per": "gb"},
    {"provider": "azure", "kind": "interconnect_gateway", "origin": "ErGw3AZ", "destination": "eastus", "usd": 3,
     "usd_per": "hour", "gbit_per_s": 10},
    {"provider": "azure", "kind": "interconnect_gateway", "origin": "ErGw3AZ", "destination": "elsewhere", "usd": 1,
     "usd_per": "hour", "gbit_per_s": 10}]}"#;

#[test]
fn both_ports_the_circuit_and_its_data_are_paid_for() {
    let own = with_own_circuits();
    let (azure, oci) =
        (end(Provider::Azure, Some("eastus"), &[]), end(Provider::Oci, Some("us-ashburn-1"), &[]));
    let choice = TransferChoice { path: TransferPath::Interconnect, ..TransferChoice::default() };
    let port = own.transfers.iter().find(|t| t.origin == "FastConnect 10 Gbps").unwrap().usd.unwrap();
    // 45,000 GB take 10 hours at 10 Gb/s. Metered: 5,000 and 1,125 of data; Local: 6,000.
    let out = moved(&own, &azure, &oci, 45_000.0, &choice);
    assert_eq!((out.hours, out.unpriced.len()), (10.0, 0), "{:?}", out.unpriced);
    assert!(near(usd(&out), 10.0 * (port + 3.0) + 6000.0), "{:?}", out.lines);
    // 4,500 GB: metered is cheaper; the started hour counts.
    let out = moved(&own, &azure, &oci, 4501.0, &choice);
    assert!(near(usd(&out), 2.0 * (port + 3.0) + 5000.0 + 4501.0 * 0.025), "{:?}", out.lines);
    // Into Azure nothing is metered.
    let back = moved(&own, &oci, &azure, 45_000.0, &choice);
    assert!(near(usd(&back), 10.0 * (port + 3.0) + 5000.0), "{:?}", back.lines);
    // One's own prices replace listed ones; whether a circuit of one's own is metered, only oneself knows.
    let choice =
        TransferChoice { circuit_usd_per_month: Some(4000.0), gateway_usd_per_hour: Some(2.0), ..choice };
    let mine = moved(&own, &azure, &oci, 45_000.0, &choice);
    assert!(near(usd(&mine), 10.0 * (port + 2.0) + 4000.0) && mine.unpriced.len() == 1, "{:?}", mine.lines);
    let choice = TransferChoice { data_usd_per_gb: Some(0.0), ..choice };
    assert!(moved(&own, &azure, &oci, 45_000.0, &choice).unpriced.is_empty());
    // A price that was read for another region is used where there is none nearer, and said.
    let far = end(Provider::Azure, Some("japaneast"), &[]);
    let choice = TransferChoice { path: TransferPath::Interconnect, ..TransferChoice::default() };
    let far = moved(&own, &far, &end(Provider::Oci, None, &[]), 45.0, &choice);
    assert!(far.warnings.iter().any(|w| w.code == "price_of_another_region"), "{:?}", far.warnings);
    assert!(!out.warnings.iter().any(|w| w.code == "price_of_another_region"), "{:?}", out.warnings);
}

#[test]
fn the_slowest_link_is_named() {
    let mut scenario = over_interconnect();
    scenario.pricing.azure_region = Some("eastus".to_owned());
    let fast = split(&scenario);
    assert_eq!(fast.transfer_slowest_link.as_deref(), Some("circuit eastus – us-ashburn-1"));
    let named: Vec<&str> = fast.transfer_links.iter().map(|link| link.name.as_str()).collect();
    assert!(named.iter().any(|name| name.contains("Standard_ND96isr_H100_v5")), "{named:?}");
    assert!(named.iter().any(|name| name.contains("BM.GPU.H200.8")), "{named:?}");
    assert!(named.iter().any(|name| name.contains("gateway")), "{named:?}");
    assert!(near(fast.transfer_hours, fast.transfer_gb * 8.0 / 10.0 / 3600.0));
    // A small pool of NetApp's slowest tier reads at 16 MiB/s.
    scenario.storage.azure.checkpoints = Some("azure-netapp-standard".to_owned());
    let slow = split(&scenario);
    assert_eq!(slow.transfer_slowest_link.as_deref(), Some("reading from azure-netapp-standard"));
    assert!(near(slow.transfer_hours, slow.transfer_gb * 1e9 / (16.0 * 1_048_576.0) / 3600.0));
    // Where the data arrive, the tier of that cloud takes them.
    scenario.storage.azure.checkpoints = None;
    scenario.storage.oci.checkpoints = Some("oci-lustre-125".to_owned());
    let links = split(&scenario).transfer_links;
    assert!(links.iter().any(|link| link.name == "writing to oci-lustre-125"), "{links:?}");
    // Nothing moves inside one cloud.
    let still = answer(&scenario).splits.into_iter().find(|split| split.train_on == split.serve_on);
    assert!(still.is_none_or(|split| split.transfer_links.is_empty() && split.transfer_usd == 0.0));
}

#[test]
fn a_regions_grid_is_its_countrys() {
    let region = catalog().region("region", Provider::Azure, "eastus").unwrap();
    let figure = catalog().carbon(region).unwrap();
    assert_eq!((figure.name.as_str(), figure.value.round()), ("USA", 369.0));
    assert!(!figure.source.source.is_empty());
    let own = overlaid(
        r#"{"regions": [{"provider": "oci", "name": "moon-1", "country": "MUN"}, {"provider": "oci", "name": "x-1"}]}"#,
    );
    for name in ["moon-1", "x-1"] {
        assert!(own.carbon(own.region("region", Provider::Oci, name).unwrap()).is_none());
    }
    let error = catalog().region("at", Provider::Oci, "eastus").unwrap_err();
    assert_eq!((error.field(), error.code()), ("at", "unknown_name"));
    let value: Value =
        serde_json::from_str(r#"{"regions": [{"provider": "oci", "name": "x-1", "country": "Germany"}]}"#)
            .unwrap();
    let error = catalog().overlaid(&read::<Overlay>(&value).unwrap()).unwrap_err();
    assert_eq!((error.field(), error.code()), ("regions[0].country", "wrong_type"));
}

#[test]
fn a_new_pair_of_regions_arrives_by_overlay() {
    let own = overlaid(
        r#"{"regions": [{"provider": "oci", "name": "eu-milan-1", "country": "ITA", "egress_zone": "na-eu-uk"}],
            "pairs": [{"azure_region": "italynorth", "oci_region": "eu_milan-1", "gbit_per_s": [10, 100]}]}"#,
    );
    let choice =
        TransferChoice { path: TransferPath::Interconnect, gbit_per_s: 100.0, ..TransferChoice::default() };
    let from = end(Provider::Azure, Some("italynorth"), &[]);
    let found = moved(&own, &from, &end(Provider::Oci, None, &[]), 100.0, &choice);
    assert_eq!(found.to_region.as_deref(), Some("eu-milan-1"));
    let value: Value =
        serde_json::from_str(r#"{"pairs": [{"azure_region": "italynorth", "oci_region": "eu-milano"}]}"#)
            .unwrap();
    let error = catalog().overlaid(&read::<Overlay>(&value).unwrap()).unwrap_err();
    assert_eq!((error.field(), error.code()), ("pairs[0].oci_region", "unknown_name"));
}

#[test]
fn scale_units_add_up_to_the_circuit() {
    let units = r#"{"transfers": [
        {"provider": "azure", "kind": "interconnect_gateway", "origin": "Scale unit", "destination": "eastus",
         "usd": 0.2, "usd_per": "hour", "gbit_per_s": 2},
        {"provider": "azure", "kind": "interconnect_gateway", "origin": "Virtual WAN scale unit", "destination": "eastus",
         "usd": 0.1, "usd_per": "hour", "gbit_per_s": 2}]}"#;
    let own = over(&with_own_circuits(), units);
    let (azure, oci) = (end(Provider::Azure, Some("eastus"), &[]), end(Provider::Oci, None, &[]));
    let choice =
        TransferChoice { path: TransferPath::Interconnect, gbit_per_s: 5.0, ..TransferChoice::default() };
    let out = moved(&own, &azure, &oci, 22_500.0, &choice);
    // Three units of 2 Gb/s carry 5 Gb/s, and cost less than a gateway of 10.
    let line = out.lines.iter().find(|line| line.what.contains("gateway")).unwrap();
    assert!(near(line.usd, 10.0 * 3.0 * 0.2) && line.what.starts_with("3 ×"), "{line:?}");
    assert_eq!(out.links.iter().find(|link| link.name.contains("gateway")).unwrap().gbit_per_s, 6.0);
    assert!(near(out.hours, 10.0));
}

#[test]
fn a_price_without_a_region_names_none() {
    // Your own price of a GPU-hour on a shape that has no listed price: no region is known, and one is not made up.
    let mut bare = scenario();
    let mut catalog = catalog().clone();
    catalog.prices.retain(|price| price.provider == Provider::Oci);
    bare.training.as_mut().unwrap().usd_per_gpu_hour = Some(2.0);
    bare.serving.as_mut().unwrap().usd_per_gpu_hour = Some(2.0);
    let plan = plan(&catalog, &bare).unwrap();
    let split = plan.chosen_split().unwrap();
    assert_eq!(split.transfer_from, None);
    assert_eq!(plan.warnings_of("egress_zone").next().unwrap().about, "pricing.azure_region");
    assert!(!split.transfer_lines.is_empty());
}

fn ends() -> impl Strategy<Value = (End, End)> {
    let rates = || prop::collection::vec(0.1..2000.0f64, 0..3);
    let azure = prop::sample::select(vec![
        None,
        Some("eastus"),
        Some("brazilsouth"),
        Some("japaneast"),
        Some("westus2"),
    ]);
    let oci = prop::sample::select(vec![None, Some("us-ashburn-1"), Some("me-jeddah-1"), Some("ap-tokyo-1")]);
    (azure, oci, rates(), rates(), any::<bool>()).prop_map(|(azure, oci, a, b, back)| {
        let (azure, oci) = (end(Provider::Azure, azure, &a), end(Provider::Oci, oci, &b));
        if back { (oci, azure) } else { (azure, oci) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn time_is_bytes_over_the_slowest_link((from, to) in ends(), gb in 0.0..1e7f64, at in 0usize..4, own in any::<bool>()) {
        let path = if own { TransferPath::Internet } else { TransferPath::Interconnect };
        let choice = TransferChoice { path, gbit_per_s: [1.0, 2.0, 5.0, 10.0][at], ..TransferChoice::default() };
        let found = moved(catalog(), &from, &to, gb, &choice);
        let slowest = found.links.iter().map(|link| link.gbit_per_s).fold(f64::INFINITY, f64::min);
        prop_assert!(slowest <= choice.gbit_per_s);
        prop_assert_eq!(found.hours, gb * 1e9 * 8.0 / (slowest * 1e9) / 3600.0);
        let named = found.links.iter().find(|link| Some(&link.name) == found.slowest_link.as_ref()).unwrap();
        prop_assert_eq!(named.gbit_per_s, slowest);
        for link in from.links.iter().chain(&to.links) {
            prop_assert!(found.links.contains(link));
        }
        prop_assert!(found.lines.iter().all(|line| line.usd == line.quantity * line.unit_usd && line.usd >= 0.0));
    }

    #[test]
    fn more_bytes_never_move_faster_or_cheaper(
        (from, to) in ends(), gb in 0.0..1e6f64, more in 0.0..1e6f64, at in 0usize..4, own in any::<bool>(),
    ) {
        let path = if own { TransferPath::Internet } else { TransferPath::Interconnect };
        let choice = TransferChoice { path, gbit_per_s: [1.0, 2.0, 5.0, 10.0][at], ..TransferChoice::default() };
        for catalog in [catalog(), &with_own_circuits()] {
            let few = moved(catalog, &from, &to, gb, &choice);
            let many = moved(catalog, &from, &to, gb + more, &choice);
            prop_assert!(many.hours >= few.hours);
            prop_assert!(usd(&many) >= usd(&few) * (1.0 - 1e-12), "{:?} {:?}", few.lines, many.lines);
        }
    }

    #[test]
    fn a_wider_circuit_is_never_slower((from, to) in ends(), gb in 0.0..1e6f64) {
        let hours = |gbit_per_s| {
            let choice = TransferChoice { path: TransferPath::Interconnect, gbit_per_s, ..TransferChoice::default() };
            moved(catalog(), &from, &to, gb, &choice).hours
        };
        prop_assert!([1.0, 2.0, 5.0, 10.0].map(hours).is_sorted_by(|a, b| a >= b));
    }
}
