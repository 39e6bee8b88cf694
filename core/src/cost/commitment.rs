//! Base load on a commitment, peak on demand: how much of each costs least.
//!
//! Nodes are looked at one by one, as slices of the load-duration curve: the i-th node is needed in those hours in which at
//! least i are. Committed it costs its rate in every hour, on demand in those hours alone. So it is committed if it is
//! needed in a larger share of the hours than the committed rate is of the on-demand rate, and since the share falls from
//! slice to slice, all slices below one height are: the screening curve of power plants, or the newsvendor's critical
//! fractile (Arrow, Harris and Marschak 1951, doi 10.2307/1906813).

use serde::{Deserialize, Serialize};

use super::compute::{Rate, compute_line};
use super::currency::Currency;
use super::report::{CostItem, CostLine};
use crate::catalog::Term;
use crate::inference::Packing;
use crate::order::sort_by;

/// A step of a load-duration curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct LoadStep {
    /// Nodes.
    pub nodes: u32,
    /// Hours of a month in which at least so many are rented, the time to start them included.
    pub hours_per_month: f64,
}

/// The load-duration curve of a month in which these nodes are needed hour by hour, again and again: fewest nodes first,
/// which are needed in all hours.
///
/// A node is rented `scale_up_hours` before it is needed, so that its replicas are ready: at any moment as many nodes as the
/// most that are needed from then until that much later.
pub fn load_duration(nodes_by_hour: &[u32], scale_up_hours: f64, hours_per_month: f64) -> Vec<LoadStep> {
    let by_hour: Vec<f64> = nodes_by_hour.iter().copied().map(f64::from).collect();
    let steps = duration(&by_hour, scale_up_hours, hours_per_month);
    steps
        .into_iter()
        .map(|(nodes, hours_per_month)| LoadStep { nodes: nodes as u32, hours_per_month })
        .collect()
}

/// The same of anything that is needed hour by hour: how much, least first, and the hours of a month in which at least so much is
/// taken.
pub fn duration(by_hour: &[f64], scale_up_hours: f64, hours_per_month: f64) -> Vec<(f64, f64)> {
    let count = by_hour.len();
    if count == 0 {
        return Vec::new();
    }
    let whole = scale_up_hours.floor();
    let rest = scale_up_hours - whole;
    let most = |from: usize, hours: usize| {
        let ahead = (from..=from + hours).filter_map(|hour| by_hour.get(hour % count));
        ahead.fold(0.0, |most: f64, needed| most.max(*needed))
    };
    // Looking ahead from inside an hour reaches one hour further in its last part.
    let ahead = (whole as usize).min(count);
    let mut parts: Vec<(f64, f64)> = (0..count)
        .flat_map(|hour| [(most(hour, ahead), 1.0 - rest), (most(hour, ahead + 1), rest)])
        .filter(|(_, hours)| *hours > 0.0)
        .collect();
    sort_by(&mut parts, |a, b| b.0.total_cmp(&a.0));
    let mut steps: Vec<(f64, f64)> = Vec::new();
    let mut hours = 0.0;
    for (needed, part) in parts {
        hours += part;
        let hours_per_month = hours / count as f64 * hours_per_month;
        match steps.last_mut() {
            Some(step) if step.0 == needed => step.1 = hours_per_month,
            _ => steps.push((needed, hours_per_month)),
        }
    }
    steps.reverse();
    // Sums of parts of hours may miss the month by a last bit.
    if let Some(base) = steps.first_mut() {
        base.1 = hours_per_month;
    }
    steps
}

/// USD of a month on a load-duration curve of nodes and the hours in which at least so many are needed, fewest first, each node
/// committed where that costs less: what [`SplitLoad::split`] comes to, of parts of nodes too. Both prices are of a node and hour.
pub fn split_usd(
    steps: &[(f64, f64)],
    (committed, on_demand): (Option<f64>, f64),
    hours_per_month: f64,
) -> f64 {
    let always = committed.map_or(f64::INFINITY, |usd| usd * hours_per_month);
    let mut below = 0.0;
    let mut usd = 0.0;
    for (nodes, hours) in steps {
        usd += (nodes - below) * always.min(on_demand * hours);
        below = *nodes;
    }
    usd
}

/// Node-hours of a month if every node above so many is rented when it is needed.
pub fn node_hours(steps: &[LoadStep], above: u32) -> f64 {
    let mut below = above;
    let mut sum = 0.0;
    for step in steps {
        sum += f64::from(step.nodes.max(below) - below) * step.hours_per_month;
        below = below.max(step.nodes);
    }
    sum
}

/// GPU-hours paid for that no request takes. Those that are used are never more, but for the noise that the rounding to
/// whole replicas leaves out.
pub fn idle_gpu_hours(paid: f64, used: f64) -> f64 {
    (paid - used).max(0.0)
}

