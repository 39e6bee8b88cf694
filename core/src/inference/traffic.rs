//! How the requests of a service spread over the hours of a day or a week.

use serde::{Deserialize, Serialize};

use crate::catalog::{Confidence, Source};
use crate::error::{Error, check_range};

/// Requests in each hour of measured weeks, written by `scripts/read_traffic_shapes.py`, which says from what.
const WEEKS: &str = include_str!("../../data/traffic_shapes.csv");

/// Days and hours of a week.
const DAYS: usize = 7;
const HOURS: usize = 24;

/// A measured week of requests, hour by hour in UTC. Both are of Microsoft's LLM services on Azure in May 2024 (Azure LLM
/// inference trace 2024, arXiv 2408.00741, CC-BY), read off the published figures. Traffic of a whole continent or of the
/// world: that of one time zone is steeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub enum TrafficShape {
    /// A conversation service: the busiest hour has 1.67 times the week's mean, the quietest 0.47 times.
    #[serde(rename = "azure_conversation_2024")]
    AzureConversation2024,
    /// A code completion service: 3.0 times on weekdays in America, 0.1 times on Saturday morning.
    #[serde(rename = "azure_code_2024")]
    AzureCode2024,
}

impl TrafficShape {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::AzureConversation2024 => "azure_conversation_2024",
            Self::AzureCode2024 => "azure_code_2024",
        }
    }

    /// Where the week is from.
    pub fn source(self) -> Source {
        let text = "Azure LLM inference trace 2024 (arXiv 2408.00741), read by scripts/read_traffic_shapes.py off the figure \
                    that its notebook shows";
        Source {
            source: text.to_owned(),
            as_of: "2024-05-19".to_owned(),
            confidence: Confidence::Secondary,
            note: "core/data/traffic_shapes.csv".to_owned(),
        }
    }

    /// Requests in each hour of the week, from Monday 0:00 UTC.
    fn hours(self) -> Vec<f64> {
        let rows = WEEKS.lines().filter_map(|line| line.strip_prefix(self.name())?.strip_prefix(','));
        // Behind the day's name.
        rows.flat_map(|row| row.split(',').skip(1)).filter_map(|cell| cell.parse().ok()).collect()
    }
}

/// Request rate of each hour over the mean rate: of a week from Monday 0:00 (168 hours), or of a day (24). None where
/// nothing is said.
///
/// `hour_factors` are 24 weights of a day, `weekday_factors` 7 of the days from Monday; only their ratios count. Both
/// together give a week in which every day has the same shape.
///
/// # Errors
/// A shape with factors beside it, the wrong number of factors, negative ones, all zero; paths `shape`,
/// `hour_factors[3]`…
pub fn hourly_ratios(
    shape: Option<TrafficShape>,
    hour_factors: Option<&[f64]>,
    weekday_factors: Option<&[f64]>,
) -> Result<Option<Vec<f64>>, Error> {
    let hours = weights("hour_factors", hour_factors, HOURS)?;
    let days = weights("weekday_factors", weekday_factors, DAYS)?;
    let week = match (shape, &hours, &days) {
        (None, None, None) => return Ok(None),
        (Some(shape), None, None) => shape.hours(),
        (Some(shape), hours, _) => {
            let field = if hours.is_some() { "hour_factors" } else { "weekday_factors" };
            return Err(Error::Conflict {
                field: field.to_owned(),
                message: format!(
                    "{} has its own hours and days: give shape or factors, not both",
                    shape.name()
                ),
            });
        }
        (None, Some(hours), None) => hours.clone(),
        (None, hours, Some(days)) => {
            let flat = vec![1.0; HOURS];
            let hours = hours.as_ref().unwrap_or(&flat);
            days.iter().flat_map(|day| hours.iter().map(move |hour| day * hour)).collect()
        }
    };
    let mean = week.iter().fold(0.0, |sum, hour| sum + hour) / week.len() as f64;
    Ok(Some(week.iter().map(|hour| hour / mean).collect()))
}

fn weights(field: &str, given: Option<&[f64]>, count: usize) -> Result<Option<Vec<f64>>, Error> {
    let Some(given) = given else { return Ok(None) };
    if given.len() != count {
        return Err(Error::WrongType {
            field: field.to_owned(),
            given: format!("a list of {}", given.len()),
            expected: format!("{count} numbers"),
        });
    }
    for (i, factor) in given.iter().enumerate() {
        check_range(&format!("{field}[{i}]"), *factor, 0.0, 1e9)?;
    }
    let sum = given.iter().fold(0.0, |sum, factor| sum + factor);
    check_range(field, sum, 1e-9, 1e12)?;
    Ok(Some(given.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_weeks_are_whole_and_as_published() {
        // Rows of the traces as their notebook prints them; each hour is rounded to 100.
        for (shape, rows) in
            [(TrafficShape::AzureConversation2024, 27_303_999.0), (TrafficShape::AzureCode2024, 16_803_695.0)]
        {
            let hours = shape.hours();
            assert_eq!(hours.len(), DAYS * HOURS);
            assert!((hours.iter().sum::<f64>() - rows).abs() < 168.0 * 50.0, "{}", shape.name());
            let ratios = hourly_ratios(Some(shape), None, None).unwrap().unwrap();
            assert!((ratios.iter().sum::<f64>() / 168.0 - 1.0).abs() < 1e-12);
            // Weekends are quieter.
            assert!(ratios[5 * 24..].iter().sum::<f64>() < 48.0);
        }
    }

    #[test]
    fn only_ratios_count() {
        let day: Vec<f64> = (0..24).map(|hour| f64::from(hour % 12)).collect();
        let twice: Vec<f64> = day.iter().map(|factor| 2.0 * factor).collect();
        let of =
            |hours: &[f64], days: Option<&[f64]>| hourly_ratios(None, Some(hours), days).unwrap().unwrap();
        assert_eq!(of(&day, None), of(&twice, None));
        let week = of(&day, Some(&[1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]));
        assert_eq!(week.len(), 168);
        assert!((week[5 * 24 + 3] / week[3] - 0.5).abs() < 1e-12);
    }
}
