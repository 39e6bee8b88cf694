//! Prices of a plan: terms, own rates, discounts, regions, the currency, and where every figure is from.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::catalog::{Catalog, Confidence, Overlay, Provider, Table, Term};
use rackrate::cost::{Currency, OwnRate, TermCost};
use rackrate::plan::{FigureKind, Plan, Scenario, built_in_named, plan};

const AZURE: &str = "Standard_ND96isr_H100_v5";
const OCI: &str = "BM.GPU.H100.8";

fn answer(scenario: &Scenario) -> Plan {
    plan(Catalog::embedded().unwrap(), scenario).unwrap()
}

/// Eight GPUs of these shapes for a few hours.
fn training(shapes: &[&str]) -> Scenario {
    let mut scenario = built_in_named("fine-tune-8b").unwrap();
    scenario.training.as_mut().unwrap().shapes = shapes.iter().map(|name| (*name).to_owned()).collect();
    scenario
}

fn own(term: Term) -> OwnRate {
    OwnRate { provider: None, shape: None, region: None, term, discount: None, usd_per_gpu_hour: None }
}

fn off_oci(term: Term, discount: f64) -> OwnRate {
    OwnRate { provider: Some(Provider::Oci), discount: Some(discount), ..own(term) }
}

fn off_shape(shape: &str, term: Term, discount: f64) -> OwnRate {
    OwnRate { shape: Some(shape.to_owned()), discount: Some(discount), ..own(term) }
}

fn terms(plan: &Plan, shape: &str) -> Vec<TermCost> {
    let options = &plan.training.as_ref().unwrap().options;
    options.iter().find(|option| option.shape == shape).unwrap().terms.clone()
}

fn term(plan: &Plan, shape: &str, term: Term) -> Option<TermCost> {
    terms(plan, shape).into_iter().find(|cost| cost.term == term)
}

fn refused(scenario: &Scenario) -> (String, String) {
    let error = plan(Catalog::embedded().unwrap(), scenario).unwrap_err();
    (error.code().to_owned(), error.field().to_owned())
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_larger_discount_never_costs_more(low in 0.0..0.98f64, more in 0.0..1.0f64) {
        let high = low + (0.99 - low) * more;
        let total = |own: f64, negotiated: f64| {
            let mut scenario = training(&[OCI]);
            scenario.pricing.term = Term::Reserved1y;
            scenario.pricing.own_rates = vec![off_oci(Term::Reserved1y, own)];
            scenario.pricing.oci_discount = negotiated;
            let plan = answer(&scenario);
            let payg = term(&plan, OCI, Term::Payg).unwrap().usd;
            (plan.training.unwrap().options[0].cost.as_ref().unwrap().total_usd, payg)
        };
        let (dear, dear_payg) = total(low, low);
        let (cheap, cheap_payg) = total(high, high);
        prop_assert!(cheap <= dear && cheap_payg <= dear_payg);
    }

    #[test]
    fn an_own_rate_changes_its_own_term_only(at in 0..8usize, usd in 0.01..100.0f64) {
        let changed = Term::ALL[at];
        for (shape, provider) in [(AZURE, Provider::Azure), (OCI, Provider::Oci)] {
            if !changed.is_of(provider) {
                continue;
            }
            let mut scenario = training(&[shape]);
            let before = terms(&answer(&scenario), shape);
            scenario.pricing.own_rates = vec![OwnRate {
                shape: Some(shape.to_owned()),
                usd_per_gpu_hour: Some(usd),
                ..own(changed)
            }];
            let plan = answer(&scenario);
            prop_assert_eq!(term(&plan, shape, changed).unwrap().usd_per_gpu_hour, usd);
            let others = |costs: Vec<TermCost>| -> Vec<TermCost> {
                costs.into_iter().filter(|cost| cost.term != changed).collect()
            };
            prop_assert_eq!(others(terms(&plan, shape)), others(before));
        }
    }

    #[test]
    fn own_rates_are_refused_by_name_or_used(
        provider in prop::option::of(prop::sample::select(vec![Provider::Azure, Provider::Oci])),
        shape in prop::option::of(prop::sample::select(vec![AZURE, OCI, "bm gpu h100 8", "", "H100"])),
        region in prop::option::of(prop::sample::select(vec!["eastus", "us-ashburn-1", "all-commercial", "", "é"])),
        at in 0..8usize,
        discount in prop::option::of(prop_oneof![0.0..0.99f64, prop::num::f64::ANY]),
        usd_per_gpu_hour in prop::option::of(prop_oneof![0.1..50.0f64, prop::num::f64::ANY]),
        asked in prop::option::of(Just("eastus".to_owned())),
    ) {
        let mut scenario = training(&[AZURE, OCI]);
        scenario.pricing.term = Term::ALL[at];
        scenario.pricing.azure_region = asked;
        let (shape, region) = (shape.map(str::to_owned), region.map(str::to_owned));
        scenario.pricing.own_rates =
            vec![OwnRate { provider, shape, region, term: Term::ALL[at], discount, usd_per_gpu_hour }];
        match plan(Catalog::embedded().unwrap(), &scenario) {
            Err(error) => prop_assert!(error.field().starts_with("pricing.own_rates[0]"), "{}", error),
            Ok(plan) => for option in plan.training.unwrap().options {
                let usd = option.cost.unwrap().total_usd;
                prop_assert!(usd.is_finite() && usd > 0.0);
            },
        }
    }

    #[test]
    fn totals_in_a_currency_are_the_totals_times_its_rate(per_usd in 0.01..1e7f64) {
        let mut scenario = training(&[AZURE, OCI]);
        let dollars = answer(&scenario);
        scenario.pricing.currency = Currency { code: "XTS".to_owned(), per_usd };
        let plan = answer(&scenario);
        for (ours, usd) in plan.splits.iter().zip(&dollars.splits) {
            prop_assert_eq!(ours.total_usd, usd.total_usd);
            prop_assert_eq!(ours.total_in_currency, Some(usd.total_usd * per_usd));
            prop_assert_eq!(usd.total_in_currency, None);
        }
        for option in &plan.training.as_ref().unwrap().options {
            let cost = option.cost.as_ref().unwrap();
            prop_assert_eq!(cost.total_in_currency, Some(cost.total_usd * per_usd));
            for term in &option.terms {
                prop_assert_eq!(term.in_currency, Some(term.usd * per_usd));
            }
        }
    }
}

