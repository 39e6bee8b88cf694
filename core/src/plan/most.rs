//! The other way round: how many tokens a budget or a deadline allows.

use super::run::{Failure, Run, Whole, words};
use crate::cost::Rate;
use crate::order::sort_by;
use crate::quantity::count;
use crate::training::{GoodputLosses, Job, Searcher, TrainingStep, Wanted, step};

/// What a run may take.
struct Allowed {
    days: Option<f64>,
    purse: Option<Purse>,
}

/// USD, and the price at which they are spent.
struct Purse {
    usd: f64,
    rate: Rate,
}

impl Purse {
    /// Days that the money rents so many GPUs.
    fn days(&self, paid: f64) -> f64 {
        self.usd / (self.rate.usd_per_gpu_hour * paid * 24.0)
    }
}

impl<'a> Whole<'a> {
    /// The run over the most tokens within the budget and the deadline that are given: in whole steps, on the GPUs given,
    /// or without them on the number that trains on most.
    ///
    /// The cost of a run rises with its steps (compute and spare nodes with its days, storage with its days and its data
    /// set), so that the most steps are found by bisection: the same sums as in the answer, no inverse of them.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn most(
        &self,
        work: &Job,
        gpus: Option<u32>,
        days: Option<f64>,
        budget_usd: Option<f64>,
    ) -> Result<Run<'a>, Failure> {
        let purse = match budget_usd {
            Some(usd) => Some(Purse { usd, rate: self.priced()? }),
            None => None,
        };
        let allowed = Allowed { days, purse };
        let Some(gpus) = gpus else { return self.most_on_any(work, &allowed) };
        let step = self.step(&mut Searcher::new(work), work, gpus)?;
        let goodput = self.goodput(gpus).map_err(|stuck| Failure::Shape(words(gpus, stuck)))?;
        match self.longest(&step, goodput, &allowed)? {
            Some(run) => Ok(run),
            None => Err(Failure::Shape(format!("{} on {}", allowed.too_little(), count(gpus, "GPU")))),
        }
    }

    fn priced(&self) -> Result<Rate, Failure> {
        let mut about = Vec::new();
        self.rate(&mut about).ok_or_else(|| {
            let why: Vec<String> = about.into_iter().map(|warning| warning.message).collect();
            Failure::Shape(format!("what a budget buys is not known: {}", why.join("; ")))
        })
    }

    /// The number of GPUs on which a budget within a deadline trains on most tokens.
    ///
    /// Every number that a layout can divide is tried, from the one that spends the budget by the deadline outwards: on
    /// fewer GPUs time runs out, on more the money, so that the best lies near it and the rest falls to the bounds.
    fn most_on_any(&self, work: &Job, allowed: &Allowed) -> Result<Run<'a>, Failure> {
        let mut outwards = self.counts();
        sort_by(&mut outwards, |&a, &b| {
            let off = |gpus| libm::fabs(libm::log(allowed.days_on(self.paid(gpus)).1));
            off(a).total_cmp(&off(b)).then(a.cmp(&b))
        });
        let mut best: Option<Run<'a>> = None;
        let mut searcher = Searcher::new(work);
        for gpus in outwards {
            let Ok(goodput) = self.goodput(gpus) else { continue };
            let (days, _) = allowed.days_on(self.paid(gpus));
            let steps = best.as_ref().map_or(1.0, |run| run.steps);
            let limit = self.job.pauses.step_seconds(steps, days, goodput.0);
            // No step is faster than its FLOP at the dense peak.
            let flop = work.sizes.model_flop_per_token * self.tokens_per_step();
            if limit < flop / (f64::from(gpus) * work.peak) {
                continue;
            }
            let wanted = Wanted { seconds: limit, ..Wanted::fastest(1) };
            let found = searcher.find(gpus, self.batch, &wanted)?;
            let Some(layout) = found.best.first() else { continue };
            let run = self.longest(&step(work, layout, gpus)?, goodput, allowed)?;
            best = [best, run].into_iter().flatten().reduce(|a, b| if self.better(&b, &a) { b } else { a });
        }
        match best {
            Some(run) => Ok(run),
            None => Err(Failure::Shape(self.why_none(&mut searcher, work, allowed)?)),
        }
    }

    /// More tokens; of as many, fewer GPU-hours.
    fn better(&self, one: &Run<'_>, than: &Run<'_>) -> bool {
        let paid = |run: &Run<'_>| self.paid(run.step.gpus) * run.clock.days;
        one.steps.total_cmp(&than.steps).then(paid(than).total_cmp(&paid(one))).is_gt()
    }

    /// The run of the most of these steps that is allowed; none where not one is.
    fn longest(
        &self,
        step: &TrainingStep,
        goodput: (f64, GoodputLosses),
        allowed: &Allowed,
    ) -> Result<Option<Run<'a>>, Failure> {
        let lasting = |steps: f64| -> Result<Option<Run<'a>>, Failure> {
            let clock = self.job.pauses.wall_clock(steps, step.step_seconds, goodput);
            let tokens = steps * self.tokens_per_step();
            let kept = match self.place.shape {
                Some(shape) => self.keeping.on(shape.provider, tokens).map_err(Failure::Storage)?,
                None => Vec::new(),
            };
            let late = allowed.days.is_some_and(|days| clock.days > days);
            let dear = allowed.purse.as_ref().is_some_and(|purse| {
                let cost = self.cost(&purse.rate, step.gpus, clock.days, &kept, &mut Vec::new());
                cost.total_usd > purse.usd
            });
            Ok((!late && !dear).then(|| Run { step: step.clone(), steps, tokens, clock, kept }))
        };
        // Without storage and pauses no more steps than these are paid for in time.
        let (days, _) = allowed.days_on(self.paid(step.gpus));
        let mut fails = (days * crate::quantity::DAY * goodput.0 / step.step_seconds).floor() + 2.0;
        let mut best = None;
        let mut holds = 0.0;
        while fails - holds > 1.0 {
            let middle = ((holds + fails) / 2.0).floor();
            // Past 2^53 there are no steps between two numbers.
            if middle <= holds || middle >= fails {
                break;
            }
            match lasting(middle) {
                Ok(Some(run)) => (holds, best) = (middle, Some(run)),
                Ok(None) | Err(Failure::Storage(_)) => fails = middle,
                Err(other) => return Err(other),
            }
        }
        // Where storage that cannot hold a larger data set ends the run, the answer would not be the budget's.
        lasting(fails)?;
        Ok(best)
    }

    fn why_none(
        &self,
        searcher: &mut Searcher<'_>,
        work: &Job,
        allowed: &Allowed,
    ) -> Result<String, Failure> {
        let counts = self.counts();
        let mut reason = None;
        for &gpus in counts.iter().filter(|gpus| gpus.is_power_of_two()) {
            match self.step(searcher, work, gpus) {
                Ok(_) => return Ok(allowed.too_little()),
                Err(Failure::Shape(why)) => {
                    reason = reason.filter(|_| why.starts_with("no layout")).or(Some(why));
                }
                Err(other) => return Err(other),
            }
        }
        Ok(reason.unwrap_or_else(|| self.no_layout(counts.last().copied().unwrap_or(1))))
    }
}

impl Allowed {
    /// Days that so many paid GPUs may run, storage not counted, and how far the budget's days lie from the deadline, as a
    /// ratio; 1 where only one of them is given.
    fn days_on(&self, paid: f64) -> (f64, f64) {
        match (self.days, &self.purse) {
            (Some(days), Some(purse)) => (days.min(purse.days(paid)), purse.days(paid) / days),
            (Some(days), None) => (days, 1.0),
            (None, Some(purse)) => (purse.days(paid), 1.0),
            (None, None) => (0.0, 1.0),
        }
    }

    fn too_little(&self) -> String {
        let what = [
            self.purse.as_ref().map(|purse| format!("a budget of {} USD", purse.usd)),
            self.days.map(|days| count(days, "day")),
        ];
        let what: Vec<String> = what.into_iter().flatten().collect();
        format!("{}: not enough for one step", what.join(" and "))
    }
}
