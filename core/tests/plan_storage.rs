//! Where data sets and checkpoints are kept: what is provisioned, what it costs, how fast it is.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::Error;
use rackrate::catalog::{Catalog, Overlay, Provider, StorageTier, TierBilling};
use rackrate::cost::{CostItem, Kept, StorageChoice, StoredKind, storage_lines};
use rackrate::input::{Value, read};
use rackrate::plan::{Plan, Scenario, TrainingOption, built_in_named, plan};
use rackrate::quantity::{GB, TIB};
use rackrate::training::{CheckpointBound, Reliability};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

/// A fine-tuning of 8B on one shape: quick to plan.
fn scenario(shape: &str) -> Scenario {
    let mut scenario = built_in_named("fine-tune-8b").unwrap();
    let job = scenario.training.as_mut().unwrap();
    job.shapes = vec![shape.to_owned()];
    (job.gpus, job.deadline_days, job.cloud) = (Some(64), None, None);
    scenario
}

fn answer(scenario: &Scenario) -> Plan {
    plan(catalog(), scenario).unwrap()
}

fn option(scenario: &Scenario) -> TrainingOption {
    answer(scenario).training.unwrap().options.remove(0)
}

fn refused(change: impl Fn(&mut Scenario)) -> Error {
    let mut scenario = scenario("BM.GPU.H100.8");
    change(&mut scenario);
    plan(catalog(), &scenario).unwrap_err()
}

fn tier(name: &str) -> &'static StorageTier {
    catalog().storage.iter().find(|tier| tier.name == name).unwrap()
}

fn named(provider: Provider, name: &str) -> StorageChoice {
    let mut choice = StorageChoice::default();
    let cloud = match provider {
        Provider::Azure => &mut choice.azure,
        Provider::Oci => &mut choice.oci,
    };
    cloud.checkpoints = Some(name.to_owned());
    choice
}

/// Tiers that can be named.
fn tiers() -> Vec<&'static StorageTier> {
    let rows = catalog().storage.iter();
    rows.filter(|row| catalog().storage_tier("tier", row.provider, &row.name).is_ok()).collect()
}

