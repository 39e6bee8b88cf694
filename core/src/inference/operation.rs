//! What an explained operating point says of each operation of its iterations.
//!
//! What prices an operation also tells it, so no formula stands twice: `()` hears nothing and costs nothing, a list hears
//! everything.

use serde::{Deserialize, Serialize};

use crate::kernel::{Bound, Cost};
use crate::network::{CollectiveTime, Topology};

/// One kind of operation of an iteration, as often as one GPU runs it.
///
/// The `seconds` of all operations of a part are that part of [`super::IterationParts`]; so all of them are the iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingOperation {
    /// The iteration that it belongs to.
    pub iteration: ServingIteration,
    /// What it is, in the field's terms: `qkv projection`, `attention over the cache`, `experts`.
    pub name: String,
    /// The part of the iteration that its seconds count in.
    pub part: ServingPart,
    /// How often it runs: layers, as a rule, times the chunks of a prompt.
    pub count: f64,
    /// Seconds that are waited for, all runs together.
    pub seconds: f64,
    /// FLOP, a multiply-add as two; those of matrix products and attention's two products.
    pub flop: f64,
    /// Bytes through the GPU's memory.
    pub memory_bytes: f64,
    /// Bytes that the GPU sends over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes that the GPU sends into the fabric.
    pub fabric_bytes: f64,
    /// FLOP/s over the dense peak of the operation's number format, 0 to 1.
    pub flop_share: f64,
    /// Bytes per second over the nominal rate: of the memory, or of the link that carries most of the operation, 0 to 1.
    pub bandwidth_share: f64,
    /// What it takes its time for.
    pub bound: Bound,
}

/// Which of a point's two iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum ServingIteration {
    /// One decode iteration of the point's batch.
    Decode,
    /// The prefill of one prompt.
    Prefill,
}

/// A part of an iteration: the field of [`super::IterationParts`] without its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum ServingPart {
    /// Matrix products, weights read included.
    Matmul,
    /// Attention, KV cache read included.
    Attention,
    /// Other work bound by memory bandwidth.
    MemoryBound,
    /// Tensor parallel all-reduce.
    AllReduce,
    /// Expert parallel dispatch and combine.
    AllToAll,
    /// Pipeline sends.
    Pipeline,
    /// Drafting of speculative tokens.
    Draft,
    /// Host work of the engine.
    Engine,
}

/// Hears of operations.
pub(crate) trait Listener {
    /// One more.
    fn hear(&mut self, told: impl FnOnce() -> Told);
}

impl Listener for () {
    #[inline(always)]
    fn hear(&mut self, _: impl FnOnce() -> Told) {}
}

impl Listener for Vec<Told> {
    fn hear(&mut self, told: impl FnOnce() -> Told) {
        self.push(told());
    }
}

/// Seconds of an iteration by what they are spent on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    kernel_factor: f64,
    seconds: [f64; SPENT_ON.len()],
}

/// What a point can be bound by, in words.
const SPENT_ON: [&str; 10] = [
    "compute in matrix products",
    "reading weights",
    "compute in attention",
    "reading the KV cache",
    "memory bandwidth beside products and attention",
    "tensor parallel all-reduce",
    "expert all-to-all",
    "pipeline sends",
    "drafting",
    "engine",
];

impl Spent {
    pub fn new(kernel_factor: f64) -> Self {
        Self { kernel_factor, seconds: [0.0; SPENT_ON.len()] }
    }

    /// So many seconds of the exchange are waited for; the others hide behind work.
    pub fn exchange(&mut self, seconds: f64) {
        self.seconds[6] = seconds;
    }

    /// What most of them are spent on.
    pub fn most(&self) -> &'static str {
        let spent = SPENT_ON.iter().zip(&self.seconds);
        spent.max_by(|a, b| a.1.total_cmp(b.1)).map_or("", |(name, _)| name)
    }
}

