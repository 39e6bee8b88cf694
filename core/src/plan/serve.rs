//! Ways to serve: on each shape the best operating point within the targets, and the fleet for the peak.

use super::fleet::{Fleets, Sized};
use super::interconnect::{Interconnect, of_serving};
use super::report::{Refusal, ServingOption, ServingPlan};
use super::resolve::{candidates, load};
use super::scenario::{Purchase, ServingJob};
use super::warnings::past_limit;
use crate::catalog::{Catalog, Shape};
use crate::cost::{Cost, CostItem, Pricing, chosen_rate, compute_line, interruptible, term_warnings, terms};
use crate::error::Error;
use crate::inference::{
    Aim, Disaggregated, KvTransfer, ServingPoint, ServingPointRequest, ServingSearch, ServingSearchRequest,
    search_with, serving_point,
};
use crate::network::Topology;
use crate::order::sort_by;
use crate::quantity::{HOUR, Warning, count};
use crate::training::MOST_GPUS;

/// What is asked of every shape.
fn question(job: &ServingJob) -> ServingSearchRequest {
    ServingSearchRequest {
        model: job.model.clone(),
        shape: None,
        gpu: None,
        input_tokens: job.input_tokens,
        output_tokens: job.output_tokens,
        slo: job.slo,
        precision: Some(job.precision),
        kv_precision: job.kv_precision,
        prefix_cache: job.prefix_cache,
        speculation: job.speculation.clone(),
        engine: job.engine,
        input_spread: job.input_spread,
        output_spread: job.output_spread,
        mode: job.mode,
        max_replica_gpus: job.max_replica_gpus,
        // The catalogue has the scenario's on it.
        overlay: None,
    }
}

/// Ways to serve, cheapest first.
pub fn options(catalog: &Catalog, job: &ServingJob, pricing: &Pricing) -> Result<ServingPlan, Error> {
    let load = load(&job.traffic)?;
    let model = catalog.resolve_model("model", &job.model)?;
    let mut plan = ServingPlan {
        mean_requests_per_second: load.mean,
        peak_requests_per_second: load.peak,
        hourly_requests_per_second: load.hours.clone(),
        chosen: None,
        options: Vec::new(),
        refused: Vec::new(),
    };
    let places: Vec<Option<&Shape>> = if job.gpu.is_some() {
        vec![None]
    } else {
        candidates(catalog, &job.shapes)?.into_iter().map(Some).collect()
    };
    let question = question(job);
    question.check(catalog, &model)?;
    for shape in places {
        let name = match (shape, &job.gpu) {
            (Some(shape), _) => shape.name.clone(),
            (None, Some(gpu)) => catalog.gpu("gpu", gpu)?.name.clone(),
            (None, None) => continue,
        };
        let provider = shape.map(|shape| shape.provider);
        let request = ServingSearchRequest {
            shape: shape.map(|shape| shape.name.clone()),
            gpu: job.gpu.clone(),
            ..question.clone()
        };
        let topology = catalog.target(shape.map(|s| s.name.as_str()), job.gpu.as_deref(), None)?.topology;
        let mut warnings = Vec::new();
        let asked = (job, &load, pricing);
        let fleets = Fleets::on(catalog, asked, shape, (&name, &topology), &mut warnings);
        let found = match search_with(catalog, &request, Aim::of(&fleets)) {
            Ok(found) => found,
            // Of this shape's GPUs alone: the plan says why, and goes on.
            Err(Error::Unsupported { field, given, reason })
                if ["precision", "engine.family"].contains(&field.as_str()) =>
            {
                let reason = format!("{given}: {reason}");
                plan.refused.push(Refusal { provider, shape: name, reason });
                continue;
            }
            Err(error) => return Err(error),
        };
        match found.best.as_ref().map(|point| fleets.sized(point)) {
            Some(Ok(sized)) if sized.fleet.gpus <= MOST_GPUS => {
                let point = at_peak(catalog, &request, &sized, fleets.share_of(&sized))?;
                let links = of_serving(shape, &topology, &model, job.precision, &point);
                let whole = Whole { catalog, job, pricing, shape, mean: load.mean, name: &name, links };
                plan.options.push(whole.option((point, sized), &fleets, &topology, found, warnings));
            }
            Some(too_many) => {
                let gpus = too_many.map_or(u32::MAX, |sized: Sized| sized.fleet.gpus);
                let reason = format!("would take {gpus} GPUs, more than the {MOST_GPUS} that are priced");
                plan.refused.push(Refusal { provider, shape: name, reason });
            }
            None => plan.refused.push(Refusal { provider, shape: name, reason: why_not(job, &found) }),
        }
    }
    sort_by(&mut plan.options, |a, b| {
        let usd = |option: &ServingOption| option.cost.as_ref().map_or(f64::INFINITY, |cost| cost.total_usd);
        usd(a).total_cmp(&usd(b)).then(a.gpus.cmp(&b.gpus))
    });
    plan.chosen = plan
        .options
        .iter()
        .find(|option| job.cloud.is_none() || option.provider == job.cloud)
        .map(|option| option.shape.clone());
    Ok(plan)
}

