//! What moving data costs: out of a cloud, between its regions, between the clouds.

use serde::{Deserialize, Serialize};

use super::table::{Read, Row};
use super::{Provider, Source};
use crate::error::{Error, check_range};

/// A tariff of data transfer, of a port or of a gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct TransferTariff {
    /// Whose tariff.
    pub provider: Provider,
    /// What is charged.
    pub kind: TransferKind,
    /// Where the data leave (an egress zone, or `any`), or which port or gateway it is.
    pub origin: String,
    /// Where the data arrive; for ports and gateways the region or zone whose price it is, empty where the price is the
    /// same everywhere or the place is not known.
    pub destination: String,
    /// The rate holds from this monthly volume on, decimal GB.
    pub tier_from_gb: Option<f64>,
    /// The rate holds up to this monthly volume, decimal GB; none without an upper end.
    pub tier_to_gb: Option<f64>,
    /// USD per [`TransferTariff::usd_per`]; none where no price was found.
    pub usd: Option<f64>,
    /// What one pays for.
    pub usd_per: TransferUnit,
    /// Rates on offer, Gb/s; empty for transfers.
    pub gbit_per_s: Vec<f64>,
    /// Where the figures are from.
    pub source: Source,
}

/// What a transfer tariff charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// To the internet.
    InternetEgress,
    /// From the internet.
    Ingress,
    /// Between two regions of the provider.
    InterRegion,
    /// Inside a region.
    IntraRegion,
    /// A port or circuit of ExpressRoute or FastConnect.
    InterconnectPort,
    /// A gateway of ExpressRoute.
    InterconnectGateway,
    /// Data over ExpressRoute.
    InterconnectData,
}

/// What a transfer price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum TransferUnit {
    /// A decimal GB.
    Gb,
    /// An hour of the gateway.
    Hour,
    /// An hour of the port.
    PortHour,
    /// A month.
    Month,
}

/// How a circuit of ExpressRoute charges the data that leave Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum CircuitPlan {
    /// To one or two regions of the same metro; data are included.
    Local,
    /// Data are included.
    Unlimited,
    /// Data are charged by the GB.
    Metered,
    /// A pair of ports on Microsoft's own edge: no circuit to another cloud.
    Direct,
}

/// Two regions that a private circuit joins without a carrier (ExpressRoute with FastConnect).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct CrossCloudPair {
    /// Azure region.
    pub azure_region: String,
    /// OCI region.
    pub oci_region: String,
    /// Rates on offer, Gb/s.
    pub gbit_per_s: Vec<f64>,
    /// Round trip at most, ms, as the vendors state it.
    pub round_trip_ms: Option<f64>,
    /// Where the circuits meet.
    pub peering: String,
    /// Where the figures are from.
    pub source: Source,
}

impl TransferTariff {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "provider",
        "kind",
        "origin",
        "destination",
        "tier_from_gb",
        "tier_to_gb",
        "usd",
        "usd_per",
        "gbit_per_s",
    ];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        let tariff = Self {
            provider: row.required("provider")?,
            kind: row.required("kind")?,
            origin: row.required("origin")?,
            destination: row.text("destination")?,
            tier_from_gb: row.number("tier_from_gb", 0.0, 1e12)?,
            tier_to_gb: row.number("tier_to_gb", 0.0, 1e12)?,
            usd: row.number("usd", 0.0, 1e6)?,
            usd_per: row.required("usd_per")?,
            gbit_per_s: rates(row)?,
            source: row.source(titles)?,
        };
        if let (Some(from), Some(to)) = (tariff.tier_from_gb, tariff.tier_to_gb)
            && to <= from
        {
            return Err(Error::Conflict {
                field: row.at("tier_to_gb"),
                message: format!("{to} GB is not above tier_from_gb, {from} GB"),
            }
            .into());
        }
        Ok(tariff)
    }

    /// How this circuit, or this tariff of a circuit's data, charges data: read from the product's name, as ExpressRoute
    /// sells it. A circuit whose name does not say is taken as metered, which it is by default.
    pub fn circuit_plan(&self) -> CircuitPlan {
        let name = self.origin.to_ascii_lowercase();
        if name.contains("direct") {
            CircuitPlan::Direct
        } else if name.contains("unlimited") {
            CircuitPlan::Unlimited
        } else if name.contains("local") {
            CircuitPlan::Local
        } else {
            CircuitPlan::Metered
        }
    }

    /// How many of this gateway, or of its scale units, carry a circuit of `gbit`, Gb/s. None where its throughput is not
    /// stated or too low, and for a virtual WAN's, which needs a hub and connections besides.
    pub fn gateways_for(&self, gbit: f64) -> Option<f64> {
        let widest = self.gbit_per_s.iter().fold(0.0, |a: f64, b| a.max(*b));
        let name = self.origin.to_ascii_lowercase();
        if self.kind != TransferKind::InterconnectGateway || widest <= 0.0 || name.contains("virtual wan") {
            None
        } else if name.contains("unit") {
            Some((gbit / widest).ceil())
        } else {
            (widest >= gbit).then_some(1.0)
        }
    }

    /// The same tariff and tier.
    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.kind == other.kind
            && self.origin == other.origin
            && self.destination == other.destination
            && self.tier_from_gb == other.tier_from_gb
    }
}

impl CrossCloudPair {
    pub(super) const COLUMNS: &'static [&'static str] =
        &["azure_region", "oci_region", "gbit_per_s", "round_trip_ms", "peering"];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        Ok(Self {
            azure_region: row.required("azure_region")?,
            oci_region: row.required("oci_region")?,
            gbit_per_s: rates(row)?,
            round_trip_ms: row.number("round_trip_ms", 0.0, 1e4)?,
            peering: row.text("peering")?,
            source: row.source(titles)?,
        })
    }

    /// The same two regions.
    pub(super) fn same_key(&self, other: &Self) -> bool {
        self.azure_region == other.azure_region && self.oci_region == other.oci_region
    }
}

/// The rates of the column `gbit_per_s`: numbers separated by `;`, or a list of numbers.
fn rates(row: &Row) -> Read<Vec<f64>> {
    let field = row.at("gbit_per_s");
    let checked = |rate| Ok(check_range(&field, rate, 1e-3, 1e5)?);
    row.numbers("gbit_per_s")?.into_iter().map(checked).collect()
}
