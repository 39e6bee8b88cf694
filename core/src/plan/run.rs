//! Runs on one place: the step, the wall clock, the number of GPUs that keeps a deadline.

use super::keep::{self, Keeping};
use super::resolve::Goal;
use super::scenario::TrainingJob;
use crate::catalog::{Catalog, Gpu, Shape};
use crate::cost::{Cost, CostItem, Kept, Pricing, Rate, chosen_rate, compute_line, storage_lines};
use crate::error::Error;
use crate::model::Architecture;
use crate::network::Topology;
use crate::order::sort_by;
use crate::quantity::{DAY, Warning, count};
use crate::training::{
    CheckpointLink, GoodputLosses, InterruptionRate, Job, MOST_GPUS, Searcher, Stuck, TrainingStep,
    WallClock, Wanted, step,
};

/// A cloud's place to train, or a bare GPU.
pub struct Place<'a> {
    /// The shape; none for a bare GPU.
    pub shape: Option<&'a Shape>,
    /// Its GPU.
    pub gpu: &'a Gpu,
    /// Its links.
    pub topology: Topology,
    /// What was assumed of them.
    pub assumed: Vec<String>,
}

impl Place<'_> {
    /// Name of the shape, or of the GPU.
    pub fn name(&self) -> &str {
        self.shape.map_or(&self.gpu.name, |shape| &shape.name)
    }
}

/// A run on so many GPUs.
#[derive(Clone)]
pub struct Run<'a> {
    /// The step.
    pub step: TrainingStep,
    /// How many.
    pub steps: f64,
    /// Tokens that it trains on.
    pub tokens: f64,
    /// How long they take.
    pub clock: WallClock,
    /// What is kept meanwhile.
    pub kept: Vec<Kept<'a>>,
}

/// Why there is no run.
pub enum Failure {
    /// What a shape lacks refuses the shape.
    Shape(String),
    /// What is wrong with the question is wrong on every shape; the path lies below `training`.
    Question(Error),
    /// What is wrong with the storage asked for; the path is whole.
    Storage(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            // A missing format, network or size of one shape; another may have it.
            Error::Unsupported { field, .. }
                if ["precision", "software.attention", "network.in_switch_reduction"]
                    .contains(&field.as_str()) =>
            {
                Self::Shape(error.to_string())
            }
            Error::Conflict { field, .. } if field == "layout" => Self::Shape(error.to_string()),
            _ => Self::Question(error),
        }
    }
}

/// The question put to one place.
pub struct Whole<'a> {
    /// Everything known.
    pub catalog: &'a Catalog,
    /// What is asked.
    pub job: &'a TrainingJob,
    /// How long a run is wanted.
    pub goal: Goal,
    /// How to pay.
    pub pricing: &'a Pricing,
    /// The model.
    pub model: &'a Architecture,
    /// Sequences in a step.
    pub batch: u32,
    /// How often things break.
    pub interruptions: InterruptionRate<'a>,
    /// Where it runs.
    pub place: &'a Place<'a>,
    /// What is kept, by tokens.
    pub keeping: &'a Keeping<'a>,
    /// What is kept where the run's length is not known yet: its checkpoints do not depend on it.
    pub kept: Vec<Kept<'a>>,
}