/// One way to split a month between nodes that are committed and nodes that are rented when needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct CommitmentSplit {
    /// Term of the committed nodes; none where all is on demand.
    pub term: Option<Term>,
    /// Term of the others.
    pub on_demand_term: Term,
    /// Region of both prices.
    pub region: String,
    /// Committed over on-demand price: a node that is needed in a larger share of the hours is committed. None where all is
    /// on demand.
    pub break_even_utilisation: Option<f64>,
    /// Nodes committed.
    pub committed_nodes: u32,
    /// Replicas that they hold whole, spare ones included.
    pub committed_replicas: u32,
    /// Nodes on demand in the busiest hour.
    pub on_demand_nodes: u32,
    /// Replicas on demand in the busiest hour, spare ones included.
    pub on_demand_replicas: u32,
    /// GPU-hours paid for in a month: of all hours for committed nodes, of those rented for the others.
    pub paid_gpu_hours: f64,
    /// GPU-hours paid for that no request takes: paid less those that the month's requests take on replicas at their full
    /// rate within the targets.
    pub idle_gpu_hours: f64,
    /// USD for them, at the split's mean price of a GPU-hour.
    pub idle_usd: f64,
    /// USD for a month: the sum of the lines.
    pub usd: f64,
    /// The same in the currency of `pricing.currency`; none where that is USD.
    pub in_currency: Option<f64>,
    /// USD if all nodes of the busiest hour were committed. None where all is on demand.
    pub all_committed_usd: Option<f64>,
    /// USD if all were on demand.
    pub all_on_demand_usd: f64,
    /// USD of the whole commitment that the term asks for, used or not.
    pub commitment_usd: Option<f64>,
    /// The term commits for longer than the service runs: not chosen, and the month is priced as if all of it were used.
    pub outlasts_service: bool,
    /// Whether it is the cheapest that does not outlast the service.
    pub cheapest: bool,
    /// Committed and on-demand GPU-hours with their prices.
    pub lines: Vec<CostLine>,
}

/// The load that is split.
#[derive(Debug, Clone)]
pub struct SplitLoad<'a> {
    /// Name of the shape, for lines.
    pub shape: &'a str,
    /// The load-duration curve.
    pub steps: &'a [LoadStep],
    /// Hours of a month.
    pub hours_per_month: f64,
    /// GPU-hours of a month that requests take.
    pub used_gpu_hours: f64,
    /// Months of service.
    pub months: f64,
    /// How replicas fill the nodes.
    pub packing: Packing,
    /// Replicas of the busiest hour, spare ones included.
    pub replicas: u32,
}

impl SplitLoad<'_> {
    /// The split that costs least at these two rates; all on demand without a committed one.
    pub fn split(&self, committed: Option<&Rate>, on_demand: &Rate, currency: &Currency) -> CommitmentSplit {
        let per_node = f64::from(self.packing.gpus_per_node);
        let break_even = committed.map(|rate| rate.usd_per_gpu_hour / on_demand.usd_per_gpu_hour);
        let worth = |step: &&LoadStep| {
            break_even.is_some_and(|share| step.hours_per_month >= share * self.hours_per_month)
        };
        let base = self.steps.iter().filter(worth).map(|step| step.nodes).max().unwrap_or(0);
        let peak = self.steps.last().map_or(0, |step| step.nodes);
        let always = per_node * self.hours_per_month;
        let committed_hours = f64::from(base) * always;
        let on_demand_hours = per_node * node_hours(self.steps, base);
        let mut lines = Vec::new();
        if let Some(rate) = committed.filter(|_| base > 0) {
            lines.push(self.line(rate, committed_hours));
        }
        if on_demand_hours > 0.0 {
            lines.push(self.line(on_demand, on_demand_hours));
        }
        let usd = lines.iter().fold(0.0, |sum, line| sum + line.usd);
        let paid = committed_hours + on_demand_hours;
        let idle = idle_gpu_hours(paid, self.used_gpu_hours);
        let replicas = self.packing.replicas_on(base).min(self.replicas);
        let term_hours = committed.and_then(|rate| rate.term.committed_hours());
        CommitmentSplit {
            term: committed.map(|rate| rate.term),
            on_demand_term: on_demand.term,
            region: on_demand.region.clone(),
            break_even_utilisation: break_even,
            committed_nodes: base,
            committed_replicas: replicas,
            on_demand_nodes: peak - base,
            on_demand_replicas: self.replicas - replicas,
            paid_gpu_hours: paid,
            idle_gpu_hours: idle,
            idle_usd: if paid > 0.0 { usd * idle / paid } else { 0.0 },
            usd,
            in_currency: currency.converted(usd),
            all_committed_usd: committed.map(|rate| f64::from(peak) * always * rate.usd_per_gpu_hour),
            all_on_demand_usd: per_node * node_hours(self.steps, 0) * on_demand.usd_per_gpu_hour,
            commitment_usd: committed
                .zip(term_hours)
                .map(|(rate, hours)| f64::from(base) * per_node * hours * rate.usd_per_gpu_hour),
            outlasts_service: term_hours.is_some_and(|hours| hours > self.months * self.hours_per_month),
            cheapest: false,
            lines,
        }
    }

    fn line(&self, rate: &Rate, hours: f64) -> CostLine {
        let mut line = compute_line(CostItem::Compute, self.shape, rate, hours);
        line.what = format!("{}, {}", line.what, rate.term.words());
        line
    }
}

/// Marks the cheapest of the splits that do not outlast the service; the first of equals.
pub fn mark_cheapest(splits: &mut [CommitmentSplit]) {
    let candidates = splits.iter().enumerate().filter(|(_, split)| !split.outlasts_service);
    let best = candidates.min_by(|(_, a), (_, b)| a.usd.total_cmp(&b.usd)).map(|(i, _)| i);
    if let Some(split) = best.and_then(|i| splits.get_mut(i)) {
        split.cheapest = true;
    }
}
