//! Fleets by the hour: laws of the split between commitments and demand, refusals with their fields, the built-in
//! scenario of a hundred million users.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rackrate::Error;
use rackrate::catalog::{Catalog, Term};
use rackrate::cost::{OwnRate, load_duration};
use rackrate::inference::{ServingMode, TrafficShape};
use rackrate::plan::{Plan, Purchase, Scenario, ServingOption, built_in_named, plan};

const SHAPE: &str = "Standard_ND96isr_H200_v5";

/// Llama 3.3 70B on one shape, by the hour, at round prices: 10 USD on demand, the committed ones given.
fn scenario(users: f64, committed: &[(Term, f64)]) -> Scenario {
    let mut scenario = built_in_named("serve-70b").unwrap();
    let rates = committed.iter().chain(&[(Term::Payg, 10.0)]);
    scenario.pricing.own_rates = rates
        .map(|(term, usd)| OwnRate {
            provider: None,
            shape: Some(SHAPE.to_owned()),
            region: None,
            term: *term,
            discount: None,
            usd_per_gpu_hour: Some(*usd),
        })
        .collect();
    let job = scenario.serving.as_mut().unwrap();
    job.shapes = vec![SHAPE.to_owned()];
    job.spare_share = 0.0;
    job.fleet.purchase = Purchase::CheapestSplit;
    let traffic = &mut job.traffic;
    traffic.requests_per_second = None;
    traffic.peak_to_mean = None;
    traffic.monthly_active_users = Some(users);
    traffic.daily_active_share = Some(0.2);
    traffic.requests_per_active_user_day = Some(8.0);
    traffic.shape = Some(TrafficShape::AzureConversation2024);
    scenario
}

fn answer(scenario: &Scenario) -> Result<Plan, Error> {
    plan(Catalog::embedded().unwrap(), scenario)
}

fn option(scenario: &Scenario) -> ServingOption {
    answer(scenario).unwrap().serving.unwrap().options.into_iter().next().unwrap()
}

