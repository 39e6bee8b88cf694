//! The question: what should be trained or served, how fast, where it may run.

use serde::{Deserialize, Serialize};

use crate::catalog::{Overlay, Provider};
use crate::cost::{Pricing, StorageChoice, TransferChoice};
use crate::inference::{
    Engine, LatencyTargets, PrefixCache, Redundancy, ServingMode, Speculation, TrafficShape,
};
use crate::model::{Architecture, ModelRef, Precision};
use crate::network::NetworkConditions;
use crate::training::{Layout, Lora, Pauses, Reliability, Software, Task, TokensRule, trained_share};

/// A whole question: training, serving, or both.
///
/// What one face saves, every other face opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name, for reports and files; `unnamed` if not given.
    #[serde(default = "unnamed")]
    pub name: String,
    /// What it asks, in a sentence.
    #[serde(default)]
    pub description: String,
    /// The day for which prices should hold, `2026-11-23`: older prices are flagged with their age. The core reads no
    /// clock.
    #[serde(default)]
    pub today: Option<String>,
    /// What to train.
    #[serde(default)]
    pub training: Option<TrainingJob>,
    /// What to serve.
    #[serde(default)]
    pub serving: Option<ServingJob>,
    /// What moves between the clouds when one trains and the other serves.
    #[serde(default)]
    pub transfer: TransferChoice,
    /// Where data set and checkpoints are kept.
    #[serde(default)]
    pub storage: StorageChoice,
    /// How to pay.
    #[serde(default)]
    pub pricing: Pricing,
    /// The user's own data laid over the catalogue.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

/// A training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct TrainingJob {
    /// A preset's name, an architecture, or a Hugging Face configuration.
    pub model: ModelRef,
    /// Tokens to train on. Without them give `tokens_rule`; or ask for the most tokens: of a `budget_usd` with `gpus` or
    /// `deadline_days` or both, or within `deadline_days` on `gpus`.
    #[serde(default)]
    pub tokens: Option<f64>,
    /// A rule that the tokens follow from.
    #[serde(default)]
    pub tokens_rule: Option<TokensRule>,
    /// USD that the training may cost, spare nodes and storage included: the most tokens that they pay for are sought, on
    /// `gpus`, within `deadline_days`, or both; without `gpus` on the number that trains on most.
    #[serde(default)]
    pub budget_usd: Option<f64>,
    /// Tokens in a sequence.
    pub sequence_length: u32,
    /// Tokens in an optimiser step; either this or `global_batch`. Taken as whole sequences: of the counts within 5 % of
    /// it the one with the largest power of two as a factor, so that data parallel ranks can share it.
    #[serde(default)]
    pub global_batch_tokens: Option<f64>,
    /// Sequences in an optimiser step.
    #[serde(default)]
    pub global_batch: Option<u32>,
    /// Number format of the matrix products.
    #[serde(default)]
    pub precision: Precision,
    /// What is trained.
    #[serde(default)]
    pub task: Task,
    /// The adapters, where the task is `lora`; rank 16 beside all matrices if not given.
    #[serde(default)]
    pub lora: Option<Lora>,
    /// What the training software does about kernels and launches.
    #[serde(default)]
    pub software: Software,
    /// Days until it must be done, failures and pauses included; the number of GPUs that keeps it with the fewest
    /// GPU-hours is sought. Either this or `gpus`; both where tokens are sought.
    #[serde(default)]
    pub deadline_days: Option<f64>,
    /// GPUs to use.
    #[serde(default)]
    pub gpus: Option<u32>,
    /// An explicit layout; the best one is sought if not given.
    #[serde(default)]
    pub layout: Option<Layout>,
    /// The cloud that is meant to train; every cloud is priced either way. The cheapest if not given.
    #[serde(default)]
    pub cloud: Option<Provider>,
    /// Only these shapes; all if empty.
    #[serde(default)]
    pub shapes: Vec<String>,
    /// A GPU that no cloud here rents: time and memory are given, costs are not unless `usd_per_gpu_hour` is.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Your own price of a GPU-hour, used instead of every listed one.
    #[serde(default)]
    pub usd_per_gpu_hour: Option<f64>,
    /// Placement, routing and oversubscription that the job meets; what the fabric's row says if not given.
    #[serde(default)]
    pub network: NetworkConditions,
    /// Failures, checkpoints and spares.
    #[serde(default)]
    pub reliability: Reliability,
    /// Evaluations, waits for data, start.
    #[serde(default)]
    pub pauses: Pauses,
    /// Size of the training data set to store, decimal TB; tokens × 4 bytes if not given.
    #[serde(default)]
    pub dataset_tb: Option<f64>,
}

