//! The fleet of a service: replicas and nodes, hour by hour, and what they cost on commitments and on demand.

use super::report::ServingFleet;
use super::resolve::Load;
use super::scenario::{Purchase, ServingJob};
use crate::catalog::{Catalog, Provider, Shape, Term};
use crate::cost::{
    CommitmentSplit, LoadStep, Pricing, Rate, SplitLoad, chosen_rate, duration, idle_gpu_hours,
    load_duration, mark_cheapest, node_hours, rate, rates_together, split_usd,
};
use crate::error::Error;
use crate::inference::{Fleet, FleetCost, Packing, Redundancy, ServingPoint, fleet};
use crate::network::Topology;
use crate::order::sort_by;
use crate::quantity::{HOUR, Warning};

/// Terms that commit, as they are listed or negotiated.
const COMMITMENTS: [Term; 4] = [Term::SavingsPlan1y, Term::SavingsPlan3y, Term::Reserved1y, Term::Reserved3y];

/// What fleets on one shape are sized for and paid at.
pub struct Fleets<'a> {
    job: &'a ServingJob,
    load: &'a Load,
    pricing: &'a Pricing,
    redundancy: Redundancy,
    topology: &'a Topology,
    name: &'a str,
    prices: Prices,
    judged: Judged,
    /// What [`FleetCost::least`] answers.
    least: f64,
}

/// What fleets are judged by.
struct Judged {
    /// Requests per second that a region is sized for, least first, with the hours of a month in which nodes for at
    /// least as many are rented.
    parts: Vec<(f64, f64)>,
    /// USD of a GPU-hour, committed and on demand, of each way to pay.
    usd: Vec<(Option<f64>, f64)>,
    /// Hours of a month.
    month: f64,
}

/// A fleet with the operating point of one replica.
#[derive(Clone)]
pub struct Sized {
    /// One replica at the most that it carries within the targets.
    pub point: ServingPoint,
    /// The fleet of the peak.
    pub fleet: Fleet,
    /// Its hours and what they cost.
    pub hours: Hours,
}

/// A fleet hour by hour: replicas and nodes of each, the hours of a month with at least so many nodes, and the ways to
/// pay for them.
#[derive(Clone, Default)]
pub struct Hours {
    replicas: Vec<u32>,
    nodes: Vec<u32>,
    steps: Vec<LoadStep>,
    splits: Vec<CommitmentSplit>,
}

/// Rates of a shape that hours can be paid at.
struct Prices {
    on_demand: Option<Rate>,
    /// Committed and on-demand rate of one region, for every term and region.
    together: Vec<(Rate, Rate)>,
}

