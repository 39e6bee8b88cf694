//! Ways to train: for each shape the cheapest number of GPUs that keeps the deadline, or the number asked for.

use super::interconnect::of_training;
use super::keep::{self, Stored};
use super::report::{Refusal, TrainingOption, TrainingPlan};
use super::resolve::{candidates, global_batch};
use super::scenario::TrainingJob;
use super::warnings::past_limit;
use crate::catalog::{Catalog, Gpu, Shape};
use crate::cost::{
    Cost, CostItem, Kept, Pricing, Rate, chosen_rate, compute_line, storage_lines, term_warnings, terms,
};
use crate::error::Error;
use crate::model::Architecture;
use crate::network::Topology;
use crate::order::sort_by;
use crate::quantity::{DAY, Interval, Warning};
use crate::training::{
    CheckpointLink, GoodputLosses, Job, MOST_GPUS, Searcher, TrainingStep, Wanted, model_flop_per_token,
    search, step,
};

/// A cloud's place to train, or a bare GPU.
struct Place<'a> {
    shape: Option<&'a Shape>,
    gpu: &'a Gpu,
    topology: Topology,
    assumed: Vec<String>,
}

/// A run on so many GPUs.
#[derive(Clone)]
struct Run {
    step: TrainingStep,
    goodput: f64,
    losses: GoodputLosses,
    days: f64,
}

/// Ways to train, cheapest first.
pub fn options(
    catalog: &Catalog,
    job: &TrainingJob,
    stored: &Stored<'_>,
    pricing: &Pricing,
) -> Result<TrainingPlan, Error> {
    let model = catalog.resolve_model("model", &job.model)?;
    let batch = global_batch(job)?;
    let steps = (job.tokens / (f64::from(batch) * f64::from(job.sequence_length))).ceil();
    let mut plan = TrainingPlan {
        steps,
        global_batch: batch,
        model_flop: model_flop_per_token(&model, f64::from(job.sequence_length), job.task) * job.tokens,
        chosen: None,
        options: Vec::new(),
        refused: Vec::new(),
    };
    for place in places(catalog, job)? {
        let name = place.shape.map_or(&place.gpu.name, |shape| &shape.name).clone();
        let provider = place.shape.map(|shape| shape.provider);
        let kept = provider.map_or(&[][..], |cloud| stored.on(cloud));
        let whole = Whole { catalog, job, pricing, model: &model, batch, steps, place: &place, kept };
        match whole.run() {
            Ok(run) => plan.options.push(whole.option(name, run)),
            // What is wrong with the question is wrong on every shape; what a shape lacks refuses the shape.
            Err(Failure::Shape(reason)) => plan.refused.push(Refusal { provider, shape: name, reason }),
            Err(Failure::Question(error)) => return Err(error),
        }
    }
    sort_by(&mut plan.options, |a, b| {
        let key = |option: &TrainingOption| {
            let usd = option.cost.as_ref().map_or(f64::INFINITY, |cost| cost.total_usd);
            (!option.meets_deadline, usd, option.days)
        };
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    });
    plan.chosen = plan
        .options
        .iter()
        .find(|option| job.cloud.is_none() || option.provider == job.cloud)
        .map(|option| option.shape.clone());
    Ok(plan)
}

enum Failure {
    Shape(String),
    Question(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            // A missing format, network or size of one shape; another may have it.
            Error::Unsupported { field, .. }
                if ["precision", "software.attention", "network.in_switch_reduction"].contains(&field.as_str()) =>
            {
                Self::Shape(error.to_string())
            }
            Error::Conflict { field, .. } if field == "layout" => Self::Shape(error.to_string()),
            _ => Self::Question(error),
        }
    }
}

fn places<'a>(catalog: &'a Catalog, job: &TrainingJob) -> Result<Vec<Place<'a>>, Error> {
    if let Some(name) = &job.gpu {
        let target = catalog.target(None, Some(name), None)?;
        return Ok(vec![Place {
            shape: None,
            gpu: target.gpu,
            topology: target.topology,
            assumed: target.assumed,
        }]);
    }
    candidates(catalog, &job.shapes)?
        .into_iter()
        .map(|shape| {
            let target = catalog.target(Some(&shape.name), None, None)?;
            Ok(Place {
                shape: Some(shape),
                gpu: target.gpu,
                topology: target.topology,
                assumed: target.assumed,
            })
        })
        .collect()
}

/// The question put to one place.
struct Whole<'a> {
    catalog: &'a Catalog,
    job: &'a TrainingJob,
    pricing: &'a Pricing,
    model: &'a Architecture,
    batch: u32,
    steps: f64,
    place: &'a Place<'a>,
    kept: &'a [Kept<'a>],
}

