//! Who is told what each operation takes: nobody where a step is only priced, a list where it is to be explained.
//!
//! What prices an operation also tells it, so no formula stands twice. `()` hears nothing and costs nothing: a search looks
//! at a million steps.

use super::job::Job;
use super::operation::{StepOperation, StepPart, StepPhase, StepStack};
use crate::kernel::{Bound, Cost};
use crate::network::CollectiveTime;

/// Hears of operations.
pub trait Ledger: Clone + Default {
    /// One more.
    fn note(&mut self, entry: impl FnOnce() -> Entry);

    /// All of another's, each after a change.
    fn take(&mut self, other: &Self, change: impl Fn(&mut Entry));

    /// What was heard, the same operations together.
    fn operations(self, job: &Job) -> Vec<StepOperation>;

    /// Both.
    #[must_use]
    fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.take(other, |_| ());
        sum
    }

    /// The same after a change of each.
    #[must_use]
    fn each(&self, change: impl Fn(&mut Entry)) -> Self {
        let mut changed = Self::default();
        changed.take(self, change);
        changed
    }

    /// So many of each.
    #[must_use]
    fn scaled(&self, by: f64) -> Self {
        self.each(|entry| entry.scale(by))
    }
}

impl Ledger for () {
    fn note(&mut self, _: impl FnOnce() -> Entry) {}

    fn take(&mut self, (): &Self, _: impl Fn(&mut Entry)) {}

    fn operations(self, _: &Job) -> Vec<StepOperation> {
        Vec::new()
    }
}

/// Hears everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told(Vec<Entry>);

impl Ledger for Told {
    fn note(&mut self, entry: impl FnOnce() -> Entry) {
        self.0.push(entry());
    }

    fn take(&mut self, other: &Self, change: impl Fn(&mut Entry)) {
        self.0.extend(other.0.iter().map(|entry| {
            let mut entry = *entry;
            change(&mut entry);
            entry
        }));
    }

    fn operations(self, job: &Job) -> Vec<StepOperation> {
        let mut merged: Vec<Entry> = Vec::new();
        for entry in self.0.iter().filter(|entry| entry.count > 0.0) {
            match merged.iter_mut().find(|known| known.is_like(entry)) {
                Some(known) => known.add(entry),
                None => merged.push(*entry),
            }
        }
        merged.iter().map(|entry| entry.operation(job)).collect()
    }
}

/// One operation, so many times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    name: &'static str,
    role: Role,
    stack: StepStack,
    phase: StepPhase,
    part: StepPart,
    count: f64,
    /// Of it, the seconds that are waited for.
    cost: Cost,
    hidden_seconds: f64,
    scale_up_bytes: f64,
    fabric_bytes: f64,
    /// None: the cost or the bytes on the links say it.
    bound: Option<Bound>,
}

/// Which of a linear layer's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operation itself, or the only one.
    Itself,
    /// Product for the gradient of the input.
    InputGradient,
    /// Product for the gradient of the weight.
    WeightGradient,
    /// Operands brought into the products' format.
    Cast,
}

impl Entry {
    fn new(part: StepPart, name: &'static str, cost: Cost) -> Self {
        Self {
            name,
            role: Role::Itself,
            stack: StepStack::Step,
            phase: StepPhase::Step,
            part,
            count: 1.0,
            cost,
            hidden_seconds: 0.0,
            scale_up_bytes: 0.0,
            fabric_bytes: 0.0,
            bound: None,
        }
    }

    /// A kernel.
    pub fn kernel(part: StepPart, name: &'static str, role: Role, cost: Cost) -> Self {
        Self { role, ..Self::new(part, name, cost) }
    }

    /// `count` collectives, of which so many seconds in all are waited for.
    pub fn sent(part: StepPart, name: &'static str, count: f64, time: &CollectiveTime, waited: f64) -> Self {
        Self {
            count,
            hidden_seconds: (time.seconds * count - waited).max(0.0),
            scale_up_bytes: time.scale_up_bytes * count,
            fabric_bytes: time.scale_out_bytes * count,
            ..Self::new(part, name, Cost { seconds: waited, ..Cost::default() })
        }
    }

