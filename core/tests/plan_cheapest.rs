//! The fleet that a plan chooses against looking at every way to serve: none makes a cheaper one, with racks rented whole or by the
//! node, over GPUs, rates, regions and ways to pay.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::cost::{load_duration, node_hours};
use rackrate::inference::{
    Packing, Redundancy, ServingLayout, ServingMode, ServingPoint, ServingPointRequest, fleet, serving_point,
};
use rackrate::plan::{Purchase, Scenario, ServingPlan, built_in_named, plan};
use serde_json::json;

const TTFT: f64 = 1.0;
const TPOT: f64 = 0.04;
const USD: f64 = 3.0;

/// Model, GPU, precision, largest replica.
type Place = (&'static str, &'static str, &'static str, u32);

fn scenario(place: Place, rate: f64, mode: ServingMode) -> Scenario {
    let (model, gpu, precision, most) = place;
    let mut scenario = built_in_named("serve-70b").unwrap();
    let job = scenario.serving.as_mut().unwrap();
    job.model = serde_json::from_value(json!(model)).unwrap();
    job.precision = serde_json::from_value(json!(precision)).unwrap();
    (job.gpu, job.usd_per_gpu_hour) = (Some(gpu.to_owned()), Some(USD));
    (job.mode, job.max_replica_gpus) = (Some(mode), Some(most));
    (job.slo.ttft_p95_seconds, job.slo.tpot_p95_seconds) = (TTFT, TPOT);
    job.traffic.requests_per_second = Some(rate);
    scenario
}

/// Every layout of replicas of at most so many GPUs.
fn layouts(place: Place) -> Vec<ServingLayout> {
    let experts = Catalog::embedded().unwrap().model("model", place.0).unwrap().architecture.moe.is_some();
    let powers = |most: u32| (0..8).map(|power| 1_u32 << power).take_while(move |size| *size <= most);
    let mut out = Vec::new();
    for tp in powers(place.3) {
        for pp in powers(place.3 / tp) {
            for dp in powers(if experts { place.3 / (tp * pp) } else { 1 }) {
                let all = tp * dp;
                let ways = if experts && all > 1 { vec![(1, 0), (all, 0), (all, all)] } else { vec![(1, 0)] };
                out.extend(ways.into_iter().map(|(ep, redundant_experts)| ServingLayout {
                    tp,
                    pp,
                    ep,
                    dp,
                    redundant_experts,
                }));
            }
        }
    }
    out
}

fn size(layout: &ServingLayout) -> u32 {
    layout.tp * layout.pp * layout.dp
}

/// The highest rate within the targets of one way to serve, by asking for operating points alone.
fn highest(
    place: Place,
    layout: &ServingLayout,
    reads: Option<(&ServingLayout, u32, u32)>,
) -> Option<ServingPoint> {
    let catalog = Catalog::embedded().unwrap();
    let apart = reads.map(|(reads, from, _)| json!({"prefill_layout": reads, "prefill_gpus": from}));
    let gpus = reads.map_or(size(layout), |(_, from, to)| from + to);
    let at = |rate: f64| {
        let request: ServingPointRequest = serde_json::from_value(json!({
            "model": place.0, "gpu": place.1, "precision": place.2, "gpus": gpus, "layout": layout,
            "input_tokens": 1024.0, "output_tokens": 256.0, "request_rate": rate, "disaggregated": apart,
        }))
        .unwrap();
        serving_point(catalog, &request).ok()
    };
    let met = |point: &ServingPoint| {
        !point.saturated && point.ttft_p95_seconds <= TTFT && point.tpot_p95_seconds <= TPOT
    };
    let least = at(1e-3)?;
    let fits = least.memory.fits && least.pools.is_none_or(|pools| pools.prefill_memory.fits);
    let (mut low, mut high) = (1e-3, least.sustainable_request_rate);
    let mut best = Some(least).filter(|point| fits && met(point))?;
    while high - low > 1e-3 * low {
        let middle = 0.5 * (low + high);
        match at(middle).filter(met) {
            Some(point) => (low, best) = (middle, point),
            None => high = middle,
        }
    }
    Some(best)
}

/// USD of a month of the fleet of such replicas, their rate `less` so much.
fn usd(point: &ServingPoint, less: f64, scenario: &Scenario, found: &ServingPlan) -> f64 {
    let job = scenario.serving.as_ref().unwrap();
    let target = Catalog::embedded().unwrap().target(None, job.gpu.as_deref(), None).unwrap();
    let redundancy = Redundancy {
        target_utilisation: job.fleet.target_utilisation,
        spare_share: job.spare_share,
        spare_replicas: job.fleet.spare_replicas,
        regions: job.fleet.regions,
        survive_region_loss: job.fleet.survive_region_loss,
    };
    let packing = Packing::on(&target.topology, point.gpus, job.fleet.whole_racks);
    let point = ServingPoint { requests_per_second: point.requests_per_second * less, ..point.clone() };
    let nodes = |rate: f64| fleet(&point, rate, &redundancy, &packing).unwrap().nodes;
    let hours = if job.fleet.purchase == Purchase::OneTerm {
        f64::from(nodes(found.peak_requests_per_second)) * 730.0
    } else {
        let by_hour: Vec<u32> = found.hourly_requests_per_second.iter().map(|rate| nodes(*rate)).collect();
        node_hours(&load_duration(&by_hour, 1.0, 730.0), 0)
    };
    hours * f64::from(packing.gpus_per_node) * USD
}

/// Fleets that are asked for: small and large, of one region and three, of nodes and whole racks, by the month and by the hour.
fn asked(place: Place, mode: ServingMode) -> Vec<Scenario> {
    let mut out = Vec::new();
    for rate in [0.3, 2.0, 7.0, 25.0, 90.0, 400.0, 3000.0] {
        for (regions, spares, used, hourly) in
            [(1, 0, 1.0, false), (1, 1, 0.8, true), (3, 1, 0.8, false), (2, 0, 1.0, false)]
        {
            for whole_racks in [false, true] {
                let mut scenario = scenario(place, rate, mode);
                let job = scenario.serving.as_mut().unwrap();
                job.spare_share = if spares == 0 { 0.1 } else { 0.0 };
                job.fleet.spare_replicas = spares;
                job.fleet.regions = regions;
                job.fleet.survive_region_loss = regions == 3;
                job.fleet.target_utilisation = used;
                job.fleet.whole_racks = whole_racks;
                if hourly {
                    job.fleet.purchase = Purchase::CheapestSplit;
                    job.traffic.peak_to_mean = None;
                    job.traffic.hour_factors = Some((0..24).map(|hour| 1.0 + f64::from(hour % 12)).collect());
                }
                out.push(scenario);
            }
        }
    }
    out
}

/// Of all ways to serve, their rates `less` so much, none makes a fleet that costs less than the plan's by more than `by`; and the
/// plan's way keeps the targets. Returns how many ways were cheaper per GPU than the chosen one and made a dearer fleet.
fn compare(place: Place, mode: ServingMode, ways: &[ServingPoint], less: f64) -> usize {
    let mut packed = 0;
    for scenario in asked(place, mode) {
        let found = plan(Catalog::embedded().unwrap(), &scenario).unwrap().serving.unwrap();
        let Some(option) = found.options.first() else {
            assert!(ways.is_empty(), "{place:?}: {:?}", found.refused);
            continue;
        };
        let paid = option.cost.as_ref().unwrap().total_usd;
        let told =
            || format!("{place:?} {:?}: {paid} for {option:?}", scenario.serving.as_ref().unwrap().fleet);
        assert!(option.point.ttft_p95_seconds <= TTFT && option.point.tpot_p95_seconds <= TPOT, "{}", told());
        // By the hour costs fall in steps so close that the 2,048th part to which rates are known moves them.
        let hourly = scenario.serving.as_ref().unwrap().fleet.purchase == Purchase::CheapestSplit;
        let by = if hourly { 1.0 - 2e-3 } else { 1.0 - 1e-9 };
        for way in ways {
            let other = usd(way, less, &scenario, &found);
            assert!(other >= paid * by, "{other} on {:?} {:?}\n{}", way.layout, way.pools, told());
        }
        let per_gpu = |rate: f64, gpus: u32| rate / f64::from(gpus);
        let chosen = per_gpu(option.fleet.requests_per_second_per_replica, option.fleet.replica_gpus);
        let better = |way: &&ServingPoint| per_gpu(way.requests_per_second, way.gpus) > chosen * 1.01;
        packed += usize::from(
            ways.iter().filter(better).any(|way| usd(way, 1.0, &scenario, &found) > paid * 1.001),
        );
    }
    packed
}

#[test]
fn no_replica_makes_a_cheaper_fleet() {
    let mut packed = 0;
    for place in [
        ("deepseek-v3", "GB200", "fp8", 144),
        ("llama-3.3-70b", "GB200", "fp8", 64),
        ("qwen3-235b-a22b", "H200-SXM", "fp8", 32),
        ("llama-3.1-8b", "H100-SXM", "bf16", 8),
        ("llama-3.1-405b", "MI300X", "fp8", 32),
    ] {
        let ways: Vec<ServingPoint> =
            layouts(place).iter().filter_map(|layout| highest(place, layout, None)).collect();
        assert!(ways.len() > 2, "{place:?}: {}", ways.len());
        packed += compare(place, ServingMode::Aggregated, &ways, 1.0);
    }
    // What gives most per GPU often makes a dearer fleet.
    assert!(packed > 5, "{packed}");
}

/// Of pools whole replicas lose little to each other that is not known before, so that rates are lowered by 1 part in 50.
#[test]
fn no_pools_make_a_cheaper_fleet() {
    let mut packed = 0;
    for place in [
        ("llama-3.1-8b", "H100-SXM", "bf16", 6),
        ("llama-3.3-70b", "MI300X", "fp8", 6),
        ("llama-3.3-70b", "GB200", "fp8", 9),
    ] {
        let cuts: Vec<ServingLayout> = layouts(place).into_iter().filter(|cut| size(cut) < place.3).collect();
        let mut ways = Vec::new();
        for (reads, runs) in cuts.iter().flat_map(|reads| cuts.iter().map(move |runs| (reads, runs))) {
            for from in (1..place.3).filter(|gpus| gpus.is_multiple_of(size(reads))) {
                for to in (1..=place.3 - from).filter(|gpus| gpus.is_multiple_of(size(runs))) {
                    ways.extend(highest(place, runs, Some((reads, from, to))));
                }
            }
        }
        assert!(ways.len() > 5, "{place:?}: {}", ways.len());
        packed += compare(place, ServingMode::Disaggregated, &ways, 0.98);
    }
    assert!(packed > 5, "{packed}");
}
