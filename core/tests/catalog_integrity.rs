//! The tables agree with each other and with themselves; `catalog_datasheets` compares them with datasheets.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use rackrate::catalog::{Catalog, Confidence, EnergyQuantity, Gpu, Provider, Source, Term};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

fn gpu(name: &str) -> &'static Gpu {
    catalog().gpu("gpu", name).unwrap()
}

#[track_caller]
fn close(given: f64, expected: f64, tolerance: f64) {
    assert!((given / expected - 1.0).abs() <= tolerance, "{given} is not {expected}");
}

#[test]
fn unread_memory_is_the_vendors_figure_converted() {
    assert!(gpu("H100-SXM").memory_reported);
    let unread = gpu("H200-NVL");
    assert!(!unread.memory_reported);
    close(unread.memory_gib, 141e9 / 1_073_741_824.0, 1e-12);
}

#[test]
fn matrix_peak_is_units_times_flop_times_clock() {
    let mut checked = 0;
    for g in &catalog().gpus {
        let (Some(clock), Some(flop)) = (g.matrix_clock_mhz, g.matrix_flop_per_clock_per_sm) else {
            continue;
        };
        close(f64::from(g.sm_count) * flop * clock / 1e6, g.fp16_tflops, 0.02);
        checked += 1;
    }
    assert!(checked >= 27, "{checked}");
}

#[test]
fn lower_precision_is_never_slower() {
    for g in &catalog().gpus {
        let rates: Vec<f64> = [g.bf16_tflops, g.fp8_tflops, g.fp4_tflops].into_iter().flatten().collect();
        assert!(rates.windows(2).all(|w| w[1] >= w[0]), "{}", g.name);
        assert!(g.fp16_tflops >= g.fp32_tflops, "{}", g.name);
    }
}

#[test]
fn a_shape_and_its_fabric_state_the_same_rate() {
    for s in &catalog().shapes {
        let Some(name) = &s.fabric else { continue };
        let f = catalog().fabric("fabric", name).unwrap();
        assert_eq!(f.operator, format!("{:?}", s.provider).to_lowercase(), "{}", s.name);
        if let (Some(gbit), Some(gb)) = (s.rdma_gbit_per_s_per_gpu, f.injection_gb_per_s_per_gpu) {
            close(gbit / 8.0, gb, 1e-9);
        }
        assert_eq!(f.scale_up_domain, Some(s.scale_up_domain), "{}", s.name);
        if let (Some(link), true) = (f.scale_up_gb_per_s, s.scale_up_domain > 1) {
            close(link, catalog().gpu("gpu", &s.gpu).unwrap().scale_up_gb_per_s, 0.01);
        }
    }
}

#[test]
fn prices_are_sane() {
    let c = catalog();
    assert_eq!(c.prices.len(), 1161);
    for p in &c.prices {
        let s = c.shape("shape", &p.shape).unwrap();
        assert_eq!(s.name, p.shape);
        close(p.usd_per_gpu_hour * f64::from(s.gpus_per_node), p.usd_per_node_hour, 1e-9);
        // From a T4 on spot to a GB200 in Brazil, where Azure asks twice the price of its cheapest region.
        assert!(p.usd_per_gpu_hour > 0.01 && p.usd_per_gpu_hour < 55.0, "{p:?}");
        if p.provider == Provider::Oci {
            assert_eq!(p.region, "all-commercial");
        }
        let same = |term| {
            c.prices.iter().find(move |q| q.shape == p.shape && q.region == p.region && q.term == term)
        };
        if let Some(payg) = same(Term::Payg) {
            assert!(p.usd_per_node_hour <= payg.usd_per_node_hour * (1.0 + 1e-9), "{p:?}");
        }
        if let (Term::SavingsPlan3y, Some(one)) = (p.term, same(Term::SavingsPlan1y)) {
            assert!(p.usd_per_node_hour < one.usd_per_node_hour);
        }
    }
    let reserved = c.prices.iter().find(|p| p.term == Term::Reserved1y).unwrap();
    close(reserved.usd_per_node_hour, 551_221.0 / 8_760.0, 1e-12);
}

#[test]
fn list_prices_are_restated() {
    let price = |shape: &str, region: &str| {
        let c = catalog();
        let shape = c.shape("shape", shape).unwrap();
        c.prices_of(shape).find(|p| p.term == Term::Payg && p.region == region).unwrap().usd_per_gpu_hour
    };
    for (shape, region, usd) in [
        ("Standard_ND96isr_H100_v5", "eastus", 12.29),
        ("Standard_ND96isr_H200_v5", "eastus2", 10.6),
        ("Standard_ND128isr_NDR_GB200_v6", "brazilsouth", 2.0 * 27.04),
        ("Standard_NV72ads_A10_v5", "eastus", 3.26),
        // Without the Windows licence of 40 vCPU, which some captures of this size include.
        ("Standard_NCC40ads_H100_v5", "westeurope", 8.9),
        ("BM.GPU.H100.8", "all-commercial", 10.0),
        ("BM.GPU.GB300.4", "all-commercial", 18.0),
        ("BM.GPU.MI300X.8", "all-commercial", 6.0),
        ("VM.GPU.A10.2", "all-commercial", 2.0),
    ] {
        close(price(shape, region), usd, 1e-9);
    }
}