impl Listener for Spent {
    fn hear(&mut self, told: impl FnOnce() -> Told) {
        let told = told().in_engine(self.kernel_factor);
        // Starts of kernels are counted with what the kernels do most.
        let computes = told.cost.compute_seconds > told.cost.memory_seconds;
        let index = match told.part {
            ServingPart::Matmul => usize::from(!computes),
            ServingPart::Attention => 2 + usize::from(!computes),
            ServingPart::MemoryBound => 4,
            ServingPart::AllReduce => 5,
            ServingPart::AllToAll => 6,
            ServingPart::Pipeline => 7,
            ServingPart::Draft => 8,
            ServingPart::Engine => 9,
        };
        if let Some(seconds) = self.seconds.get_mut(index) {
            *seconds += told.seconds();
        }
    }
}

/// One operation, so many times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Told {
    name: &'static str,
    pub part: ServingPart,
    count: f64,
    /// Of one run.
    cost: Cost,
    scale_up_bytes: f64,
    fabric_bytes: f64,
    bound: Option<Bound>,
}

impl Told {
    /// `count` kernels that take `seconds` each inside an engine, and on their own what `cost` says.
    pub fn kernel(name: &'static str, part: ServingPart, count: f64, seconds: f64, cost: Cost) -> Self {
        Self {
            name,
            part,
            count,
            cost: Cost { seconds, ..cost },
            scale_up_bytes: 0.0,
            fabric_bytes: 0.0,
            bound: None,
        }
    }

    /// `count` collectives; a group that no link joins never ends.
    pub fn sent(name: &'static str, part: ServingPart, count: f64, time: Option<CollectiveTime>) -> Self {
        let seconds = time.map_or(f64::INFINITY, |time| time.seconds);
        let (up, out) = time.map_or((0.0, 0.0), |time| (time.scale_up_bytes, time.scale_out_bytes));
        let bound = if out > 0.0 { Bound::Fabric } else { Bound::ScaleUp };
        Self {
            scale_up_bytes: up,
            fabric_bytes: out,
            bound: Some(bound),
            ..Self::kernel(name, part, count, seconds, Cost::default())
        }
    }

    /// Seconds that are not one kernel's.
    pub fn other(name: &'static str, part: ServingPart, count: f64, seconds: f64, bound: Bound) -> Self {
        Self { bound: Some(bound), ..Self::kernel(name, part, count, seconds, Cost::default()) }
    }

    /// The same where kernels take `factor` times as long as alone.
    pub fn in_engine(mut self, factor: f64) -> Self {
        if matches!(self.part, ServingPart::Matmul | ServingPart::Attention | ServingPart::MemoryBound) {
            self.cost.seconds *= factor;
        }
        self
    }

    /// What it takes its time for.
    pub fn bound(&self) -> Bound {
        self.bound.unwrap_or_else(|| self.cost.bound())
    }

    /// Seconds of all runs.
    pub fn seconds(&self) -> f64 {
        self.count * self.cost.seconds
    }

    /// To show, run `times` as often.
    pub fn operation(
        &self,
        iteration: ServingIteration,
        times: f64,
        memory_bytes_per_s: f64,
        topology: &Topology,
    ) -> ServingOperation {
        let count = self.count * times;
        let each = self.cost.seconds;
        let share = |work_seconds: f64| if each > 0.0 { work_seconds / each } else { 0.0 };
        let (bytes, rate) = if self.fabric_bytes > 0.0 {
            (self.fabric_bytes, topology.scale_out_bytes_per_s)
        } else if self.scale_up_bytes > 0.0 {
            (self.scale_up_bytes, topology.scale_up_bytes_per_s)
        } else {
            (self.cost.bytes, memory_bytes_per_s)
        };
        ServingOperation {
            iteration,
            name: self.name.to_owned(),
            part: self.part,
            count,
            seconds: count * each,
            flop: count * self.cost.flop,
            memory_bytes: count * self.cost.bytes,
            scale_up_bytes: count * self.scale_up_bytes,
            fabric_bytes: count * self.fabric_bytes,
            flop_share: share(self.cost.peak_seconds),
            bandwidth_share: if rate > 0.0 { share(bytes / rate) } else { 0.0 },
            bound: self.bound(),
        }
    }
}