#[test]
fn a_commitment_that_no_list_has_is_priced_by_an_own_discount() {
    let mut scenario = training(&[OCI]);
    scenario.pricing.term = Term::Reserved1y;
    let listed = term(&answer(&scenario), OCI, Term::Payg).unwrap();
    assert!(term(&answer(&scenario), OCI, Term::Reserved1y).is_none());

    scenario.pricing.own_rates = vec![off_oci(Term::Reserved1y, 0.35)];
    let plan = answer(&scenario);
    let reserved = term(&plan, OCI, Term::Reserved1y).unwrap();
    assert!(near(reserved.usd_per_gpu_hour, listed.usd_per_gpu_hour * 0.65));
    assert_eq!(reserved.source.confidence, Confidence::User);
    let text = format!("35 % off the listed pay-as-you-go price of {} USD", listed.usd_per_gpu_hour);
    assert!(reserved.source.source.starts_with(&text), "{}", reserved.source.source);
    assert!(reserved.source.source.contains(&listed.source.source));
    assert!(reserved.source.source.contains(&listed.source.as_of));
    // As old as the list, whose own source is named too.
    assert_eq!((reserved.age_days, reserved.list_source.as_ref()), (listed.age_days, Some(&listed.source)));
    let under =
        plan.sources.iter().find(|figure| figure.figure.starts_with("listed price under the")).unwrap();
    assert_eq!(under.source, listed.source);

    let cost = plan.training.as_ref().unwrap().options[0].cost.as_ref().unwrap();
    assert_eq!(cost.lines[0].unit_usd, reserved.usd_per_gpu_hour);
    assert_eq!(cost.lines[0].source, reserved.source);
    assert!(plan.warnings_of("price_missing").next().is_none());
    assert!(plan.warnings_of("commitment_exceeds_use").next().is_some());
}

#[test]
fn the_most_specific_own_rate_wins() {
    let mut scenario = training(&[AZURE, OCI]);
    scenario.pricing.azure_region = Some("eastus".to_owned());
    let in_region = |rate: OwnRate, region: &str| OwnRate { region: Some(region.to_owned()), ..rate };
    let azure = |usd: f64| OwnRate {
        provider: Some(Provider::Azure),
        usd_per_gpu_hour: Some(usd),
        ..own(Term::Reserved3y)
    };
    let shape = |usd: f64| OwnRate { provider: None, shape: Some(AZURE.to_owned()), ..azure(usd) };
    let mut rates = vec![azure(1.0)];
    let price = |rates: &[OwnRate]| {
        let mut scenario = scenario.clone();
        scenario.pricing.own_rates = rates.to_vec();
        term(&answer(&scenario), AZURE, Term::Reserved3y).unwrap().usd_per_gpu_hour
    };
    // Dearer each time, so that not the cheapest wins.
    for rate in [in_region(azure(2.0), "eastus"), shape(3.0), in_region(shape(4.0), "eastus")] {
        assert!(price(&rates) < rate.usd_per_gpu_hour.unwrap());
        rates.insert(0, rate);
        assert_eq!(price(&rates), rates[0].usd_per_gpu_hour.unwrap());
    }
    // One of another region changes nothing, and is said not to be used.
    rates.push(in_region(shape(5.0), "westus3"));
    assert_eq!(price(&rates), 4.0);
    scenario.pricing.own_rates = rates;
    let plan = answer(&scenario);
    let unused: Vec<_> = plan.warnings_of("own_rate_unused").collect();
    assert_eq!(unused.len(), 1);
    assert_eq!(unused[0].about, "pricing.own_rates[4]");
}