fn usd(scenario: &Scenario) -> f64 {
    option(scenario).cost.unwrap().total_usd
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn more_users_never_cost_less(users in 1e5..3e7f64, factor in 1.0..5.0f64, committed in 2.0..12.0f64) {
        let rates = [(Term::Reserved1y, committed)];
        let (few, many) = (usd(&scenario(users, &rates)), usd(&scenario(users * factor, &rates)));
        prop_assert!(many >= few * (1.0 - 1e-12), "{few} {many}");
    }

    #[test]
    fn a_split_is_never_dearer_than_either_end(
        users in 1e6..3e7f64,
        committed in 2.0..12.0f64,
        minutes in 0.0..400.0f64,
    ) {
        let mut scenario = scenario(users, &[(Term::Reserved1y, committed), (Term::Reserved3y, 0.8 * committed)]);
        scenario.serving.as_mut().unwrap().fleet.scale_up_minutes = minutes;
        let option = option(&scenario);
        for split in &option.fleet.splits {
            prop_assert!(split.usd <= split.all_on_demand_usd * (1.0 + 1e-12));
            prop_assert!(split.all_committed_usd.is_none_or(|all| split.usd <= all * (1.0 + 1e-12)));
            prop_assert!(near(split.usd, split.lines.iter().map(|line| line.usd).sum()));
            let hours: f64 = split.lines.iter().map(|line| line.quantity).sum();
            prop_assert!(near(split.paid_gpu_hours, hours));
            prop_assert!(near(split.paid_gpu_hours, split.idle_gpu_hours + option.fleet.used_gpu_hours));
            prop_assert_eq!(split.committed_nodes + split.on_demand_nodes, option.nodes);
            prop_assert_eq!(
                split.committed_replicas + split.on_demand_replicas,
                option.replicas + option.spare_replicas
            );
        }
        // No other number of committed nodes costs less: the closed form against all of them.
        let split = &option.fleet.splits[1];
        let (steps, per_node) = (&option.fleet.load_duration, f64::from(option.gpus / option.nodes));
        let hours_of = |node: u32| steps.iter().find(|step| step.nodes > node).unwrap().hours_per_month;
        let needed: Vec<f64> = (0..option.nodes).map(hours_of).collect();
        for base in 0..=needed.len() {
            let on_demand: f64 = needed[base..].iter().map(|hours| hours * 10.0).sum();
            let all = per_node * (base as f64 * 730.0 * committed + on_demand);
            prop_assert!(split.usd <= all * (1.0 + 1e-9), "{} nodes cost {all}, not {}", base, split.usd);
        }
    }

    #[test]
    fn spares_regions_and_headroom_never_save(
        users in 1e6..2e7f64,
        spare in 0..3u32,
        regions in 2..5u32,
        target in 0.3..1.0f64,
    ) {
        let with = |change: &dyn Fn(&mut Scenario)| {
            let mut scenario = scenario(users, &[(Term::Reserved1y, 6.0)]);
            scenario.serving.as_mut().unwrap().fleet.regions = regions;
            change(&mut scenario);
            usd(&scenario)
        };
        let fleet = |scenario: &mut Scenario, k: u32, target: f64, survive: bool| {
            let fleet = &mut scenario.serving.as_mut().unwrap().fleet;
            (fleet.spare_replicas, fleet.target_utilisation, fleet.survive_region_loss) = (k, target, survive);
        };
        let bare = with(&|s| fleet(s, spare, 1.0, false));
        prop_assert!(with(&|s| fleet(s, spare + 1, 1.0, false)) >= bare);
        prop_assert!(with(&|s| fleet(s, spare, target, false)) >= bare);
        prop_assert!(with(&|s| fleet(s, spare, 1.0, true)) >= bare);
    }

    #[test]
    fn a_load_duration_curve_falls_and_holds_the_hours(
        nodes in prop::collection::vec(0..50u32, 1..170),
        minutes in 0..1500u32,
    ) {
        let at_once = load_duration(&nodes, 0.0, 730.0);
        let early = load_duration(&nodes, f64::from(minutes) / 60.0, 730.0);
        for steps in [&at_once, &early] {
            prop_assert!(steps.is_sorted_by(|a, b| a.nodes < b.nodes && a.hours_per_month > b.hours_per_month));
            prop_assert_eq!(steps[0].hours_per_month, 730.0);
            prop_assert_eq!(steps.last().unwrap().nodes, *nodes.iter().max().unwrap());
        }
        let area = |steps: &[rackrate::cost::LoadStep]| {
            let mut below = 0;
            steps.iter().fold(0.0, |sum, step| {
                let width = f64::from(step.nodes - below);
                below = step.nodes;
                sum + width * step.hours_per_month
            })
        };
        let mean = nodes.iter().map(|n| f64::from(*n)).sum::<f64>() / nodes.len() as f64;
        prop_assert!((area(&at_once) - mean * 730.0).abs() < 1e-6);
        prop_assert!(area(&early) >= area(&at_once) - 1e-6);
    }
}

#[test]
fn a_node_on_demand_is_paid_from_its_start() {
    // One hour of 3 nodes in a day of 1; half an hour to start: 1 node always, 2 more in 1.5 of 24 hours.
    let mut nodes = [1; 24];
    nodes[12] = 3;
    let steps = load_duration(&nodes, 0.5, 720.0);
    let seen: Vec<(u32, f64)> = steps.iter().map(|step| (step.nodes, step.hours_per_month)).collect();
    assert_eq!(seen, [(1, 720.0), (3, 45.0)]);
    // Two peaks closer than the start: the node is kept in between.
    nodes[14] = 3;
    let steps = load_duration(&nodes, 2.0, 720.0);
    assert_eq!(steps[1].hours_per_month, 5.0 / 24.0 * 720.0);
    assert!(load_duration(&[], 1.0, 730.0).is_empty());
}

