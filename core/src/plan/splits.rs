//! Which cloud trains and which serves: the total of each way, the move between them included.

use super::report::{Plan, ServingOption, ServingPlan, Split, TrainingOption, TrainingPlan};
use super::resolve::PROVIDERS;
use super::scenario::Scenario;
use crate::catalog::{Catalog, Provider};
use crate::cost::{Move, move_between};
use crate::error::Error;
use crate::quantity::Warning;
use crate::training::CHECKPOINT_BYTES_PER_PARAMETER;

/// Bytes of a released weight: 16 bits, whatever it is served in.
const RELEASED_BYTES: f64 = 2.0;

/// Every way to split the work over the clouds, cheapest first, from the cheapest option of each cloud.
pub fn splits(
    catalog: &Catalog,
    scenario: &Scenario,
    training: Option<&TrainingPlan>,
    serving: Option<&ServingPlan>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Split>, Error> {
    let trains = |cloud| {
        training.map(|plan| plan.options.iter().find(|o| o.provider == Some(cloud) && o.cost.is_some()))
    };
    let serves = |cloud| {
        serving.map(|plan| plan.options.iter().find(|o| o.provider == Some(cloud) && o.cost.is_some()))
    };
    let (parameters, trained) = match &scenario.training {
        Some(job) => {
            let parameters = catalog.resolve_model("training.model", &job.model)?.parameters();
            (parameters, parameters * job.task.trained_share())
        }
        None => (0.0, 0.0),
    };
    let mut out: Vec<Split> = Vec::new();
    for train_on in PROVIDERS {
        for serve_on in PROVIDERS {
            // With only one kind of work there is one cloud to choose.
            if (training.is_none() || serving.is_none()) && train_on != serve_on {
                continue;
            }
            let (Some(train), Some(serve)) = (transposed(trains(train_on)), transposed(serves(serve_on)))
            else {
                continue;
            };
            let moved = if train_on == serve_on {
                Move { gb: 0.0, hours: 0.0, lines: Vec::new(), unpriced: Vec::new() }
            } else {
                let choice = &scenario.transfer;
                let bytes = RELEASED_BYTES * parameters * f64::from(choice.weight_releases)
                    + CHECKPOINT_BYTES_PER_PARAMETER * trained * f64::from(choice.checkpoints);
                move_between(catalog, train_on, bytes, choice)
            };
            for what in &moved.unpriced {
                let text = format!("the price of {what} is not known and not in the totals");
                let unpriced = Warning::new("price_missing", "transfer", text);
                if !warnings.contains(&unpriced) {
                    warnings.push(unpriced);
                }
            }
            out.push(split(scenario, train, serve, moved));
        }
    }
    out.sort_by(|a, b| a.total_usd.total_cmp(&b.total_usd));
    mark_chosen(scenario, &mut out);
    Ok(out)
}

/// None of no plan is nothing to do; none of a plan's options is a split that cannot be made.
fn transposed<T>(option: Option<Option<T>>) -> Option<Option<T>> {
    match option {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

fn split(
    scenario: &Scenario,
    train: Option<&TrainingOption>,
    serve: Option<&ServingOption>,
    moved: Move,
) -> Split {
    let usd = |cost: Option<&crate::cost::Cost>| cost.map_or(0.0, |cost| cost.total_usd);
    let training_usd = usd(train.and_then(|o| o.cost.as_ref()));
    let serving_usd_per_month = usd(serve.and_then(|o| o.cost.as_ref()));
    // From 0: the empty sum of floats is −0.
    let transfer_usd = moved.lines.iter().map(|line| line.usd).fold(0.0, |a, b| a + b);
    let months = scenario.serving.as_ref().map_or(0.0, |job| job.months);
    let total_usd = training_usd + transfer_usd + serving_usd_per_month * months;
    let currency = &scenario.pricing.currency;
    Split {
        train_on: train.and_then(|o| o.provider),
        training_shape: train.map(|o| o.shape.clone()),
        serve_on: serve.and_then(|o| o.provider),
        serving_shape: serve.map(|o| o.shape.clone()),
        training_usd,
        serving_usd_per_month,
        transfer_usd,
        transfer_gb: moved.gb,
        transfer_hours: moved.hours,
        transfer_lines: moved.lines,
        total_usd,
        training_in_currency: currency.converted(training_usd),
        serving_per_month_in_currency: currency.converted(serving_usd_per_month),
        transfer_in_currency: currency.converted(transfer_usd),
        total_in_currency: currency.converted(total_usd),
        chosen: false,
    }
}

/// What the scenario asks for: its clouds, else the cheapest.
fn mark_chosen(scenario: &Scenario, splits: &mut [Split]) {
    let wanted =
        |asked: Option<Provider>, is: Option<Provider>| asked.is_none() || is.is_none() || asked == is;
    let train = scenario.training.as_ref().and_then(|job| job.cloud);
    let serve = scenario.serving.as_ref().and_then(|job| job.cloud);
    if let Some(split) = splits.iter_mut().find(|s| wanted(train, s.train_on) && wanted(serve, s.serve_on)) {
        split.chosen = true;
    }
}

impl Plan {
    /// The split that the scenario asks for.
    pub fn chosen_split(&self) -> Option<&Split> {
        self.splits.iter().find(|split| split.chosen)
    }
}
