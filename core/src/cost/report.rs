//! How to pay, and what a cost looks like.

use serde::{Deserialize, Serialize};

use super::currency::Currency;
use super::own::OwnRate;
use crate::catalog::{Source, Term};

/// How to pay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Pricing {
    /// The term that ranks; others are listed beside it. A shape without a price for it is ranked pay-as-you-go, with a
    /// warning.
    pub term: Term,
    /// Hours in a month: 730 by Azure's convention.
    pub hours_per_month: f64,
    /// Azure region; the cheapest with the shape if not given.
    pub azure_region: Option<String>,
    /// OCI region, where data leave or arrive. Its listed compute prices are the same in every commercial region; an own rate
    /// may hold in one.
    pub oci_region: Option<String>,
    /// Negotiated discount on every listed compute price of Azure, whatever the term, 0 to 0.99.
    pub azure_discount: f64,
    /// Negotiated discount on every listed compute price of OCI, whatever the term, 0 to 0.99.
    pub oci_discount: f64,
    /// Your own rates: for terms that are not listed, such as every commitment on OCI, or instead of the listed price.
    pub own_rates: Vec<OwnRate>,
    /// The currency that totals are shown in beside USD.
    pub currency: Currency,
}

impl Default for Pricing {
    fn default() -> Self {
        Self {
            term: Term::Payg,
            hours_per_month: 730.0,
            azure_region: None,
            oci_region: None,
            azure_discount: 0.0,
            oci_discount: 0.0,
            own_rates: Vec::new(),
            currency: Currency::default(),
        }
    }
}

/// What moves from the training cloud to the serving cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct TransferChoice {
    /// Over what.
    pub path: TransferPath,
    /// Times the weights are moved: once for one release.
    pub weight_releases: u32,
    /// Checkpoints, with optimiser state, moved besides.
    pub checkpoints: u32,
    /// Rate of the path, Gb/s; over the interconnect one of the circuits that the pair of regions offers. Default 10: the
    /// largest of them in the catalogue.
    pub gbit_per_s: f64,
    /// Your own price of the ExpressRoute circuit, USD a month, used instead of a listed one.
    pub circuit_usd_per_month: Option<f64>,
    /// Your own price of the ExpressRoute gateway, USD an hour, used instead of a listed one.
    pub gateway_usd_per_hour: Option<f64>,
    /// Your own price of data that leave the cloud, USD a decimal GB, used instead of the listed tariff: out to the internet,
    /// or out of Azure over a metered circuit.
    pub data_usd_per_gb: Option<f64>,
}

impl Default for TransferChoice {
    fn default() -> Self {
        Self {
            path: TransferPath::Internet,
            weight_releases: 1,
            checkpoints: 0,
            gbit_per_s: 10.0,
            circuit_usd_per_month: None,
            gateway_usd_per_hour: None,
            data_usd_per_gb: None,
        }
    }
}

/// A way between the clouds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum TransferPath {
    /// The public internet: the source cloud's egress tariff.
    #[default]
    Internet,
    /// Oracle Interconnect for Azure: ExpressRoute with FastConnect.
    Interconnect,
}

/// A cost, line by line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Cost {
    /// Sum of the lines, USD.
    pub total_usd: f64,
    /// The same in the currency of `pricing.currency`; none where that is USD.
    pub total_in_currency: Option<f64>,
    /// The lines.
    pub lines: Vec<CostLine>,
}

impl Cost {
    /// The cost of these lines.
    pub fn of(lines: Vec<CostLine>, currency: &Currency) -> Self {
        let total_usd = lines.iter().fold(0.0, |sum, line| sum + line.usd);
        Self { total_usd, total_in_currency: currency.converted(total_usd), lines }
    }
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
    /// `usd` in the currency of `pricing.currency`; none where that is USD.
    pub in_currency: Option<f64>,
    /// USD of the whole commitment that the term asks for, used or not; none where it asks for none.
    pub commitment_usd: Option<f64>,
    /// Where the price is from: a list, or an own rate with what it was applied to.
    pub source: Source,
    /// Source of the listed price that an own discount was taken off; none for a listed price or an own price.
    pub list_source: Option<Source>,
    /// Days from the date of the source to the scenario's day; negative where it is dated after that day. None where
    /// either is not known.
    pub age_days: Option<i64>,
    /// Whether it is known to be older than 90 days on the scenario's day.
    pub old: bool,
}
