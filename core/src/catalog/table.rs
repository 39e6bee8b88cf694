//! Reading a table: CSV text or a list of rows becomes [`Row`]s whose cells are taken by name, with errors that name
//! the cell (`prices[3].usd_per_gpu_hour`). The embedded tables and a user's overlay pass this one door.

use std::cell::RefCell;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Confidence, Source};
use crate::csv_text::Records;
use crate::error::{Error, check_range, nearest};
use crate::input::{self, Value};

/// A table of an overlay: CSV text with a header line, or a list of rows with the same column names. An item of the list
/// may itself be CSV text, so that the tables of several files stand one behind the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(untagged)]
pub enum Table {
    /// CSV text (RFC 4180) with a header line; empty cells are absent.
    Csv(String),
    /// Rows as objects, or CSV texts of several rows; absent, null and empty cells are absent.
    Rows(
        #[cfg_attr(
            feature = "tsify",
            tsify(
                type = "(string | Record<string, string | number | boolean | null | (string | number)[]>)[]"
            )
        )]
        Vec<Value>,
    ),
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Text(csv) => Ok(Self::Csv(csv)),
            Value::List(rows) => Ok(Self::Rows(rows)),
            other => {
                use serde::de::{Error as _, Unexpected};
                let expected = &"CSV text with a header line, or a list of rows";
                Err(D::Error::invalid_type(Unexpected::Other(&other.describe()), expected))
            }
        }
    }
}

/// What rows do not have to say themselves.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// Our own tables: every row states its source.
    Embedded,
    /// A user's overlay: a row without a source is the user's own word. Where its rows come to stand is noted.
    Overlay(&'a Landed),
}

/// Where the rows of an overlay came to stand: for each of its tables the position of each row in the merged one.
///
/// Noted aside, for whoever merges wants the catalogue and only who prints a table wants this too.
#[derive(Default)]
pub(super) struct Landed(RefCell<Vec<(String, Vec<usize>)>>);

impl Landed {
    pub(super) fn note(&self, table: &str, positions: Vec<usize>) {
        self.0.borrow_mut().push((table.to_owned(), positions));
    }

    /// Positions of the rows of `table`, in their order; empty if the overlay does not have it.
    pub(super) fn of(&self, table: &str) -> Vec<usize> {
        let noted = self.0.borrow();
        noted.iter().find(|(name, _)| name == table).map(|(_, at)| at.clone()).unwrap_or_default()
    }
}

/// Rows of `table` called `name`, whose cells may only be those of `columns` and the four of every table (`source`,
/// `as_of`, `confidence`, `note`).
pub(super) fn rows(
    name: &str,
    table: &Table,
    columns: &[&str],
    origin: Origin<'_>,
) -> Result<Vec<Row>, Error> {
    let cells = match table {
        Table::Csv(text) => csv_cells(name, text, columns)?,
        Table::Rows(values) => listed_cells(name, values, columns)?,
    };
    let overlay = matches!(origin, Origin::Overlay(_));
    Ok(cells.into_iter().map(|(path, cells)| Row { path, cells, overlay }).collect())
}

/// A row's cells by column name, and its path.
type Cells = (String, Vec<(String, Value)>);

fn listed_cells(name: &str, values: &[Value], columns: &[&str]) -> Result<Vec<Cells>, Error> {
    let mut out = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let path = format!("{name}[{i}]");
        match value {
            Value::Object(fields) => {
                check_columns(&path, fields.iter().map(|(column, _)| column.as_str()), columns)?;
                out.push((path, fields.clone()));
            }
            Value::Text(csv) => out.extend(csv_cells(&path, csv, columns)?),
            _ => {
                return Err(Error::WrongType {
                    field: path,
                    given: value.describe(),
                    expected: "a row: an object with named cells".to_owned(),
                });
            }
        }
    }
    Ok(out)
}

fn csv_cells(name: &str, text: &str, columns: &[&str]) -> Result<Vec<Cells>, Error> {
    // A file saved by a spreadsheet may begin with a byte-order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Records::trimmed(text);
    let header = records.header();
    if header.is_empty() {
        let expected = "a first line with the names of the columns".to_owned();
        return Err(Error::MissingField { field: name.to_owned(), expected });
    }
    check_columns(name, header.iter().map(String::as_str), columns)?;
    let mut out = Vec::new();
    for (i, record) in records.enumerate() {
        let record = record.map_err(|message| Error::Malformed { field: name.to_owned(), message })?;
        let cells = header
            .iter()
            .zip(record)
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(column, cell)| (column.clone(), Value::Text(cell)))
            .collect();
        out.push((format!("{name}[{i}]"), cells));
    }
    Ok(out)
}

