//! How often published systems broke down.

use serde::{Deserialize, Serialize};

use super::lookup::find;
use super::table::{Read, Row};
use super::{Catalog, Source};
use crate::error::Error;
use crate::order::sort_by;

/// A published rate of failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct FailureRate {
    /// Name, such as `llama3-405b`.
    pub name: String,
    /// Who ran it.
    pub operator: String,
    /// The run or cluster; of several rows of one system the first stands for it in [`Catalog::failure_range`].
    pub system: String,
    /// Canonical name of the GPU; none where the source names none.
    pub gpu: Option<String>,
    /// GPUs of the run or cluster, where stated.
    pub gpu_count: Option<u32>,
    /// GPU-hours over which events were counted, where stated.
    pub gpu_hours: Option<f64>,
    /// Events in them, where stated.
    pub events: Option<u32>,
    /// What was counted.
    pub counts: FailureEvent,
    /// GPU-hours between two events.
    pub gpu_hours_per_event: f64,
    /// Where the figures are from.
    pub source: Source,
}

/// What a rate of failures counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum FailureEvent {
    /// Unplanned interruptions of a job, whatever the cause.
    Interruptions,
    /// Interruptions of a job, planned ones included.
    AllInterruptions,
    /// Restarts of a job, those that its operators chose included.
    Restarts,
    /// Failures of hardware, whether or not a job was interrupted.
    HardwareFailures,
    /// Failures of GPUs alone.
    GpuFailures,
}

/// Where the rates of published systems lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureRange {
    /// GPU-hours between events that one system in ten falls short of.
    pub low: f64,
    /// GPU-hours between events that one system in ten exceeds.
    pub high: f64,
    /// Systems that it rests on.
    pub systems: usize,
}

/// Quantiles at the ends of the range: those of the intervals of step times, so that both cover 80 %.
const TAIL: f64 = 0.1;

impl FailureRate {
    pub(super) const COLUMNS: &'static [&'static str] = &[
        "name",
        "operator",
        "system",
        "gpu",
        "gpu_count",
        "gpu_hours",
        "events",
        "counts",
        "gpu_hours_per_event",
    ];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        Ok(Self {
            name: row.required("name")?,
            operator: row.text("operator")?,
            system: row.required("system")?,
            gpu: row.optional("gpu")?,
            gpu_count: row.count("gpu_count", 1, 100_000_000)?,
            gpu_hours: row.number("gpu_hours", 1.0, 1e12)?,
            events: row.count("events", 1, 1_000_000_000)?,
            counts: row.required("counts")?,
            gpu_hours_per_event: row.number_required("gpu_hours_per_event", 1.0, 1e12)?,
            source: row.source(titles)?,
        })
    }
}

impl Catalog {
    /// The rate of failures called `name`, spelt as [`Catalog::gpu`] allows.
    ///
    /// # Errors
    /// [`Error::UnknownName`] at `field` with the nearest name.
    pub fn failure_rate(&self, field: &str, name: &str) -> Result<&FailureRate, Error> {
        find(field, "rate of failures", name, &self.reliability, |rate| (&rate.name, &[]))
    }

    /// Where the rates of published systems lie: the 10 % and 90 % quantiles of their GPU-hours between events, every
    /// system counted once, interpolated between logarithms. None without any.
    ///
    /// The systems do not count the same: some every interruption, some hardware or GPUs alone. The range is what a
    /// reader who knows no more than these may expect.
    pub fn failure_range(&self) -> Option<FailureRange> {
        let mut systems: Vec<&str> = Vec::new();
        let mut logs: Vec<f64> = Vec::new();
        for rate in &self.reliability {
            if !systems.contains(&rate.system.as_str()) {
                systems.push(&rate.system);
                logs.push(libm::log(rate.gpu_hours_per_event));
            }
        }
        sort_by(&mut logs, f64::total_cmp);
        Some(FailureRange {
            low: libm::exp(quantile(&logs, TAIL)?),
            high: libm::exp(quantile(&logs, 1.0 - TAIL)?),
            systems: systems.len(),
        })
    }
}

/// The quantile of sorted numbers, interpolated; none of none.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(at.floor() as usize)?;
    let above = sorted.get(at.ceil() as usize)?;
    Some(below + (above - below) * (at - at.floor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_its_hours_over_its_events() {
        let catalog = Catalog::embedded().unwrap();
        let mut counted = 0;
        for rate in &catalog.reliability {
            if let (Some(hours), Some(events)) = (rate.gpu_hours, rate.events) {
                let ratio = hours / f64::from(events) / rate.gpu_hours_per_event;
                assert!((ratio - 1.0).abs() < 1e-4, "{} {ratio}", rate.name);
                counted += 1;
            }
        }
        assert!(counted >= 6);
        let error = catalog.failure_rate("rate", "llama3-405").unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("llama3-405b"));
    }

    #[test]
    fn the_range_counts_a_system_once() {
        let catalog = Catalog::embedded().unwrap();
        let range = catalog.failure_range().unwrap();
        // Ten rows, two of them second counts of Llama 3 and RSC-1; extremes 14,814 and 82,051.
        assert_eq!(range.systems, 8);
        assert!(range.low > 14_814.0 && range.low < 22_478.0, "{range:?}");
        assert!(range.high > 66_528.0 && range.high < 82_051.0, "{range:?}");
        assert_eq!(Catalog::default().failure_range(), None);
    }
}
