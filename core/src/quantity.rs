//! Units and the small shared types of every estimate.

use serde::{Deserialize, Serialize};

/// Bytes in a GiB.
pub const GIB: f64 = 1_073_741_824.0;
/// Bytes of a mebibyte.
pub const MIB: f64 = 1_048_576.0;
/// Bytes in a TiB.
pub const TIB: f64 = 1_099_511_627_776.0;
/// Bytes in a decimal GB.
pub const GB: f64 = 1e9;
/// Seconds in a day.
pub const DAY: f64 = 86_400.0;
/// Seconds in an hour.
pub const HOUR: f64 = 3_600.0;

/// So many of something, as a person writes it: `1 GPU`, `8 GPUs`. The number is told as it is shown: `0.97` in no decimals is
/// `1 day`.
pub(crate) fn count(number: impl std::fmt::Display, of: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {of}{plural}")
}

/// Where the true value probably lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Interval {
    /// Lower end, in the unit of the estimate.
    pub low: f64,
    /// Upper end, in the unit of the estimate.
    pub high: f64,
    /// Share of published measurements that lay between such ends, 0 to 1.
    pub coverage: f64,
    /// What the interval rests on: how many published measurements of what kind.
    pub basis: String,
}

/// Something that the reader of an answer should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Warning {
    /// Stable name, such as `past_published_limit` or `price_missing`.
    pub code: String,
    /// What it is about: a field's path, a shape, a figure.
    pub about: String,
    /// One sentence.
    pub message: String,
}

impl Warning {
    /// A warning about something.
    pub fn new(code: &str, about: &str, message: String) -> Self {
        Self { code: code.to_owned(), about: about.to_owned(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_told_as_one() {
        assert_eq!(count(1, "GPU"), "1 GPU");
        assert_eq!(count(0, "GPU"), "0 GPUs");
        assert_eq!(count(8, "kv head"), "8 kv heads");
        assert_eq!(count(format_args!("{:.0}", 0.97), "day"), "1 day");
        assert_eq!(count(1.5, "day"), "1.5 days");
    }
}