#[test]
fn an_own_rate_holds_in_its_region_however_that_is_spelt() {
    let mut scenario = training(&[OCI]);
    scenario.pricing.oci_region = Some("us-ashburn-1".to_owned());
    let rate = OwnRate {
        provider: Some(Provider::Oci),
        region: Some("US-Ashburn-1".to_owned()),
        usd_per_gpu_hour: Some(3.0),
        ..own(Term::Payg)
    };
    scenario.pricing.own_rates = vec![rate.clone()];
    let plan = answer(&scenario);
    let payg = term(&plan, OCI, Term::Payg).unwrap();
    assert_eq!((payg.usd_per_gpu_hour, payg.region.as_str()), (3.0, "us-ashburn-1"));
    assert!(plan.warnings_of("own_rate_unused").next().is_none());
    let again = OwnRate { region: Some("us-ashburn-1".to_owned()), ..rate.clone() };
    scenario.pricing.own_rates = vec![rate, again];
    assert_eq!(refused(&scenario), ("conflict".to_owned(), "pricing.own_rates[1]".to_owned()));
}

#[test]
fn an_own_price_is_one_where_nothing_is_listed() {
    let catalog = Catalog::embedded().unwrap();
    let unlisted = catalog.shapes.iter().find(|shape| {
        shape.provider == Provider::Azure
            && catalog.prices_of(shape).next().is_none()
            && shape.gpus_per_node == 4
    });
    let name = unlisted.unwrap().name.clone();
    let mut scenario = training(&[&name]);
    assert!(answer(&scenario).training.unwrap().options[0].cost.is_none());
    scenario.pricing.own_rates =
        vec![OwnRate { shape: Some(name.clone()), usd_per_gpu_hour: Some(9.0), ..own(Term::Payg) }];
    let plan = answer(&scenario);
    let cost = plan.training.as_ref().unwrap().options[0].cost.as_ref().unwrap();
    assert_eq!(cost.lines[0].unit_usd, 9.0);
    assert_eq!(cost.lines[0].what, format!("{name} in any region"));
    // A discount has nothing to be taken off there.
    scenario.pricing.own_rates = vec![off_shape(&name, Term::Payg, 0.2)];
    assert_eq!(refused(&scenario), ("conflict".to_owned(), "pricing.own_rates[0].discount".to_owned()));
}

#[test]
fn own_rates_that_say_too_little_or_too_much_are_refused() {
    let cases: [(OwnRate, &str, &str); 13] = [
        (
            OwnRate { region: Some("us-asbhurn-1".to_owned()), ..off_oci(Term::Payg, 0.1) },
            "unknown_name",
            "region",
        ),
        (OwnRate { discount: Some(0.1), ..own(Term::Payg) }, "missing_field", "shape"),
        (OwnRate { shape: Some(OCI.to_owned()), ..own(Term::Payg) }, "missing_field", "discount"),
        (OwnRate { usd_per_gpu_hour: Some(1.0), ..off_oci(Term::Payg, 0.1) }, "conflict", "usd_per_gpu_hour"),
        (off_oci(Term::Payg, 1.0), "out_of_range", "discount"),
        (off_oci(Term::Payg, -0.1), "out_of_range", "discount"),
        (off_oci(Term::Payg, f64::NAN), "out_of_range", "discount"),
        (
            OwnRate { discount: None, usd_per_gpu_hour: Some(0.0), ..off_oci(Term::Payg, 0.0) },
            "out_of_range",
            "usd_per_gpu_hour",
        ),
        (off_shape("BM.GPU.H1000.8", Term::Payg, 0.1), "unknown_name", "shape"),
        (
            OwnRate { provider: Some(Provider::Azure), ..off_shape(OCI, Term::Payg, 0.1) },
            "conflict",
            "provider",
        ),
        (off_oci(Term::Spot, 0.5), "conflict", "term"),
        (off_shape(AZURE, Term::Preemptible, 0.5), "conflict", "term"),
        (
            OwnRate { region: Some("eastuss".to_owned()), ..off_shape(AZURE, Term::Payg, 0.1) },
            "unknown_name",
            "region",
        ),
    ];
    for (rate, code, field) in cases {
        let mut scenario = training(&[OCI]);
        // The second, so that the path must count.
        scenario.pricing.own_rates = vec![off_oci(Term::Reserved3y, 0.5), rate];
        assert_eq!(refused(&scenario), (code.to_owned(), format!("pricing.own_rates[1].{field}")));
    }
    let mut scenario = training(&[OCI]);
    let spelt = off_shape("bm.gpu.h100.8", Term::Reserved3y, 0.4);
    scenario.pricing.own_rates = vec![off_shape(OCI, Term::Reserved3y, 0.5), spelt];
    assert_eq!(refused(&scenario), ("conflict".to_owned(), "pricing.own_rates[1]".to_owned()));
}

