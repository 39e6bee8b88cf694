//! What storage costs and how fast it is.

use serde::{Deserialize, Serialize};

use super::table::{Read, Row};
use super::{Provider, Source};
use crate::error::Error;
use crate::quantity::TIB;

/// A storage tier, or one component of a tier's price (capacity, throughput and operations are bought apart on some).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct StorageTier {
    /// Our own name, such as `oci-lustre-500`.
    pub name: String,
    /// Who rents it.
    pub provider: Provider,
    /// The provider's service, such as `Managed Lustre`.
    pub service: String,
    /// The provider's tier.
    pub tier: String,
    /// Region of the price; none where it is the same everywhere or not stated.
    pub region: Option<String>,
    /// USD per [`StorageTier::usd_per`]; none where no public price was found.
    pub usd: Option<f64>,
    /// What one pays for; none where the row states a throughput only.
    pub usd_per: Option<StorageUnit>,
    /// Units that are free, such as the first 3,000 operations per second.
    pub above: Option<f64>,
    /// The price holds from this stored volume on, decimal TB.
    pub volume_from_tb: Option<f64>,
    /// The price holds up to this stored volume, decimal TB.
    pub volume_to_tb: Option<f64>,
    /// Throughput in units of [`StorageTier::throughput_per`].
    pub throughput: Option<f64>,
    /// What the throughput is stated for.
    pub throughput_per: Option<ThroughputUnit>,
    /// Smallest capacity one can provision, TiB.
    pub min_capacity_tib: Option<f64>,
    /// Largest capacity one can provision, TiB.
    pub max_capacity_tib: Option<f64>,
    /// Capacity is provisioned in steps of so many TiB.
    pub capacity_step_tib: Option<f64>,
    /// From this capacity on the steps are [`StorageTier::large_step_tib`], TiB.
    pub large_step_from_tib: Option<f64>,
    /// Steps of large capacities, TiB.
    pub large_step_tib: Option<f64>,
    /// Where the figures are from.
    pub source: Source,
}

/// What a storage price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum StorageUnit {
    /// Decimal GB and month.
    GbMonth,
    /// GiB and month.
    GibMonth,
    /// TiB and month.
    TibMonth,
    /// GiB and hour.
    GibHour,
    /// A whole disk and month.
    DiskMonth,
    /// An operation per second and month.
    IopsMonth,
    /// An operation per second and hour.
    IopsHour,
    /// A decimal MB/s and month.
    MbPerSMonth,
    /// A decimal MB/s and hour.
    MbPerSHour,
    /// A MiB/s and month.
    MibPerSMonth,
    /// One of the provider's performance units for each decimal GB and month.
    PerformanceUnitGbMonth,
}

/// What a storage throughput is stated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum ThroughputUnit {
    /// MB/s for each TiB provisioned.
    MbPerSPerTib,
    /// MB/s for each decimal TB provisioned.
    MbPerSPerTb,
    /// MiB/s for each TiB provisioned.
    MibPerSPerTib,
    /// Operations per second for each GB.
    IopsPerGb,
    /// Gb/s of a mount target.
    GbitPerSPerMountTarget,
    /// MB/s of a disk at most.
    MbPerSPerDisk,
    /// MB/s of a virtual machine at most.
    MbPerSPerVm,
    /// MiB/s included in a capacity pool.
    MibPerSPerPool,
}

/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// GiB in a decimal GB.
const GIB_PER_GB: f64 = 1e9 / 1_073_741_824.0;

