use serde::{Deserialize, Serialize};

/// A term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Term {
    #[default]
    Payg,
    Spot,
    Preemptible,
    LowPriority,
    #[serde(rename = "savings_plan_1y")]
    SavingsPlan1y,
    #[serde(rename = "savings_plan_3y")]
    SavingsPlan3y,
    #[serde(rename = "reserved_1y")]
    Reserved1y,
    #[serde(rename = "reserved_3y")]
    Reserved3y,
}

/// An overlay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Overlay {
    /// Prices.
    pub prices: Option<String>,
}
