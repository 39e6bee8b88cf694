//! From the words of a scenario to numbers: what is missing or contradictory is refused here.

use super::report::TokensBasis;
use super::scenario::{FleetPolicy, Purchase, Scenario, ServiceTraffic, ServingJob, TrainingJob};
use crate::catalog::{Catalog, Day, Provider, Shape};
use crate::error::{Error, check_range};
use crate::inference::hourly_ratios;
use crate::quantity::{DAY, count};
use crate::training::MOST_GPUS;

/// Refuses a scenario that no plan can be made for.
pub fn check(catalog: &Catalog, scenario: &Scenario) -> Result<(), Error> {
    if scenario.training.is_none() && scenario.serving.is_none() {
        return Err(Error::MissingField {
            field: "training".to_owned(),
            expected: "a scenario trains, serves, or both: give training or serving".to_owned(),
        });
    }
    today(scenario)?;
    scenario.pricing.check(catalog)?;
    scenario.transfer.check(catalog)?;
    scenario.storage.check(catalog)?;
    // Where one cloud is meant to do both, nothing has to move.
    let moves =
        |(train, serve): (&TrainingJob, &ServingJob)| train.cloud.is_none() || train.cloud != serve.cloud;
    if scenario.training.as_ref().zip(scenario.serving.as_ref()).is_some_and(moves) {
        scenario.transfer.check_regions(catalog, &scenario.pricing.with_regions(catalog)?)?;
    }
    if let Some(job) = &scenario.training {
        check_training(catalog, job).map_err(|error| error.within("training"))?;
    }
    if let Some(job) = &scenario.serving {
        check_serving(catalog, job).map_err(|error| error.within("serving"))?;
    }
    Ok(())
}

/// The scenario's day, if it names one.
///
/// # Errors
/// `WrongType` for what is no whole date.
pub fn today(scenario: &Scenario) -> Result<Option<Day>, Error> {
    scenario.today.as_ref().map(|text| Day::read("today", text)).transpose()
}

fn check_training(catalog: &Catalog, job: &TrainingJob) -> Result<(), Error> {
    goal(catalog, job)?;
    check_range("sequence_length", f64::from(job.sequence_length), 1.0, 16_777_216.0)?;
    global_batch(job)?;
    match (job.gpus, job.deadline_days) {
        (None, None) => {
            return Err(Error::MissingField {
                field: "gpus".to_owned(),
                expected: "give gpus, or deadline_days to have them counted".to_owned(),
            });
        }
        (Some(gpus), _) => {
            check_range("gpus", f64::from(gpus), 1.0, f64::from(MOST_GPUS))?;
        }
        (None, Some(_)) => {}
    }
    if let Some(days) = job.deadline_days {
        check_range("deadline_days", days, 1e-3, 1e5)?;
    }
    if job.layout.is_some() && job.gpus.is_none() {
        return Err(Error::MissingField {
            field: "gpus".to_owned(),
            expected: "an explicit layout needs the number of GPUs".to_owned(),
        });
    }
    if let Some(layout) = &job.layout {
        let batch = global_batch(job)?;
        if layout.global_batch != batch {
            return Err(Error::Conflict {
                field: "layout.global_batch".to_owned(),
                message: format!(
                    "{} given, but the job's global batch is {}",
                    layout.global_batch,
                    count(batch, "sequence")
                ),
            });
        }
    }
    if let Some(usd) = job.usd_per_gpu_hour {
        check_range("usd_per_gpu_hour", usd, 1e-6, 1e6)?;
    }
    if let Some(tb) = job.dataset_tb {
        check_range("dataset_tb", tb, 0.0, 1e9)?;
    }
    job.reliability.check(catalog)?;
    job.pauses.check()?;
    check_target(catalog, job.gpu.as_deref(), &job.shapes, job.cloud)
}