/// Every column is one of `columns` or common to all tables, and none stands twice.
fn check_columns<'a>(
    path: &str,
    given: impl Iterator<Item = &'a str>,
    columns: &[&str],
) -> Result<(), Error> {
    let known = || columns.iter().chain(&COMMON).copied();
    let mut seen: Vec<&str> = Vec::new();
    for column in given {
        let field = || format!("{path}.{column}");
        if !known().any(|c| c == column) {
            return Err(Error::UnknownField {
                field: field(),
                nearest: nearest(column, known()),
                allowed: known().map(str::to_owned).collect(),
            });
        }
        if seen.contains(&column) {
            return Err(Error::Malformed { field: field(), message: "the column stands twice".to_owned() });
        }
        seen.push(column);
    }
    Ok(())
}

/// Columns that every table has.
const COMMON: [&str; 4] = ["source", "as_of", "confidence", "note"];

/// What is read of a row. Its error is boxed, for a row is read in many small steps and each hands the error on.
pub(super) type Read<T> = Result<T, Box<Error>>;

/// One row of a table, its cells by column name.
pub(super) struct Row {
    path: String,
    cells: Vec<(String, Value)>,
    overlay: bool,
}

impl Row {
    /// Path of the cell `column`, for errors.
    pub(super) fn at(&self, column: &str) -> String {
        format!("{}.{column}", self.path)
    }

    /// Path of the row.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The cell, none if it is empty: an empty text is an empty cell in a list of rows as it is in CSV.
    fn cell(&self, column: &str) -> Option<&Value> {
        let cell = self.cells.iter().find(|(c, _)| c == column).map(|(_, v)| v);
        cell.filter(|v| !matches!(v, Value::Null) && !matches!(v, Value::Text(t) if t.trim().is_empty()))
    }

    /// The cell as it stands in CSV text: a list joined by `;`, nothing for an empty one.
    pub(super) fn csv_text(&self, column: &str) -> String {
        fn text(value: &Value) -> String {
            match value {
                Value::Null | Value::Object(_) => String::new(),
                Value::Bool(b) => b.to_string(),
                Value::Number(n) => n.to_string(),
                Value::Text(t) => t.clone(),
                Value::List(items) => items.iter().map(text).collect::<Vec<_>>().join(";"),
            }
        }
        self.cell(column).map(text).unwrap_or_default()
    }

    /// What stands in the cell `column`, or a part of it, as `T`.
    pub(super) fn read<T: DeserializeOwned>(&self, column: &str, value: &Value) -> Read<T> {
        input::read(value).map_err(|error: Error| Box::new(error.within(&self.at(column))))
    }

    fn missing(&self, column: &str) -> Box<Error> {
        Error::MissingField { field: self.at(column), expected: "every row needs it".to_owned() }.into()
    }

    /// The cell as `T`, none if empty.
    pub(super) fn optional<T: DeserializeOwned>(&self, column: &str) -> Read<Option<T>> {
        self.cell(column).map(|value| self.read(column, value)).transpose()
    }

    /// The cell as `T`.
    pub(super) fn required<T: DeserializeOwned>(&self, column: &str) -> Read<T> {
        self.optional(column)?.ok_or_else(|| self.missing(column))
    }

    /// The number in the cell if it lies in `min..=max`, none if empty.
    pub(super) fn number(&self, column: &str, min: f64, max: f64) -> Read<Option<f64>> {
        let number: Option<f64> = self.optional(column)?;
        // 0 for -0: what compares equal then gives the same bits.
        number.map(|n| Ok(check_range(&self.at(column), n, min, max)? + 0.0)).transpose()
    }

    /// The number in the cell, which must lie in `min..=max`.
    pub(super) fn number_required(&self, column: &str, min: f64, max: f64) -> Read<f64> {
        self.number(column, min, max)?.ok_or_else(|| self.missing(column))
    }

    /// The whole number in the cell, which must lie in `min..=max`; none if empty.
    pub(super) fn count(&self, column: &str, min: u32, max: u32) -> Read<Option<u32>> {
        let count: Option<u32> = self.optional(column)?;
        if let Some(n) = count {
            check_range(&self.at(column), f64::from(n), f64::from(min), f64::from(max))?;
        }
        Ok(count)
    }

