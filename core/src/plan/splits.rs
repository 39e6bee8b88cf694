//! Which cloud trains and which serves: the total of each way, the move between them included.

use super::report::{Plan, ServingOption, ServingPlan, Split, TrainingOption, TrainingPlan};
use super::resolve::PROVIDERS;
use super::scenario::Scenario;
use crate::catalog::{Catalog, Provider, Term};
use crate::cost::{End, Link, Move, Pricing, StoredKind, TermCost, move_between};
use crate::error::Error;
use crate::order::sort_by;
use crate::quantity::{GB, Warning};
use crate::training::CHECKPOINT_BYTES_PER_PARAMETER;

/// Bytes of a released weight: 16 bits, whatever it is served in.
const RELEASED_BYTES: f64 = 2.0;

/// Every way to split the work over the clouds, cheapest first, from the first option of each cloud: the cheapest, or where
/// tokens are sought the one that trains on most.
pub fn splits(
    catalog: &Catalog,
    scenario: &Scenario,
    pricing: &Pricing,
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
            let model = catalog.resolve_model("training.model", &job.model)?;
            let parameters = model.parameters();
            (parameters, parameters * job.trained_share(&model))
        }
        None => (0.0, 0.0),
    };
    let mut out: Vec<(f64, Split)> = Vec::new();
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
            let moved = match (train, serve) {
                (Some(train), Some(serve)) if train_on != serve_on => {
                    let choice = &scenario.transfer;
                    let bytes = RELEASED_BYTES * parameters * f64::from(choice.weight_releases)
                        + CHECKPOINT_BYTES_PER_PARAMETER * trained * f64::from(choice.checkpoints);
                    let from = source(catalog, pricing, train_on, train);
                    let (to, about) = destination(catalog, scenario, pricing, (serve_on, serve), bytes);
                    let mut moved = move_between(catalog, &from, &to, bytes, choice, pricing.hours_per_month);
                    moved.warnings.extend(about);
                    moved
                }
                _ => Move::default(),
            };
            out.push((train.map_or(0.0, |option| option.tokens), split(scenario, train, serve, moved)));
        }
    }
    // Tokens differ only where they are sought: then more of them count, not fewer dollars of the same budget.
    sort_by(&mut out, |(more, a), (less, b)| less.total_cmp(more).then(a.total_usd.total_cmp(&b.total_usd)));
    let mut out: Vec<Split> = out.into_iter().map(|(_, split)| split).collect();
    mark_chosen(scenario, &mut out);
    for split in out.iter().filter(|split| split.chosen) {
        warnings.extend(split.transfer_unpriced.iter().map(|what| {
            let text = format!("the price of {what} is not known and not in the totals");
            Warning::new("price_missing", "transfer", text)
        }));
        warnings.extend(split.transfer_warnings.iter().cloned());
    }
    Ok(out)
}

/// The end of a move where the data come from: the training nodes, and the tier of their checkpoints if one is named.
fn source(catalog: &Catalog, pricing: &Pricing, provider: Provider, train: &TrainingOption) -> End {
    let read = train.storage.iter().find(|data| data.kind == StoredKind::Checkpoints);
    let storage = read.and_then(|data| {
        Some(Link { name: format!("reading from {}", data.tier), gbit_per_s: data.gb_per_s? * 8.0 })
    });
    End {
        provider,
        region: region(catalog, pricing, provider, &train.terms),
        links: storage.into_iter().chain(front_end(catalog, &train.shape, train.nodes)).collect(),
    }
}

/// The end of a move where the data arrive: the serving nodes, and the tier for checkpoints of their cloud if one is named.
fn destination(
    catalog: &Catalog,
    scenario: &Scenario,
    pricing: &Pricing,
    (provider, serve): (Provider, &ServingOption),
    bytes: f64,
) -> (End, Option<Warning>) {
    let mut links: Vec<Link> = front_end(catalog, &serve.shape, serve.nodes).into_iter().collect();
    let mut about = None;
    if let Some(tier) = &scenario.storage.of(provider).checkpoints {
        let kept = scenario.storage.kept(catalog, (provider, pricing.region_of(provider)), bytes / GB, 0.0);
        let text = match kept.map(|kept| kept.into_iter().find(|data| data.kind == StoredKind::Checkpoints)) {
            Ok(Some(data)) => {
                links.extend(data.gb_per_s().map(|rate| Link {
                    name: format!("writing to {}", data.tier.name),
                    gbit_per_s: rate * 8.0,
                }));
                format!("{:.1} TiB take what arrives; keeping it is not in the totals", data.provisioned_tib)
            }
            Ok(None) => String::new(),
            Err(error) => format!("it is not counted as a link: {error}"),
        };
        about = Some(Warning::new("transfer_storage", tier, text)).filter(|about| !about.message.is_empty());
    }
    (End { provider, region: region(catalog, pricing, provider, &serve.terms), links }, about)
}

/// The front-end networks of so many nodes; none where they are not known.
fn front_end(catalog: &Catalog, shape: &str, nodes: u32) -> Option<Link> {
    let gbit = catalog.shape("shape", shape).ok()?.frontend_gbit_per_s?;
    Some(Link { name: format!("front-end networks of {nodes} {shape}"), gbit_per_s: f64::from(nodes) * gbit })
}

/// The region of a cloud: the one that was asked for, else the one of the price. None where a price holds in many of them,
/// as OCI's do.
fn region(catalog: &Catalog, pricing: &Pricing, provider: Provider, terms: &[TermCost]) -> Option<String> {
    let of = |term| terms.iter().find(|cost| cost.term == term);
    let priced = of(pricing.term).or_else(|| of(Term::Payg)).map(|cost| cost.region.as_str());
    let one = priced.filter(|name| provider == Provider::Azure && catalog.knows_region(provider, name));
    pricing.region_of(provider).or(one).map(str::to_owned)
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
        transfer_from: moved.from_region,
        transfer_to: moved.to_region,
        transfer_links: moved.links,
        transfer_slowest_link: moved.slowest_link,
        transfer_lines: moved.lines,
        transfer_unpriced: moved.unpriced,
        transfer_warnings: moved.warnings,
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