fn check_serving(catalog: &Catalog, job: &ServingJob) -> Result<(), Error> {
    check_fleet(job, &load(&job.traffic)?)?;
    check_range("months", job.months, 0.0, 1200.0)?;
    check_range("slo.ttft_p95_seconds", job.slo.ttft_p95_seconds, 1e-4, 1e4)?;
    check_range("slo.tpot_p95_seconds", job.slo.tpot_p95_seconds, 1e-5, 1e3)?;
    if let Some(usd) = job.usd_per_gpu_hour {
        check_range("usd_per_gpu_hour", usd, 1e-6, 1e6)?;
    }
    check_target(catalog, job.gpu.as_deref(), &job.shapes, job.cloud)
}

fn check_target(
    catalog: &Catalog,
    gpu: Option<&str>,
    shapes: &[String],
    cloud: Option<Provider>,
) -> Result<(), Error> {
    if let Some(name) = gpu {
        catalog.gpu("gpu", name)?;
        let other = if !shapes.is_empty() {
            "shapes"
        } else if cloud.is_some() {
            "cloud"
        } else {
            return Ok(());
        };
        return Err(Error::Conflict {
            field: "gpu".to_owned(),
            message: format!("a bare GPU belongs to no shape and no cloud: give gpu or {other}, not both"),
        });
    }
    let mut named: Vec<&str> = Vec::new();
    let mut in_cloud = shapes.is_empty();
    for (i, name) in shapes.iter().enumerate() {
        let field = format!("shapes[{i}]");
        let shape = catalog.shape(&field, name)?;
        if named.contains(&shape.name.as_str()) {
            return Err(Error::Conflict { field, message: format!("{} is named twice", shape.name) });
        }
        named.push(&shape.name);
        in_cloud |= cloud.is_none_or(|cloud| cloud == shape.provider);
    }
    if in_cloud {
        return Ok(());
    }
    Err(Error::Conflict {
        field: "cloud".to_owned(),
        message: "none of the named shapes is this cloud's: name one of its shapes, or leave cloud out"
            .to_owned(),
    })
}

/// How long a run is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// So many tokens.
    Tokens(f64),
    /// The most tokens that a budget pays for, or that a deadline leaves time for.
    Most {
        /// USD.
        budget_usd: Option<f64>,
    },
}

impl Goal {
    /// Its tokens; none where they are the answer.
    pub fn tokens(self) -> Option<f64> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::Most { .. } => None,
        }
    }

    /// Where the tokens of the answer come from.
    pub fn basis(self, job: &TrainingJob) -> TokensBasis {
        match self {
            Self::Tokens(_) if job.tokens_rule.is_some() => TokensBasis::ComputeOptimal,
            Self::Tokens(_) => TokensBasis::Given,
            Self::Most { budget_usd: Some(_) } => TokensBasis::MostForBudget,
            Self::Most { budget_usd: None } => TokensBasis::MostInTime,
        }
    }
}

/// Tokens as given, by rule, or to be sought.
///
/// # Errors
/// None or two ways of giving them, a budget with neither GPUs nor deadline, a rule where it does not hold, an absurd
/// number.
pub fn goal(catalog: &Catalog, job: &TrainingJob) -> Result<Goal, Error> {
    let given = [
        ("tokens", job.tokens.is_some()),
        ("tokens_rule", job.tokens_rule.is_some()),
        ("budget_usd", job.budget_usd.is_some()),
    ];
    let mut named = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    if let (Some(first), Some(second)) = (named.next(), named.next()) {
        return Err(Error::Conflict {
            field: second.to_owned(),
            message: format!("{first} already says how long to train: give {first} or {second}, not both"),
        });
    }
    if let Some(tokens) = job.tokens {
        return check_range("tokens", tokens, 1.0, 1e18).map(Goal::Tokens);
    }
    if let Some(rule) = job.tokens_rule {
        return rule.tokens(&catalog.resolve_model("model", &job.model)?, job.task).map(Goal::Tokens);
    }
    let missing = |field: &str, expected: &str| {
        Err(Error::MissingField { field: field.to_owned(), expected: expected.to_owned() })
    };
    match (job.budget_usd, job.gpus, job.deadline_days) {
        (Some(usd), gpus, days) => {
            check_range("budget_usd", usd, 1.0, 1e12)?;
            if gpus.is_none() && days.is_none() {
                return missing(
                    "gpus",
                    "a budget buys few GPUs for long or many for short: give gpus or deadline_days",
                );
            }
            Ok(Goal::Most { budget_usd: Some(usd) })
        }
        (None, Some(_), Some(_)) => Ok(Goal::Most { budget_usd: None }),
        (None, ..) => missing(
            "tokens",
            "give tokens or tokens_rule; or, to have the most sought, budget_usd with gpus or deadline_days, or gpus with \
             deadline_days",
        ),
    }
}