impl StorageTier {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "name",
        "provider",
        "service",
        "tier",
        "region",
        "usd",
        "usd_per",
        "above",
        "volume_from_tb",
        "volume_to_tb",
        "throughput",
        "throughput_per",
        "min_capacity_tib",
        "max_capacity_tib",
        "capacity_step_tib",
        "large_step_from_tib",
        "large_step_tib",
    ];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        let amount = |column| row.number(column, 0.0, 1e9);
        let tier = Self {
            name: row.required("name")?,
            provider: row.required("provider")?,
            service: row.required("service")?,
            tier: row.required("tier")?,
            region: row.optional("region")?,
            usd: amount("usd")?,
            usd_per: row.optional("usd_per")?,
            above: amount("above")?,
            volume_from_tb: amount("volume_from_tb")?,
            volume_to_tb: amount("volume_to_tb")?,
            throughput: amount("throughput")?,
            throughput_per: row.optional("throughput_per")?,
            min_capacity_tib: amount("min_capacity_tib")?,
            max_capacity_tib: amount("max_capacity_tib")?,
            capacity_step_tib: row.number("capacity_step_tib", 1e-6, 1e9)?,
            large_step_from_tib: amount("large_step_from_tib")?,
            large_step_tib: row.number("large_step_tib", 1e-6, 1e9)?,
            source: row.source(titles)?,
        };
        let missing = |column: &str, why: &str| {
            Err(Error::MissingField { field: row.at(column), expected: why.to_owned() }.into())
        };
        if tier.usd.is_some() && tier.usd_per.is_none() {
            return missing("usd_per", "a price needs its unit");
        }
        if tier.throughput.is_some() && tier.throughput_per.is_none() {
            return missing("throughput_per", "a throughput needs its unit");
        }
        if tier.large_step_from_tib.is_some() != tier.large_step_tib.is_some() {
            return missing("large_step_tib", "the size of large steps and where they begin belong together");
        }
        Ok(tier)
    }

    /// USD for one GiB kept for a month of `hours_per_month` hours; none where the tier is not priced by capacity or its
    /// price is not known.
    pub fn usd_per_gib_month(&self, hours_per_month: f64) -> Option<f64> {
        let usd = self.usd?;
        match self.usd_per? {
            StorageUnit::GbMonth => Some(usd / GIB_PER_GB),
            StorageUnit::GibMonth => Some(usd),
            StorageUnit::TibMonth => Some(usd / 1024.0),
            StorageUnit::GibHour => Some(usd * hours_per_month),
            _ => None,
        }
    }

    /// Throughput of `tib` provisioned, bytes per second: of the capacity, or of the one capacity pool or mount target
    /// that it is reached through. None where only operations, or nothing at all, are stated.
    pub fn bytes_per_s(&self, tib: f64) -> Option<f64> {
        let throughput = self.throughput?;
        match self.throughput_per? {
            ThroughputUnit::MbPerSPerTib => Some(throughput * 1e6 * tib),
            ThroughputUnit::MbPerSPerTb => Some(throughput * 1e6 * tib * TIB / 1e12),
            ThroughputUnit::MibPerSPerTib => Some(throughput * MIB * tib),
            ThroughputUnit::MibPerSPerPool => Some(throughput * MIB),
            ThroughputUnit::GbitPerSPerMountTarget => Some(throughput * 1e9 / 8.0),
            ThroughputUnit::IopsPerGb | ThroughputUnit::MbPerSPerDisk | ThroughputUnit::MbPerSPerVm => None,
        }
    }

    /// Capacity whose throughput reaches `bytes_per_s`, TiB, rounded up as it is provisioned; it may be more than one file
    /// system holds. None where throughput does not grow with the capacity.
    pub fn tib_for(&self, bytes_per_s: f64) -> Option<f64> {
        let grows = matches!(
            self.throughput_per?,
            ThroughputUnit::MbPerSPerTib | ThroughputUnit::MbPerSPerTb | ThroughputUnit::MibPerSPerTib
        );
        let each = self.bytes_per_s(1.0).filter(|each| grows && *each > 0.0)?;
        Some(self.stepped(bytes_per_s / each))
    }

    /// Capacity that has to be provisioned to hold `tib`, TiB: at least the smallest, rounded up to whole steps. None if
    /// one file system cannot be that large, or if `tib` is no capacity (NaN, negative).
    pub fn provisioned_tib(&self, tib: f64) -> Option<f64> {
        if tib.is_nan() || tib < 0.0 {
            return None;
        }
        let capacity = self.stepped(tib);
        let most = self.max_capacity_tib.unwrap_or(f64::INFINITY);
        (capacity <= most).then_some(capacity)
    }

    /// `tib` rounded up to the smallest capacity and to whole steps.
    fn stepped(&self, tib: f64) -> f64 {
        let least = self.min_capacity_tib.unwrap_or(0.0).max(tib);
        let up = |from: f64, step: f64| {
            let steps = (least - from) / step;
            // A capacity of whole steps stays what it is: 41.6 TiB are four steps of 10.4, not five.
            let whole = if (steps - steps.round()).abs() < 1e-9 { steps.round() } else { steps.ceil() };
            (from + whole * step).max(least)
        };
        match (self.capacity_step_tib, self.large_step_from_tib, self.large_step_tib) {
            (_, Some(from), Some(step)) if least > from => up(from, step),
            (Some(step), ..) => up(0.0, step),
            _ => least,
        }
    }
}