fn why_not(job: &ServingJob, found: &ServingSearch) -> String {
    match &found.nearest {
        None => "the model does not fit in the largest replica that was looked at".to_owned(),
        Some(point) if !point.memory.fits => format!(
            "does not fit: {:.0} of {:.0} GiB a GPU at best",
            point.memory.total_gib, point.memory.available_gib
        ),
        Some(point) => format!(
            "misses the targets: nearest is a TTFT of {:.2} s at p95 (target {} s) and a TPOT of {:.0} ms (target {:.0} ms)",
            point.ttft_p95_seconds,
            job.slo.ttft_p95_seconds,
            point.tpot_p95_seconds * 1e3,
            job.slo.tpot_p95_seconds * 1e3,
        ),
    }
}

/// One replica at its share of the peak.
fn at_peak(
    catalog: &Catalog,
    asked: &ServingSearchRequest,
    sized: &Sized,
    rate: f64,
) -> Result<ServingPoint, Error> {
    let disaggregated = sized.point.pools.map(|pools| Disaggregated {
        prefill_layout: pools.prefill_layout,
        prefill_gpus: Some(pools.prefill_gpus),
        transfer: KvTransfer::AfterPrefill,
    });
    let request = ServingPointRequest {
        model: asked.model.clone(),
        shape: asked.shape.clone(),
        gpu: asked.gpu.clone(),
        gpus: sized.point.gpus,
        layout: sized.point.layout,
        input_tokens: asked.input_tokens,
        output_tokens: asked.output_tokens,
        load: None,
        requests: None,
        engine: asked.engine,
        concurrency: None,
        request_rate: Some(rate),
        input_spread: asked.input_spread,
        output_spread: asked.output_spread,
        precision: sized.point.precision,
        kv_precision: asked.kv_precision,
        prefix_cache: asked.prefix_cache,
        speculation: asked.speculation.clone(),
        disaggregated,
        explain: false,
        overlay: None,
    };
    serving_point(catalog, &request)
}

/// Share of the GPUs' time that goes to prompts: of the GPUs themselves where pools are apart; else a request takes its
/// prefill on one of the replica's streams, and its share of the decode iterations.
fn prefill_share(point: &ServingPoint, output_tokens: f64) -> f64 {
    if let Some(pools) = &point.pools {
        return f64::from(pools.prefill_gpus) / f64::from(point.gpus);
    }
    let streams = f64::from(point.layout.dp) * f64::from(point.layout.pp);
    let prefill = point.prefill.total_seconds / streams;
    let steps = output_tokens / point.tokens_per_iteration;
    let decode = steps * point.decode.total_seconds / point.decode_batch.max(1.0);
    prefill / (prefill + decode)
}

/// The question put to one shape.
struct Whole<'a> {
    catalog: &'a Catalog,
    job: &'a ServingJob,
    pricing: &'a Pricing,
    shape: Option<&'a Shape>,
    mean: f64,
    name: &'a str,
    links: Interconnect,
}

