//! The answer: which GPUs, how many, laid out how, how long, at what cost, from what sources.

use serde::{Deserialize, Serialize};

use super::scenario::Scenario;
use crate::catalog::{Provider, Source, Term};
use crate::inference::{FrontierPoint, ServingPoint};
use crate::quantity::{Interval, Warning};
use crate::training::TrainingStep;

/// The whole decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Plan {
    /// The question, with every default filled in.
    pub scenario: Scenario,
    /// How to train, cheapest first.
    pub training: Option<TrainingPlan>,
    /// How to serve, cheapest first.
    pub serving: Option<ServingPlan>,
    /// Totals of each way to split the work over the clouds, cheapest first.
    pub splits: Vec<Split>,
    /// What the reader should know.
    pub warnings: Vec<Warning>,
    /// Every source that a figure of this plan rests on.
    pub sources: Vec<FigureSource>,
}

/// Ways to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct TrainingPlan {
    /// Optimiser steps in the run.
    pub steps: f64,
    /// Sequences in a step.
    pub global_batch: u32,
    /// Model FLOP of the run.
    pub model_flop: f64,
    /// Name of the shape or GPU that the scenario leads to: the cheapest that its cloud has.
    pub chosen: Option<String>,
    /// One option for each shape that can do it, cheapest first; options without a price follow, fastest first.
    pub options: Vec<TrainingOption>,
    /// Shapes that cannot, with the reason.
    pub refused: Vec<Refusal>,
}

/// One way to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct TrainingOption {
    /// Cloud; none for a GPU that no cloud rents.
    pub provider: Option<Provider>,
    /// Shape, or the GPU's name where no cloud rents it.
    pub shape: String,
    /// GPUs that train.
    pub gpus: u32,
    /// Nodes that train.
    pub nodes: u32,
    /// Nodes kept spare and paid for.
    pub spare_nodes: u32,
    /// The step: layout, time, memory, traffic.
    pub step: TrainingStep,
    /// Share of wall-clock time that trains, 0 to 1.
    pub goodput: f64,
    /// Where the lost time goes.
    pub losses: GoodputLosses,
    /// Days from start to end.
    pub days: f64,
    /// Where the true number of days probably lies.
    pub days_interval: Interval,
    /// GPU-hours paid for.
    pub gpu_hours: f64,
    /// Whether the deadline is kept; true where none is set.
    pub meets_deadline: bool,
    /// Cost by line at the chosen term; none where no price is known.
    pub cost: Option<Cost>,
    /// Compute cost of the run at every term that has a price.
    pub terms: Vec<TermCost>,
    /// What the reader should know about this option.
    pub warnings: Vec<Warning>,
}

/// Wall-clock time that does not train, as shares of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct GoodputLosses {
    /// Size of a checkpoint, decimal GB.
    pub checkpoint_gb: f64,
    /// Seconds to write one.
    pub checkpoint_seconds: f64,
    /// Seconds between two, by Young's rule.
    pub checkpoint_interval_seconds: f64,
    /// Hours between interruptions of the whole job.
    pub mean_hours_between_interruptions: f64,
    /// Share lost to writing checkpoints.
    pub checkpoint_share: f64,
    /// Share lost to work done again after an interruption.
    pub rework_share: f64,
    /// Share lost to restarting.
    pub restart_share: f64,
}

/// Ways to serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingPlan {
    /// Mean requests per second.
    pub mean_requests_per_second: f64,
    /// Peak requests per second: what the fleet is sized for.
    pub peak_requests_per_second: f64,
    /// Name of the shape or GPU that the scenario leads to: the cheapest that its cloud has.
    pub chosen: Option<String>,
    /// One option for each shape that can do it, cheapest first; options without a price follow, fewest GPUs first.
    pub options: Vec<ServingOption>,
    /// Shapes that cannot, with the reason.
    pub refused: Vec<Refusal>,
}

