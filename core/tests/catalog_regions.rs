//! Every region leads to its tariff zone and to its country's grid; every tariff of egress belongs to a zone that exists.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};

use rackrate::catalog::{Catalog, EnergyQuantity, Provider, TransferKind, TransferTariff};

/// Columns of a row of `regions.csv` by name.
type Region = BTreeMap<String, String>;

const ZONES: [(&str, &str); 6] = [
    ("azure", "zone-1"),
    ("azure", "zone-2"),
    ("azure", "zone-3"),
    ("oci", "na-eu-uk"),
    ("oci", "apac-jp-sa"),
    ("oci", "me-af"),
];

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

fn regions() -> Vec<Region> {
    let mut reader = csv::Reader::from_reader(include_str!("../data/regions.csv").as_bytes());
    let columns = reader.headers().unwrap().clone();
    let expected = "provider,name,location,country,egress_zone,aliases,source,as_of,confidence,note";
    assert_eq!(columns.iter().collect::<Vec<_>>().join(","), expected);
    let row = |record: csv::StringRecord| {
        columns.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn names(provider: &str) -> HashSet<String> {
    regions().into_iter().filter(|r| r["provider"] == provider).map(|r| r["name"].clone()).collect()
}

fn provider(name: &str) -> Provider {
    if name == "azure" { Provider::Azure } else { Provider::Oci }
}

/// The tariffs of a kind that hold in a zone, cheapest volume first.
fn tariffs(owner: &str, kind: TransferKind, zone: &str) -> Vec<&'static TransferTariff> {
    let holds = |t: &&TransferTariff| {
        t.provider == provider(owner) && t.kind == kind && (t.origin == zone || t.origin == "any")
    };
    let mut found: Vec<_> = catalog().transfers.iter().filter(holds).collect();
    found.sort_by(|a, b| a.tier_from_gb.unwrap().total_cmp(&b.tier_from_gb.unwrap()));
    found
}

#[test]
fn rows_are_whole_and_unique() {
    let rows = regions();
    assert_eq!((names("azure").len(), names("oci").len(), rows.len()), (62, 47, 109));
    let mut spellings = HashSet::new();
    for r in &rows {
        assert!(!r["location"].is_empty() && !r["source"].is_empty() && !r["as_of"].is_empty(), "{r:?}");
        assert!(ZONES.contains(&(r["provider"].as_str(), r["egress_zone"].as_str())), "{r:?}");
        assert!(r["as_of"].as_str() <= "2026-11-23", "{r:?}");
        assert!(["list", "vendor", "secondary", "unverified"].contains(&r["confidence"].as_str()), "{r:?}");
        for spelling in r["aliases"].split(';').chain([r["name"].as_str()]).filter(|s| !s.is_empty()) {
            let plain = spelling.to_lowercase().replace([' ', '-', '_'], "");
            assert!(spellings.insert(plain), "{spelling} names two regions");
        }
    }
}

#[test]
fn every_region_that_a_table_names_is_known() {
    let (azure, oci) = (names("azure"), names("oci"));
    for p in &catalog().prices {
        assert!(p.provider == Provider::Oci || azure.contains(&p.region), "{}", p.region);
    }
    for p in &catalog().pairs {
        assert!(azure.contains(&p.azure_region) && oci.contains(&p.oci_region), "{p:?}");
    }
    for t in &catalog().storage {
        assert!(t.region.as_ref().is_none_or(|region| azure.contains(region)), "{}", t.name);
    }
}

#[test]
fn every_region_leads_to_a_carbon_intensity() {
    for r in regions() {
        let grid = catalog()
            .energy
            .iter()
            .find(|e| e.quantity == EnergyQuantity::GridCarbonIntensity && e.name == r["country"]);
        assert!(grid.is_some_and(|e| e.value > 0.0), "{}: {}", r["name"], r["country"]);
    }
}

#[test]
fn egress_tiers_of_a_zone_join_without_gap_and_without_end() {
    for (owner, zone) in ZONES {
        let tiers = tariffs(owner, TransferKind::InternetEgress, zone);
        assert_eq!((tiers[0].tier_from_gb, tiers[0].usd), (Some(0.0), Some(0.0)), "{zone} begins free");
        for pair in tiers.windows(2) {
            assert_eq!(pair[0].tier_to_gb, pair[1].tier_from_gb, "{zone}");
        }
        assert_eq!(tiers.last().unwrap().tier_to_gb, None, "{zone}");
        let paid: Vec<f64> = tiers[1..].iter().map(|t| t.usd.unwrap()).collect();
        assert!(paid.iter().all(|usd| *usd > 0.0) && paid.windows(2).all(|w| w[1] <= w[0]), "{zone}");
        assert!(!tariffs(owner, TransferKind::InterRegion, zone).is_empty(), "{zone}");
    }
    for t in &catalog().transfers {
        let joins = matches!(t.kind, TransferKind::InternetEgress | TransferKind::InterRegion);
        let known = ZONES.iter().any(|(owner, zone)| provider(owner) == t.provider && *zone == t.origin);
        assert!(!joins || known || t.origin == "any", "{}", t.origin);
        assert!(t.usd.is_some(), "{} {}: a tariff without a price", t.origin, t.destination);
    }
}

/// Rates as the two price APIs printed them in 2026-07 and 2026-08.
#[test]
fn egress_rates_are_restated() {
    let rates = |owner, zone| -> Vec<f64> {
        tariffs(owner, TransferKind::InternetEgress, zone).iter().map(|t| t.usd.unwrap()).collect()
    };
    assert_eq!(rates("azure", "zone-1"), [0.0, 0.087, 0.083, 0.07, 0.05]);
    assert_eq!(rates("azure", "zone-2"), [0.0, 0.12, 0.085, 0.082, 0.08]);
    assert_eq!(rates("azure", "zone-3"), [0.0, 0.181, 0.175, 0.17, 0.16]);
    assert_eq!(rates("oci", "na-eu-uk"), [0.0, 0.0085]);
    assert_eq!(rates("oci", "apac-jp-sa"), [0.0, 0.025]);
    assert_eq!(rates("oci", "me-af"), [0.0, 0.05]);
    let zone = |name: &str| regions().into_iter().find(|r| r["name"] == name).unwrap()["egress_zone"].clone();
    for (name, expected) in [
        ("eastus", "zone-1"),
        ("israelcentral", "zone-1"),
        ("chilecentral", "zone-1"),
        ("qatarcentral", "zone-2"),
        ("centralindia", "zone-2"),
        ("uaenorth", "zone-3"),
        ("southafricanorth", "zone-3"),
        ("brazilsouth", "zone-3"),
        ("us-ashburn-1", "na-eu-uk"),
        ("sa-vinhedo-1", "apac-jp-sa"),
        ("af-johannesburg-1", "me-af"),
    ] {
        assert_eq!(zone(name), expected, "{name}");
    }
}

/// Each circuit that a pair of regions can use has a price in the zone of its Azure region.
#[test]
fn circuits_of_the_interconnect_are_priced() {
    let all = regions();
    for pair in &catalog().pairs {
        let zone = &all.iter().find(|r| r["name"] == pair.azure_region).unwrap()["egress_zone"];
        for rate in &pair.gbit_per_s {
            for plan in
                ["Local", "Standard metered", "Standard unlimited", "Premium metered", "Premium unlimited"]
            {
                let origin = format!("ExpressRoute {plan} {rate} Gbps");
                let circuit =
                    catalog().transfers.iter().find(|t| t.origin == origin && t.destination == *zone);
                assert!(circuit.is_some_and(|t| t.gbit_per_s == [*rate]), "{origin} in {zone}");
            }
        }
    }
}
