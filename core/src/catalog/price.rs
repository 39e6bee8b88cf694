//! What a node costs, by region and term.

use serde::{Deserialize, Serialize};

use super::table::{Read, Row};
use super::{Provider, Shape, Source};
use crate::error::Error;

/// The price of a shape in one region under one term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Who rents it.
    pub provider: Provider,
    /// Name of the shape.
    pub shape: String,
    /// The provider's own name of the region; `all-commercial` on OCI, whose list has one price for all of them.
    pub region: String,
    /// How long and how firmly it is rented.
    pub term: Term,
    /// USD for one node and hour. Under a reservation: the total of the term divided by its hours (8,760 or 26,280).
    pub usd_per_node_hour: f64,
    /// USD for one GPU and hour: the node's price over its GPUs.
    pub usd_per_gpu_hour: f64,
    /// USD for the whole term, where that is what the provider quotes.
    pub term_total_usd: Option<f64>,
    /// The provider's own name of what is metered: Oracle's part number, such as `B98415`, or the meter of Azure's price
    /// API; none where the table does not state it.
    pub meter: Option<String>,
    /// Where the figure is from.
    pub source: Source,
}

/// Region of a price that holds in every commercial region: OCI's list is uniform.
pub const ALL_REGIONS: &str = "all-commercial";

/// How long and how firmly a node is rented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Pay as you go, by the hour.
    #[default]
    Payg,
    /// Spare capacity of Azure that may be taken back; its price moves monthly.
    Spot,
    /// Spare capacity of OCI that may be taken back, at half the price.
    Preemptible,
    /// Azure's older tier of spare capacity (batch and scale sets), not spot.
    LowPriority,
    /// An hourly spend committed for one year: Azure's savings plan; on OCI negotiated, never listed.
    #[serde(rename = "savings_plan_1y")]
    SavingsPlan1y,
    /// An hourly spend committed for three years: Azure's savings plan; on OCI negotiated, never listed.
    #[serde(rename = "savings_plan_3y")]
    SavingsPlan3y,
    /// Reserved for one year.
    #[serde(rename = "reserved_1y")]
    Reserved1y,
    /// Reserved for three years.
    #[serde(rename = "reserved_3y")]
    Reserved3y,
}

impl Term {
    /// Every term, firmest last.
    pub const ALL: [Self; 8] = [
        Self::Payg,
        Self::Spot,
        Self::Preemptible,
        Self::LowPriority,
        Self::SavingsPlan1y,
        Self::SavingsPlan3y,
        Self::Reserved1y,
        Self::Reserved3y,
    ];

    /// Hours that one pays for once committed: 8,760 for one year, 26,280 for three; none without a commitment.
    pub fn committed_hours(self) -> Option<f64> {
        match self {
            Self::SavingsPlan1y | Self::Reserved1y => Some(8_760.0),
            Self::SavingsPlan3y | Self::Reserved3y => Some(26_280.0),
            Self::Payg | Self::Spot | Self::Preemptible | Self::LowPriority => None,
        }
    }

    /// The term in words, such as `pay-as-you-go`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Payg => "pay-as-you-go",
            Self::Spot => "spot",
            Self::Preemptible => "preemptible",
            Self::LowPriority => "low priority",
            Self::SavingsPlan1y => "savings plan of 1 year",
            Self::SavingsPlan3y => "savings plan of 3 years",
            Self::Reserved1y => "reserved for 1 year",
            Self::Reserved3y => "reserved for 3 years",
        }
    }

    /// Whether a provider has it, listed or negotiated: each has its own name for spare capacity.
    pub fn is_of(self, provider: Provider) -> bool {
        match self {
            Self::Spot | Self::LowPriority => provider == Provider::Azure,
            Self::Preemptible => provider == Provider::Oci,
            _ => true,
        }
    }

    /// The provider may take the node back at short notice.
    pub fn interruptible(self) -> bool {
        matches!(self, Self::Spot | Self::Preemptible | Self::LowPriority)
    }
}

/// No node costs more than this in an hour; a larger figure is a slip of unit.
const MOST_USD_PER_HOUR: f64 = 1e6;

impl Price {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "provider",
        "shape",
        "region",
        "term",
        "usd_per_node_hour",
        "usd_per_gpu_hour",
        "term_total_usd",
        "meter",
    ];

    /// One of the three price columns is enough: the others follow from the GPUs of the node and the hours of the term.
    pub(super) fn from_row(row: &Row, titles: &[(String, String)], shape: &Shape) -> Read<Self> {
        let provider = row.optional("provider")?.unwrap_or(shape.provider);
        if provider != shape.provider {
            return Err(Error::Conflict {
                field: row.at("provider"),
                message: format!("{} is rented by another provider", shape.name),
            }
            .into());
        }
        let term: Term = row.required("term")?;
        let gpus = f64::from(shape.gpus_per_node);
        let node = row.number("usd_per_node_hour", 1e-6, MOST_USD_PER_HOUR)?;
        let gpu = row.number("usd_per_gpu_hour", 1e-6, MOST_USD_PER_HOUR)?;
        let total = row.number("term_total_usd", 1e-3, MOST_USD_PER_HOUR * 26_280.0)?;
        let hourly_total = match (total, term.committed_hours()) {
            (None, _) => None,
            (Some(total), Some(hours)) => Some(total / hours),
            (Some(_), None) => {
                return Err(Error::Conflict {
                    field: row.at("term_total_usd"),
                    message: "a total belongs to a reservation or savings plan; give usd_per_node_hour"
                        .to_owned(),
                }
                .into());
            }
        };
        let stated: Vec<f64> = [node, gpu.map(|g| g * gpus), hourly_total].into_iter().flatten().collect();
        let Some(&usd_per_node_hour) = stated.first() else {
            return Err(Error::MissingField {
                field: row.at("usd_per_node_hour"),
                expected: "give usd_per_node_hour, usd_per_gpu_hour or term_total_usd".to_owned(),
            }
            .into());
        };
        // Providers print rounded figures: agreement to 0.1 % is agreement.
        if stated.iter().any(|usd| (usd - usd_per_node_hour).abs() > 1e-3 * usd_per_node_hour) {
            return Err(Error::Conflict {
                field: row.at("usd_per_node_hour"),
                message: format!(
                    "contradicts the other price columns ({} GPUs in a node of {}); give one of them",
                    shape.gpus_per_node, shape.name
                ),
            }
            .into());
        }
        Ok(Self {
            provider,
            shape: shape.name.clone(),
            region: row.required("region")?,
            term,
            usd_per_node_hour,
            usd_per_gpu_hour: gpu.unwrap_or(usd_per_node_hour / gpus),
            term_total_usd: total,
            meter: row.optional("meter")?,
            source: row.source(titles)?,
        })
    }

    /// The same shape, region and term.
    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.term == other.term && self.region == other.region && self.shape == other.shape
    }
}