impl<'a> Whole<'a> {
    /// The run that the job asks for.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn run(&self) -> Result<Run<'a>, Failure> {
        let Self { job, place, .. } = self;
        let work = Job::new(
            self.model.clone(),
            place.gpu,
            self.topology()?,
            job.sequence_length,
            job.precision,
            job.task,
        )?
        .with_software(job.software)?
        .with_lora(job.lora)?;
        match (&self.goal, job.gpus, job.deadline_days) {
            (Goal::Tokens(tokens), Some(gpus), _) => self.on(&mut Searcher::new(&work), &work, gpus, *tokens),
            (Goal::Tokens(tokens), None, Some(days)) => self.within(&work, days, *tokens),
            (Goal::Most { budget_usd }, gpus, days) => self.most(&work, gpus, days, *budget_usd),
            (Goal::Tokens(_), None, None) => {
                Err(Failure::Shape("no number of GPUs and no deadline".to_owned()))
            }
        }
    }

    /// The place's links under the conditions that the job meets.
    ///
    /// # Errors
    /// Conditions that these links do not know, with the path below the job.
    pub fn topology(&self) -> Result<Topology, Error> {
        self.job.network.on(self.place.topology).map_err(|error| error.within("network"))
    }

    /// The run over so many tokens on a given number of GPUs.
    fn on(
        &self,
        searcher: &mut Searcher<'_>,
        work: &Job,
        gpus: u32,
        tokens: f64,
    ) -> Result<Run<'a>, Failure> {
        let step = self.step(searcher, work, gpus)?;
        let goodput = self.goodput(gpus).map_err(|stuck| Failure::Shape(words(gpus, stuck)))?;
        Ok(self.lasting(step, goodput, tokens))
    }

    /// The step on a given number of GPUs: in the layout that is given, or in the best one.
    pub fn step(&self, searcher: &mut Searcher<'_>, work: &Job, gpus: u32) -> Result<TrainingStep, Failure> {
        if let Some(layout) = &self.job.layout {
            return Ok(step(work, layout, gpus)?);
        }
        let found = searcher.find(gpus, self.batch, &Wanted::fastest(1))?;
        match (found.best.first(), found.nearest) {
            (Some(layout), _) => Ok(step(work, layout, gpus)?),
            (None, Some(nearest)) => {
                let memory = step(work, &nearest, gpus)?.memory;
                Err(Failure::Shape(format!(
                    "does not fit on {}: the leanest of {} needs {:.0} of {:.0} GiB",
                    count(gpus, "GPU"),
                    count(found.considered, "layout"),
                    memory.total_gib,
                    memory.available_gib
                )))
            }
            (None, None) => Err(Failure::Shape(self.no_layout(gpus))),
        }
    }

    pub fn no_layout(&self, gpus: u32) -> String {
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
        format!(
            "no layout divides {} and a global batch of {}",
            count(gpus, "GPU"),
            count(self.batch, "sequence")
        )
    }

    /// Tokens of a step.
    pub fn tokens_per_step(&self) -> f64 {
        f64::from(self.batch) * f64::from(self.job.sequence_length)
    }

    /// The run of these steps over so many tokens: whole steps, the last perhaps not full.
    fn lasting(&self, step: TrainingStep, goodput: (f64, GoodputLosses), tokens: f64) -> Run<'a> {
        let steps = (tokens / self.tokens_per_step()).ceil();
        let clock = self.job.pauses.wall_clock(steps, step.step_seconds, goodput);
        Run { step, steps, tokens, clock, kept: self.kept.clone() }
    }

    /// The links that checkpoints pass from so many GPUs to storage.
    pub fn links(&self, gpus: u32) -> Vec<CheckpointLink> {
        let nodes = f64::from(gpus.div_ceil(self.place.topology.gpus_per_node));
        keep::links(self.catalog, &self.job.reliability, self.place.shape, &self.kept, nodes)
    }

    /// Share of the wall clock that trains on so many GPUs under failures and checkpoints alone.
    pub fn goodput(&self, gpus: u32) -> Result<(f64, GoodputLosses), Stuck> {
        self.goodput_at(self.interruptions.gpu_hours, gpus)
    }

    /// [`Self::goodput`] with so many GPU-hours between interruptions.
    pub fn goodput_at(&self, gpu_hours: f64, gpus: u32) -> Result<(f64, GoodputLosses), Stuck> {
        let links = self.links(gpus);
        let trained = self.model.parameters() * self.job.trained_share(self.model);
        self.job.reliability.goodput(gpu_hours, trained, f64::from(gpus), &links)
    }

    /// Nodes that train on so many GPUs, and spare nodes beside them.
    pub fn nodes(&self, gpus: u32) -> (u32, u32) {
        let nodes = gpus.div_ceil(self.place.topology.gpus_per_node);
        let spare = (f64::from(nodes) * self.job.reliability.spare_share - 1e-9).ceil().max(0.0) as u32;
        (nodes, spare)
    }

    /// GPUs paid for where so many train: whole nodes, spare ones included.
    pub fn paid(&self, gpus: u32) -> f64 {
        let (nodes, spare) = self.nodes(gpus);
        (f64::from(nodes) + f64::from(spare)) * f64::from(self.place.topology.gpus_per_node)
    }

    /// The rate that is paid; none where no price is known.
    pub fn rate(&self, warnings: &mut Vec<Warning>) -> Option<Rate> {
        let own = self.job.usd_per_gpu_hour;
        chosen_rate(self.catalog, self.place.shape, own, self.pricing, self.place.name(), warnings)
    }

    /// What so many days cost: compute, spare nodes, and what is kept.
    pub fn cost(
        &self,
        rate: &Rate,
        gpus: u32,
        days: f64,
        kept: &[Kept<'_>],
        warnings: &mut Vec<Warning>,
    ) -> Cost {
        let shape = self.place.name();
        let (hours, spare_hours) = self.gpu_hours(gpus, days);
        let mut lines = vec![compute_line(CostItem::Compute, shape, rate, hours)];
        if spare_hours > 0.0 {
            lines.push(compute_line(CostItem::SpareCompute, shape, rate, spare_hours));
        }
        let months = days * 24.0 / self.pricing.hours_per_month;
        let (storage, about) = storage_lines(self.catalog, kept, months, self.pricing.hours_per_month);
        lines.extend(storage);
        warnings.extend(about);
        Cost::of(lines, &self.pricing.currency)
    }

    /// GPU-hours of the nodes that train, and of the spare ones.
    pub fn gpu_hours(&self, gpus: u32, days: f64) -> (f64, f64) {
        let (nodes, spare) = self.nodes(gpus);
        let per_node = f64::from(self.place.topology.gpus_per_node);
        let hours = days * 24.0;
        (f64::from(nodes) * per_node * hours, f64::from(spare) * per_node * hours)
    }

    /// The run that keeps the deadline with the fewest GPU-hours paid for, spare nodes included: at one price of a
    /// GPU-hour, the cheapest.
    ///
    /// Every number of GPUs is tried that a layout can divide (powers of two times an odd divisor of the layers, in whole
    /// nodes), from the one that the dense peak would need. A step is searched only below what keeps the deadline and
    /// beats the best so far, so that most layouts fall to the search's floor.
    fn within(&self, work: &Job, deadline: f64, tokens: f64) -> Result<Run<'a>, Failure> {
        let least = work.sizes.model_flop_per_token * tokens / (work.peak * deadline * DAY);
        let steps = (tokens / self.tokens_per_step()).ceil();
        let counts = self.counts();
        let mut best: Option<(f64, Run<'a>)> = None;
        let mut searcher = Searcher::new(work);
        for &gpus in counts.iter().filter(|&&gpus| f64::from(gpus) >= least) {
            let Ok(goodput) = self.goodput(gpus) else { continue };
            let paid = f64::from(gpus) * (1.0 + self.job.reliability.spare_share);
            let days = best.as_ref().map_or(deadline, |(gpu_days, _)| deadline.min(gpu_days / paid));
            let limit = self.job.pauses.step_seconds(steps, days, goodput.0);
            if limit <= 0.0 {
                continue;
            }
            let wanted = Wanted { seconds: limit, ..Wanted::fastest(1) };
            let found = searcher.find(gpus, self.batch, &wanted)?;
            let Some(layout) = found.best.first() else { continue };
            let run = self.lasting(step(work, layout, gpus)?, goodput, tokens);
            let days = run.clock.days;
            if days <= deadline && best.as_ref().is_none_or(|(gpu_days, _)| paid * days < *gpu_days) {
                best = Some((paid * days, run));
            }
        }
        match best {
            Some((_, run)) => Ok(run),
            None => Err(Failure::Shape(self.nearest(&mut searcher, work, (deadline, tokens))?)),
        }
    }

    /// Why nothing keeps the deadline: the fastest run there is, or what stands in the way of any.
    fn nearest(
        &self,
        searcher: &mut Searcher<'_>,
        work: &Job,
        (deadline, tokens): (f64, f64),
    ) -> Result<String, Failure> {
        let counts = self.counts();
        let mut fastest: Option<Run<'a>> = None;
        let mut reason = None;
        for &gpus in counts.iter().filter(|gpus| gpus.is_power_of_two()) {
            match self.on(searcher, work, gpus, tokens) {
                Ok(run) if fastest.as_ref().is_none_or(|best| run.clock.days < best.clock.days) => {
                    fastest = Some(run);
                }
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
                "misses the deadline of {}: the fastest of the clusters looked at has {} and takes {}, failures \
                 included",
                count(deadline, "day"),
                count(run.step.gpus, "GPU"),
                count(format_args!("{:.0}", run.clock.days), "day")
            ),
            None => reason.unwrap_or_else(|| self.no_layout(counts.last().copied().unwrap_or(1))),
        })
    }

    /// Numbers of GPUs that a layout can divide.
    pub fn counts(&self) -> Vec<u32> {
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
}

/// Why so many GPUs make no headway.
pub fn words(gpus: u32, stuck: Stuck) -> String {
    format!("on {}: {stuck}", count(gpus, "GPU"))
}
