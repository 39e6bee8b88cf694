//! Our prediction beside a table of measurements, with the statistics of the error.

pub mod collectives;
pub mod inference;
mod statistics;
mod table;
pub mod training;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::error::Error;

pub use statistics::{ValidationSummary, equal_weights, run_of, summarise, weighted_mean, weighted_quantile};
pub use table::{Line, Table};

/// What a table of measurements is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum ValidationKind {
    /// Times of collectives.
    Collectives,
    /// Throughput and latency of serving.
    Inference,
    /// Training steps.
    Training,
}

/// Our prediction beside every row of the table `csv`, and the statistics of the error; `by` names a column whose values
/// form groups with their own statistics (collectives without it are grouped by small messages, large ones and engines'
/// kernels).
///
/// A row counts by the column `weight` where the table has one; else as its kind says (a run of collectives, that is the
/// rows whose `id` differs in the running number only, counts once).
///
/// # Errors
/// The text is no table, a column that the kind needs (or `by`) is missing, or a cell is not what its column holds: with
/// line and column. A row that cannot be compared or predicted is no error: it stands in the report with the reason.
pub fn validate(
    catalog: &Catalog,
    kind: ValidationKind,
    csv: &str,
    by: Option<&str>,
) -> Result<ValidationReport, Error> {
    match kind {
        ValidationKind::Collectives => collectives::validate(catalog, csv, by),
        ValidationKind::Inference => inference::validate(catalog, csv, by),
        ValidationKind::Training => training::validate(catalog, csv, by),
    }
}

/// One measured figure beside ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ValidationRow {
    /// The row's `id`.
    pub id: String,
    /// What was measured, with its unit.
    pub quantity: String,
    /// What was measured; none where the row holds no usable measurement, and is left out.
    pub measured: Option<f64>,
    /// What we predict; none where we cannot.
    pub predicted: Option<f64>,
    /// Why the row is left out or has no prediction.
    pub refused: Option<String>,
    /// The row's value in the column to group by; for the statistics.
    #[serde(skip)]
    pub group: Option<String>,
    /// How much the row counts; for the statistics.
    #[serde(skip)]
    pub weight: f64,
}

/// Every row of a table, and the statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ValidationReport {
    /// The rows in the table's order.
    pub rows: Vec<ValidationRow>,
    /// The statistics.
    pub summary: ValidationSummaries,
}

/// Statistics of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ValidationSummaries {
    /// Each quantity over the whole table, in order of appearance.
    pub quantities: Vec<ValidationSummary>,
    /// Each group of each quantity; empty where no column to group by was asked for.
    pub groups: Vec<ValidationSummary>,
}

impl ValidationReport {
    /// The report on `rows`.
    pub fn new(rows: Vec<ValidationRow>) -> Self {
        let (quantities, groups) = summarise(&rows).into_iter().partition(|one| one.group.is_none());
        Self { rows, summary: ValidationSummaries { quantities, groups } }
    }
}
