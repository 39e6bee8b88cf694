//! Requests as a service logged them: arrivals and lengths of a trace.

use serde::{Deserialize, Serialize};

use crate::csv_text::Records;
use crate::error::{Error, check_range};
use crate::inference::point::MOST_TOKENS;

/// Requests of a trace, one for each place of the lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct RequestTrace {
    /// When requests arrive, seconds from any start, not falling. With them the trace is replayed; without, its rows are
    /// drawn at random, prompt and answer together, and arrive as the request says.
    #[serde(default)]
    pub arrival_seconds: Option<Vec<f64>>,
    /// Tokens of the prompts.
    pub input_tokens: Vec<f64>,
    /// Tokens of the answers.
    pub output_tokens: Vec<f64>,
}

/// Columns of a trace's CSV text: ours, and those of the Azure LLM inference traces.
const COLUMNS: [[&str; 2]; 3] = [
    ["arrival_seconds", "TIMESTAMP"],
    ["input_tokens", "ContextTokens"],
    ["output_tokens", "GeneratedTokens"],
];

impl RequestTrace {
    /// The trace in CSV text with a header: `arrival_seconds` (may be absent), `input_tokens`, `output_tokens`; or, as the
    /// Azure LLM inference traces name them, `TIMESTAMP` (`2023-11-16 18:17:03.97`), `ContextTokens`, `GeneratedTokens`.
    ///
    /// # Errors
    /// `Malformed` with line and column: an unknown or missing column, a cell that is no number or time.
    pub fn from_csv(text: &str) -> Result<Self, Error> {
        let mut records = Records::trimmed(text);
        let header = records.header();
        let mut places: [Option<usize>; 3] = [None; 3];
        for (at, name) in header.iter().enumerate() {
            let known = COLUMNS.iter().position(|names| names.contains(&name.as_str()));
            match known.and_then(|column| places.get_mut(column)) {
                Some(place) if place.is_none() => *place = Some(at),
                Some(_) => return Err(malformed(1, name, "the column is given twice")),
                None => {
                    return Err(Error::unknown_name(
                        "trace_csv",
                        "column of a trace",
                        name,
                        COLUMNS.into_iter().flatten(),
                    ));
                }
            }
        }
        let [arrivals, Some(inputs), Some(outputs)] = places else {
            return Err(Error::MissingField {
                field: "trace_csv".to_owned(),
                expected: "columns input_tokens and output_tokens (or ContextTokens and GeneratedTokens)"
                    .to_owned(),
            });
        };
        let mut trace = Self {
            arrival_seconds: arrivals.map(|_| Vec::new()),
            input_tokens: Vec::new(),
            output_tokens: Vec::new(),
        };
        for (index, record) in records.enumerate() {
            let line = index + 2;
            let cells = record.map_err(|message| malformed(line, "", &message))?;
            let cell = |at: usize| cells.get(at).map_or("", String::as_str);
            let name = |at: usize| header.get(at).map_or("", String::as_str);
            for (at, list) in [(inputs, &mut trace.input_tokens), (outputs, &mut trace.output_tokens)] {
                let tokens = cell(at).parse().map_err(|_| malformed(line, name(at), "not a number"))?;
                list.push(tokens);
            }
            if let (Some(at), Some(list)) = (arrivals, &mut trace.arrival_seconds) {
                let seconds = seconds_of(cell(at));
                list.push(
                    seconds.ok_or_else(|| malformed(line, name(at), "neither seconds nor a time stamp"))?,
                );
            }
        }
        Ok(trace)
    }

    /// Checks lists and numbers; `field` is `trace` or `trace_csv`.
    ///
    /// # Errors
    /// Lists that are empty or of different lengths, lengths outside 1 to 10 million tokens, arrivals that fall.
    pub(super) fn check(&self, field: &str) -> Result<(), Error> {
        let rows = self.input_tokens.len();
        if rows == 0 {
            return Err(Error::MissingField {
                field: format!("{field}.input_tokens"),
                expected: "at least one request".to_owned(),
            });
        }
        let arrivals = self.arrival_seconds.as_ref().map_or(rows, Vec::len);
        for (name, length) in [("output_tokens", self.output_tokens.len()), ("arrival_seconds", arrivals)] {
            if length != rows {
                return Err(Error::Conflict {
                    field: format!("{field}.{name}"),
                    message: format!("{length} values, but input_tokens has {rows}"),
                });
            }
        }
        for (name, list) in [("input_tokens", &self.input_tokens), ("output_tokens", &self.output_tokens)] {
            for (at, &tokens) in list.iter().enumerate() {
                check_range(&format!("{field}.{name}[{at}]"), tokens, 1.0, MOST_TOKENS)?;
            }
        }
        let mut last = f64::NEG_INFINITY;
        for (at, &seconds) in self.arrival_seconds.iter().flatten().enumerate() {
            if !seconds.is_finite() || seconds < last {
                return Err(Error::Conflict {
                    field: format!("{field}.arrival_seconds[{at}]"),
                    message: format!("{seconds} after {last}: arrivals are finite and do not fall"),
                });
            }
            last = seconds;
        }
        Ok(())
    }
}

fn malformed(line: usize, column: &str, message: &str) -> Error {
    let at = if column.is_empty() { String::new() } else { format!(", column {column}") };
    Error::Malformed { field: "trace_csv".to_owned(), message: format!("line {line}{at}: {message}") }
}

/// Seconds in a number, or in a time stamp `YYYY-MM-DD hh:mm:ss.f` since 1 March of year 0 (only differences count).
fn seconds_of(cell: &str) -> Option<f64> {
    if let Ok(seconds) = cell.parse::<f64>() {
        return Some(seconds);
    }
    let (date, time) = cell.split_once([' ', 'T'])?;
    let mut parts = date.splitn(3, '-').map(|p| p.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let mut parts = time.trim_end_matches('Z').splitn(3, ':').map(|p| p.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year == 0 || year > 9999 {
        return None;
    }
    // Years that begin in March, so that a leap day is the last: whole days by the Gregorian rule.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    Some(f64::from(days) * 86_400.0 + hours * 3_600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azures_columns_and_times_are_read() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-02-28 23:59:59.5,4808,10\n\
                    2024-03-01 00:00:01.25,3180,8\n";
        let trace = RequestTrace::from_csv(text).unwrap();
        let at = trace.arrival_seconds.clone().unwrap();
        // 2024 had a 29 February.
        assert!((at[1] - at[0] - 86_401.75).abs() < 1e-4, "{at:?}");
        assert_eq!(trace.input_tokens, [4808.0, 3180.0]);
        trace.check("trace_csv").unwrap();
    }

    #[test]
    fn what_is_no_trace_is_refused_by_name() {
        for (text, code) in [
            ("", "missing_field"),
            ("input_tokens,output_tokens\n1,x\n", "malformed"),
            ("input_tokens,output_tokens,input_tokens\n", "malformed"),
            ("input_tokens,outputs\n", "unknown_name"),
            ("input_tokens,output_tokens,arrival_seconds\n1,2,noon\n", "malformed"),
            ("input_tokens,output_tokens,arrival_seconds\n1,2\n", "malformed"),
        ] {
            let error = RequestTrace::from_csv(text).unwrap_err();
            assert_eq!((error.field(), error.code()), ("trace_csv", code), "{text}");
        }
        let falling = RequestTrace::from_csv("input_tokens,output_tokens,arrival_seconds\n1,2,5\n1,2,4\n");
        assert_eq!(falling.unwrap().check("trace").unwrap_err().field(), "trace.arrival_seconds[1]");
    }
}