/// What keeping so many GB on a tier for a month provisions and costs; none if one file system cannot hold it.
fn month(tier: &StorageTier, gb: f64) -> Option<(Kept<'static>, f64)> {
    let kept = named(tier.provider, &tier.name).kept(catalog(), (tier.provider, None), gb, 0.0).ok()?;
    let usd = storage_lines(catalog(), &kept, 1.0, 730.0).0.iter().map(|line| line.usd).sum();
    Some((kept.into_iter().find(|data| data.kind == StoredKind::Checkpoints).unwrap(), usd))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

#[test]
fn every_row_is_a_tier_or_says_which_tier_to_name() {
    let mut parts = 0;
    for row in &catalog().storage {
        match catalog().storage_tier("storage.oci.dataset", row.provider, &row.name) {
            Ok(tier) => {
                // It has a price, or a warning says that it has none.
                let (kept, usd) = month(tier, 1000.0).unwrap();
                let warnings = storage_lines(catalog(), &[kept], 1.0, 730.0).1;
                let missing = warnings.iter().any(|w| w.code == "price_missing" && w.about == row.name);
                assert!(usd > 0.0 || missing, "{}: {usd} {warnings:?}", row.name);
            }
            Err(error) => {
                parts += 1;
                assert_eq!((error.code(), error.field()), ("unsupported", "storage.oci.dataset"), "{error}");
                let message = error.to_string();
                let (_, names) = message.split_once("name a tier: ").unwrap();
                for name in names.split(", ") {
                    catalog().storage_tier("tier", row.provider, name).unwrap();
                }
            }
        }
    }
    assert!(parts >= 10 && tiers().len() >= 30, "{parts} parts, {} tiers", tiers().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn cost_and_capacity_grow_with_what_is_kept(at in 0usize..64, gb in 1e-3..3e7f64, factor in 1.0..10.0f64) {
        let tiers = tiers();
        let tier = tiers[at % tiers.len()];
        let Some((kept, usd)) = month(tier, gb) else { return Ok(()) };
        prop_assert!(kept.provisioned_tib * TIB >= gb * GB * (1.0 - 1e-12), "{}", tier.name);
        let Some((more, more_usd)) = month(tier, gb * factor) else { return Ok(()) };
        prop_assert!(more.provisioned_tib >= kept.provisioned_tib);
        prop_assert!(more_usd >= usd * (1.0 - 1e-12), "{}: {usd} {more_usd}", tier.name);
        // More capacity is never slower.
        prop_assert!(more.gb_per_s() >= kept.gb_per_s());
        if let Some(rate) = kept.gb_per_s() {
            let enough = tier.tib_for(rate * GB);
            prop_assert!(enough.is_none_or(|tib| tib <= kept.provisioned_tib * (1.0 + 1e-9)));
        }
    }

    #[test]
    fn cost_and_rate_grow_with_the_capacity_given(at in 0usize..64, tib in 1.0..5000.0f64, factor in 1.0..10.0f64) {
        let provisioned: Vec<&StorageTier> = tiers()
            .into_iter()
            .filter(|tier| matches!(tier.billing(), TierBilling::Provisioned | TierBilling::Disks))
            .collect();
        let tier = provisioned[at % provisioned.len()];
        let given = |tib| {
            let mut choice = named(tier.provider, &tier.name);
            choice.azure.checkpoints_capacity_tib = Some(tib).filter(|_| tier.provider == Provider::Azure);
            choice.oci.checkpoints_capacity_tib = Some(tib).filter(|_| tier.provider == Provider::Oci);
            let kept = choice.kept(catalog(), (tier.provider, None), 1.0, 0.0).ok()?;
            let usd: f64 = storage_lines(catalog(), &kept, 1.0, 730.0).0.iter().map(|line| line.usd).sum();
            Some((kept[0].provisioned_tib, kept[0].gb_per_s(), usd))
        };
        let (Some(small), Some(large)) = (given(tib), given(tib * factor)) else { return Ok(()) };
        prop_assert!(small.0 >= tib && large.0 >= small.0 && large.1 >= small.1, "{}", tier.name);
        prop_assert!(large.2 >= small.2 * (1.0 - 1e-12), "{}", tier.name);
    }

    #[test]
    fn a_checkpoint_takes_its_bytes_over_the_slowest_link(
        parameters in 1e8..2e12f64, nodes in 1.0..10_000.0f64, nic in 1.0..100.0f64, tier in 0.1..5000.0f64,
        total in 0.1..5000.0f64,
    ) {
        let reliability = Reliability { checkpoint_gb_per_s_total: Some(total), ..Reliability::default() };
        let links = reliability.checkpoint_links(nodes, Some(nic), Some(tier));
        let slowest = (nodes * nic).min(tier).min(total);
        if let Ok((_, losses)) = reliability.goodput(50_677.0, parameters, nodes * 8.0, &links) {
            prop_assert_eq!(losses.checkpoint_gb_per_s, slowest);
            prop_assert_eq!(losses.checkpoint_seconds, parameters * 14.0 / (slowest * 1e9));
            let bound = match losses.checkpoint_bound {
                CheckpointBound::StorageTier => tier,
                CheckpointBound::TotalGiven => total,
                CheckpointBound::NodeNic => nodes * nic,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(bound, slowest);
        }
    }
}

#[test]
fn a_named_tier_is_provisioned_paid_for_and_bounds_checkpoints() {
    let mut scenario = scenario("BM.GPU.H100.8");
    let plain = option(&scenario);
    assert_eq!(plain.losses.checkpoint_bound, CheckpointBound::NodeNic);
    assert!(answer(&scenario).warnings_of("checkpoint_rate_assumed").next().is_some());
    assert!(plain.storage.iter().all(|data| !data.named && data.gb_per_s.is_none()));

    scenario.storage.oci.checkpoints = Some("OCI-Lustre_125".to_owned());
    let bound = option(&scenario);
    let kept = &bound.storage[0];
    assert_eq!(
        (kept.kind, kept.tier.as_str(), kept.named),
        (StoredKind::Checkpoints, "oci-lustre-125", true)
    );
    // Three checkpoints of 14 bytes for 8.03 billion parameters fit in the smallest file system.
    assert!(near(kept.kept_tib, 3.0 * bound.losses.checkpoint_gb * GB / TIB));
    assert!(near(kept.provisioned_tib, tier("oci-lustre-125").min_capacity_tib.unwrap()));
    assert!(near(kept.gb_per_s.unwrap(), 0.125 * kept.provisioned_tib * TIB / 1e12));
    assert_eq!(bound.losses.checkpoint_bound, CheckpointBound::StorageTier);
    assert_eq!(bound.losses.checkpoint_gb_per_s, kept.gb_per_s.unwrap());
    assert!(
        bound.losses.checkpoint_seconds > plain.losses.checkpoint_seconds && bound.goodput < plain.goodput
    );
    assert!(answer(&scenario).warnings_of("checkpoint_rate_assumed").next().is_none());

    let lines = &bound.cost.as_ref().unwrap().lines;
    let line = lines.iter().find(|line| line.what.contains("Lustre")).unwrap();
    assert_eq!((line.item, line.unit.as_str()), (CostItem::Storage, "GiB-month"));
    assert!(near(line.quantity, kept.provisioned_tib * 1024.0 * bound.days * 24.0 / 730.0));
    assert!(near(line.usd, line.quantity * line.unit_usd));
    assert_eq!(line.source, tier("oci-lustre-125").source);
    // The data set stays in object storage, on a line of its own.
    assert!(lines.iter().any(|line| line.what.contains("Object Storage") && line.what.ends_with("data set")));

    // With the capacity that the plan calls ample, the tier is not what bounds.
    scenario.storage.oci.checkpoints_capacity_tib = kept.ample_tib;
    assert_eq!(option(&scenario).losses.checkpoint_bound, CheckpointBound::NodeNic);
}

#[test]
fn a_rate_of_ones_own_bounds_beside_the_tier() {
    let mut scenario = scenario("BM.GPU.H100.8");
    scenario.storage.oci.checkpoints = Some("oci-lustre-1000".to_owned());
    let reliability = &mut scenario.training.as_mut().unwrap().reliability;
    reliability.checkpoint_gb_per_s_total = Some(2.0);
    assert_eq!(option(&scenario).losses.checkpoint_bound, CheckpointBound::TotalGiven);
    let reliability = &mut scenario.training.as_mut().unwrap().reliability;
    (reliability.checkpoint_gb_per_s_total, reliability.checkpoint_gb_per_s_per_node) = (None, Some(0.1));
    let losses = option(&scenario).losses;
    assert_eq!((losses.checkpoint_bound, losses.checkpoint_gb_per_s), (CheckpointBound::NodeGiven, 0.8));
}

#[test]
fn remote_disks_are_bound_by_their_machines() {
    let mut scenario = scenario("Standard_ND96isr_H100_v5");
    scenario.storage.azure.checkpoints = Some("azure-disk-ultra-capacity".to_owned());
    let found = option(&scenario);
    let limit = tier("azure-vm-disks-nd-h100-h200-v5").throughput.unwrap();
    assert_eq!(found.losses.checkpoint_bound, CheckpointBound::VmDisks);
    assert!(near(found.losses.checkpoint_gb_per_s, 8.0 * limit / 1e3));
    // Operations and throughput are bought apart, and the plan says so.
    let plan = answer(&scenario);
    let apart = plan.warnings_of("price_missing").find(|w| w.about == "azure-disk-ultra-capacity").unwrap();
    assert!(apart.message.contains("azure-disk-ultra-iops"), "{}", apart.message);
    assert!(apart.message.contains("azure-disk-ultra-throughput"), "{}", apart.message);
    // Another shape has no such limit in the table.
    assert!(catalog().remote_disk_limit(tier("azure-disk-ultra-capacity"), "Standard_ND96asr_v4").is_none());
    assert!(catalog().remote_disk_limit(tier("azure-netapp-ultra"), "Standard_ND96isr_H100_v5").is_none());
}

#[test]
fn a_tier_without_a_price_is_never_free_of_charge_in_silence() {
    let mut scenario = scenario("Standard_ND96isr_H100_v5");
    scenario.storage.azure.dataset = Some("azure-amlfs-durable-premium-20".to_owned());
    let plan = answer(&scenario);
    let missing =
        plan.warnings_of("price_missing").find(|w| w.about == "azure-amlfs-durable-premium-20").unwrap();
    assert!(missing.message.contains("storage.azure.dataset_usd_per_gib_month"), "{}", missing.message);
    scenario.storage.azure.dataset_usd_per_gib_month = Some(0.1);
    let option = option(&scenario);
    let cost = option.cost.unwrap();
    let line = cost.lines.iter().find(|line| line.what.contains("Lustre")).unwrap();
    assert_eq!((line.unit_usd, line.source.source.as_str()), (0.1, "given in the scenario"));
    assert!(near(line.quantity, option.storage[1].provisioned_tib * 1024.0 * option.days * 24.0 / 730.0));
    assert!(
        !option
            .warnings
            .iter()
            .any(|w| w.about == "azure-amlfs-durable-premium-20" && w.code == "price_missing")
    );
}

#[test]
fn volume_bands_and_disks_add_up() {
    // 600 TB: 50 at the first price, 450 at the second, the rest at the third, whichever band is named.
    let bands = catalog().storage_bands(tier("azure-blob-hot-lrs-next-450-tb-westus"));
    assert_eq!(bands.len(), 3);
    let expected: f64 = bands
        .iter()
        .map(|band| {
            let to = band.volume_to_tb.unwrap_or(600.0).min(600.0);
            (to - band.volume_from_tb.unwrap()) * 1e3 * band.usd.unwrap()
        })
        .sum();
    for band in bands {
        assert!(near(month(band, 6e5).unwrap().1, expected));
    }
    let disk = tier("azure-disk-premium-ssd-p4-32-gib");
    assert_eq!(disk.billing(), TierBilling::Disks);
    // 100 GB are 93.1 GiB: three disks of 32 GiB.
    assert!(near(month(disk, 100.0).unwrap().1, 3.0 * disk.usd.unwrap()));
}

#[test]
fn what_does_not_fit_together_is_refused_by_its_field() {
    let error = refused(|s| s.storage.oci.checkpoints = Some("oci-lustre-performance".to_owned()));
    assert_eq!((error.field(), error.code()), ("storage.oci.checkpoints", "unsupported"));
    assert!(error.to_string().contains("oci-lustre-1000"), "{error}");
    let error = refused(|s| s.storage.oci.dataset = Some("oci-lustre-100".to_owned()));
    assert_eq!((error.field(), error.code()), ("storage.oci.dataset", "unknown_name"));
    assert!(error.hint().unwrap().starts_with("oci-lustre-1"), "{error}");
    let error = refused(|s| s.storage.azure.checkpoints = Some("oci-lustre-1000".to_owned()));
    assert_eq!((error.field(), error.code()), ("storage.azure.checkpoints", "conflict"));
    let error = refused(|s| s.storage.azure.dataset_capacity_tib = Some(4.0));
    assert_eq!((error.field(), error.code()), ("storage.azure.dataset", "missing_field"));
    let error = refused(|s| s.storage.oci.checkpoints_usd_per_gib_month = Some(-1.0));
    assert_eq!((error.field(), error.code()), ("storage.oci.checkpoints_usd_per_gib_month", "out_of_range"));
    let error = refused(|s| {
        s.storage.oci.checkpoints = Some("oci-object-standard".to_owned());
        s.storage.oci.checkpoints_capacity_tib = Some(4.0);
    });
    assert_eq!((error.field(), error.code()), ("storage.oci.checkpoints_capacity_tib", "conflict"));
    // Three checkpoints of 8B take 0.3 TiB, and a file system of this tier ends at 128.
    let amlfs = |tib| {
        refused(move |s| {
            s.storage.azure.checkpoints = Some("azure-amlfs-durable-premium-500".to_owned());
            s.storage.azure.checkpoints_capacity_tib = Some(tib);
        })
    };
    assert_eq!(
        (amlfs(0.1).field(), amlfs(0.1).code()),
        ("storage.azure.checkpoints_capacity_tib", "conflict")
    );
    assert_eq!((amlfs(400.0).code(), amlfs(400.0).hint().as_deref()), ("out_of_range", Some("128")));
    let error = refused(|s| {
        s.storage.azure.dataset = Some("azure-amlfs-durable-premium-500".to_owned());
        s.training.as_mut().unwrap().dataset_tb = Some(500.0);
    });
    assert_eq!((error.field(), error.code()), ("storage.azure.dataset", "conflict"));
}

#[test]
fn capacity_between_steps_is_rounded_up_and_said() {
    let mut scenario = scenario("BM.GPU.H100.8");
    scenario.storage.oci.checkpoints = Some("oci-lustre-500".to_owned());
    scenario.storage.oci.checkpoints_capacity_tib = Some(100.0);
    let found = option(&scenario);
    assert!(near(found.storage[0].provisioned_tib, 104.0), "{}", found.storage[0].provisioned_tib);
    assert!(answer(&scenario).warnings_of("storage_rounded").next().unwrap().message.contains("104.0 TiB"));
}

#[test]
fn a_data_set_is_read_at_the_slower_of_tier_and_nodes() {
    let mut scenario = scenario("BM.GPU.H100.8");
    scenario.storage.oci.dataset = Some("oci-lustre-1000".to_owned());
    scenario.training.as_mut().unwrap().dataset_tb = Some(100.0);
    let read = |scenario: &Scenario| option(scenario).storage[1].clone();
    // 100 TB are 90.9 TiB; 93.6 are provisioned, which is 102.9 GB/s; eight nodes have 100 Gb/s each, 100 GB/s.
    let found = read(&scenario);
    assert!(near(found.provisioned_tib, 93.6) && near(found.read_hours.unwrap(), 100e3 / 100.0 / 3600.0));
    scenario.training.as_mut().unwrap().gpus = Some(256);
    let found = read(&scenario);
    assert!(near(found.read_hours.unwrap(), 100e3 / found.gb_per_s.unwrap() / 3600.0));
}

#[test]
fn storage_that_nothing_uses_is_said() {
    let mut serving = built_in_named("serve-70b").unwrap();
    serving.serving.as_mut().unwrap().shapes = vec!["BM.GPU.H200.8".to_owned()];
    assert!(answer(&serving).warnings_of("storage_unused").next().is_none());
    serving.storage.oci.dataset = Some("oci-lustre-1000".to_owned());
    assert!(
        answer(&serving).warnings_of("storage_unused").next().unwrap().message.contains("nothing is trained")
    );
    let mut bare = scenario("BM.GPU.H100.8");
    let job = bare.training.as_mut().unwrap();
    (job.shapes, job.gpu) = (Vec::new(), Some("H100-SXM".to_owned()));
    bare.storage = serving.storage;
    assert!(answer(&bare).warnings_of("storage_unused").next().unwrap().message.contains("bare GPU"));
    assert!(option(&bare).storage.is_empty());
}

#[test]
fn the_price_of_the_region_asked_for_is_taken_where_it_is_known() {
    let row = |name: &str, region: &str, usd: f64| {
        format!(
            r#"{{"name": "{name}", "provider": "azure", "service": "Fast Files", "tier": "Quick", "region": "{region}",
                "usd": {usd}, "usd_per": "gib_month", "throughput": 100, "throughput_per": "mb_per_s_per_tib"}}"#
        )
    };
    let rows = [row("quick", "eastus", 0.1), row("quick-westeurope", "westeurope", 0.2)].join(", ");
    let value: Value = serde_json::from_str(&format!(r#"{{"storage": [{rows}]}}"#)).unwrap();
    let overlay: Overlay = read(&value).unwrap();
    let plan_in = |region: &str, tier: &str| {
        let mut scenario = scenario("Standard_ND96isr_H100_v5");
        scenario.overlay = Some(overlay.clone());
        scenario.pricing.azure_region = Some(region.to_owned());
        scenario.storage.azure.dataset = Some(tier.to_owned());
        let plan = answer(&scenario);
        let option = plan.training.as_ref().unwrap().options[0].clone();
        let line = option.cost.unwrap().lines.into_iter().find(|line| line.what.contains("Quick")).unwrap();
        let elsewhere = option
            .warnings
            .iter()
            .any(|w| w.code == "price_of_another_region" && w.about.starts_with("quick"));
        (option.storage[1].tier.clone(), near(line.unit_usd, 0.1 * 1e9 / 1_073_741_824.0), elsewhere)
    };
    assert_eq!(plan_in("eastus", "quick"), ("quick".to_owned(), true, false));
    assert_eq!(plan_in("westeurope", "quick"), ("quick-westeurope".to_owned(), false, false));
    // No price of the region: the one that is known, and a word of it.
    assert_eq!(plan_in("westus3", "quick"), ("quick".to_owned(), true, true));
    // A name that says a region means it.
    assert_eq!(plan_in("eastus", "quick-westeurope"), ("quick-westeurope".to_owned(), false, true));
}