/// Sequences in an optimiser step.
///
/// # Errors
/// Neither or both ways of giving it, or an absurd number.
pub fn global_batch(job: &TrainingJob) -> Result<u32, Error> {
    match (job.global_batch, job.global_batch_tokens) {
        (Some(sequences), None) => {
            check_range("global_batch", f64::from(sequences), 1.0, 16_777_216.0)?;
            Ok(sequences)
        }
        (None, Some(tokens)) => {
            let length = f64::from(job.sequence_length.max(1));
            check_range("global_batch_tokens", tokens, length, length * 16_777_216.0)?;
            Ok(shareable(tokens / length))
        }
        (None, None) => Err(Error::MissingField {
            field: "global_batch".to_owned(),
            expected: "give global_batch in sequences or global_batch_tokens".to_owned(),
        }),
        (Some(_), Some(_)) => Err(Error::Conflict {
            field: "global_batch_tokens".to_owned(),
            message: "give global_batch or global_batch_tokens, not both".to_owned(),
        }),
    }
}

/// Of the whole numbers within 5 % of `wanted` the one with the largest power of two as a factor; the nearest of them:
/// "4 million tokens" of 8,192 are 512 sequences, not 488, of which eight ranks are all that share evenly.
fn shareable(wanted: f64) -> u32 {
    let nearest = wanted.round().max(1.0);
    let mut unit = 1.0;
    let mut best = nearest;
    while unit <= nearest {
        let candidate = ((wanted / unit).round() * unit).max(unit);
        if (candidate - wanted).abs() > 0.05 * wanted {
            break;
        }
        best = candidate;
        unit *= 2.0;
    }
    best as u32
}

/// Requests per second of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Mean.
    pub mean: f64,
    /// Peak: what the fleet is sized for.
    pub peak: f64,
    /// Mean of each hour of a day (24) or a week from Monday (168); empty where nothing is said of hours.
    pub hours: Vec<f64>,
}

impl Load {
    /// What the fleet is sized for in each hour: its mean, more by as much as the peak is above the busiest hour's mean.
    pub fn sized_hours(&self) -> Vec<f64> {
        let busiest = self.hours.iter().fold(0.0, |most: f64, hour| most.max(*hour));
        self.hours.iter().map(|hour| hour / busiest * self.peak).collect()
    }
}