/// One way to serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingOption {
    /// Cloud; none for a GPU that no cloud rents.
    pub provider: Option<Provider>,
    /// Shape, or the GPU's name where no cloud rents it.
    pub shape: String,
    /// One replica at the peak load: latency, throughput, memory.
    pub point: ServingPoint,
    /// Replicas needed at the peak.
    pub replicas: u32,
    /// Spare replicas besides.
    pub spare_replicas: u32,
    /// GPUs rented.
    pub gpus: u32,
    /// Nodes rented.
    pub nodes: u32,
    /// Cost by line for a month at the chosen term; none where no price is known.
    pub cost: Option<Cost>,
    /// Monthly compute cost at every term that has a price.
    pub terms: Vec<TermCost>,
    /// USD per million input tokens: the prefill's share of the fleet's time. None without a price.
    pub usd_per_million_input_tokens: Option<f64>,
    /// USD per million output tokens: the decode's share of the fleet's time. None without a price.
    pub usd_per_million_output_tokens: Option<f64>,
    /// USD per thousand requests. None without a price.
    pub usd_per_thousand_requests: Option<f64>,
    /// Best throughput per GPU for each interactivity on this shape.
    pub frontier: Vec<FrontierPoint>,
    /// What the reader should know about this option.
    pub warnings: Vec<Warning>,
}

/// A shape that cannot do the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Refusal {
    /// Cloud; none for a GPU that no cloud rents.
    pub provider: Option<Provider>,
    /// Shape, or the GPU's name.
    pub shape: String,
    /// Why, and which limit was nearest.
    pub reason: String,
}

/// A cost, line by line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Cost {
    /// Sum of the lines, USD.
    pub total_usd: f64,
    /// The lines.
    pub lines: Vec<CostLine>,
}

/// One line of a cost: quantity × unit price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct CostLine {
    /// What is paid for.
    pub item: CostItem,
    /// In words: shape, tier or path, with the region.
    pub what: String,
    /// How much of it.
    pub quantity: f64,
    /// Unit of the quantity, such as `GPU-hour` or `GB-month`.
    pub unit: String,
    /// USD for one unit.
    pub unit_usd: f64,
    /// USD for all: quantity × unit price.
    pub usd: f64,
    /// Where the price is from.
    pub source: Source,
}

/// What a cost line pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum CostItem {
    /// Rented nodes.
    Compute,
    /// Rented nodes that stand by.
    SpareCompute,
    /// Data set and checkpoints at rest.
    Storage,
    /// Moving data between clouds or out of one.
    Transfer,
}

/// Compute cost at one term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct TermCost {
    /// The term.
    pub term: Term,
    /// Region with the price.
    pub region: String,
    /// USD per GPU-hour.
    pub usd_per_gpu_hour: f64,
    /// USD for the run, or for a month of serving.
    pub usd: f64,
    /// Where the price is from.
    pub source: Source,
}

/// One way to split the work over the clouds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Split {
    /// Where it trains, if anything is trained.
    pub train_on: Option<Provider>,
    /// Shape it trains on.
    pub training_shape: Option<String>,
    /// Where it serves, if anything is served.
    pub serve_on: Option<Provider>,
    /// Shape it serves on.
    pub serving_shape: Option<String>,
    /// USD of the training run.
    pub training_usd: f64,
    /// USD of a month of serving.
    pub serving_usd_per_month: f64,
    /// USD of moving the weights.
    pub transfer_usd: f64,
    /// Bytes moved, decimal GB.
    pub transfer_gb: f64,
    /// Hours that the move takes; 0 within one cloud.
    pub transfer_hours: f64,
    /// The transfer, line by line.
    pub transfer_lines: Vec<CostLine>,
    /// Training, transfer, and the months of serving that the scenario counts, USD.
    pub total_usd: f64,
    /// Whether this is what the scenario asks for.
    pub chosen: bool,
}

/// A source with the figures of the plan that rest on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct FigureSource {
    /// What rests on it: `GPU H100-SXM`, `price of BM.GPU.H100.8 (payg)`…
    pub figure: String,
    /// The source.
    pub source: Source,
}
