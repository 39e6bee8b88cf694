//! Numbers as people give them: as such, or as text with a multiple.

use super::Value;
use super::fault::Fault;
use crate::error::Error;

/// The number in text such as `15.6T`, `405b`, `8k`, `1_000` or `2.5e3`; decimal multiples k, M, B or G, T, P.
pub fn parse_number(text: &str) -> Option<f64> {
    let clean: String = text.trim().chars().filter(|c| *c != '_' && *c != ' ').collect();
    let digits = clean.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &clean[digits.len()..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "m" | "M" => 1e6,
        "b" | "B" | "g" | "G" => 1e9,
        "t" | "T" => 1e12,
        "p" | "P" => 1e15,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some(number * factor).filter(|n| n.is_finite())
}

pub(super) fn number(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Number(n) if n.is_finite() => Ok(*n),
        Value::Number(_) => Err(value.wrong("a finite number")),
        Value::Text(text) => {
            parse_number(text).ok_or_else(|| value.wrong("a number, such as 8192 or \"15.6T\""))
        }
        _ => Err(value.wrong("a number")),
    }
}

pub(super) fn whole(value: &Value, min: f64, max: f64) -> Result<f64, Fault> {
    let number = number(value)?;
    if number % 1.0 != 0.0 {
        return Err(value.wrong("a whole number"));
    }
    if number < min || number > max {
        return Err(Error::OutOfRange { field: String::new(), given: number, min, max }.into());
    }
    Ok(number)
}