#[test]
fn a_commitment_is_worth_its_break_even_share() {
    let at = |committed: f64| {
        let option = option(&scenario(1e7, &[(Term::Reserved1y, committed)]));
        option.fleet.splits.into_iter().find(|split| split.term == Some(Term::Reserved1y)).unwrap()
    };
    // Hardly cheaper: only what is needed nearly always. Dearer: nothing. Very cheap: all of it.
    let (dear, half, cheap) = (at(10.5), at(6.0), at(0.1));
    assert_eq!((dear.committed_nodes, dear.lines.len()), (0, 1));
    assert!(half.committed_nodes > 0 && half.on_demand_nodes > 0 && half.cheapest);
    let warned = |committed: f64| {
        let option = option(&scenario(1e7, &[(Term::Reserved1y, committed)]));
        option.warnings.iter().any(|warning| warning.code == "on_demand_capacity")
    };
    assert!(warned(6.0) && !warned(0.1));
    assert_eq!(cheap.on_demand_nodes, 0);
    assert!(near(half.break_even_utilisation.unwrap(), 0.6));
    assert!(near(half.commitment_usd.unwrap(), 8.0 * f64::from(half.committed_nodes) * 8760.0 * 6.0));
}

#[test]
fn a_commitment_that_outlasts_the_service_is_shown_and_not_taken() {
    let mut scenario = scenario(1e7, &[(Term::Reserved1y, 6.0), (Term::Reserved3y, 3.0)]);
    let taken = |scenario: &Scenario| {
        let option = option(scenario);
        let split = option.fleet.splits.iter().find(|split| split.cheapest).unwrap().clone();
        assert!(near(option.cost.unwrap().total_usd, split.usd));
        split.term
    };
    assert_eq!(taken(&scenario), Some(Term::Reserved1y));
    scenario.serving.as_mut().unwrap().months = 36.0;
    assert_eq!(taken(&scenario), Some(Term::Reserved3y));
    scenario.serving.as_mut().unwrap().months = 6.0;
    assert_eq!(taken(&scenario), None);
}

#[test]
fn without_a_commitment_price_the_answer_says_so() {
    let mut scenario = scenario(1e7, &[]);
    scenario.pricing.own_rates.clear();
    let job = scenario.serving.as_mut().unwrap();
    job.shapes = vec!["BM.GPU.H100.8".to_owned()];
    let bare = option(&scenario);
    assert!(bare.warnings.iter().any(|warning| warning.code == "commitment_unpriced"));
    assert_eq!(bare.fleet.splits.len(), 1);
    // The user's own rate in one region stands beside OCI's price of all regions.
    scenario.pricing.own_rates = vec![OwnRate {
        provider: None,
        shape: Some("BM.GPU.H100.8".to_owned()),
        region: Some("eu-frankfurt-1".to_owned()),
        term: Term::Reserved1y,
        discount: Some(0.4),
        usd_per_gpu_hour: None,
    }];
    let own = option(&scenario);
    let split = own.fleet.splits.iter().find(|split| split.cheapest).unwrap();
    assert_eq!(split.term, Some(Term::Reserved1y));
    assert!(near(split.break_even_utilisation.unwrap(), 0.6));
    assert!(own.cost.unwrap().total_usd < bare.cost.unwrap().total_usd);
}

#[test]
fn capacity_that_may_be_taken_back_only_if_asked_for() {
    let mut scenario = scenario(1e7, &[(Term::Reserved1y, 6.0), (Term::Spot, 2.0)]);
    let firm = option(&scenario);
    assert!(firm.fleet.splits.iter().all(|split| split.on_demand_term == Term::Payg));
    assert!(firm.warnings.iter().all(|warning| warning.code != "interruptible"));
    scenario.serving.as_mut().unwrap().fleet.interruptible_peak = true;
    let spare = option(&scenario);
    assert!(spare.fleet.splits.iter().all(|split| split.on_demand_term == Term::Spot));
    assert!(spare.warnings.iter().any(|warning| warning.code == "interruptible"));
    assert!(spare.cost.unwrap().total_usd < firm.cost.unwrap().total_usd);
}