/// A serving job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ServingJob {
    /// A preset's name, an architecture, or a Hugging Face configuration.
    pub model: ModelRef,
    /// Number format of weights and matrix products.
    #[serde(default)]
    pub precision: Precision,
    /// Number format of the KV cache.
    #[serde(default)]
    pub kv_precision: Option<Precision>,
    /// How much is asked.
    pub traffic: ServiceTraffic,
    /// Mean tokens of a prompt.
    pub input_tokens: f64,
    /// Mean tokens of an answer.
    pub output_tokens: f64,
    /// Squared coefficient of variation of the prompts' lengths, as an operating point takes it; that of Azure's trace of a
    /// conversation service if not given.
    #[serde(default)]
    pub input_spread: Option<f64>,
    /// The same of the answers' lengths.
    #[serde(default)]
    pub output_spread: Option<f64>,
    /// Latency targets.
    pub slo: LatencyTargets,
    /// The inference engine; a current one of no class if not given.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// Prompt tokens found in the cache; none if not given.
    #[serde(default)]
    pub prefix_cache: Option<PrefixCache>,
    /// Speculative decoding or multi-token prediction; none if not given.
    #[serde(default)]
    pub speculation: Option<Speculation>,
    /// Prompts read where answers are written, or on GPUs of their own; both are looked at if not given.
    #[serde(default)]
    pub mode: Option<ServingMode>,
    /// Largest replica to look at, or pools that work together, GPUs, 1 to 4,096. If not given 144, which are two racks of
    /// NVL72, or two scale-up domains where these are more; the scale-up domain where nodes have no RDMA network.
    #[serde(default)]
    pub max_replica_gpus: Option<u32>,
    /// Spare replicas as a share of the needed ones: 0.1 is one in ten, rounded up.
    #[serde(default)]
    pub spare_share: f64,
    /// Regions, headroom and spares of the fleet, and how it is paid for.
    #[serde(default)]
    pub fleet: FleetPolicy,
    /// The cloud that is meant to serve; every cloud is priced either way. The cheapest if not given.
    #[serde(default)]
    pub cloud: Option<Provider>,
    /// Only these shapes; all if empty.
    #[serde(default)]
    pub shapes: Vec<String>,
    /// A GPU that no cloud here rents.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Your own price of a GPU-hour, used instead of every listed one.
    #[serde(default)]
    pub usd_per_gpu_hour: Option<f64>,
    /// Months of service that the totals count.
    #[serde(default = "twelve")]
    pub months: f64,
}

fn unnamed() -> String {
    "unnamed".to_owned()
}

fn twelve() -> f64 {
    12.0
}

/// Regions, headroom and spares of a fleet, and how it is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct FleetPolicy {
    /// Share of its rate within the latency targets that a replica is asked to carry at the peak, 0.05 to 1: 0.8 leaves a
    /// fifth as headroom.
    pub target_utilisation: f64,
    /// Spare replicas in each region: N + this many. Either this or `spare_share`.
    pub spare_replicas: u32,
    /// Regions, which share the requests evenly; each is sized for its share, at the same hours and the same prices.
    pub regions: u32,
    /// Whether the other regions can carry all requests, within the targets, when one is lost.
    pub survive_region_loss: bool,
    /// Whether racks are rented whole where the scale-up domain is a rack (NVL72).
    pub whole_racks: bool,
    /// How the fleet is paid for.
    pub purchase: Purchase,
    /// Minutes from renting a node to its replicas' first request: nodes on demand are paid for from then on. Default 60, as
    /// fine as the hours of the traffic are; another number needs traffic by the hour.
    pub scale_up_minutes: f64,
    /// Nodes on demand at the price of capacity that may be taken back: Azure's spot, OCI's preemptible. Needs traffic by
    /// the hour.
    pub interruptible_peak: bool,
}

impl Default for FleetPolicy {
    fn default() -> Self {
        Self {
            target_utilisation: 1.0,
            spare_replicas: 0,
            regions: 1,
            survive_region_loss: false,
            whole_racks: false,
            purchase: Purchase::OneTerm,
            scale_up_minutes: 60.0,
            interruptible_peak: false,
        }
    }
}

/// How a fleet is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Purchase {
    /// The fleet of the peak all month, at the term of `pricing.term`.
    #[default]
    OneTerm,
    /// What is needed in enough hours on the commitment that costs least, the rest on demand in the hours that need it;
    /// whatever `pricing.term` says. Commitments longer than the service's `months` are shown, never taken. Needs traffic
    /// by the hour.
    CheapestSplit,
}

impl TrainingJob {
    /// Share of a model's weights that are trained.
    pub fn trained_share(&self, model: &Architecture) -> f64 {
        trained_share(model, self.task, self.lora.unwrap_or_default())
    }
}

impl ServingJob {
    /// How much more is kept than the requests take, and where.
    pub fn redundancy(&self) -> Redundancy {
        Redundancy {
            target_utilisation: self.fleet.target_utilisation,
            spare_share: self.spare_share,
            spare_replicas: self.fleet.spare_replicas,
            regions: self.fleet.regions,
            survive_region_loss: self.fleet.survive_region_loss,
        }
    }
}

/// Traffic of a service: requests per second directly, or from its users.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ServiceTraffic {
    /// Mean requests per second; either this or the users.
    #[serde(default)]
    pub requests_per_second: Option<f64>,
    /// People who use the service in a month.
    #[serde(default)]
    pub monthly_active_users: Option<f64>,
    /// Share of them who use it on a day.
    #[serde(default)]
    pub daily_active_share: Option<f64>,
    /// Requests that one of those makes on that day.
    #[serde(default)]
    pub requests_per_active_user_day: Option<f64>,
    /// Peak over mean request rate: the fleet is sized for the peak. With traffic by the hour the busiest hour's ratio if
    /// not given, and never less: what it is more is a peak within each hour.
    #[serde(default)]
    pub peak_to_mean: Option<f64>,
    /// Traffic by the hour of a measured week; either this or factors.
    #[serde(default)]
    pub shape: Option<TrafficShape>,
    /// Traffic by the hour of a day: 24 weights, of which only the ratios count.
    #[serde(default)]
    pub hour_factors: Option<Vec<f64>>,
    /// Weights of the days of a week from Monday, of which only the ratios count.
    #[serde(default)]
    pub weekday_factors: Option<Vec<f64>>,
}
