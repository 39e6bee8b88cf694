//! Where a figure is from.

use serde::{Deserialize, Serialize};

/// Where a row of data is from, when it was true, and how far to trust it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Document, repository or price list.
    pub source: String,
    /// Date of the source (`2026-10-10`, `2024-09`); a trailing `?` marks an inferred date.
    pub as_of: String,
    /// How far to trust it.
    pub confidence: Confidence,
    /// Doubts and corrections, in words; may be empty.
    #[serde(default)]
    pub note: String,
}

/// How far to trust a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// One weak source, an assumption, or memory.
    Unverified,
    /// A third party, or a computed value.
    Secondary,
    /// The vendor's own document or code.
    Vendor,
    /// The provider's price API or price list.
    List,
    /// Given by the user: a row of an overlay, a rate or discount of the scenario.
    User,
}

impl Confidence {
    /// Its name as the tables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Secondary => "secondary",
            Self::Vendor => "vendor",
            Self::List => "list",
            Self::User => "user",
        }
    }

    /// One weak source, an assumption, a third party or a computed value: what a reader should check first.
    pub fn is_weak(self) -> bool {
        matches!(self, Self::Unverified | Self::Secondary)
    }
}