    /// Time that no operation on the GPU takes: so many times, so many seconds in all.
    pub fn idle(part: StepPart, name: &'static str, count: f64, seconds: f64, bound: Bound) -> Self {
        let count = if seconds > 0.0 { count } else { 0.0 };
        Self { count, bound: Some(bound), ..Self::new(part, name, Cost { seconds, ..Cost::default() }) }
    }

    /// `count` copies over the link to the host, each of `bytes` in `each` seconds, of which `waited` show.
    pub fn copies(name: &'static str, count: f64, each: f64, waited: f64) -> Self {
        let hidden_seconds = count * (each - waited).max(0.0);
        let cost = Cost { seconds: count * waited, ..Cost::default() };
        Self {
            count,
            hidden_seconds,
            bound: Some(Bound::HostLink),
            ..Self::new(StepPart::Offload, name, cost)
        }
    }

    /// In a pass of layers of a kind.
    pub fn of(&mut self, stack: StepStack, phase: StepPhase) {
        (self.stack, self.phase) = (stack, phase);
        // What is done again counts as recompute, its communication apart.
        if phase == StepPhase::Recompute && matches!(self.part, StepPart::Compute | StepPart::MemoryBound) {
            self.part = StepPart::Recompute;
        }
    }

    /// In layers of another kind.
    pub fn in_stack(&mut self, stack: StepStack) {
        self.stack = stack;
    }

    /// Only this share of an exchange of this part is waited for.
    pub fn waits(&mut self, part: StepPart, share: f64) {
        if self.part == part {
            self.hidden_seconds += self.cost.seconds * (1.0 - share);
            self.cost.seconds *= share;
        }
    }

    /// Products and attention so many times as slow.
    pub fn slower(&mut self, times: f64) {
        if self.part == StepPart::Compute {
            self.cost = self.cost.slower(times);
        }
    }

    fn scale(&mut self, by: f64) {
        self.count *= by;
        self.cost = self.cost.times(by);
        self.hidden_seconds *= by;
        self.scale_up_bytes *= by;
        self.fabric_bytes *= by;
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.name, self.role, self.stack, self.phase, self.part, self.bound)
            == (other.name, other.role, other.stack, other.phase, other.part, other.bound)
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.cost = self.cost.plus(&other.cost);
        self.hidden_seconds += other.hidden_seconds;
        self.scale_up_bytes += other.scale_up_bytes;
        self.fabric_bytes += other.fabric_bytes;
    }

    fn operation(&self, job: &Job) -> StepOperation {
        let Self { cost, scale_up_bytes, fabric_bytes, .. } = *self;
        let lasts = cost.seconds + self.hidden_seconds;
        let share = |seconds: f64| if lasts > 0.0 { seconds / lasts } else { 0.0 };
        let at = |bytes: f64, rate: f64| if bytes > 0.0 && rate > 0.0 { bytes / rate } else { 0.0 };
        // What the bytes take at the nominal rates.
        let memory = at(cost.bytes, job.device.memory_bytes_per_s);
        let scale_up = at(scale_up_bytes, job.topology.scale_up_bytes_per_s);
        let fabric = at(fabric_bytes, job.topology.scale_out_bytes_per_s);
        let is_sent = scale_up + fabric > 0.0;
        let bound = self.bound.unwrap_or_else(|| {
            if is_sent {
                if fabric > scale_up { Bound::Fabric } else { Bound::ScaleUp }
            } else {
                cost.bound()
            }
        });
        let role = match self.role {
            Role::Itself => "",
            Role::InputGradient => ": input gradient",
            Role::WeightGradient => ": weight gradient",
            Role::Cast => ": cast",
        };
        StepOperation {
            name: format!("{}{role}", self.name),
            stack: self.stack,
            phase: self.phase,
            part: self.part,
            count: self.count,
            seconds: cost.seconds,
            hidden_seconds: self.hidden_seconds,
            flop: cost.flop,
            memory_bytes: cost.bytes,
            scale_up_bytes,
            fabric_bytes,
            flop_share: share(cost.peak_seconds),
            bandwidth_share: share(if is_sent { scale_up.max(fabric) } else { memory }),
            bound,
        }
    }
}