#[test]
fn a_negotiated_discount_is_said_with_the_price_and_does_not_add_to_an_own_one() {
    let mut scenario = training(&[OCI]);
    let listed = term(&answer(&scenario), OCI, Term::Payg).unwrap();
    scenario.pricing.oci_discount = 0.2;
    scenario.pricing.own_rates = vec![off_oci(Term::Reserved1y, 0.5)];
    let plan = answer(&scenario);
    let payg = term(&plan, OCI, Term::Payg).unwrap();
    assert_eq!(payg.source.source, format!("{}, less a negotiated 20 %", listed.source.source));
    let line = &plan.training.as_ref().unwrap().options[0].cost.as_ref().unwrap().lines[0];
    assert_eq!(line.source, payg.source);
    let reserved = term(&plan, OCI, Term::Reserved1y).unwrap();
    assert!(near(reserved.usd_per_gpu_hour, listed.usd_per_gpu_hour * 0.5));
}

#[test]
fn a_currency_that_is_none_is_refused() {
    for (code, per_usd, refusal, field) in [
        ("eur", 0.9, "wrong_type", "code"),
        ("EURO", 0.9, "wrong_type", "code"),
        ("É!", 0.9, "wrong_type", "code"),
        ("EUR", 0.0, "out_of_range", "per_usd"),
        ("EUR", f64::INFINITY, "out_of_range", "per_usd"),
        ("USD", 1.1, "conflict", "per_usd"),
    ] {
        let mut scenario = training(&[OCI]);
        scenario.pricing.currency = Currency { code: code.to_owned(), per_usd };
        assert_eq!(refused(&scenario), (refusal.to_owned(), format!("pricing.currency.{field}")));
    }
}

#[test]
fn a_region_without_the_shape_names_the_cheapest_that_has_it() {
    let catalog = Catalog::embedded().unwrap();
    let shape = catalog.shape("shape", AZURE).unwrap();
    let payg = || catalog.prices_of(shape).filter(|price| price.term == Term::Payg);
    let cheapest = payg().min_by(|a, b| a.usd_per_gpu_hour.total_cmp(&b.usd_per_gpu_hour)).unwrap();
    let without = catalog.prices.iter().find(|price| {
        price.provider == Provider::Azure && !catalog.prices_of(shape).any(|own| own.region == price.region)
    });
    let region = &without.unwrap().region;
    let mut scenario = training(&[AZURE]);
    scenario.pricing.azure_region = Some(region.clone());
    let plan = answer(&scenario);
    assert!(plan.training.as_ref().unwrap().options[0].cost.is_none());
    let message = &plan.warnings_of("price_missing").next().unwrap().message;
    assert!(message.contains(&format!("no price is known in {region}")), "{message}");
    let named = format!("the cheapest region that has it is {}, at", cheapest.region);
    // Another region may have the same price.
    assert!(
        payg().filter(|price| price.usd_per_gpu_hour == cheapest.usd_per_gpu_hour).any(
            |price| message.contains(&format!("the cheapest region that has it is {}, at", price.region))
        ),
        "{message} is not {named}"
    );
}

#[test]
fn a_price_of_all_regions_says_which_was_asked_for() {
    let mut scenario = training(&[OCI]);
    scenario.pricing.oci_region = Some("us-ashburn-1".to_owned());
    let plan = answer(&scenario);
    assert_eq!(term(&plan, OCI, Term::Payg).unwrap().region, "all-commercial, us-ashburn-1 asked");
    let elsewhere = answer(&training(&[OCI]));
    assert_eq!(
        term(&plan, OCI, Term::Payg).unwrap().usd_per_gpu_hour,
        term(&elsewhere, OCI, Term::Payg).unwrap().usd_per_gpu_hour
    );
}

