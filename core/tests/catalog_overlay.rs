//! Overlays: rows replace or add, and what is wrong with them is named by its cell.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use rackrate::Error;
use rackrate::catalog::{Catalog, Confidence, FabricKind, Overlay, Term};
use rackrate::input::{Value, read};
use rackrate::network::ScaleUpKind;

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

fn overlaid(json: &str) -> Result<Catalog, Error> {
    let value: Value = serde_json::from_str(json).unwrap();
    catalog().overlaid(&read::<Overlay>(&value)?)
}

#[test]
fn an_empty_overlay_changes_nothing() {
    assert_eq!(&overlaid("{}").unwrap(), catalog());
}

#[test]
fn a_price_row_replaces_its_key_and_counts_as_the_users_word() {
    let json = r#"{"prices": [{"shape": "nd96isr_h100_v5", "region": "eastus", "term": "payg", "usd_per_gpu_hour": 3.5},
        {"shape": "BM.GPU.H100.8", "region": "all-commercial", "term": "reserved_1y", "term_total_usd": 350400}]}"#;
    let c = overlaid(json).unwrap();
    assert_eq!(c.prices.len(), catalog().prices.len() + 1);
    let azure = c.shape("s", "Standard_ND96isr_H100_v5").unwrap();
    let price = c.prices_of(azure).find(|p| p.region == "eastus" && p.term == Term::Payg).unwrap();
    assert_eq!((price.usd_per_node_hour, price.usd_per_gpu_hour), (28.0, 3.5));
    assert_eq!(price.source.confidence, Confidence::User);
    let oci = c.shape("s", "BM.GPU.H100.8").unwrap();
    let reserved = c.prices_of(oci).find(|p| p.term == Term::Reserved1y).unwrap();
    assert_eq!((reserved.usd_per_node_hour, reserved.usd_per_gpu_hour), (40.0, 5.0));
}

#[test]
fn csv_text_is_read_as_the_embedded_tables_are() {
    let csv = "\u{feff}shape,region,term,usd_per_node_hour,source,as_of,confidence\n\
        BM.GPU.H200.8,all-commercial,payg,60,quote 17,2026-11-01,list\n";
    let c = catalog().overlaid(&Overlay {
        prices: Some(rackrate::catalog::Table::Csv(csv.to_owned())),
        ..Overlay::default()
    });
    let c = c.unwrap();
    let shape = c.shape("s", "BM.GPU.H200.8").unwrap();
    let price = c.prices_of(shape).next().unwrap();
    assert_eq!(price.usd_per_gpu_hour, 7.5);
    assert_eq!((price.source.source.as_str(), price.source.confidence), ("quote 17", Confidence::List));
    // The tables themselves pass as overlays of themselves.
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
        ("reliability", include_str!("../data/reliability.csv")),
        ("models", include_str!("../data/models.csv")),
    ] {
        let overlay = read(&Value::Object(vec![(name.to_owned(), Value::Text(text.to_owned()))])).unwrap();
        assert_eq!(&catalog().overlaid(&overlay).unwrap(), catalog(), "{name}");
    }
}

const NEW_GPU: &str = r#"{"name": "X1", "vendor": "ACME", "architecture": "blackwell", "fp16_tflops": 4000,
    "bf16_tflops": 4000, "fp32_tflops": 100, "memory_gb_vendor": 288, "memory_tb_per_s": 13, "sm_count": 200,
    "scale_up_link": "NVLink 5", "scale_up_gb_per_s": 900, "scale_up_domain": 8, "pcie_gb_per_s": 64,
    "tdp_watts": 1400, "aliases": ["X One"]}"#;

#[test]
fn a_new_gpu_and_its_shape_arrive_together() {
    let json = format!(
        r#"{{"gpus": [{NEW_GPU}], "shapes": [{{"provider": "oci", "name": "BM.GPU.X1.8", "gpu": "x one",
            "gpus_per_node": 8, "scale_up_domain": 8, "fabric": "oci-roce-b300", "rdma_gbit_per_s_per_gpu": 800}}],
            "prices": [{{"shape": "BM.GPU.X1.8", "region": "all-commercial", "term": "payg", "usd_per_gpu_hour": 20}}]}}"#
    );
    let c = overlaid(&json).unwrap();
    let shape = c.shape("s", "bm.gpu.x1.8").unwrap();
    assert_eq!(shape.gpu, "X1");
    let topology = c.topology(shape).unwrap();
    assert_eq!((topology.scale_up, topology.scale_out), (ScaleUpKind::NvLink5, FabricKind::RoceV2));
    assert_eq!((topology.scale_up_bytes_per_s, topology.scale_out_bytes_per_s), (900e9, 100e9));
}

