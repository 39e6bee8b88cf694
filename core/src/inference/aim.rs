//! What a search looks for: the way to serve that gives the most requests per GPU, or the one whose fleet costs least.
//!
//! A fleet is whole replicas in whole nodes or racks, spares and regions included, so that its cost falls in steps as a
//! replica carries more. Two facts bound it: it never rises with the rate, and no fleet costs less than the GPUs that
//! would carry the load if parts of replicas, nodes and hours could be rented ([`FleetCost::least`]).

use std::cmp::Ordering;

use super::Packing;

/// What a fleet of like replicas costs, or of pools that work together and count as one.
pub(crate) trait FleetCost {
    /// How those of so many GPUs fill nodes and racks.
    fn packing(&self, gpus: u32) -> Packing;

    /// Cost of the fleet of those of so many GPUs that carry `rate` requests per second each; never rises with it.
    fn cost(&self, gpus: u32, rate: f64) -> f64;

    /// Cost × requests per second and rented GPU ([`Packing::gpus_each`]) below which no fleet comes.
    fn least(&self) -> f64;
}

/// How much a way to serve is worth: less cost is better, and at the same cost a higher value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Worth {
    /// Cost of the fleet; 0 where none is asked for.
    pub cost: f64,
    /// Requests per second and GPU that is paid for.
    pub value: f64,
}

impl Worth {
    pub fn beats(&self, other: &Self) -> bool {
        self.cost < other.cost || (self.cost == other.cost && self.value > other.value)
    }

    /// The better first.
    pub fn order(&self, other: &Self) -> Ordering {
        self.cost.total_cmp(&other.cost).then(other.value.total_cmp(&self.value))
    }
}

/// What ways to serve are judged by.
#[derive(Clone, Copy)]
pub(crate) struct Aim<'f> {
    fleet: Option<&'f dyn FleetCost>,
}

/// Bounds are taken this much lower: a fleet needs no further replica for rounding noise, and so may cost less.
const SLACK: f64 = 1.0 - 1e-8;

impl<'f> Aim<'f> {
    /// The least rate that wins is known to this share, from above: what lies twice as far below it does not win.
    pub const CLOSE: f64 = 1e-7;

    /// The aim of most requests per GPU.
    pub const GPUS: Self = Self { fleet: None };

    /// The aim of least cost of the fleet.
    pub fn of(fleet: &'f dyn FleetCost) -> Self {
        Self { fleet: Some(fleet) }
    }

    /// GPUs that are paid for where so many work together: each, or their share of the nodes or racks that many like
    /// them fill.
    pub fn gpus(self, used: u32) -> f64 {
        self.fleet.map_or(f64::from(used), |fleet| fleet.packing(used).gpus_each())
    }

    /// What any way beats.
    pub fn nothing(self) -> Worth {
        Worth { cost: if self.fleet.is_some() { f64::INFINITY } else { 0.0 }, value: 0.0 }
    }

    /// What so many GPUs are worth that serve so many requests per second together.
    pub fn worth(self, used: u32, rate: f64) -> Worth {
        let value = rate / self.gpus(used);
        match self.fleet {
            Some(_) if value.is_nan() || value <= 0.0 => self.nothing(),
            Some(fleet) => Worth { cost: fleet.cost(used, rate), value },
            None => Worth { cost: 0.0, value },
        }
    }

    /// Whether something of this value may beat what is known: cheap to say, and never no where it does.
    pub fn may_beat(self, value: f64, known: &Worth) -> bool {
        let Some(fleet) = self.fleet else { return value > known.value };
        let floor = SLACK * fleet.least() / value;
        floor < known.cost || (floor <= known.cost && value > known.value)
    }

    /// Value below which nothing beats what is known.
    pub fn value_to_beat(self, known: &Worth) -> f64 {
        match self.fleet {
            None => known.value,
            Some(fleet) => SLACK * fleet.least() / known.cost,
        }
    }

    /// Requests per second from which on so many GPUs beat what is known, where they do at `most`.
    pub fn rate_to_beat(self, used: u32, most: f64, known: &Worth) -> f64 {
        if self.fleet.is_none() {
            return known.value * self.gpus(used);
        }
        if known.cost == f64::INFINITY {
            return 0.0;
        }
        let low = self.value_to_beat(known) * self.gpus(used);
        least(low, most, |rate| self.worth(used, rate).beats(known))
    }

    /// With a fleet in view the numbers of GPUs, up to so many, of which one more would take more nodes or share one
    /// with fewer; without one none.
    pub fn sizes(self, most: u32) -> Vec<u32> {
        let Some(fleet) = self.fleet else { return Vec::new() };
        let node = fleet.packing(1).gpus_per_node;
        let fills = |gpus: &u32| {
            if *gpus < node { node / gpus > node / (gpus + 1) } else { gpus.is_multiple_of(node) }
        };
        (1..=most).filter(|gpus| fills(gpus) || *gpus == most).collect()
    }

    /// Whether a fleet is to cost least.
    pub fn has_fleet(self) -> bool {
        self.fleet.is_some()
    }

    /// The highest that a rate may be that is known to so small a share below: a fleet may need no more.
    pub fn most_of(self, near: f64) -> f64 {
        if self.fleet.is_some() { 1.0 + near } else { 1.0 }
    }

    /// The least of the rates up to `most` at which the fleet of so many GPUs costs less than at `rate`; none if it
    /// does not, nor where no fleet is asked for.
    pub fn next_step(self, used: u32, (rate, most): (f64, f64)) -> Option<f64> {
        let fleet = self.fleet?;
        let cost = fleet.cost(used, rate);
        let less = |rate: f64| fleet.cost(used, rate) < cost;
        less(most).then(|| least(rate, most, less))
    }
}

/// The least of the rates above `low` that `wins`, as `high` does and all above it do.
fn least(mut low: f64, mut high: f64, wins: impl Fn(f64) -> bool) -> f64 {
    while high - low > Aim::CLOSE * high {
        let middle = 0.5 * (low + high);
        if wins(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}
