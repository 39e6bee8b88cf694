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
    ServingMode, ServingPoint, ServingPointRequest, ServingSearch, ServingSearchRequest, search_serving,
    serving_point,
};
use crate::network::Topology;
use crate::order::sort_by;
use crate::quantity::{HOUR, Warning};
use crate::training::MOST_GPUS;

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
    for shape in places {
        let name = match (shape, &job.gpu) {
            (Some(shape), _) => shape.name.clone(),
            (None, Some(gpu)) => catalog.gpu("gpu", gpu)?.name.clone(),
            (None, None) => continue,
        };
        let provider = shape.map(|shape| shape.provider);
        let request = ServingSearchRequest {
            model: job.model.clone(),
            shape: shape.map(|shape| shape.name.clone()),
            gpu: job.gpu.clone(),
            input_tokens: job.input_tokens,
            output_tokens: job.output_tokens,
            slo: job.slo,
            precision: Some(job.precision),
            kv_precision: job.kv_precision,
            prefix_cache: None,
            speculation: None,
            mode: Some(ServingMode::Aggregated),
            max_replica_gpus: None,
            // The catalogue has the scenario's on it.
            overlay: None,
        };
        let found = match search_serving(catalog, &request) {
            Ok(found) => found,
            Err(Error::Unsupported { field, given, reason }) if field == "precision" => {
                let reason = format!("{given}: {reason}");
                plan.refused.push(Refusal { provider, shape: name, reason });
                continue;
            }
            Err(error) => return Err(error),
        };
        let topology = catalog.target(shape.map(|s| s.name.as_str()), job.gpu.as_deref(), None)?.topology;
        let mut warnings = Vec::new();
        let asked = (job, &load, pricing);
        let fleets = Fleets::on(catalog, asked, shape, (&name, &topology), &mut warnings);
        let size = Sizing { catalog, request: &request, fleets: &fleets };
        match size.sized(&found)? {
            Some(Ok(sized)) if sized.fleet.gpus <= MOST_GPUS => {
                let point = size.at_peak(&sized)?;
                let links = of_serving(shape, &topology, &model, job.precision, &point);
                let whole = Whole { catalog, job, pricing, shape, mean: load.mean, name: &name, links };
                plan.options.push(whole.option((point, sized), &fleets, &topology, found, warnings));
            }
            Some(too_many) => {
                let gpus = too_many.map_or(u32::MAX, |sized| sized.fleet.gpus);
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

/// Fleets of so many replicas leave little to gain from smaller ones: rounding up costs at most an eighth.
const MANY_REPLICAS: u32 = 8;

/// More GPUs than a number holds: a replica that barely runs within the targets.
struct TooMany;

/// How many replicas of which size carry the peak.
struct Sizing<'a> {
    catalog: &'a Catalog,
    request: &'a ServingSearchRequest,
    fleets: &'a Fleets<'a>,
}

impl Sizing<'_> {
    /// The fleet of the replica with the highest throughput per GPU; where few of them carry the peak in a region, smaller
    /// ones are looked at too: they leave less idle. None if no replica meets the targets.
    fn sized(&self, found: &ServingSearch) -> Result<Option<Result<Sized, TooMany>>, Error> {
        let Some(best) = &found.best else { return Ok(None) };
        let Ok(largest) = self.fleets.sized(best) else { return Ok(Some(Err(TooMany))) };
        let few = largest.fleet.replicas / self.fleets.regions() <= MANY_REPLICAS;
        let mut chosen = largest;
        let mut size = 1;
        while few && size < best.gpus {
            let smaller = ServingSearchRequest { max_replica_gpus: Some(size), ..self.request.clone() };
            let point = search_serving(self.catalog, &smaller)?.best;
            if let Some(sized) = point.and_then(|point| self.fleets.sized(&point).ok())
                && self.fleets.judged(&sized) < self.fleets.judged(&chosen)
            {
                chosen = sized;
            }
            size *= 2;
        }
        Ok(Some(Ok(chosen)))
    }

    /// One replica at its share of the peak.
    fn at_peak(&self, sized: &Sized) -> Result<ServingPoint, Error> {
        let request = ServingPointRequest {
            model: self.request.model.clone(),
            shape: self.request.shape.clone(),
            gpu: self.request.gpu.clone(),
            gpus: sized.point.gpus,
            layout: sized.point.layout,
            input_tokens: self.request.input_tokens,
            output_tokens: self.request.output_tokens,
            load: None,
            requests: None,
            engine: None,
            concurrency: None,
            request_rate: Some(self.fleets.share_of(sized)),
            input_spread: None,
            output_spread: None,
            precision: sized.point.precision,
            kv_precision: self.request.kv_precision,
            prefix_cache: None,
            speculation: None,
            disaggregated: None,
            explain: false,
            overlay: None,
        };
        serving_point(self.catalog, &request)
    }
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
        for text in &point.warnings {
            warnings.push(Warning::new(&text.code, name, text.message.clone()));
        }
        warnings.extend(past_limit(catalog, name, fleet.gpus));
        warnings.extend(self.about_fleet(&sized, topology));
        let gpu_hours = f64::from(fleet.gpus) * pricing.hours_per_month;
        let cost = self.cost(&sized, &mut warnings);
        let requests = mean * pricing.hours_per_month * HOUR;
        // A request takes its prefill, and its share of the decode iterations.
        let prefill = point.prefill.total_seconds;
        let decode = job.output_tokens * point.decode.total_seconds / point.decode_batch.max(1.0);
        let prefill_share = prefill / (prefill + decode);
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
                    "{} nodes are rented and given back as traffic moves: no provider promises that so many are free",
                    split.on_demand_nodes
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