impl<'a> Fleets<'a> {
    /// For one shape or bare GPU; what is missing of its prices is warned of.
    pub fn on(
        catalog: &Catalog,
        (job, load, pricing): (&'a ServingJob, &'a Load, &'a Pricing),
        shape: Option<&Shape>,
        (name, topology): (&'a str, &'a Topology),
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let prices = if load.hours.is_empty() {
            Prices { on_demand: None, together: Vec::new() }
        } else {
            Prices::of(catalog, (job, pricing), shape, name, warnings)
        };
        let redundancy = job.redundancy();
        let judged = Judged::of(job, load, pricing, &prices);
        let regions = f64::from(redundancy.regions);
        let least = judged.cost(|part| regions * part / redundancy.target_utilisation);
        Self { job, load, pricing, redundancy, topology, name, prices, judged, least }
    }

    /// The fleet of the peak in replicas like `point`, hour by hour where the traffic is.
    pub fn sized(&self, point: &ServingPoint) -> Result<Sized, Error> {
        let packing = self.packing(point);
        let at = |rate: f64| fleet(point, rate, &self.redundancy, &packing);
        let peak = at(self.load.peak)?;
        let mut hours = Hours::default();
        for rate in self.load.sized_hours() {
            let fleet = at(rate)?;
            hours.replicas.push(fleet.replicas + fleet.spare_replicas);
            hours.nodes.push(fleet.nodes);
        }
        let scale_up = self.job.fleet.scale_up_minutes / 60.0;
        hours.steps = load_duration(&hours.nodes, scale_up, self.pricing.hours_per_month);
        hours.splits = self.splits(point, &peak, &hours.steps);
        Ok(Sized { point: point.clone(), fleet: peak, hours })
    }

    /// Rate at which a replica is asked to carry requests at the peak, per second.
    pub fn share_of(&self, sized: &Sized) -> f64 {
        self.redundancy.carried(self.load.peak) / f64::from(sized.fleet.replicas)
    }

    /// The answer for a fleet whose month costs `usd`.
    pub fn answer(&self, sized: Sized, usd: Option<f64>) -> ServingFleet {
        let Sized { point, fleet, hours } = sized;
        let packing = self.packing(&point);
        let used = self.used_gpu_hours(&point);
        let one_term = f64::from(fleet.gpus) * self.pricing.hours_per_month;
        let by_the_hour = self.job.fleet.purchase == Purchase::CheapestSplit;
        let split = hours.cheapest().filter(|_| by_the_hour);
        let paid = match split {
            Some(split) => split.paid_gpu_hours,
            // Without a price: what would be rented.
            None if by_the_hour && usd.is_none() => hours.gpu_hours(packing.gpus_per_node),
            None => one_term,
        };
        let idle = idle_gpu_hours(paid, used);
        let each = point.requests_per_second / f64::from(point.units());
        let users = self.job.traffic.monthly_active_users;
        let all = fleet.replicas + fleet.spare_replicas;
        let per_user = usd.zip(users).map(|(usd, users)| usd / users);
        ServingFleet {
            regions: self.redundancy.regions,
            replicas_per_region: all / self.redundancy.regions.max(1),
            replica_gpus: packing.replica_gpus,
            prefill_gpus: point.pools.map(|pools| all * pools.prefill_gpus),
            decode_gpus: point.pools.map(|pools| all * pools.decode_gpus),
            replicas_per_node: packing.replicas_per_node(),
            racks: fleet.racks,
            racks_filled: packing.nodes_per_rack.map(|rack| f64::from(fleet.nodes) / f64::from(rack)),
            requests_per_second_per_replica: each,
            peak_utilisation: self.load.peak / (each * f64::from(fleet.replicas)),
            paid_gpu_hours: paid,
            used_gpu_hours: used,
            idle_gpu_hours: idle,
            idle_usd: usd.map(|usd| usd * idle / paid),
            usd_per_user_month: per_user,
            per_user_month_in_currency: per_user.and_then(|usd| self.pricing.currency.converted(usd)),
            hourly_replicas: hours.replicas,
            hourly_nodes: hours.nodes,
            load_duration: hours.steps,
            splits: hours.splits,
        }
    }

    fn packing(&self, point: &ServingPoint) -> Packing {
        FleetCost::packing(self, point.gpus / point.units())
    }

    /// GPU-hours that a month's requests take on replicas at their full rate within the targets.
    fn used_gpu_hours(&self, point: &ServingPoint) -> f64 {
        let requests = self.load.mean * self.pricing.hours_per_month * HOUR;
        requests * f64::from(point.gpus) / (point.requests_per_second * HOUR)
    }

    /// All on demand, and for each term that commits its cheapest region's split.
    fn splits(&self, point: &ServingPoint, peak: &Fleet, steps: &[LoadStep]) -> Vec<CommitmentSplit> {
        let load = SplitLoad {
            shape: self.name,
            steps,
            hours_per_month: self.pricing.hours_per_month,
            used_gpu_hours: self.used_gpu_hours(point),
            months: self.job.months,
            packing: self.packing(point),
            replicas: peak.replicas + peak.spare_replicas,
        };
        let currency = &self.pricing.currency;
        let Some(on_demand) = &self.prices.on_demand else { return Vec::new() };
        let mut out = vec![load.split(None, on_demand, currency)];
        for term in COMMITMENTS {
            let regions = self.prices.together.iter().filter(|(committed, _)| committed.term == term);
            let splits = regions.map(|(committed, other)| load.split(Some(committed), other, currency));
            out.extend(splits.min_by(|a, b| a.usd.total_cmp(&b.usd)));
        }
        mark_cheapest(&mut out);
        out
    }
}

/// Less is better: USD of a month where it is paid for by the hour, GPU-hours where no price is known; else GPUs, for
/// the rate of a month is the same for all fleets on a shape.
impl FleetCost for Fleets<'_> {
    fn packing(&self, gpus: u32) -> Packing {
        Packing::on(self.topology, gpus, self.job.fleet.whole_racks)
    }

    fn cost(&self, gpus: u32, each: f64) -> f64 {
        let packing = FleetCost::packing(self, gpus);
        let filled = packing.filled();
        let rented = f64::from(self.redundancy.regions) * f64::from(packing.gpus_per_node);
        self.judged.cost(|part| {
            let (replicas, spare) = self.redundancy.replicas(part, each);
            rented * filled.nodes(replicas + spare)
        })
    }

    fn least(&self) -> f64 {
        self.least
    }
}

