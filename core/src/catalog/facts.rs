//! How large clusters grow, and what a node draws.

use serde::{Deserialize, Serialize};

use super::table::{Read, Row};
use super::{Provider, Source};

/// How many GPUs one fabric joins: a published limit, or a system that was measured or deployed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ClusterLimit {
    /// Who runs it.
    pub provider: Provider,
    /// Canonical name of the GPU; none where the claim names a family.
    pub gpu: Option<String>,
    /// Name of the shape; none where the claim is not about one that can be ordered.
    pub shape: Option<String>,
    /// The system or family that the claim is about, where it is not simply the shape.
    pub system: String,
    /// GPUs; none where the source says no number ("thousands of GPUs").
    pub max_gpus: Option<u32>,
    /// Nodes, where stated.
    pub max_nodes: Option<u32>,
    /// What kind of claim it is.
    pub claim: LimitClaim,
    /// The fabric, as the source words it.
    pub fabric: String,
    /// Where the figures are from.
    pub source: Source,
}

/// What kind of claim a cluster size is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum LimitClaim {
    /// A limit in the documentation of the provider or a partner.
    Published,
    /// A limit as the press reported it.
    Press,
    /// A limit remembered from the provider's page, not read again.
    Recalled,
    /// A run that was measured: a floor, not a limit.
    Measured,
    /// A system that stands: a floor, not a limit.
    Deployed,
    /// A system that was announced.
    Announced,
}

/// Power usage effectiveness, power of a node or rack, or carbon intensity of a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct EnergyFigure {
    /// What the figure is about.
    pub scope: EnergyScope,
    /// Which one: a provider, an Azure region, a node or rack type, a country (ISO 3166 alpha-3).
    pub name: String,
    /// What is stated; it decides the unit of `value`.
    pub quantity: EnergyQuantity,
    /// The value, in the unit of `quantity`.
    pub value: f64,
    /// Canonical names of the GPUs of the node or rack.
    pub gpus: Vec<String>,
    /// How many GPUs the node or rack holds.
    pub gpu_count: Option<u32>,
    /// Where the figure is from.
    pub source: Source,
}

/// What an energy figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum EnergyScope {
    /// A provider's whole fleet.
    Provider,
    /// One Azure region.
    AzureRegion,
    /// A node.
    Node,
    /// A rack.
    Rack,
    /// A country's grid.
    Country,
}

/// What an energy figure states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum EnergyQuantity {
    /// Power usage effectiveness over a year, measured (ratio).
    PueAnnual,
    /// The same over the provider's fleet (ratio).
    PueFleetAnnual,
    /// Power usage effectiveness as designed (ratio).
    PueDesign,
    /// Most power, kW.
    PowerMax,
    /// Most power in typical use, kW.
    PowerTypicalMax,
    /// Short peak over steady power (ratio).
    TransientPeakOverSteady,
    /// Life-cycle carbon intensity of the grid's yearly average, g CO₂e per kWh.
    GridCarbonIntensity,
}

impl ClusterLimit {
    pub(super) const COLUMNS: &'static [&'static str] =
        &["provider", "gpu", "shape", "system", "max_gpus", "max_nodes", "claim", "fabric"];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        Ok(Self {
            provider: row.required("provider")?,
            gpu: row.optional("gpu")?,
            shape: row.optional("shape")?,
            system: row.text("system")?,
            max_gpus: row.count("max_gpus", 1, 100_000_000)?,
            max_nodes: row.count("max_nodes", 1, 100_000_000)?,
            claim: row.required("claim")?,
            fabric: row.text("fabric")?,
            source: row.source(titles)?,
        })
    }

    /// The same claim about the same thing.
    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.gpu == other.gpu
            && self.shape == other.shape
            && self.system == other.system
            && self.claim == other.claim
            && self.source.as_of == other.source.as_of
    }
}

impl EnergyFigure {
    pub(super) const COLUMNS: &'static [&'static str] =
        &["scope", "name", "quantity", "value", "gpus", "gpu_count"];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        let quantity = row.required("quantity")?;
        let (min, max) = match quantity {
            EnergyQuantity::PueAnnual | EnergyQuantity::PueFleetAnnual | EnergyQuantity::PueDesign => {
                (1.0, 4.0)
            }
            EnergyQuantity::PowerMax | EnergyQuantity::PowerTypicalMax => (0.01, 1e4),
            EnergyQuantity::TransientPeakOverSteady => (1.0, 10.0),
            EnergyQuantity::GridCarbonIntensity => (0.0, 2000.0),
        };
        Ok(Self {
            scope: row.required("scope")?,
            name: row.required("name")?,
            quantity,
            value: row.number_required("value", min, max)?,
            gpus: row.names("gpus")?,
            gpu_count: row.count("gpu_count", 1, 100_000)?,
            source: row.source(titles)?,
        })
    }

    /// The same quantity of the same thing.
    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.quantity == other.quantity && self.scope == other.scope && self.name == other.name
    }
}
