//! The answer: which GPUs, how many, laid out how, how long, at what cost, from what sources.

use serde::{Deserialize, Serialize};

use super::interconnect::Interconnect;
use super::scenario::Scenario;
use crate::catalog::{Provider, Source};
use crate::cost::{CommitmentSplit, Cost, CostLine, Link, LoadStep, StoredData, TermCost};
use crate::inference::{FrontierPoint, ServingPoint};
use crate::quantity::{Interval, Warning};
use crate::training::{GoodputLosses, TrainingStep};

/// The whole decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Plan {
    /// The question, with every default filled in.
    pub scenario: Scenario,
    /// How to train, cheapest first; where tokens are sought, most tokens first.
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
    /// Tokens of the run; where they are sought those of the chosen option, 0 where there is none.
    pub tokens: f64,
    /// Where they come from.
    pub tokens_basis: TokensBasis,
    /// Optimiser steps for them.
    pub steps: f64,
    /// Sequences in a step.
    pub global_batch: u32,
    /// Model FLOP of those tokens.
    pub model_flop: f64,
    /// Name of the shape or GPU that the scenario leads to: the cheapest that its cloud has.
    pub chosen: Option<String>,
    /// One option for each shape that can do it, cheapest first; options without a price follow, fastest first. Where tokens
    /// are sought, most tokens come first.
    pub options: Vec<TrainingOption>,
    /// Shapes that cannot, with the reason.
    pub refused: Vec<Refusal>,
}

/// Where the tokens of a run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum TokensBasis {
    /// The scenario gives them.
    Given,
    /// They follow from the scenario's rule.
    ComputeOptimal,
    /// The most that the budget pays for; each option has its own.
    MostForBudget,
    /// The most that the deadline leaves time for; each option has its own.
    MostInTime,
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
    /// What the links do for it.
    pub interconnect: Interconnect,
    /// Tokens that it trains on.
    pub tokens: f64,
    /// Where they probably lie for these days and this cost; none where the tokens are given.
    pub tokens_interval: Option<Interval>,
    /// Share of wall-clock time that trains, 0 to 1.
    pub goodput: f64,
    /// Where the true share probably lies: between the ends of the range of published failure rates.
    pub goodput_interval: Interval,
    /// Where the lost time goes.
    pub losses: GoodputLosses,
    /// Days from start to end.
    pub days: f64,
    /// Where the true number of days probably lies: the residuals of step times and the range of published failure rates,
    /// combined as independent errors.
    pub days_interval: Interval,
    /// GPU-hours paid for.
    pub gpu_hours: f64,
    /// Whether the deadline is kept; true where none is set.
    pub meets_deadline: bool,
    /// Cost by line at the chosen term; none where no price is known.
    pub cost: Option<Cost>,
    /// Where checkpoints and data set are kept, and how fast they are there; empty for a GPU that no cloud rents.
    pub storage: Vec<StoredData>,
    /// Compute cost of the run at every term that has a price.
    pub terms: Vec<TermCost>,
    /// What the reader should know about this option.
    pub warnings: Vec<Warning>,
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
    /// Mean requests per second of each hour: of a day (24), or of a week from Monday 0:00 (168). Empty where the scenario
    /// does not say how traffic moves by the hour.
    pub hourly_requests_per_second: Vec<f64>,
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
    /// One replica at its share of the peak, that of a region that may be lost included: latency, throughput, memory. Where
    /// prompts are read on GPUs of their own, both pools that work together, which then count as one replica everywhere in
    /// this option; `point.pools` tells them apart.
    pub point: ServingPoint,
    /// What the links do for one replica; one that decodes, where pools are apart.
    pub interconnect: Interconnect,
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
    /// USD per million input tokens: the prefill's share of the fleet's time, or of its GPUs. None without a price.
    pub usd_per_million_input_tokens: Option<f64>,
    /// USD per million output tokens: the decode's share of the fleet's time, or of its GPUs. None without a price.
    pub usd_per_million_output_tokens: Option<f64>,
    /// USD per thousand requests. None without a price.
    pub usd_per_thousand_requests: Option<f64>,
    /// `usd_per_million_input_tokens` in the currency of `pricing.currency`; none where that is USD, or without a price.
    pub per_million_input_tokens_in_currency: Option<f64>,
    /// `usd_per_million_output_tokens` in that currency.
    pub per_million_output_tokens_in_currency: Option<f64>,
    /// `usd_per_thousand_requests` in that currency.
    pub per_thousand_requests_in_currency: Option<f64>,
    /// Regions, racks, hours, idle time and the ways to pay.
    pub fleet: ServingFleet,
    /// Best throughput per GPU for each interactivity on this shape.
    pub frontier: Vec<FrontierPoint>,
    /// What the reader should know about this option.
    pub warnings: Vec<Warning>,
}