#[test]
fn one_term_pays_the_peak_all_month_and_shows_the_idle_part() {
    let mut scenario = scenario(1e7, &[(Term::Reserved1y, 6.0)]);
    scenario.serving.as_mut().unwrap().fleet.purchase = Purchase::OneTerm;
    let option = option(&scenario);
    let fleet = &option.fleet;
    assert!(near(option.cost.as_ref().unwrap().total_usd, f64::from(option.gpus) * 730.0 * 10.0));
    assert!(near(fleet.paid_gpu_hours, f64::from(option.gpus) * 730.0));
    assert!(near(fleet.idle_gpu_hours, fleet.paid_gpu_hours - fleet.used_gpu_hours));
    assert!(near(fleet.idle_usd.unwrap(), fleet.idle_gpu_hours * 10.0));
    assert!(near(fleet.usd_per_user_month.unwrap() * 1e7, option.cost.as_ref().unwrap().total_usd));
    // A week by the hour; the busiest hour takes the fleet.
    assert_eq!((fleet.hourly_nodes.len(), fleet.hourly_replicas.len()), (168, 168));
    assert_eq!(*fleet.hourly_nodes.iter().max().unwrap(), option.nodes);
    assert!(fleet.splits.iter().any(|split| split.usd < option.cost.as_ref().unwrap().total_usd));
}

#[test]
fn racks_are_counted_and_rented_whole_if_asked_for() {
    let mut scenario = scenario(3e6, &[]);
    scenario.pricing.own_rates.clear();
    let job = scenario.serving.as_mut().unwrap();
    job.shapes = vec!["BM.GPU.GB200.4".to_owned()];
    job.fleet.regions = 2;
    let nodes = option(&scenario);
    let racks = f64::from(nodes.fleet.racks.unwrap());
    assert!(nodes.fleet.racks_filled.unwrap() < racks && nodes.nodes < 18 * nodes.fleet.racks.unwrap());
    assert!(nodes.warnings.iter().any(|warning| warning.code == "partial_rack"));
    scenario.serving.as_mut().unwrap().fleet.whole_racks = true;
    let whole = option(&scenario);
    assert_eq!((whole.nodes, whole.fleet.racks_filled), (18 * whole.fleet.racks.unwrap(), Some(racks)));
    assert!(whole.fleet.hourly_nodes.iter().all(|nodes| nodes.is_multiple_of(2 * 18)));
    assert!(whole.warnings.iter().all(|warning| warning.code != "partial_rack"));
    assert!(whole.cost.unwrap().total_usd > nodes.cost.unwrap().total_usd);
}