#[test]
fn spellings_of_published_measurements_are_known() {
    let c = catalog();
    let mut count = 0;
    for record in csv::Reader::from_reader(include_str!("spellings.csv").as_bytes()).records() {
        let record = record.unwrap();
        let (kind, spelling, name) = (&record[0], &record[1], &record[2]);
        let found = match kind {
            "gpu" => &c.gpu("gpu", spelling).unwrap().name,
            _ => &c.model("model", spelling).unwrap().architecture.name,
        };
        assert_eq!(found, name, "{spelling}");
        count += 1;
    }
    assert!(count > 120, "{count}");
}

#[test]
fn lookups_forgive_case_and_suggest() {
    let c = catalog();
    assert_eq!(c.gpu("gpu", "h100_sxm").unwrap().name, "H100-SXM");
    assert_eq!(c.gpu("gpu", "H100").unwrap().name, "H100-SXM");
    assert_eq!(c.shape("shape", "nd96isr_h100_v5").unwrap().name, "Standard_ND96isr_H100_v5");
    assert_eq!(c.model("model", "META-LLAMA/Llama-3.1-70B").unwrap().architecture.name, "llama-3.1-70b");
    let error = c.gpu("cluster.gpu", "H10O-SXM").unwrap_err();
    assert_eq!((error.field(), error.code()), ("cluster.gpu", "unknown_name"));
    assert_eq!(error.hint().as_deref(), Some("H100-SXM"));
    assert_eq!(c.shape("shape", "BM.GPU.H1000.8").unwrap_err().hint().as_deref(), Some("BM.GPU.H100.8"));
    assert_eq!(c.model("model", "lama-3.1-70b").unwrap_err().hint().as_deref(), Some("llama-3.1-70b"));
    assert_eq!(c.fabric("fabric", "azure-ndr-h10").unwrap_err().hint().as_deref(), Some("azure-ndr-h100"));
    assert!(c.gpu("gpu", "").is_err());
}

fn sources() -> impl Iterator<Item = (&'static str, &'static Source)> {
    let c = catalog();
    let gpus = c.gpus.iter().map(|r| ("gpus", &r.source));
    gpus.chain(c.shapes.iter().map(|r| ("shapes", &r.source)))
        .chain(c.fabrics.iter().map(|r| ("fabrics", &r.source)))
        .chain(c.prices.iter().map(|r| ("prices", &r.source)))
        .chain(c.regions.iter().map(|r| ("regions", &r.source)))
        .chain(c.storage.iter().map(|r| ("storage", &r.source)))
        .chain(c.transfers.iter().map(|r| ("transfers", &r.source)))
        .chain(c.pairs.iter().map(|r| ("pairs", &r.source)))
        .chain(c.limits.iter().map(|r| ("limits", &r.source)))
        .chain(c.energy.iter().map(|r| ("energy", &r.source)))
        .chain(c.reliability.iter().map(|r| ("reliability", &r.source)))
        .chain(c.models.iter().map(|r| ("models", &r.source)))
}