impl Whole<'_> {
    /// The option for a fleet, with one replica at the peak.
    fn option(
        self,
        (point, sized): (ServingPoint, Sized),
        fleets: &Fleets<'_>,
        topology: &Topology,
        found: ServingSearch,
        mut warnings: Vec<Warning>,
    ) -> ServingOption {
        let Self { catalog, job, pricing, shape, mean, name, .. } = self;
        let fleet = sized.fleet;
        // Of lengths past the model's context the question is warned, once.
        for text in point.warnings.iter().filter(|warning| warning.code != "past_model_context") {
            warnings.push(Warning::new(&text.code, name, text.message.clone()));
        }
        warnings.extend(past_limit(catalog, name, fleet.gpus));
        warnings.extend(self.about_fleet(&sized, topology));
        let gpu_hours = f64::from(fleet.gpus) * pricing.hours_per_month;
        let cost = self.cost(&sized, &mut warnings);
        let requests = mean * pricing.hours_per_month * HOUR;
        let prefill_share = prefill_share(&point, job.output_tokens);
        let usd = cost.as_ref().map(|cost| cost.total_usd);
        let per_million = |share: f64, tokens: f64| usd.map(|usd| usd * share / (requests * tokens) * 1e6);
        let input = per_million(prefill_share, job.input_tokens);
        let output = per_million(1.0 - prefill_share, job.output_tokens);
        let thousand = usd.map(|usd| usd / requests * 1e3);
        let converted = |usd: Option<f64>| usd.and_then(|usd| pricing.currency.converted(usd));
        ServingOption {
            provider: shape.map(|s| s.provider),
            replicas: fleet.replicas,
            spare_replicas: fleet.spare_replicas,
            gpus: fleet.gpus,
            nodes: fleet.nodes,
            terms: shape
                .map(|s| terms(catalog, s, pricing, f64::from(fleet.gpus), gpu_hours))
                .unwrap_or_default(),
            usd_per_million_input_tokens: input,
            usd_per_million_output_tokens: output,
            usd_per_thousand_requests: thousand,
            per_million_input_tokens_in_currency: converted(input),
            per_million_output_tokens_in_currency: converted(output),
            per_thousand_requests_in_currency: converted(thousand),
            fleet: fleets.answer(sized, usd),
            interconnect: self.links,
            frontier: found.frontier,
            warnings,
            cost,
            point,
            shape: name.to_owned(),
        }
    }

    /// A month: the split that costs least, or the fleet of the peak at one term. None where no price is known.
    fn cost(&self, sized: &Sized, warnings: &mut Vec<Warning>) -> Option<Cost> {
        let Self { catalog, job, pricing, shape, name, .. } = self;
        let fleet = &sized.fleet;
        let currency = &pricing.currency;
        if let (Purchase::CheapestSplit, Some(split)) = (job.fleet.purchase, sized.hours.cheapest()) {
            if split.on_demand_nodes > 0 {
                let text = format!(
                    "{} rented and given back as traffic moves: no provider promises that so many are free",
                    count(split.on_demand_nodes, "node")
                );
                warnings.push(Warning::new("on_demand_capacity", name, text));
                warnings.extend(split.on_demand_term.interruptible().then(|| interruptible(name)));
            }
            return Some(Cost::of(split.lines.clone(), currency));
        }
        // Without a price by the hour there is one only where the chosen term has it.
        let rate = chosen_rate(catalog, *shape, job.usd_per_gpu_hour, pricing, name, warnings)?;
        let used = job.months * pricing.hours_per_month;
        warnings.extend(term_warnings(&rate, f64::from(fleet.gpus), used, name));
        // Spare replicas are shown apart; nodes that fill up whole count with the serving ones.
        let gpu_hours = f64::from(fleet.gpus) * pricing.hours_per_month;
        let spare = f64::from(fleet.spare_replicas) / f64::from(fleet.replicas + fleet.spare_replicas);
        let mut lines = vec![compute_line(CostItem::Compute, name, &rate, gpu_hours * (1.0 - spare))];
        if fleet.spare_replicas > 0 {
            lines.push(compute_line(CostItem::SpareCompute, name, &rate, gpu_hours * spare));
        }
        Some(Cost::of(lines, currency))
    }

    /// What the reader should know about racks and regions.
    fn about_fleet(&self, sized: &Sized, topology: &Topology) -> Vec<Warning> {
        let mut out = Vec::new();
        let gpus = sized.fleet.gpus;
        let domain = topology.scale_up_domain;
        if domain > topology.gpus_per_node && !gpus.is_multiple_of(domain) {
            let racks = f64::from(gpus) / f64::from(domain);
            let text = format!("{gpus} GPUs fill {racks:.1} racks of {domain}");
            out.push(Warning::new("partial_rack", self.name, text));
        }
        if self.job.fleet.regions > 1 {
            let text = format!(
                "all {} regions are priced as the cheapest one, or the one asked for",
                self.job.fleet.regions
            );
            out.push(Warning::new("regions_priced_alike", self.name, text));
        }
        out
    }
}
