//! The tables agree with datasheets restated here, with each other and with themselves.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use rackrate::catalog::{Catalog, Confidence, EnergyQuantity, FabricKind, Gpu, Provider, Source, Term};

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

/// Name, dense TFLOP/s at bf16, fp8 and fp4, memory in vendor GB, TB/s, GB/s of the scale-up link both ways, GPUs of its
/// domain, W; as the vendors' datasheets print them (rates rounded there, so compared to 1 %).
type Datasheet = (&'static str, f64, Option<f64>, Option<f64>, f64, f64, f64, u32, f64);

const DATASHEETS: [Datasheet; 8] = [
    ("A100-40GB-SXM", 312.0, None, None, 40.0, 1.555, 600.0, 8, 400.0),
    ("A100-80GB-SXM", 312.0, None, None, 80.0, 2.039, 600.0, 8, 400.0),
    ("H100-SXM", 989.5, Some(1979.0), None, 80.0, 3.35, 900.0, 8, 700.0),
    ("H200-SXM", 989.5, Some(1979.0), None, 141.0, 4.8, 900.0, 8, 700.0),
    ("B200-SXM", 2250.0, Some(4500.0), Some(9000.0), 180.0, 7.7, 1800.0, 8, 1000.0),
    ("GB200", 2500.0, Some(5000.0), Some(10000.0), 186.0, 8.0, 1800.0, 72, 1200.0),
    ("MI300X", 1307.4, Some(2614.9), None, 192.0, 5.3, 896.0, 8, 750.0),
    ("MI355X", 2500.0, Some(5000.0), Some(10100.0), 288.0, 8.0, 1075.0, 8, 1400.0),
];

#[test]
fn datasheets_are_restated() {
    for (name, bf16, fp8, fp4, memory_gb, tb_per_s, link, domain, watts) in DATASHEETS {
        let g = gpu(name);
        close(g.bf16_tflops.unwrap(), bf16, 0.01);
        assert_eq!(g.fp8_tflops.is_some(), fp8.is_some(), "{name}");
        assert_eq!(g.fp4_tflops.is_some(), fp4.is_some(), "{name}");
        for (given, expected) in g.fp8_tflops.into_iter().zip(fp8).chain(g.fp4_tflops.into_iter().zip(fp4)) {
            close(given, expected, 0.01);
        }
        // The driver reports binary GiB of memory that vendors sell as GB: between the two readings of the figure.
        let (least, most) = (memory_gb * 1e9 / 1_073_741_824.0, memory_gb);
        assert!(g.memory_gib >= 0.99 * least && g.memory_gib <= most, "{name}: {}", g.memory_gib);
        close(g.memory_tb_per_s, tb_per_s, 0.01);
        close(2.0 * g.scale_up_gb_per_s, link, 0.01);
        assert_eq!(g.scale_up_domain, domain, "{name}");
        close(g.tdp_watts, watts, 0.001);
    }
}

#[test]
fn unread_memory_is_the_vendors_figure_converted() {
    assert!(gpu("H100-SXM").memory_reported);
    let unread = gpu("MI325X");
    assert!(!unread.memory_reported);
    close(unread.memory_gib, 256e9 / 1_073_741_824.0, 1e-12);
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
fn nodes_of_the_main_shapes() {
    for (name, provider, gpu, gpus, gbit, fabric) in [
        ("Standard_ND96isr_H100_v5", Provider::Azure, "H100-SXM", 8, 400.0, FabricKind::InfiniBand),
        ("Standard_ND96isr_H200_v5", Provider::Azure, "H200-SXM", 8, 400.0, FabricKind::InfiniBand),
        ("Standard_ND96amsr_A100_v4", Provider::Azure, "A100-80GB-SXM", 8, 200.0, FabricKind::InfiniBand),
        ("Standard_ND128isr_NDR_GB200_v6", Provider::Azure, "GB200", 4, 400.0, FabricKind::InfiniBand),
        ("BM.GPU.H100.8", Provider::Oci, "H100-SXM", 8, 400.0, FabricKind::RoceV2),
        ("BM.GPU.B200.8", Provider::Oci, "B200-SXM", 8, 400.0, FabricKind::RoceV2),
        ("BM.GPU.B300.8", Provider::Oci, "B300-SXM", 8, 800.0, FabricKind::RoceV2),
        ("BM.GPU.MI300X.8", Provider::Oci, "MI300X", 8, 400.0, FabricKind::RoceV2),
        ("BM.GPU.GB200.4", Provider::Oci, "GB200", 4, 400.0, FabricKind::RoceV2),
    ] {
        let s = catalog().shape("shape", name).unwrap();
        assert_eq!((s.provider, s.gpu.as_str(), s.gpus_per_node), (provider, gpu, gpus));
        assert_eq!(s.rdma_gbit_per_s_per_gpu, Some(gbit));
        let topology = catalog().topology(s).unwrap();
        assert_eq!(topology.scale_out, fabric);
        assert_eq!(topology.scale_out_bytes_per_s, gbit * 1e9 / 8.0);
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
    assert_eq!(c.prices.len(), 680);
    for p in &c.prices {
        let s = c.shape("shape", &p.shape).unwrap();
        assert_eq!(s.name, p.shape);
        close(p.usd_per_gpu_hour * f64::from(s.gpus_per_node), p.usd_per_node_hour, 1e-9);
        // From a T4 on spot to a node of B300.
        assert!(p.usd_per_gpu_hour > 0.01 && p.usd_per_gpu_hour < 50.0, "{p:?}");
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
        .chain(c.models.iter().map(|r| ("models", &r.source)))
}

#[test]
fn every_row_has_a_known_source_and_no_future_date() {
    let titles: HashSet<String> = csv::Reader::from_reader(include_str!("../data/sources.csv").as_bytes())
        .records()
        .map(|r| r.unwrap()[1].to_owned())
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
        assert!(!date.is_empty() && date <= "2026-11-23", "{table}: {date}");
        assert_ne!(source.confidence, Confidence::User, "{table}");
        count += 1;
    }
    assert!(count > 1000, "{count}");
    let unused: Vec<&String> = titles.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn every_short_source_name_has_a_title() {
    let ids: HashSet<String> = csv::Reader::from_reader(include_str!("../data/sources.csv").as_bytes())
        .records()
        .map(|r| r.unwrap()[0].to_owned())
        .collect();
    for (name, text) in [
        ("gpus", include_str!("../data/gpus.csv")),
        ("shapes", include_str!("../data/shapes.csv")),
        ("fabrics", include_str!("../data/fabrics.csv")),
        ("prices", include_str!("../data/prices.csv")),
        ("regions", include_str!("../data/regions.csv")),
        ("storage", include_str!("../data/storage.csv")),
        ("transfers", include_str!("../data/transfers.csv")),
        ("pairs", include_str!("../data/pairs.csv")),
        ("limits", include_str!("../data/limits.csv")),
        ("energy", include_str!("../data/energy.csv")),
        ("models", include_str!("../data/models.csv")),
    ] {
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
fn tables_are_whole() {
    let c = catalog();
    assert_eq!(c.gpus.len(), 30);
    assert_eq!(c.shapes.len(), 52);
    assert_eq!(c.models.len(), 155);
    assert_eq!(c.storage.len(), 53);
    assert_eq!((c.transfers.len(), c.pairs.len()), (37, 12));
    assert_eq!((c.limits.len(), c.energy.len()), (24, 78));
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