#[test]
fn every_row_has_a_known_source_and_no_future_date() {
    let titles: HashSet<String> = csv::Reader::from_reader(include_str!("../data/sources.csv").as_bytes())
        .records()
        .map(Result::unwrap)
        .map(|r| r[1].to_owned())
        .collect();
    let mut used = HashSet::new();
    let mut count = 0;
    for (table, source) in sources() {
        // A short name without a title would stand for itself; titles are long or of several words.
        assert!(!source.source.is_empty(), "{table}");
        for title in &titles {
            if source.source.contains(title.as_str()) {
                used.insert(title.clone());
            }
        }
        let date = source.as_of.trim_end_matches('?');
        assert!(!date.is_empty() && date <= TODAY, "{table}: {date}");
        assert_ne!(source.confidence, Confidence::User, "{table}");
        count += 1;
    }
    assert!(count > 1000, "{count}");
    let unused: Vec<&String> = titles.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

/// The day of the newest survey of the tables: no source can be younger. Move it when a newer source is entered.
const TODAY: &str = "2026-11-23";

const TABLES: [(&str, &str); 12] = [
    ("gpus", include_str!("../data/gpus.csv")),
    ("shapes", include_str!("../data/shapes.csv")),
    ("fabrics", include_str!("../data/fabrics.csv")),
    ("prices", include_str!("../data/prices.csv")),
    ("storage", include_str!("../data/storage.csv")),
    ("transfers", include_str!("../data/transfers.csv")),
    ("pairs", include_str!("../data/pairs.csv")),
    ("limits", include_str!("../data/limits.csv")),
    ("energy", include_str!("../data/energy.csv")),
    ("reliability", include_str!("../data/reliability.csv")),
    ("models", include_str!("../data/models.csv")),
    ("regions", include_str!("../data/regions.csv")),
];

#[test]
fn every_short_source_name_has_a_title() {
    let ids: HashSet<String> = csv::Reader::from_reader(include_str!("../data/sources.csv").as_bytes())
        .records()
        .map(|r| r.unwrap()[0].to_owned())
        .collect();
    for (name, text) in TABLES {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let column = reader.headers().unwrap().iter().position(|h| h == "source").unwrap();
        for record in reader.records() {
            for id in record.unwrap()[column].split(';') {
                assert!(ids.contains(id), "{name}: {id}");
            }
        }
    }
}

#[test]
fn every_row_names_its_source_date_and_confidence_in_the_file() {
    for (name, text) in TABLES {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let at = |column: &str| headers.iter().position(|h| h == column).unwrap();
        let (source, as_of, confidence, note) = (at("source"), at("as_of"), at("confidence"), at("note"));
        for record in reader.records() {
            let row = record.unwrap();
            assert!(!row[source].is_empty(), "{name}: {row:?}");
            let date = row[as_of].trim_end_matches('?');
            // A year, a month or a day, from the oldest paper of the tables until the newest survey.
            assert!(matches!(date.len(), 4 | 7 | 10) && ("2016"..=TODAY).contains(&date), "{name}: {row:?}");
            assert!(
                ["list", "vendor", "secondary", "unverified"].contains(&&row[confidence]),
                "{name}: {row:?}"
            );
            // Who does not trust a row says why.
            assert!(&row[confidence] != "unverified" || !row[note].is_empty(), "{name}: {row:?}");
        }
    }
}

#[test]
fn limits_and_energy_name_known_gpus_and_shapes() {
    let c = catalog();
    for l in &c.limits {
        if let Some(name) = &l.shape {
            let shape = c.shape("shape", name).unwrap();
            assert_eq!((&shape.name, shape.provider), (name, l.provider));
            assert_eq!(l.gpu.as_ref(), Some(&shape.gpu), "{name}");
            if let (Some(gpus), Some(nodes)) = (l.max_gpus, l.max_nodes) {
                assert_eq!(gpus, nodes * shape.gpus_per_node, "{name}");
            }
        }
    }
    let energy = c.energy.iter().flat_map(|e| &e.gpus);
    for name in c.limits.iter().filter_map(|l| l.gpu.as_ref()).chain(energy) {
        assert_eq!(&c.gpu("gpu", name).unwrap().name, name);
    }
}

#[test]
fn a_clouds_fabric_joins_its_shapes_or_is_there_for_comparison() {
    let c = catalog();
    let joins: HashSet<&str> = c.shapes.iter().filter_map(|s| s.fabric.as_deref()).collect();
    let unrented: Vec<&str> = c
        .fabrics
        .iter()
        .filter(|f| ["azure", "oci"].contains(&f.operator.as_str()) && !joins.contains(f.name.as_str()))
        .map(|f| f.name.as_str())
        .collect();
    assert_eq!(unrented, ["oci-zettascale", "azure-fairwater", "oci-zettascale10"]);
    for name in unrented {
        assert!(c.fabric("fabric", name).unwrap().source.note.contains("for comparison"), "{name}");
    }
}

#[test]
fn tables_are_whole() {
    let c = catalog();
    assert_eq!(c.gpus.len(), 30);
    assert_eq!((c.shapes.len(), c.fabrics.len()), (53, 30));
    assert_eq!(c.models.len(), 155);
    assert_eq!(c.storage.len(), 73);
    assert_eq!((c.transfers.len(), c.pairs.len()), (106, 12));
    assert_eq!((c.limits.len(), c.energy.len()), (24, 78));
    assert_eq!(c.reliability.len(), 10);
    // Each GPU of a published measurement can stand in a topology.
    for g in &c.gpus {
        c.topology_of_gpu(g, 4, None).unwrap();
    }
    for s in &c.shapes {
        let t = c.topology(s).unwrap();
        assert!(t.scale_up_bytes_per_s > 0.0);
        assert_eq!(t.scale_out_bytes_per_s == 0.0, c.scale_out_note(s).is_some(), "{}", s.name);
    }
}

#[test]
fn a_rented_shape_never_exceeds_its_published_limit() {
    for s in &catalog().shapes {
        if let Some(most) = s.max_cluster_gpus {
            assert!(most >= s.gpus_per_node && s.fabric.is_some(), "{}", s.name);
            let claims = catalog().limits.iter().filter(|l| l.shape.as_ref() == Some(&s.name));
            assert!(claims.clone().any(|l| l.max_gpus == Some(most)), "{}", s.name);
        }
    }
}

#[test]
fn energy_is_restated() {
    let figure = |name: &str, quantity| {
        catalog().energy.iter().find(|e| e.name == name && e.quantity == quantity).unwrap().value
    };
    close(figure("FRA", EnergyQuantity::GridCarbonIntensity), 56.0, 0.01);
    close(figure("eastus", EnergyQuantity::PueAnnual), 1.14, 1e-9);
    close(figure("GB200 NVL72", EnergyQuantity::PowerTypicalMax), 120.0, 1e-9);
}
