//! How long prompts and answers are: a distribution by its mean and spread, or the rows of a trace.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_range};

use super::random::Random;
use crate::inference::point::MOST_TOKENS;

/// Family of a distribution of lengths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum LengthFamily {
    /// Always the mean.
    #[default]
    Fixed,
    /// Uniform around the mean.
    Uniform,
    /// Log-normal: a long tail, as answers of chat services have.
    Lognormal,
    /// Gamma; with a coefficient of variation of 1 the exponential distribution.
    Gamma,
}

/// Lengths of prompts or of answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// Family of the distribution; fixed if not given.
    #[serde(default)]
    pub family: LengthFamily,
    /// Mean, tokens. Draws are rounded to whole tokens, at least 1.
    pub mean_tokens: f64,
    /// Standard deviation over mean, 0 to 10; this or `spread` is needed by every family but `fixed`, which has neither.
    #[serde(default)]
    pub coefficient_of_variation: Option<f64>,
    /// The square of it, 0 to 100, as [`crate::inference::ServingPointRequest::input_spread`] says it.
    #[serde(default)]
    pub spread: Option<f64>,
}

/// Widest spread that is drawn: beyond it the mean itself would need millions of requests to show.
const MOST_SPREAD: f64 = 10.0;

impl Lengths {
    /// These lengths, ready to be drawn.
    ///
    /// # Errors
    /// A mean outside 1 to 10 million tokens; a spread that is missing, given to fixed lengths, outside 0 to 10, or so wide
    /// that a uniform distribution would reach below one token.
    pub(super) fn sampler(&self, field: &str) -> Result<Sampler, Error> {
        let mean = check_range(&format!("{field}.mean_tokens"), self.mean_tokens, 1.0, MOST_TOKENS)?;
        let (path, given) = self.spread_given(field)?;
        let (spread, squared) = match (self.family, given) {
            (LengthFamily::Fixed, None) => (0.0, 0.0),
            (LengthFamily::Fixed, Some(_)) => {
                return Err(Error::Conflict {
                    field: path,
                    message: "fixed lengths have no spread; give a family (uniform, lognormal, gamma) or leave it out"
                        .to_owned(),
                });
            }
            (_, None) => {
                return Err(Error::MissingField {
                    field: path,
                    expected: "standard deviation over mean of the lengths, or spread as the square of it"
                        .to_owned(),
                });
            }
            (LengthFamily::Uniform, Some((given, power))) => {
                let most = libm::pow((mean - 1.0) / (mean * libm::sqrt(3.0)), power);
                both(check_range(&path, given, 0.0, most)?, power)
            }
            (_, Some((given, power))) => {
                both(check_range(&path, given, 0.0, libm::pow(MOST_SPREAD, power))?, power)
            }
        };
        let family = if spread > 0.0 { self.family } else { LengthFamily::Fixed };
        Ok(Sampler { family, mean, spread, squared })
    }

    /// The path of the number that says how lengths spread, and that number with the power of the coefficient of variation
    /// that it is.
    fn spread_given(&self, field: &str) -> Result<(String, Option<(f64, f64)>), Error> {
        let (cv, square) = (format!("{field}.coefficient_of_variation"), format!("{field}.spread"));
        match (self.coefficient_of_variation, self.spread) {
            (Some(_), Some(_)) => Err(Error::Conflict {
                field: square,
                message:
                    "given together with coefficient_of_variation, whose square it is; give one of the two"
                        .to_owned(),
            }),
            (None, Some(given)) => Ok((square, Some((given, 2.0)))),
            (given, None) => Ok((cv, given.map(|given| (given, 1.0)))),
        }
    }
}

/// A coefficient of variation and its square, from that power of it.
fn both(given: f64, power: f64) -> (f64, f64) {
    if power > 1.0 { (libm::sqrt(given), given) } else { (given, given * given) }
}

/// Checked lengths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampler {
    family: LengthFamily,
    mean: f64,
    /// Coefficient of variation, and its square as it was given.
    spread: f64,
    squared: f64,
}

impl Sampler {
    /// One token.
    pub const ONE: Self = Self { family: LengthFamily::Fixed, mean: 1.0, spread: 0.0, squared: 0.0 };

    /// Mean and squared coefficient of variation.
    pub fn moments(&self) -> (f64, f64) {
        (self.mean, self.squared)
    }

    /// Whole tokens, at least 1. What lies past the longest prompt that is priced is drawn again: with the widest spread and
    /// the largest mean, a few in a hundred.
    pub fn draw(&self, random: &mut Random) -> f64 {
        loop {
            let tokens = (self.real(random) + 0.5).floor().max(1.0);
            if tokens <= MOST_TOKENS {
                return tokens;
            }
        }
    }

    fn real(&self, random: &mut Random) -> f64 {
        let (mean, spread) = (self.mean, self.spread);
        match self.family {
            LengthFamily::Fixed => mean,
            LengthFamily::Uniform => mean * (1.0 + libm::sqrt(3.0) * spread * (2.0 * random.uniform() - 1.0)),
            LengthFamily::Lognormal => {
                let variance = libm::log(1.0 + self.squared);
                mean * libm::exp(libm::sqrt(variance) * random.normal() - 0.5 * variance)
            }
            LengthFamily::Gamma => {
                let scv = self.squared;
                mean * scv * random.gamma(1.0 / scv)
            }
        }
    }
}
