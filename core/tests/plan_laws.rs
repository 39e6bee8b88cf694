//! Laws that a plan obeys, and what the built-in scenarios must say.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::catalog::{Catalog, Provider, Term};
use rackrate::plan::{Plan, Scenario, built_in, plan};

fn scenario(name: &str) -> Scenario {
    built_in().unwrap().into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn answer(scenario: &Scenario) -> Plan {
    plan(Catalog::embedded().unwrap(), scenario).unwrap()
}

fn small_training() -> Scenario {
    let mut scenario = scenario("fine-tune-8b");
    scenario.training.as_mut().unwrap().shapes = vec!["BM.GPU.H100.8".to_owned()];
    scenario
}

fn small_serving() -> Scenario {
    let mut scenario = scenario("serve-70b");
    scenario.serving.as_mut().unwrap().shapes = vec!["Standard_ND96isr_H200_v5".to_owned()];
    scenario
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn compute_cost_is_linear_in_price(usd in 0.1..100.0f64, factor in 1.0..20.0f64) {
        let compute = |usd: f64| {
            let mut scenario = small_training();
            scenario.training.as_mut().unwrap().usd_per_gpu_hour = Some(usd);
            let plan = answer(&scenario).training.unwrap();
            plan.options[0].cost.as_ref().unwrap().lines[0].usd
        };
        prop_assert!(near(compute(usd) * factor, compute(usd * factor)));
        let month = |usd: f64| {
            let mut scenario = small_serving();
            scenario.serving.as_mut().unwrap().usd_per_gpu_hour = Some(usd);
            answer(&scenario).serving.unwrap().options[0].cost.as_ref().unwrap().total_usd
        };
        prop_assert!(near(month(usd) * factor, month(usd * factor)));
    }

    #[test]
    fn a_discount_takes_its_share(discount in 0.0..0.9f64) {
        let mut cheaper = small_training();
        cheaper.pricing.oci_discount = discount;
        let rate = |scenario: &Scenario| {
            answer(scenario).training.unwrap().options[0].cost.as_ref().unwrap().lines[0].unit_usd
        };
        prop_assert!(near(rate(&cheaper), rate(&small_training()) * (1.0 - discount)));
    }

    #[test]
    fn more_traffic_never_takes_fewer_gpus(rate in 1.0..500.0f64, factor in 1.0..10.0f64) {
        let gpus = |rate: f64| {
            let mut scenario = small_serving();
            scenario.serving.as_mut().unwrap().traffic.requests_per_second = Some(rate);
            answer(&scenario).serving.unwrap().options[0].gpus
        };
        prop_assert!(gpus(rate * factor) >= gpus(rate));
    }
}

#[test]
fn every_figure_of_the_main_scenario_hangs_together() {
    let scenario = scenario("azure-trains-oci-serves");
    let plan = answer(&scenario);
    let training = plan.training.as_ref().unwrap();
    let serving = plan.serving.as_ref().unwrap();
    for provider in [Provider::Azure, Provider::Oci] {
        assert!(training.options.iter().any(|option| option.provider == Some(provider)));
        assert!(serving.options.iter().any(|option| option.provider == Some(provider)));
    }
    // Every shape of the catalogue is an option or refused with a reason.
    let shapes = Catalog::embedded().unwrap().shapes.len();
    assert_eq!(training.options.len() + training.refused.len(), shapes);
    assert_eq!(serving.options.len() + serving.refused.len(), shapes);
    assert!(training.refused.iter().chain(&serving.refused).all(|refusal| !refusal.reason.is_empty()));

    for option in &training.options {
        assert!(option.days <= 90.0 && option.meets_deadline && option.step.memory.fits, "{}", option.shape);
        assert!(option.days_interval.low < option.days && option.days < option.days_interval.high);
        let hours = f64::from(option.nodes + option.spare_nodes) * 24.0 * option.days;
        let per_node = f64::from(option.gpus) / f64::from(option.nodes);
        assert!(near(option.gpu_hours, hours * per_node));
        if let Some(cost) = &option.cost {
            assert!(near(cost.total_usd, cost.lines.iter().map(|line| line.usd).sum()));
            assert!(cost.lines.iter().all(|line| near(line.usd, line.quantity * line.unit_usd)));
            assert!(cost.lines.iter().all(|line| !line.source.source.is_empty()));
        }
    }
    for option in &serving.options {
        let point = &option.point;
        assert!(point.ttft_p95_seconds <= 1.0 && point.tpot_p95_seconds <= 0.05 && !point.saturated);
        let carried = point.requests_per_second * f64::from(option.replicas);
        assert!(carried >= serving.peak_requests_per_second * (1.0 - 1e-9), "{}", option.shape);
        assert!(f64::from(option.spare_replicas) >= 0.1 * f64::from(option.replicas) - 1.0);
    }
    // 100 M users × 20 % × 8 requests a day.
    assert!(near(serving.mean_requests_per_second, 1.6e8 / 86_400.0));
    assert!(near(serving.peak_requests_per_second, 2.5 * serving.mean_requests_per_second));

    assert_eq!(plan.splits.len(), 4);
    assert!(plan.splits.is_sorted_by(|a, b| a.total_usd <= b.total_usd));
    let chosen = plan.chosen_split().unwrap();
    assert_eq!((chosen.train_on, chosen.serve_on), (Some(Provider::Azure), Some(Provider::Oci)));
    for split in &plan.splits {
        let sum = split.training_usd + split.transfer_usd + 12.0 * split.serving_usd_per_month;
        assert!(near(split.total_usd, sum));
        let moves = split.train_on != split.serve_on;
        assert_eq!(split.transfer_gb > 0.0, moves);
        // 16-bit weights of 405.85 billion parameters.
        assert!(!moves || (split.transfer_gb - 811.7).abs() < 1.0);
    }
    // Sources are named once each, and prices older than 90 days are flagged with their age.
    let mut figures: Vec<&str> = plan.sources.iter().map(|figure| figure.figure.as_str()).collect();
    let all = figures.len();
    figures.sort_unstable();
    figures.dedup();
    assert_eq!(figures.len(), all);
    assert!(plan.warnings_of("price_old").count() > 0);
}

#[test]
fn a_cluster_past_the_published_limit_is_warned_of() {
    let mut scenario = scenario("azure-trains-oci-serves");
    scenario.serving = None;
    let job = scenario.training.as_mut().unwrap();
    job.shapes = vec!["BM.GPU.H100.8".to_owned()];
    (job.deadline_days, job.gpus, job.cloud) = (None, Some(32_768), None);
    let plan = answer(&scenario);
    assert!(plan.warnings_of("past_published_limit").next().unwrap().message.contains("16384"));
    assert!(plan.warnings_of("past_measured_scale").next().is_some());
}

#[test]
fn a_gpu_that_nobody_rents_has_no_cost_until_a_price_is_given() {
    let mut scenario = scenario("deepseek-v3-as-published");
    let plan = answer(&scenario);
    assert!(plan.training.as_ref().unwrap().options[0].cost.is_none());
    assert!(plan.warnings_of("price_missing").next().is_some());
    assert!(plan.splits.is_empty());
    scenario.training.as_mut().unwrap().usd_per_gpu_hour = Some(2.0);
    let option = &answer(&scenario).training.unwrap().options[0];
    // 2 USD per H800-hour, as the paper counts (arXiv 2412.19437, table 1: 2.664 M hours for pre-training).
    assert!((option.gpu_hours / 2.664e6 - 1.0).abs() < 0.3, "{} GPU-hours", option.gpu_hours);
    assert!(option.cost.as_ref().unwrap().total_usd > 2.0 * option.gpu_hours * (1.0 - 1e-9));
}

#[test]
fn a_term_without_a_price_falls_back_and_says_so() {
    let mut scenario = small_training();
    scenario.pricing.term = Term::Reserved3y;
    let plan = answer(&scenario);
    assert!(plan.warnings_of("price_missing").next().unwrap().message.contains("pay-as-you-go"));
    assert!(plan.training.unwrap().options[0].cost.is_some());
}

#[test]
fn the_answer_does_not_depend_on_the_order_of_shapes() {
    let mut scenario = small_serving();
    let names = ["BM.GPU.H200.8", "Standard_ND96isr_H200_v5", "BM.GPU.MI300X.8"].map(str::to_owned);
    let job = scenario.serving.as_mut().unwrap();
    job.shapes = names.to_vec();
    let forward = answer(&scenario).serving.unwrap().options;
    scenario.serving.as_mut().unwrap().shapes = names.iter().rev().cloned().collect();
    assert_eq!(forward, answer(&scenario).serving.unwrap().options);
}

#[test]
fn the_deadline_is_kept_with_the_fewest_gpu_hours() {
    let mut scenario = scenario("azure-trains-oci-serves");
    scenario.serving = None;
    let job = scenario.training.as_mut().unwrap();
    job.model = "llama-3.1-70b".into();
    job.shapes = vec!["BM.GPU.GB300.4".to_owned()];
    job.cloud = None;
    let found = &answer(&scenario).training.unwrap().options[0];
    // Every number of nodes that a power of two times a divisor of 80 layers gives, one by one.
    let job = scenario.training.as_mut().unwrap();
    job.deadline_days = None;
    let mut least = f64::INFINITY;
    for odd in [1, 5] {
        for power in 2..18 {
            scenario.training.as_mut().unwrap().gpus = Some(odd << power);
            let plan = answer(&scenario).training.unwrap();
            for option in plan.options.iter().filter(|option| option.days <= 90.0) {
                least = least.min(option.gpu_hours);
            }
        }
    }
    assert!(near(found.gpu_hours, least), "{} against {least}", found.gpu_hours);
}