#[test]
fn a_peak_within_the_hour_raises_every_hour_alike() {
    let mut scenario = scenario(3e7, &[]);
    let job = scenario.serving.as_mut().unwrap();
    // One replica, whatever the peak: which costs least depends on it.
    (job.max_replica_gpus, job.mode) = (Some(1), Some(ServingMode::Aggregated));
    let traffic = &mut job.traffic;
    traffic.shape = None;
    traffic.hour_factors = Some((0..24).map(|hour| if hour < 12 { 1.0 } else { 3.0 }).collect());
    let plain = answer(&scenario).unwrap().serving.unwrap();
    scenario.serving.as_mut().unwrap().traffic.peak_to_mean = Some(3.0);
    let bursts = answer(&scenario).unwrap().serving.unwrap();
    assert!(near(plain.peak_requests_per_second, 1.5 * plain.mean_requests_per_second));
    assert!(near(bursts.peak_requests_per_second, 3.0 * plain.mean_requests_per_second));
    // The hours' means stay; the replicas that they take double, to within one of rounding and the 128th part to which their rate
    // is known.
    assert_eq!(plain.hourly_requests_per_second, bursts.hourly_requests_per_second);
    let pairs = plain.options[0].fleet.hourly_replicas.iter().zip(&bursts.options[0].fleet.hourly_replicas);
    assert!(pairs.clone().all(|(once, twice)| (2 * once).abs_diff(*twice) <= 1 + twice / 128), "{pairs:?}");
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut rackrate::plan::ServingJob)| {
        let mut scenario = scenario(1e7, &[]);
        change(scenario.serving.as_mut().unwrap());
        let error = answer(&scenario).unwrap_err();
        (error.field().to_owned(), error.code())
    };
    let said = |field: &str, code: &'static str| (format!("serving.{field}"), code);
    let day = || Some(vec![1.0; 24]);
    assert_eq!(refused(&|j| j.traffic.hour_factors = day()), said("traffic.hour_factors", "conflict"));
    assert_eq!(
        refused(&|j| (j.traffic.shape, j.traffic.hour_factors) = (None, Some(vec![1.0; 23]))),
        said("traffic.hour_factors", "wrong_type")
    );
    assert_eq!(
        refused(&|j| (j.traffic.shape, j.traffic.hour_factors) = (None, Some(vec![0.0; 24]))),
        said("traffic.hour_factors", "out_of_range")
    );
    assert_eq!(
        refused(&|j| (j.traffic.shape, j.traffic.weekday_factors) =
            (None, Some(vec![1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0]))),
        said("traffic.weekday_factors[5]", "out_of_range")
    );
    assert_eq!(refused(&|j| j.traffic.peak_to_mean = Some(1.2)), said("traffic.peak_to_mean", "conflict"));
    assert_eq!(refused(&|j| j.traffic.shape = None), said("fleet.purchase", "conflict"));
    assert_eq!(
        refused(&|j| (j.traffic.shape, j.fleet.purchase, j.fleet.interruptible_peak) =
            (None, Purchase::OneTerm, true)),
        said("fleet.interruptible_peak", "conflict")
    );
    assert_eq!(
        refused(&|j| j.fleet.target_utilisation = 1.2),
        said("fleet.target_utilisation", "out_of_range")
    );
    assert_eq!(refused(&|j| j.fleet.regions = 0), said("fleet.regions", "out_of_range"));
    assert_eq!(
        refused(&|j| j.fleet.survive_region_loss = true),
        said("fleet.survive_region_loss", "conflict")
    );
    assert_eq!(
        refused(&|j| (j.spare_share, j.fleet.spare_replicas) = (0.1, 1)),
        said("fleet.spare_replicas", "conflict")
    );
    assert_eq!(
        refused(&|j| j.fleet.scale_up_minutes = f64::NAN),
        said("fleet.scale_up_minutes", "out_of_range")
    );
}

#[test]
fn a_hundred_million_users_are_served_on_both_clouds() {
    let scenario = built_in_named("serve-100m-users").unwrap();
    let plan = answer(&scenario).unwrap();
    let serving = plan.serving.unwrap();
    assert!(near(serving.mean_requests_per_second, 1.6e8 / 86_400.0));
    assert_eq!(serving.hourly_requests_per_second.len(), 168);
    let providers: Vec<_> = serving.options.iter().filter(|o| o.cost.is_some()).map(|o| o.provider).collect();
    assert!(providers.contains(&Some(rackrate::catalog::Provider::Azure)));
    assert!(providers.contains(&Some(rackrate::catalog::Provider::Oci)));
    for option in serving.options.iter().filter(|option| option.cost.is_some()) {
        let fleet = &option.fleet;
        // Any two of the three regions carry the peak within the targets.
        let left = f64::from(option.replicas) * 2.0 / 3.0 * fleet.requests_per_second_per_replica * 0.8;
        assert!(left >= serving.peak_requests_per_second * (1.0 - 1e-9), "{}", option.shape);
        assert!(near(fleet.paid_gpu_hours, fleet.used_gpu_hours + fleet.idle_gpu_hours));
        assert!(option.spare_replicas >= 3);
        let cost = option.cost.as_ref().unwrap();
        assert!(near(cost.total_usd, cost.lines.iter().map(|line| line.usd).sum()));
        assert!(near(cost.total_usd, 1e8 * fleet.usd_per_user_month.unwrap()));
    }
}
