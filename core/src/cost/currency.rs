//! The currency that totals are shown in.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_range};

/// A currency and its rate, both given by the user: the catalogue's prices are in USD, and no rate is built in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Currency {
    /// ISO 4217 code, such as `EUR`.
    pub code: String,
    /// Units of it for one USD; 1 for USD itself.
    pub per_usd: f64,
}

impl Default for Currency {
    fn default() -> Self {
        Self { code: USD.to_owned(), per_usd: 1.0 }
    }
}

const USD: &str = "USD";

impl Currency {
    /// An amount of USD in this currency: USD × units for one USD.
    pub fn of(&self, usd: f64) -> f64 {
        usd * self.per_usd
    }

    /// The same, none where the currency is USD: the amount stands beside it already.
    pub fn converted(&self, usd: f64) -> Option<f64> {
        (self.code != USD).then(|| self.of(usd))
    }

    /// Refuses what is no currency.
    ///
    /// # Errors
    /// `WrongType` for a code that is not three capital letters, `OutOfRange` for the rate, `Conflict` for a USD that is
    /// not one USD; with paths below `pricing.currency`.
    pub fn check(&self) -> Result<(), Error> {
        if self.code.len() != 3 || !self.code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::WrongType {
                field: "pricing.currency.code".to_owned(),
                given: format!("\"{}\"", self.code),
                expected: "three capital letters such as EUR".to_owned(),
            });
        }
        // Wide of every currency in use: what lies outside is a slip of unit.
        check_range("pricing.currency.per_usd", self.per_usd, 0.01, 1e7)?;
        if self.code == USD && self.per_usd != 1.0 {
            return Err(Error::Conflict {
                field: "pricing.currency.per_usd".to_owned(),
                message: format!("{} USD for one USD: give 1, or the code of another currency", self.per_usd),
            });
        }
        Ok(())
    }
}