/// A price of the OCI shape from a day, laid over the catalogue.
fn dated(as_of: &str) -> Scenario {
    let csv = format!(
        "shape,region,term,usd_per_gpu_hour,source,as_of,confidence\n{OCI},all-commercial,payg,10,a list,{as_of},unverified\n"
    );
    let mut scenario = training(&[OCI]);
    scenario.today = Some("2026-11-23".to_owned());
    scenario.overlay = Some(Overlay { prices: Some(Table::Csv(csv)), ..Overlay::default() });
    scenario
}

#[test]
fn every_price_carries_its_age() {
    for (as_of, days, old, word) in [
        ("2026-08-25", 90, false, None),
        ("2026-08-24", 91, true, Some("is 91 days old")),
        ("2026-08-24?", 91, true, Some("is about 91 days old")),
        ("2026-08", 114, true, Some("is about 114 days old")),
        ("2026-11-30", -7, false, Some("after the scenario's day")),
    ] {
        let plan = answer(&dated(as_of));
        let price = term(&plan, OCI, Term::Payg).unwrap();
        assert_eq!((price.age_days, price.old), (Some(days), old), "{as_of}");
        let figure = plan.sources.iter().find(|figure| figure.kind == FigureKind::Price).unwrap();
        assert_eq!((figure.age_days, figure.old), (Some(days), old), "{as_of}");
        let warned = plan
            .warnings
            .iter()
            .filter(|warning| warning.code == "price_old" || warning.code == "price_dated_ahead")
            .find(|warning| warning.about.starts_with(OCI));
        assert_eq!(warned.is_some(), word.is_some(), "{as_of}");
        assert!(warned.is_none_or(|warning| warning.message.contains(word.unwrap_or_default())), "{as_of}");
    }
    let mut undated = dated("2026-08-24");
    undated.today = None;
    let price = term(&answer(&undated), OCI, Term::Payg).unwrap();
    assert_eq!((price.age_days, price.old), (None, false));
}

#[test]
fn a_weak_source_of_a_chosen_figure_is_warned_of_once() {
    let plan = answer(&dated("2026-11-01"));
    let weak: Vec<&str> = plan.warnings_of("weak_source").map(|warning| warning.about.as_str()).collect();
    let price = format!("price of {OCI} in all-commercial, pay-as-you-go");
    assert_eq!(weak.iter().filter(|about| **about == price).count(), 1, "{weak:?}");
    let mut once = weak.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), weak.len());
    // Not of an option that is not chosen.
    let mut both = dated("2026-11-01");
    let job = both.training.as_mut().unwrap();
    job.shapes = vec![OCI.to_owned(), AZURE.to_owned()];
    job.cloud = Some(Provider::Azure);
    assert!(answer(&both).warnings_of("weak_source").all(|warning| warning.about != price));
}

#[test]
fn every_kind_of_figure_names_its_source() {
    let plan = answer(&built_in_named("azure-trains-oci-serves").unwrap());
    let of = |kind| plan.sources.iter().filter(move |figure| figure.kind == kind).count();
    for kind in [
        FigureKind::Model,
        FigureKind::Gpu,
        FigureKind::Shape,
        FigureKind::Fabric,
        FigureKind::Limit,
        FigureKind::Price,
        FigureKind::Storage,
        FigureKind::Transfer,
        FigureKind::Reliability,
        FigureKind::Constants,
    ] {
        assert!(of(kind) > 0, "{kind:?}");
    }
    assert!(plan.sources.iter().all(|figure| !figure.source.source.is_empty()));
    // Every price of every option at every term.
    let priced = |shape: &str, cost: &TermCost| {
        let figure = format!("price of {shape} in {}, {}", cost.region, cost.term.words());
        plan.sources.iter().any(|known| known.figure == figure && known.source == cost.source)
    };
    for option in &plan.training.as_ref().unwrap().options {
        assert!(option.terms.iter().all(|cost| priced(&option.shape, cost)), "{}", option.shape);
    }
    for option in &plan.serving.as_ref().unwrap().options {
        assert!(option.terms.iter().all(|cost| priced(&option.shape, cost)), "{}", option.shape);
    }
    // A bare GPU has no shape: what was assumed of its links is said instead.
    let bare = answer(&built_in_named("deepseek-v3-as-published").unwrap());
    let links = bare.sources.iter().find(|figure| figure.kind == FigureKind::Topology).unwrap();
    assert!(links.source.source.contains("a node is taken to hold 8"), "{}", links.source.source);
}
