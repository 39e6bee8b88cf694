//! Ways to train: for each shape the cheapest number of GPUs that keeps the deadline, the number asked for, or the most
//! tokens that a budget allows.

use super::interconnect::of_training;
use super::keep::{self, Keeping};
use super::report::{Refusal, TrainingOption, TrainingPlan};
use super::resolve::{Goal, PROVIDERS, candidates, global_batch};
use super::run::{Failure, Place, Run, Whole};
use super::scenario::TrainingJob;
use super::warnings::past_limit;
use crate::catalog::Catalog;
use crate::cost::{Pricing, term_warnings, terms};
use crate::error::Error;
use crate::order::sort_by;
use crate::quantity::{Interval, Warning, count};
use crate::training::{combined, model_flop_per_token};

/// Ways to train, most tokens first, then cheapest first.
///
/// # Errors
/// Whatever is wrong with the question, with its whole path.
pub fn options(
    catalog: &Catalog,
    job: &TrainingJob,
    goal: Goal,
    keeping: &Keeping<'_>,
    pricing: &Pricing,
) -> Result<TrainingPlan, Error> {
    let inside = |error: Error| error.within("training");
    let model = catalog.resolve_model("model", &job.model).map_err(inside)?;
    let batch = global_batch(job).map_err(inside)?;
    let interruptions = job.reliability.interruptions(catalog).map_err(inside)?;
    // Checkpoints are the same however long the run is; the data set is counted once that is known.
    let tokens = goal.tokens().unwrap_or(0.0);
    for provider in PROVIDERS {
        keeping.on(provider, tokens)?;
    }
    let flop = model_flop_per_token(&model, f64::from(job.sequence_length), job.task);
    let mut plan = TrainingPlan {
        tokens,
        tokens_basis: goal.basis(job),
        steps: 0.0,
        global_batch: batch,
        model_flop: 0.0,
        chosen: None,
        options: Vec::new(),
        refused: Vec::new(),
    };
    for place in places(catalog, job).map_err(inside)? {
        let name = place.name().to_owned();
        let provider = place.shape.map(|shape| shape.provider);
        let kept = provider.map(|cloud| keeping.on(cloud, tokens)).transpose()?.unwrap_or_default();
        let whole = Whole {
            catalog,
            job,
            goal,
            pricing,
            model: &model,
            batch,
            interruptions,
            place: &place,
            keeping,
            kept,
        };
        match whole.run() {
            Ok(run) => plan.options.push(whole.option(name, run)),
            Err(Failure::Shape(reason)) => plan.refused.push(Refusal { provider, shape: name, reason }),
            Err(Failure::Question(error)) => return Err(inside(error)),
            Err(Failure::Storage(error)) => return Err(error),
        }
    }
    sort_by(&mut plan.options, |a, b| {
        let key = |option: &TrainingOption| {
            let usd = option.cost.as_ref().map_or(f64::INFINITY, |cost| cost.total_usd);
            (!option.meets_deadline, usd, option.days)
        };
        let more = b.tokens.total_cmp(&a.tokens);
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(more).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    });
    let chosen = plan.options.iter().find(|option| job.cloud.is_none() || option.provider == job.cloud);
    if let (Goal::Most { .. }, Some(option)) = (goal, chosen) {
        plan.tokens = option.tokens;
    }
    plan.chosen = chosen.map(|option| option.shape.clone());
    plan.steps = (plan.tokens / (f64::from(batch) * f64::from(job.sequence_length))).ceil();
    plan.model_flop = flop * plan.tokens;
    Ok(plan)
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

impl Whole<'_> {
    fn option(&self, shape: String, run: Run<'_>) -> TrainingOption {
        let Self { job, pricing, catalog, place, .. } = self;
        let gpus = run.step.gpus;
        let (nodes, spare_nodes) = self.nodes(gpus);
        let days = run.clock.days;
        let (trained_hours, spare_hours) = self.gpu_hours(gpus, days);
        let mut warnings: Vec<Warning> =
            place.assumed.iter().map(|text| Warning::new("assumed", &shape, text.clone())).collect();
        warnings.extend(past_limit(catalog, &shape, gpus));
        warnings.extend(run.step.warnings.iter().cloned());
        let paid_gpus = self.paid(gpus);
        let domain = place.topology.scale_up_domain;
        if domain > place.topology.gpus_per_node && !gpus.is_multiple_of(domain) {
            let text =
                format!("{gpus} GPUs fill {:.1} racks of {domain}", f64::from(gpus) / f64::from(domain));
            warnings.push(Warning::new("partial_rack", &shape, text));
        }
        let links = self.links(gpus);
        warnings.extend(keep::assumed(&links, &shape));
        let (days_interval, goodput_interval) = self.intervals(&run, &shape, &mut warnings);
        let rate = self.rate(&mut warnings);
        if let Some(rate) = &rate {
            warnings.extend(term_warnings(rate, paid_gpus, days * 24.0, &shape));
        }
        let cost = rate.map(|rate| self.cost(&rate, gpus, days, &run.kept, &mut warnings));
        let storage = keep::report(place.shape, &run.kept, &links, f64::from(nodes));
        TrainingOption {
            provider: place.shape.map(|s| s.provider),
            gpus,
            nodes,
            spare_nodes,
            tokens: run.tokens,
            tokens_interval: matches!(self.goal, Goal::Most { .. }).then(|| Interval {
                // In the same days a slower step leaves time for fewer tokens.
                low: run.tokens * days / days_interval.high,
                high: run.tokens * days / days_interval.low,
                ..days_interval.clone()
            }),
            goodput: run.clock.goodput,
            goodput_interval,
            losses: run.clock.losses,
            days,
            days_interval,
            gpu_hours: trained_hours + spare_hours,
            meets_deadline: job.deadline_days.is_none_or(|deadline| days <= deadline),
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

    /// Where the days and the goodput of a run lie: the residuals of step times, and the run reckoned again at both ends of
    /// the range of published failure rates, combined as independent errors.
    fn intervals(&self, run: &Run<'_>, shape: &str, warnings: &mut Vec<Warning>) -> (Interval, Interval) {
        let step = &run.step.interval;
        let clock = &run.clock;
        let ratio = |end: f64| clock.days * end / run.step.step_seconds;
        let of_step = Interval { low: ratio(step.low), high: ratio(step.high), ..step.clone() };
        let Some(range) = self.interruptions.range else {
            let alone = Interval {
                low: clock.goodput,
                high: clock.goodput,
                coverage: 0.0,
                basis: "failures as given".to_owned(),
            };
            let basis = format!("{}; failures as given", step.basis);
            return (Interval { basis, ..of_step }, alone);
        };
        let mut at = |gpu_hours: f64| match self.goodput_at(gpu_hours, run.step.gpus) {
            Ok(goodput) => self.job.pauses.wall_clock(run.steps, run.step.step_seconds, goodput),
            Err(stuck) => {
                let text = format!(
                    "at {gpu_hours:.0} GPU-hours between failures, which one published system in ten falls short of, \
                     {} would make no headway ({stuck}): the interval of days leaves that out",
                    count(run.step.gpus, "GPU")
                );
                warnings.push(Warning::new("failures_may_stop_the_run", shape, text));
                *clock
            }
        };
        let (often, seldom) = (at(range.low), at(range.high));
        let basis = format!(
            "failures: 10 % and 90 % quantiles of {} published systems, {:.0} and {:.0} GPU-hours between events",
            range.systems, range.low, range.high
        );
        let ends = combined(
            (step.low / run.step.step_seconds, step.high / run.step.step_seconds),
            (seldom.days / clock.days, often.days / clock.days),
        );
        let days = Interval {
            low: clock.days * ends.0,
            high: clock.days * ends.1,
            coverage: step.coverage,
            basis: format!("{}; {basis}", step.basis),
        };
        let goodput = Interval {
            low: often.goodput.min(clock.goodput),
            high: seldom.goodput.max(clock.goodput),
            coverage: 0.8,
            basis,
        };
        (days, goodput)
    }
}
