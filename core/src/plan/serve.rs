//! Ways to serve: on each shape the best operating point within the targets, and the fleet for the peak.

use super::interconnect::{Interconnect, of_serving};
use super::report::{Refusal, ServingOption, ServingPlan};
use super::resolve::{candidates, requests_per_second};
use super::scenario::ServingJob;
use super::warnings::past_limit;
use crate::catalog::{Catalog, Shape};
use crate::cost::{Cost, CostItem, Pricing, chosen_rate, compute_line, term_warnings, terms};
use crate::error::Error;
use crate::inference::{
    Fleet, ServingPoint, ServingPointRequest, ServingSearch, ServingSearchRequest, fleet, search_serving,
    serving_point,
};
use crate::order::sort_by;
use crate::quantity::{HOUR, Warning};
use crate::training::MOST_GPUS;

/// Ways to serve, cheapest first.
pub fn options(catalog: &Catalog, job: &ServingJob, pricing: &Pricing) -> Result<ServingPlan, Error> {
    let (mean, peak) = requests_per_second(&job.traffic)?;
    let model = catalog.resolve_model("model", &job.model)?;
    let mut plan = ServingPlan {
        mean_requests_per_second: mean,
        peak_requests_per_second: peak,
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
            precision: job.precision,
            kv_precision: job.kv_precision,
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
        let per_node = match shape {
            Some(shape) => shape.gpus_per_node,
            None => catalog.target(None, job.gpu.as_deref(), None)?.topology.gpus_per_node,
        };
        let size = Sizing { catalog, request: &request, peak, spare_share: job.spare_share, per_node };
        match size.sized(&found)? {
            Some((point, fleet)) if fleet.gpus <= MOST_GPUS => {
                let name_of = shape.map(|shape| shape.name.as_str());
                let topology = catalog.target(name_of, job.gpu.as_deref(), None)?.topology;
                let links = of_serving(shape, &topology, &model, job.precision, &point);
                let whole = Whole { catalog, job, pricing, shape, mean, name, links };
                plan.options.push(whole.option(point, fleet, found));
            }
            Some((_, fleet)) => {
                let reason =
                    format!("would take {} GPUs, more than the {MOST_GPUS} that are priced", fleet.gpus);
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

/// How many replicas of which size carry the peak.
struct Sizing<'a> {
    catalog: &'a Catalog,
    request: &'a ServingSearchRequest,
    peak: f64,
    spare_share: f64,
    per_node: u32,
}

impl Sizing<'_> {
    /// One replica at the load that it gets at the peak, and the fleet; none if no replica meets the targets.
    ///
    /// The replica with the highest throughput per GPU wins a large fleet. Where few replicas carry the peak, smaller ones
    /// are looked at too: they leave less idle.
    fn sized(&self, found: &ServingSearch) -> Result<Option<(ServingPoint, Fleet)>, Error> {
        let Some(best) = &found.best else { return Ok(None) };
        let Ok(mut least) = self.fleet(best) else {
            // More GPUs than a number holds: a replica that barely runs within the targets.
            let none = Fleet { replicas: u32::MAX, spare_replicas: 0, gpus: u32::MAX, nodes: u32::MAX };
            return Ok(Some((best.clone(), none)));
        };
        let mut chosen = best.clone();
        let mut size = 1;
        while least.replicas <= MANY_REPLICAS && size < best.gpus {
            let smaller = ServingSearchRequest { max_replica_gpus: Some(size), ..self.request.clone() };
            let point = search_serving(self.catalog, &smaller)?.best;
            let sized = point.and_then(|point| Some((self.fleet(&point).ok()?, point)));
            if let Some((fleet, point)) = sized.filter(|(fleet, _)| fleet.gpus < least.gpus) {
                (chosen, least) = (point, fleet);
            }
            size *= 2;
        }
        let at_peak = ServingPointRequest {
            model: self.request.model.clone(),
            shape: self.request.shape.clone(),
            gpu: self.request.gpu.clone(),
            gpus: chosen.gpus,
            layout: chosen.layout,
            input_tokens: self.request.input_tokens,
            output_tokens: self.request.output_tokens,
            concurrency: None,
            request_rate: Some(self.peak / f64::from(least.replicas)),
            input_spread: None,
            output_spread: None,
            precision: self.request.precision,
            kv_precision: self.request.kv_precision,
            overlay: None,
        };
        Ok(Some((serving_point(self.catalog, &at_peak)?, least)))
    }

    fn fleet(&self, point: &ServingPoint) -> Result<Fleet, Error> {
        fleet(point, self.peak, self.spare_share, self.per_node)
    }
}

/// The question put to one shape.
struct Whole<'a> {
    catalog: &'a Catalog,
    job: &'a ServingJob,
    pricing: &'a Pricing,
    shape: Option<&'a Shape>,
    mean: f64,
    name: String,
    links: Interconnect,
}

impl Whole<'_> {
    fn option(self, point: ServingPoint, fleet: Fleet, found: ServingSearch) -> ServingOption {
        let Self { catalog, job, pricing, shape, mean, name, links } = self;
        let mut warnings = Vec::new();
        for text in &point.warnings {
            warnings.push(Warning::new(&text.code, &name, text.message.clone()));
        }
        warnings.extend(past_limit(catalog, &name, fleet.gpus));
        let gpu_hours = f64::from(fleet.gpus) * pricing.hours_per_month;
        let rate = chosen_rate(catalog, shape, job.usd_per_gpu_hour, pricing, &name, &mut warnings);
        if let Some(rate) = &rate {
            let used = job.months * pricing.hours_per_month;
            warnings.extend(term_warnings(rate, f64::from(fleet.gpus), used, &name));
        }
        let cost = rate.map(|rate| {
            // Spare replicas are shown apart; nodes that fill up whole count with the serving ones.
            let spare = f64::from(fleet.spare_replicas) / f64::from(fleet.replicas + fleet.spare_replicas);
            let mut lines = vec![compute_line(CostItem::Compute, &name, &rate, gpu_hours * (1.0 - spare))];
            if fleet.spare_replicas > 0 {
                lines.push(compute_line(CostItem::SpareCompute, &name, &rate, gpu_hours * spare));
            }
            Cost::of(lines, &pricing.currency)
        });
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
            interconnect: links,
            frontier: found.frontier,
            warnings,
            cost,
            point,
            shape: name,
        }
    }
}