    /// The whole number in the cell, which must lie in `min..=max`.
    pub(super) fn count_required(&self, column: &str, min: u32, max: u32) -> Read<u32> {
        self.count(column, min, max)?.ok_or_else(|| self.missing(column))
    }

    /// The text of the cell, empty if there is none.
    pub(super) fn text(&self, column: &str) -> Read<String> {
        Ok(self.optional(column)?.unwrap_or_default())
    }

    /// The names in the cell, separated by `;` in CSV or given as a list.
    pub(super) fn names(&self, column: &str) -> Read<Vec<String>> {
        match self.cell(column) {
            None => Ok(Vec::new()),
            Some(Value::Text(text)) => Ok(split(text)),
            Some(other) => {
                let names: Vec<String> = self.read(column, other)?;
                match names.iter().position(|name| name.contains(';')) {
                    None => Ok(names),
                    Some(at) => Err(Error::WrongType {
                        field: format!("{}[{at}]", self.at(column)),
                        given: format!("\"{}\"", names[at]),
                        expected: "a name without \";\", which separates names,".to_owned(),
                    }
                    .into()),
                }
            }
        }
    }

    /// The numbers in the cell, separated by `;` in CSV or given as a list; empty if there is none.
    pub(super) fn numbers(&self, column: &str) -> Read<Vec<f64>> {
        match self.cell(column) {
            None => Ok(Vec::new()),
            Some(Value::Text(text)) => {
                split(text).into_iter().map(|part| self.read(column, &Value::Text(part))).collect()
            }
            Some(Value::Number(n)) => Ok(vec![*n]),
            Some(other) => self.read(column, other),
        }
    }

    /// True or false: `1`, `0`, `true`, `false`; false if empty.
    pub(super) fn flag(&self, column: &str) -> Read<bool> {
        match self.cell(column) {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(Value::Number(n)) if *n == 0.0 => Ok(false),
            Some(Value::Number(n)) if *n == 1.0 => Ok(true),
            Some(Value::Text(t)) if matches!(t.as_str(), "0" | "false") => Ok(false),
            Some(Value::Text(t)) if matches!(t.as_str(), "1" | "true") => Ok(true),
            Some(other) => Err(Error::WrongType {
                field: self.at(column),
                given: other.describe(),
                expected: "true, false, 1 or 0".to_owned(),
            }
            .into()),
        }
    }

    /// Where the row is from. `titles` maps the short names of sources to their titles; other text stands for itself.
    pub(super) fn source(&self, titles: &[(String, String)]) -> Read<Source> {
        let overlay = self.overlay;
        let named = self.names("source")?;
        let source = if named.is_empty() {
            if !overlay {
                return Err(self.missing("source"));
            }
            "given by the user".to_owned()
        } else {
            let title =
                |id: &String| titles.iter().find(|(known, _)| known == id).map_or(id, |(_, t)| t).clone();
            named.iter().map(title).collect::<Vec<_>>().join("; ")
        };
        let as_of = match self.optional::<String>("as_of")? {
            Some(date) => checked_date(&self.at("as_of"), date)?,
            None if overlay => String::new(),
            None => return Err(self.missing("as_of")),
        };
        let confidence = match self.optional::<Confidence>("confidence")? {
            Some(confidence) => confidence,
            None if overlay => Confidence::User,
            None => return Err(self.missing("confidence")),
        };
        Ok(Source { source, as_of, confidence, note: self.text("note")? })
    }
}

/// The parts of a `;`-separated cell.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, with `?` behind an inferred date.
fn checked_date(field: &str, date: String) -> Result<String, Error> {
    let plain = date.strip_suffix('?').unwrap_or(&date);
    let parts: Vec<&str> = plain.split('-').collect();
    let digits =
        |part: &&str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let within = |part: &&str, max: u32| part.parse().is_ok_and(|n: u32| (1..=max).contains(&n));
    let good = match parts.as_slice() {
        [y] => digits(y, 4),
        [y, m] => digits(y, 4) && digits(m, 2) && within(m, 12),
        [y, m, d] => digits(y, 4) && digits(m, 2) && within(m, 12) && digits(d, 2) && within(d, 31),
        _ => false,
    };
    if good {
        Ok(date)
    } else {
        Err(Error::WrongType {
            field: field.to_owned(),
            given: format!("\"{date}\""),
            expected: "a date: YYYY-MM-DD, YYYY-MM or YYYY, with ? behind an inferred one".to_owned(),
        })
    }
}