/// The fleet of a service beyond its numbers at the peak: regions, racks, hours, idle time and the ways to pay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingFleet {
    /// Regions.
    pub regions: u32,
    /// Replicas of each region, spare ones included.
    pub replicas_per_region: u32,
    /// GPUs of a replica; of both pools where they are apart.
    pub replica_gpus: u32,
    /// GPUs that read prompts, spare ones included, where they do nothing else; else none.
    pub prefill_gpus: Option<u32>,
    /// GPUs that decode, spare ones included, where others read the prompts; else none.
    pub decode_gpus: Option<u32>,
    /// Replicas that a node holds whole; 0 where a replica takes several nodes.
    pub replicas_per_node: u32,
    /// Racks that the nodes take at least, where the scale-up domain is a rack of several nodes; else none.
    pub racks: Option<u32>,
    /// Racks that the rented nodes come to; less than `racks` where some are not filled.
    pub racks_filled: Option<f64>,
    /// Requests per second that one replica carries within the targets at most.
    pub requests_per_second_per_replica: f64,
    /// Share of that rate at which the needed replicas work at the peak, spare ones and lost regions apart.
    pub peak_utilisation: f64,
    /// GPU-hours of a month that `cost` pays for, or would with a price.
    pub paid_gpu_hours: f64,
    /// GPU-hours that a month's requests take on replicas at their full rate within the targets.
    pub used_gpu_hours: f64,
    /// The others: nights, spares, headroom, places that no replica fills. 0 or more.
    pub idle_gpu_hours: f64,
    /// USD a month for them, at the mean price of a GPU-hour. None without a price.
    pub idle_usd: Option<f64>,
    /// USD for one monthly active user and month. None without a price, or where requests are given and not users.
    pub usd_per_user_month: Option<f64>,
    /// The same in the currency of `pricing.currency`; none where that is USD.
    pub per_user_month_in_currency: Option<f64>,
    /// Replicas that each hour's requests take, spare ones included, in the hours of `hourly_requests_per_second`.
    pub hourly_replicas: Vec<u32>,
    /// Nodes that those take.
    pub hourly_nodes: Vec<u32>,
    /// Nodes against hours of a month: how long so many are rented if each is when it is needed. Empty without traffic by
    /// the hour.
    pub load_duration: Vec<LoadStep>,
    /// The ways to pay by the hour: all on demand, then for each commitment with a price the split that costs least. Empty
    /// without traffic by the hour, or without a price.
    pub splits: Vec<CommitmentSplit>,
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
    /// Hours that the move takes at the rate of its slowest link; 0 within one cloud.
    pub transfer_hours: f64,
    /// Region that the data leave, where it is known.
    pub transfer_from: Option<String>,
    /// Region that they reach, where it is known.
    pub transfer_to: Option<String>,
    /// Links that they pass, those with a known rate; empty within one cloud.
    pub transfer_links: Vec<Link>,
    /// Name of the slowest of them.
    pub transfer_slowest_link: Option<String>,
    /// The transfer, line by line.
    pub transfer_lines: Vec<CostLine>,
    /// Charges of the transfer that exist, whose price is not known and which no total holds, in words.
    pub transfer_unpriced: Vec<String>,
    /// What the reader should know about the transfer: what was taken where the scenario does not say.
    pub transfer_warnings: Vec<Warning>,
    /// Training, transfer, and the months of serving that the scenario counts, USD.
    pub total_usd: f64,
    /// `training_usd` in the currency of `pricing.currency`; none where that is USD.
    pub training_in_currency: Option<f64>,
    /// `serving_usd_per_month` in that currency.
    pub serving_per_month_in_currency: Option<f64>,
    /// `transfer_usd` in that currency.
    pub transfer_in_currency: Option<f64>,
    /// `total_usd` in that currency.
    pub total_in_currency: Option<f64>,
    /// Whether this is what the scenario asks for.
    pub chosen: bool,
}

/// A figure of the plan with the source that it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct FigureSource {
    /// What rests on it: `GPU H100-SXM`, `price of BM.GPU.H100.8 in all-commercial, pay-as-you-go`…
    pub figure: String,
    /// What kind of figure it is.
    pub kind: FigureKind,
    /// The source.
    pub source: Source,
    /// Days from the date of the source to the scenario's day; negative where it is dated after that day. None where
    /// either is not known.
    pub age_days: Option<i64>,
    /// Whether it is known to be older than 90 days on the scenario's day: matters for prices above all.
    pub old: bool,
}

/// Kind of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum FigureKind {
    /// The model's architecture.
    Model,
    /// A GPU's rates, memory and links.
    Gpu,
    /// A shape's GPUs, network and host.
    Shape,
    /// A network between nodes.
    Fabric,
    /// What was assumed of the links of a bare GPU.
    Topology,
    /// The largest cluster that was published of a shape.
    Limit,
    /// A price of compute.
    Price,
    /// A price of storage.
    Storage,
    /// A region: its egress zone and country.
    Region,
    /// A tariff for moving data.
    Transfer,
    /// How often things break, and how fast they go on.
    Reliability,
    /// Constants of the estimators, with the program that fits them and its data.
    Constants,
}