#[test]
fn the_cell_at_fault_is_named() {
    let price = |cells: &str| {
        let json = format!(
            r#"{{"prices": [{{"shape": "BM.GPU.H100.8", "region": "all-commercial", "term": "payg", "usd_per_gpu_hour": 9}},
                {{"shape": "BM.GPU.H200.8", "region": "all-commercial", {cells}}}]}}"#
        );
        let error = overlaid(&json).unwrap_err();
        (error.field().to_owned(), error.code(), error.hint())
    };
    let at = |cell: &str| format!("prices[1].{cell}");
    assert_eq!(price(r#""term": "payg""#), (at("usd_per_node_hour"), "missing_field", None));
    assert_eq!(
        price(r#""term": "pay", "usd_per_gpu_hour": 1"#),
        (at("term"), "unknown_name", Some("payg".into()))
    );
    assert_eq!(
        price(r#""term": "payg", "usd_per_gpu_hours": 1"#),
        (at("usd_per_gpu_hours"), "unknown_field", Some("usd_per_gpu_hour".into()))
    );
    assert_eq!(price(r#""term": "payg", "usd_per_gpu_hour": -1"#).1, "out_of_range");
    assert_eq!(price(r#""term": "payg", "usd_per_gpu_hour": 0"#).0, at("usd_per_gpu_hour"));
    assert_eq!(price(r#""term": "payg", "usd_per_gpu_hour": "cheap""#).1, "wrong_type");
    assert_eq!(price(r#""term": "payg", "usd_per_gpu_hour": 1, "usd_per_node_hour": 9"#).1, "conflict");
    assert_eq!(price(r#""term": "payg", "term_total_usd": 9"#).0, at("term_total_usd"));
    assert_eq!(price(r#""term": "payg", "usd_per_gpu_hour": 1, "provider": "azure""#).0, at("provider"));
    assert_eq!(price(r#""term": "payg", "usd_per_gpu_hour": 1, "as_of": "yesterday""#).0, at("as_of"));

    let field = |json: &str| overlaid(json).unwrap_err().field().to_owned();
    assert_eq!(field(r#"{"prices": [{"shape": "BM.GPU.H1.8"}]}"#), "prices[0].shape");
    assert_eq!(field(r#"{"price": []}"#), "price");
    assert_eq!(field(r#"{"prices": [3]}"#), "prices[0]");
    assert_eq!(field(r#"{"prices": "shape,region\nBM.GPU.H100.8"}"#), "prices");
    assert_eq!(
        field(r#"{"shapes": [{"provider": "oci", "name": "x", "gpu": "H900"}]}"#),
        "shapes[0].gpus_per_node"
    );
    let twice = format!(r#"{{"gpus": [{NEW_GPU}, {NEW_GPU}]}}"#);
    assert_eq!(field(&twice), "gpus[1]");
    let taken = format!(r#"{{"gpus": [{}]}}"#, NEW_GPU.replace("X One", "H100"));
    assert_eq!(overlaid(&taken).unwrap_err().code(), "conflict");
    let link = format!(r#"{{"gpus": [{}]}}"#, NEW_GPU.replace("NVLink 5", "rope"));
    assert_eq!(field(&link), "gpus[0].scale_up_link");
    // A column is refused even where it is empty.
    assert_eq!(field(r#"{"prices": "shape,regoin\nBM.GPU.H100.8,"}"#), "prices.regoin");
    assert_eq!(field(r#"{"prices": "shape,shape\nBM.GPU.H100.8,"}"#), "prices.shape");
    let halved = r#"{"shapes": [{"provider": "oci", "name": "BM.GPU.H100.8", "gpu": "H100", "gpus_per_node": 4,
        "scale_up_domain": 4}]}"#;
    assert_eq!(overlaid(halved).unwrap_err().code(), "conflict");
    assert_eq!(field(r#"{"models": [{"name": "m", "layers": 0}]}"#), "models[0].hidden");
}

#[test]
fn topologies_of_shapes_and_lone_gpus() {
    let c = catalog();
    let topology = |name: &str| c.topology(c.shape("s", name).unwrap()).unwrap();
    let rack = topology("Standard_ND128isr_NDR_GB200_v6");
    assert_eq!((rack.gpus_per_node, rack.scale_up_domain), (4, 72));
    let cards = topology("BM.GPU.L40S.4");
    assert_eq!(
        (cards.scale_up, cards.scale_up_domain, cards.scale_up_bytes_per_s),
        (ScaleUpKind::Pcie, 4, 32e9)
    );
    // Four cards that bridges join in pairs at most talk over PCIe.
    assert_eq!(topology("Standard_NC96ads_A100_v4").scale_up, ScaleUpKind::Pcie);
    assert_eq!(topology("Standard_NC80adis_H100_v5").scale_up, ScaleUpKind::NvLink4);
    let lone = topology("Standard_NC40ads_H100_v5");
    assert_eq!(lone.scale_out_bytes_per_s, 0.0);
    let unread = overlaid(
        r#"{"shapes": [{"provider": "oci", "name": "BM.GPU.RTXPRO.8", "gpu": "RTX-PRO-6000-BSE", "gpus_per_node": 8,
        "scale_up_domain": 1, "fabric": "oci-roce-rtxpro"}]}"#,
    )
    .unwrap();
    let note = unread.scale_out_note(unread.shape("s", "BM.GPU.RTXPRO.8").unwrap());
    assert!(note.unwrap().contains("not published"));

    let of = |gpu: &str, gpus, fabric| c.topology_of_gpu(c.gpu("g", gpu).unwrap(), gpus, fabric).unwrap();
    // H800: NVLink 4 cut to 200 GB/s one way, 400 Gb/s InfiniBand per GPU (DeepSeek).
    let h800 = of("H800", 8, None);
    assert_eq!((h800.topology.scale_up, h800.topology.scale_up_bytes_per_s), (ScaleUpKind::NvLink4, 200e9));
    assert_eq!(
        (h800.topology.scale_out, h800.topology.scale_out_bytes_per_s),
        (FabricKind::InfiniBand, 50e9)
    );
    assert_eq!(h800.assumed.len(), 1);
    // Nothing is invented where nothing is known, nothing is assumed where it is said.
    let h20 = of("H20", 8, None);
    assert_eq!(h20.topology.scale_out_bytes_per_s, 0.0);
    assert!(h20.assumed[0].contains("no network"));
    let said = of("H20", 8, Some("azure-ndr-h100"));
    assert_eq!((said.topology.scale_out_bytes_per_s, said.assumed.len()), (50e9, 0));
    assert_eq!(of("A100", 4, None).topology.scale_up_domain, 4);
    assert_eq!(of("GB300", 4, None).topology.scale_up_domain, 72);
    let gpu = c.gpu("g", "H100").unwrap();
    assert_eq!(c.topology_of_gpu(gpu, 0, None).unwrap_err().code(), "out_of_range");
    assert_eq!(c.topology_of_gpu(gpu, 8, Some("token ring")).unwrap_err().field(), "fabric");
}

#[test]
fn storage_rounds_up_and_converts() {
    let tier = |name: &str| catalog().storage.iter().find(|t| t.name == name).unwrap();
    let close = |a: Option<f64>, b: f64| assert!((a.unwrap() / b - 1.0).abs() < 1e-9, "{a:?} {b}");
    let lustre = tier("oci-lustre-500");
    // 31.2 at least, then steps of 10.4 to 124.8, then of 41.6.
    close(lustre.provisioned_tib(1.0), 31.2);
    close(lustre.provisioned_tib(40.0), 41.6);
    close(lustre.provisioned_tib(125.0), 166.4);
    close(lustre.bytes_per_s(41.6), 500e6 * 41.6 * 1.099_511_627_776);
    close(lustre.usd_per_gib_month(730.0), 0.336 * 1.073_741_824);
    let amlfs = tier("azure-amlfs-durable-premium-250");
    close(amlfs.provisioned_tib(9.0), 16.0);
    assert_eq!(amlfs.provisioned_tib(129.0), None);
    close(amlfs.usd_per_gib_month(730.0), 0.000_373 * 730.0);
    // A preview tier whose price no list names.
    assert_eq!(tier("azure-amlfs-durable-premium-20").usd_per_gib_month(730.0), None);
    // 402.17 USD per TiB-month, as the provider's cost page works it out.
    let netapp = tier("azure-netapp-ultra").usd_per_gib_month(730.0).unwrap();
    assert!((netapp * 1024.0 - 402.17).abs() < 0.01, "{netapp}");
    for bad in [f64::NAN, -1.0, f64::INFINITY] {
        assert_eq!(amlfs.provisioned_tib(bad), None);
    }
}
