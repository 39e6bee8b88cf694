//! How old a figure is on a day that the scenario names; the core reads no clock.

use std::fmt;

use super::Source;
use crate::error::Error;

/// Days after which a price counts as old.
pub const OLD_AFTER_DAYS: i64 = 90;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

/// Age of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Days from the date of the source to the scenario's day; negative where the source is dated after it.
    pub days: i64,
    /// Whether the date is inferred, or states only a month or year, which then counts from its first day.
    pub about: bool,
}

impl Day {
    /// The day that `text` names, such as `2026-11-23`.
    ///
    /// # Errors
    /// `WrongType` at `field` for anything but a whole date that the calendar has.
    pub fn read(field: &str, text: &str) -> Result<Self, Error> {
        let whole = text.split('-').count() == 3 && !text.ends_with('?');
        day_number(text).filter(|_| whole).map(Self).ok_or_else(|| Error::WrongType {
            field: field.to_owned(),
            given: format!("\"{text}\""),
            expected: "a date such as 2026-11-23".to_owned(),
        })
    }
}

impl Source {
    /// Age of the source on a day; none where it has no date.
    pub fn age(&self, today: Day) -> Option<Age> {
        let then = day_number(&self.as_of)?;
        let whole = self.as_of.split('-').count() == 3;
        Some(Age { days: today.0 - then, about: !whole || self.as_of.ends_with('?') })
    }
}

impl Age {
    /// Whether a price of this age is old: more than [`OLD_AFTER_DAYS`].
    pub fn is_old(self) -> bool {
        self.days > OLD_AFTER_DAYS
    }
}

/// `814 days`, `about 814 days`.
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.about { "about " } else { "" };
        let unit = if self.days.abs() == 1 { "day" } else { "days" };
        write!(f, "{about}{} {unit}", self.days)
    }
}

/// Days since an arbitrary day of a date `2026-11-23`, `2026-11` or `2026`, a trailing `?` ignored; a month or year counts
/// from its first day. None if it is no date.
fn day_number(text: &str) -> Option<i64> {
    let mut parts = text.strip_suffix('?').unwrap_or(text).split('-');
    let year: i64 = parts.next()?.parse().ok().filter(|y| (1900..3000).contains(y))?;
    let month: i64 = parts.next().map_or(Some(1), |m| m.parse().ok()).filter(|m| (1..=12).contains(m))?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day: i64 = parts.next().map_or(Some(1), |d| d.parse().ok()).filter(|d| (1..=last).contains(d))?;
    if parts.next().is_some() {
        return None;
    }
    // Days of the proleptic Gregorian calendar, years counted from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Confidence;

    #[test]
    fn days_between_dates() {
        let days = |a: &str, b: &str| day_number(b).unwrap() - day_number(a).unwrap();
        assert_eq!(days("2026-08-25", "2026-11-23"), 90);
        assert_eq!(days("2024-02-28", "2024-03-01"), 2);
        assert_eq!(days("2025-12-31?", "2026-01-01"), 1);
        assert_eq!(days("2024-09", "2024-10-01"), 30);
        assert_eq!(day_number("last week"), None);
        assert_eq!(day_number("2026-13-01"), None);
        assert_eq!(day_number("2026-02-29"), None);
        assert!(day_number("2024-02-29").is_some());
    }

    #[test]
    fn an_inexact_date_counts_from_its_first_day_and_says_so() {
        let today = Day::read("today", "2026-11-23").unwrap();
        let age = |as_of: &str| {
            let source = Source {
                source: "a list".to_owned(),
                as_of: as_of.to_owned(),
                confidence: Confidence::List,
                note: String::new(),
            };
            source.age(today).map(|age| (age.to_string(), age.is_old()))
        };
        assert_eq!(age("2026-11-22"), Some(("1 day".to_owned(), false)));
        assert_eq!(age("2026-08-25?"), Some(("about 90 days".to_owned(), false)));
        assert_eq!(age("2026-08"), Some(("about 114 days".to_owned(), true)));
        assert_eq!(age("2026"), Some(("about 326 days".to_owned(), true)));
        assert_eq!(age("2026-12-01"), Some(("-8 days".to_owned(), false)));
        assert_eq!(age(""), None);
    }

    #[test]
    fn a_day_is_a_whole_date() {
        for bad in ["2026-11", "2026", "2026-11-23?", "2026-11-31", "", "today", "2026-11-23-1"] {
            assert_eq!(Day::read("today", bad).unwrap_err().code(), "wrong_type", "{bad}");
        }
    }
}