impl Whole<'_> {
    fn run(&self) -> Result<Run, Failure> {
        let Self { job, place, .. } = self;
        let work = Job::new(
            self.model.clone(),
            place.gpu,
            self.topology()?,
            job.sequence_length,
            job.precision,
            job.task,
        )?
        .with_software(job.software)?;
        match (job.gpus, job.deadline_days) {
            (Some(gpus), _) => self.on(&work, gpus),
            (None, Some(days)) => self.within(&work, days),
            (None, None) => Err(Failure::Shape("no number of GPUs and no deadline".to_owned())),
        }
    }

    /// The place's links under the conditions that the job meets.
    fn topology(&self) -> Result<Topology, Error> {
        self.job.network.on(self.place.topology).map_err(|error| error.within("network"))
    }

    /// The run on a given number of GPUs.
    fn on(&self, work: &Job, gpus: u32) -> Result<Run, Failure> {
        let step = match &self.job.layout {
            Some(layout) => step(work, layout, gpus)?,
            None => {
                let found = search(work, gpus, self.batch, 1)?;
                match (found.best.first(), found.nearest) {
                    (Some(layout), _) => step(work, layout, gpus)?,
                    (None, Some(nearest)) => {
                        let memory = step(work, &nearest, gpus)?.memory;
                        return Err(Failure::Shape(format!(
                            "does not fit on {gpus} GPUs: the leanest of {} layouts needs {:.0} of {:.0} GiB",
                            found.considered, memory.total_gib, memory.available_gib
                        )));
                    }
                    (None, None) => return Err(Failure::Shape(self.no_layout(gpus))),
                }
            }
        };
        self.wall_clock(step, gpus).ok_or_else(|| {
            Failure::Shape(format!("{gpus} GPUs are interrupted faster than the job recovers"))
        })
    }

    fn no_layout(&self, gpus: u32) -> String {
        let topology = &self.place.topology;
        if gpus > topology.scale_up_domain && topology.scale_out_bytes_per_s <= 0.0 {
            let why = self.place.shape.and_then(|shape| self.catalog.scale_out_note(shape));
            return why.unwrap_or_else(|| {
                format!(
                    "{gpus} GPUs need a network between nodes, and none is known of {}",
                    self.place.gpu.name
                )
            });
        }
        format!("no layout divides {gpus} GPUs and a global batch of {} sequences", self.batch)
    }

    fn wall_clock(&self, step: TrainingStep, gpus: u32) -> Option<Run> {
        let (goodput, losses) = self.goodput(gpus)?;
        let days = self.steps * step.step_seconds / goodput / DAY;
        Some(Run { step, goodput, losses, days })
    }

    /// The links that checkpoints pass from so many GPUs to storage.
    fn links(&self, gpus: u32) -> Vec<CheckpointLink> {
        let nodes = f64::from(gpus.div_ceil(self.place.topology.gpus_per_node));
        keep::links(self.catalog, &self.job.reliability, self.place.shape, self.kept, nodes)
    }

    /// Share of the wall clock that trains on so many GPUs; none where they are interrupted faster than the job recovers.
    fn goodput(&self, gpus: u32) -> Option<(f64, GoodputLosses)> {
        let links = self.links(gpus);
        let trained = self.model.parameters() * self.job.task.trained_share();
        self.job.reliability.goodput(trained, f64::from(gpus), &links)
    }

    /// The run that keeps the deadline with the fewest GPU-hours paid for, spare nodes included: at one price of a
    /// GPU-hour, the cheapest.
    ///
    /// Every number of GPUs is tried that a layout can divide (powers of two times an odd divisor of the layers, in whole
    /// nodes), from the one that the dense peak would need. A step is searched only below what keeps the deadline and
    /// beats the best so far, so that most layouts fall to the search's floor.
    fn within(&self, work: &Job, deadline: f64) -> Result<Run, Failure> {
        let least = work.sizes.model_flop_per_token * self.job.tokens / (work.peak * deadline * DAY);
        let counts = self.counts();
        let mut best: Option<(f64, Run)> = None;
        let mut searcher = Searcher::new(work);
        for &gpus in counts.iter().filter(|&&gpus| f64::from(gpus) >= least) {
            let Some((goodput, _)) = self.goodput(gpus) else { continue };
            let paid = f64::from(gpus) * (1.0 + self.job.reliability.spare_share);
            let days = best.as_ref().map_or(deadline, |(gpu_days, _)| deadline.min(gpu_days / paid));
            let limit = days * DAY * goodput / self.steps;
            let wanted = Wanted { seconds: limit, ..Wanted::fastest(1) };
            let found = searcher.find(gpus, self.batch, &wanted)?;
            let Some(layout) = found.best.first() else { continue };
            let Some(run) = self.wall_clock(step(work, layout, gpus)?, gpus) else { continue };
            if run.days <= deadline && best.as_ref().is_none_or(|(gpu_days, _)| paid * run.days < *gpu_days) {
                best = Some((paid * run.days, run));
            }
        }
        match best {
            Some((_, run)) => Ok(run),
            None => Err(Failure::Shape(self.nearest(work, &counts, deadline)?)),
        }
    }

    /// Why nothing keeps the deadline: the fastest run there is, or what stands in the way of any.
    fn nearest(&self, work: &Job, counts: &[u32], deadline: f64) -> Result<String, Failure> {
        let mut fastest: Option<Run> = None;
        let mut reason = None;
        for &gpus in counts.iter().filter(|gpus| gpus.is_power_of_two()) {
            match self.on(work, gpus) {
                Ok(run) if fastest.as_ref().is_none_or(|best| run.days < best.days) => fastest = Some(run),
                Ok(_) => {}
                // The largest cluster that has layouts says most.
                Err(Failure::Shape(why)) => {
                    reason = reason.filter(|_| why.starts_with("no layout")).or(Some(why));
                }
                Err(question) => return Err(question),
            }
        }
        Ok(match fastest {
            Some(run) => format!(
                "misses the deadline of {deadline} days: the fastest of the clusters looked at has {} GPUs and takes {:.0} \
                 days, failures included",
                run.step.gpus, run.days
            ),
            None => reason.unwrap_or_else(|| self.no_layout(counts.last().copied().unwrap_or(1))),
        })
    }

    fn counts(&self) -> Vec<u32> {
        let topology = &self.place.topology;
        let layers = self.model.layers.max(1);
        let reach = if topology.scale_out_bytes_per_s > 0.0 { MOST_GPUS } else { topology.scale_up_domain };
        let mut counts: Vec<u32> = (1..=63u32)
            .step_by(2)
            .filter(|odd| layers.is_multiple_of(*odd))
            .flat_map(|odd| (0..21).map(move |power| odd << power))
            .filter(|n| *n <= reach && n % topology.gpus_per_node == 0)
            .collect();
        sort_by(&mut counts, Ord::cmp);
        counts.dedup();
        counts
    }

    fn option(&self, shape: String, run: Run) -> TrainingOption {
        let Self { job, pricing, catalog, place, .. } = self;
        let gpus = run.step.gpus;
        let per_node = place.topology.gpus_per_node;
        let nodes = gpus.div_ceil(per_node);
        let spare_nodes = (f64::from(nodes) * job.reliability.spare_share - 1e-9).ceil().max(0.0) as u32;
        let hours = run.days * 24.0;
        let trained_hours = f64::from(nodes) * f64::from(per_node) * hours;
        let spare_hours = f64::from(spare_nodes) * f64::from(per_node) * hours;
        let mut warnings: Vec<Warning> =
            place.assumed.iter().map(|text| Warning::new("assumed", &shape, text.clone())).collect();
        warnings.extend(past_limit(catalog, &shape, gpus));
        warnings.extend(run.step.warnings.iter().cloned());
        let paid_gpus = f64::from(nodes + spare_nodes) * f64::from(per_node);
        let domain = place.topology.scale_up_domain;
        if domain > per_node && !gpus.is_multiple_of(domain) {
            let text =
                format!("{gpus} GPUs fill {:.1} racks of {domain}", f64::from(gpus) / f64::from(domain));
            warnings.push(Warning::new("partial_rack", &shape, text));
        }
        let links = self.links(gpus);
        warnings.extend(keep::assumed(&links, &shape));
        let rate = self.rate(&mut warnings, &shape);
        if let Some(rate) = &rate {
            warnings.extend(term_warnings(rate, paid_gpus, hours, &shape));
        }
        let cost =
            rate.map(|rate| self.cost(&rate, &shape, trained_hours, spare_hours, run.days, &mut warnings));
        let storage = keep::report(place.shape, self.kept, &links, f64::from(nodes));
        let ratio = |end: f64| run.days * end / run.step.step_seconds;
        TrainingOption {
            provider: place.shape.map(|s| s.provider),
            gpus,
            nodes,
            spare_nodes,
            goodput: run.goodput,
            losses: run.losses,
            days: run.days,
            days_interval: Interval {
                low: ratio(run.step.interval.low),
                high: ratio(run.step.interval.high),
                ..run.step.interval.clone()
            },
            gpu_hours: trained_hours + spare_hours,
            meets_deadline: job.deadline_days.is_none_or(|deadline| run.days <= deadline),
            cost,
            storage,
            terms: place
                .shape
                .map(|s| terms(catalog, s, pricing, paid_gpus, trained_hours + spare_hours))
                .unwrap_or_default(),
            warnings,
            // The run was priced on these links, so they are no error.
            interconnect: of_training(place.shape, &self.topology().unwrap_or(place.topology), &run.step),
            step: run.step,
            shape,
        }
    }

    fn rate(&self, warnings: &mut Vec<Warning>, shape: &str) -> Option<Rate> {
        chosen_rate(self.catalog, self.place.shape, self.job.usd_per_gpu_hour, self.pricing, shape, warnings)
    }

    fn cost(
        &self,
        rate: &Rate,
        shape: &str,
        hours: f64,
        spare_hours: f64,
        days: f64,
        warnings: &mut Vec<Warning>,
    ) -> Cost {
        let mut lines = vec![compute_line(CostItem::Compute, shape, rate, hours)];
        if spare_hours > 0.0 {
            lines.push(compute_line(CostItem::SpareCompute, shape, rate, spare_hours));
        }
        let months = days * 24.0 / self.pricing.hours_per_month;
        let (storage, about) = storage_lines(self.catalog, self.kept, months, self.pricing.hours_per_month);
        lines.extend(storage);
        warnings.extend(about);
        Cost::of(lines, &self.pricing.currency)
    }
}