impl Judged {
    fn of(job: &ServingJob, load: &Load, pricing: &Pricing, prices: &Prices) -> Self {
        let redundancy = job.redundancy();
        let month = pricing.hours_per_month;
        if job.fleet.purchase == Purchase::OneTerm {
            // The fleet of the peak all month at one rate for all: its GPUs are its cost.
            return Self {
                parts: vec![(redundancy.part(load.peak), month)],
                usd: vec![(None, 1.0 / month)],
                month,
            };
        }
        let sized: Vec<f64> = load.sized_hours().into_iter().map(|rate| redundancy.part(rate)).collect();
        let parts = duration(&sized, job.fleet.scale_up_minutes / 60.0, month);
        Self { parts, usd: prices.worth_taking(job.months * month), month }
    }

    /// Cost of a fleet that has so many GPUs for a part of the requests.
    fn cost(&self, gpus: impl Fn(f64) -> f64) -> f64 {
        let mut steps: Vec<(f64, f64)> = Vec::with_capacity(self.parts.len());
        for (part, hours) in &self.parts {
            let gpus = gpus(*part);
            if steps.last().is_none_or(|last| last.0 < gpus) {
                steps.push((gpus, *hours));
            }
        }
        let usd = self.usd.iter().map(|usd| split_usd(&steps, *usd, self.month));
        usd.fold(f64::INFINITY, f64::min)
    }
}

impl Hours {
    /// The cheapest split that does not outlast the service; none without a price.
    pub fn cheapest(&self) -> Option<&CommitmentSplit> {
        self.splits.iter().find(|split| split.cheapest)
    }

    /// GPU-hours of a month if every node is rented when it is needed.
    fn gpu_hours(&self, gpus_per_node: u32) -> f64 {
        node_hours(&self.steps, 0) * f64::from(gpus_per_node)
    }
}

impl Prices {
    /// USD of a GPU-hour, committed and on demand, of the splits of a service of so many hours that may cost least:
    /// those that do not outlast it, without those that are dearer by both. Without a price 1, so that GPU-hours count.
    fn worth_taking(&self, hours: f64) -> Vec<(Option<f64>, f64)> {
        let Some(on_demand) = &self.on_demand else { return vec![(None, 1.0)] };
        let mut usd = vec![(None, on_demand.usd_per_gpu_hour)];
        let kept = |rate: &Rate| rate.term.committed_hours().is_none_or(|term| term <= hours);
        for (committed, other) in self.together.iter().filter(|(committed, _)| kept(committed)) {
            usd.push((Some(committed.usd_per_gpu_hour), other.usd_per_gpu_hour));
        }
        let whole = |committed: Option<f64>| committed.unwrap_or(f64::INFINITY);
        sort_by(&mut usd, |a, b| whole(a.0).total_cmp(&whole(b.0)).then(a.1.total_cmp(&b.1)));
        let mut cheapest = f64::INFINITY;
        usd.retain(|(_, other)| {
            let kept = *other < cheapest;
            cheapest = cheapest.min(*other);
            kept
        });
        usd
    }

    fn of(
        catalog: &Catalog,
        (job, pricing): (&ServingJob, &Pricing),
        shape: Option<&Shape>,
        name: &str,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let mut together = Vec::new();
        let Some(shape) = shape.filter(|_| job.usd_per_gpu_hour.is_none()) else {
            // One price for every hour: nothing to commit to. That a bare GPU has none is said with its cost.
            let payg = Pricing { term: Term::Payg, ..pricing.clone() };
            let on_demand = chosen_rate(catalog, shape, job.usd_per_gpu_hour, &payg, name, &mut Vec::new());
            return Self { on_demand, together };
        };
        let spare = match shape.provider {
            Provider::Azure => Term::Spot,
            Provider::Oci => Term::Preemptible,
        };
        let asked = if job.fleet.interruptible_peak { spare } else { Term::Payg };
        let mut on_demand = rate(catalog, shape, asked, pricing);
        if on_demand.is_none() && asked != Term::Payg {
            let text =
                format!("no {} price is known: nodes on demand are priced pay-as-you-go", asked.words());
            warnings.push(Warning::new("price_missing", name, text));
            on_demand = rate(catalog, shape, Term::Payg, pricing);
        }
        if let Some(on_demand) = &on_demand {
            for term in COMMITMENTS {
                together.extend(rates_together(catalog, shape, (term, on_demand.term), pricing));
            }
            if together.is_empty() {
                let text = "no price of a commitment is known: all of it is priced on demand; give yours in \
                            pricing.own_rates";
                warnings.push(Warning::new("commitment_unpriced", name, text.to_owned()));
            }
        }
        Self { on_demand, together }
    }
}