/// The requests per second that the traffic comes to.
///
/// # Errors
/// Neither or both ways of giving their mean or their hours, an absurd number, a peak below the busiest hour; paths below
/// `traffic`.
pub fn load(traffic: &ServiceTraffic) -> Result<Load, Error> {
    let mean = mean_requests(traffic)?;
    let (hours, days) = (traffic.hour_factors.as_deref(), traffic.weekday_factors.as_deref());
    let ratios = hourly_ratios(traffic.shape, hours, days).map_err(|error| error.within("traffic"))?;
    let ratios = ratios.unwrap_or_default();
    let busiest = ratios.iter().fold(1.0, |most: f64, ratio| most.max(*ratio));
    let asked = traffic.peak_to_mean.map(|ratio| check_range("traffic.peak_to_mean", ratio, 1.0, 1e3));
    let ratio = asked.transpose()?.unwrap_or(busiest);
    // A day's ratios may miss a given peak by the last bits of their mean.
    if ratio < busiest * (1.0 - 1e-9) {
        return Err(Error::Conflict {
            field: "traffic.peak_to_mean".to_owned(),
            message: format!(
                "{ratio} given, but the busiest hour has {busiest:.2} times the mean rate: leave it out, or give more"
            ),
        });
    }
    Ok(Load { mean, peak: mean * ratio.max(busiest), hours: ratios.iter().map(|hour| mean * hour).collect() })
}

fn mean_requests(traffic: &ServiceTraffic) -> Result<f64, Error> {
    let users = [
        ("traffic.monthly_active_users", traffic.monthly_active_users, 1e11),
        ("traffic.daily_active_share", traffic.daily_active_share, 1.0),
        ("traffic.requests_per_active_user_day", traffic.requests_per_active_user_day, 1e6),
    ];
    if let Some(mean) = traffic.requests_per_second {
        if let Some((field, ..)) = users.iter().find(|(_, value, _)| value.is_some()) {
            return Err(Error::Conflict {
                field: (*field).to_owned(),
                message: "give requests_per_second or the users and their habits, not both".to_owned(),
            });
        }
        return check_range("traffic.requests_per_second", mean, 1e-9, 1e9);
    }
    let mut product = 1.0;
    for (field, value, most) in users {
        let value = value.ok_or_else(|| Error::MissingField {
            field: field.to_owned(),
            expected: "give requests_per_second, or users with their daily share and requests".to_owned(),
        })?;
        product *= check_range(field, value, 1e-9, most)?;
    }
    Ok(product / DAY)
}

/// Refuses a fleet that contradicts itself or asks for hours that the traffic does not give.
fn check_fleet(job: &ServingJob, load: &Load) -> Result<(), Error> {
    job.redundancy().check()?;
    let minutes = check_range("fleet.scale_up_minutes", job.fleet.scale_up_minutes, 0.0, 1440.0)?;
    let asks = [
        ("fleet.purchase", job.fleet.purchase == Purchase::CheapestSplit),
        ("fleet.scale_up_minutes", minutes != FleetPolicy::default().scale_up_minutes),
        ("fleet.interruptible_peak", job.fleet.interruptible_peak),
    ];
    match asks.into_iter().find(|(_, asks)| *asks && load.hours.is_empty()) {
        None => Ok(()),
        Some((field, _)) => Err(Error::Conflict {
            field: field.to_owned(),
            message: "what is rented by the hour needs traffic by the hour: give traffic.shape, traffic.hour_factors or \
                      traffic.weekday_factors"
                .to_owned(),
        }),
    }
}

/// The shapes that a job may run on, both clouds', in the order of the catalogue.
pub fn candidates<'a>(catalog: &'a Catalog, only: &[String]) -> Result<Vec<&'a Shape>, Error> {
    if only.is_empty() {
        return Ok(catalog.shapes.iter().collect());
    }
    only.iter().map(|name| catalog.shape("shapes", name)).collect()
}

/// Providers in the order of the plan.
pub const PROVIDERS: [Provider; 2] = [Provider::Azure, Provider::Oci];

#[cfg(test)]
mod tests {
    use super::shareable;

    #[test]
    fn a_batch_in_tokens_becomes_one_that_ranks_can_share() {
        assert_eq!(shareable(16.8e6 / 8192.0), 2048);
        assert_eq!(shareable(64.0), 64);
        assert_eq!(shareable(1.2), 1);
        assert_eq!(shareable(1000.0), 1024);
        assert_eq!(shareable(4e6 / 8192.0), 512);
        assert_eq!(shareable(100.0), 96);
    }
}
