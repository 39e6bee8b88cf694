//! A table of measurements, read by the names in its header.

use crate::csv_text::Records;
use crate::error::{Error, nearest};

/// A CSV text with a header line.
#[derive(Debug, Clone)]
pub struct Table {
    headers: Vec<String>,
    records: Vec<Vec<String>>,
}

/// One line of a [`Table`].
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    table: &'a Table,
    record: &'a [String],
    /// Number of the line among the data lines, from 1.
    pub number: usize,
}

impl Table {
    /// The table in `text`, which must have the columns `required`; others may be there too.
    ///
    /// # Errors
    /// The text is no CSV with a header, a line has more or fewer cells than the header, a column occurs twice, or a
    /// required column is missing (named, with the nearest column that is there).
    pub fn read(text: &str, required: &[&str]) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut records = Records::trimmed(text);
        let headers = records.header();
        if let Some((i, twice)) = headers.iter().enumerate().find(|(i, name)| headers[..*i].contains(name)) {
            return Err(Error::Malformed {
                field: "csv".to_owned(),
                message: format!("column {} repeats the name \"{twice}\"", i + 1),
            });
        }
        for &column in required {
            if !headers.iter().any(|h| h == column) {
                let near = nearest(column, headers.iter().map(String::as_str));
                let near = near.map(|name| format!(" (there is \"{name}\")")).unwrap_or_default();
                return Err(Error::MissingField {
                    field: format!("csv.{column}"),
                    expected: format!("a column of this name{near}; needed are {}", required.join(", ")),
                });
            }
        }
        let records = records.collect::<Result<_, _>>().map_err(|message| Error::Malformed {
            field: "csv".to_owned(),
            message: format!("not a table: {message}"),
        })?;
        Ok(Self { headers, records })
    }

    /// The data lines in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.records.iter().enumerate().map(|(i, record)| Line { table: self, record, number: i + 1 })
    }

    /// Whether the header names `column`.
    pub fn has(&self, column: &str) -> bool {
        self.headers.iter().any(|h| h == column)
    }

    /// `column`, if the header names it.
    ///
    /// # Errors
    /// Unknown name with the nearest column, under the path `field`.
    pub fn check_column<'b>(&self, field: &str, column: &'b str) -> Result<&'b str, Error> {
        if self.has(column) {
            Ok(column)
        } else {
            Err(Error::unknown_name(field, "column", column, self.headers.iter().map(String::as_str)))
        }
    }
}

impl<'a> Line<'a> {
    /// The cell under `column`, trimmed; none where it is empty or the table has no such column.
    pub fn text(&self, column: &str) -> Option<&'a str> {
        let index = self.table.headers.iter().position(|h| h == column)?;
        self.record.get(index).map(String::as_str).filter(|cell| !cell.is_empty())
    }

    /// The cell under `column`, which must not be empty.
    ///
    /// # Errors
    /// Missing, with line and column.
    pub fn need(&self, column: &str) -> Result<&'a str, Error> {
        self.text(column).ok_or_else(|| Error::MissingField {
            field: self.path(column),
            expected: "the cell must not be empty".to_owned(),
        })
    }

    /// The number under `column`; none where the cell is empty or absent.
    ///
    /// # Errors
    /// The cell is not a finite number, or outside `min..=max`; with line and column.
    pub fn number(&self, column: &str, min: f64, max: f64) -> Result<Option<f64>, Error> {
        let Some(cell) = self.text(column) else { return Ok(None) };
        let Ok(value) = cell.parse::<f64>() else {
            return Err(Error::WrongType {
                field: self.path(column),
                given: format!("\"{cell}\""),
                expected: "a number".to_owned(),
            });
        };
        crate::error::check_range(&self.path(column), value, min, max).map(Some)
    }

    /// The whole number under `column`; none where the cell is empty or absent.
    ///
    /// # Errors
    /// As [`Self::number`], or the number has a fraction.
    pub fn count(&self, column: &str, min: u32, max: u32) -> Result<Option<u32>, Error> {
        let Some(value) = self.number(column, f64::from(min), f64::from(max))? else { return Ok(None) };
        if value.fract() == 0.0 {
            Ok(Some(value as u32))
        } else {
            Err(Error::WrongType {
                field: self.path(column),
                given: value.to_string(),
                expected: "a whole number".to_owned(),
            })
        }
    }

    /// Where a cell is, for an error: `csv.line[3].ranks`.
    pub fn path(&self, column: &str) -> String {
        format!("csv.line[{}].{column}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_is_named() {
        let error = Table::read("id,rank\nx,1\n", &["id", "ranks"]).unwrap_err();
        assert_eq!(error.field(), "csv.ranks");
        assert!(error.to_string().contains("\"rank\""), "{error}");
        assert_eq!(Table::read("a,a\n", &[]).unwrap_err().code(), "malformed");
        assert_eq!(Table::read("a,b\n1\n", &[]).unwrap_err().code(), "malformed");
        assert_eq!(Table::read("", &["id"]).unwrap_err().field(), "csv.id");
    }

    #[test]
    fn a_bad_number_is_found() {
        let table = Table::read("id,n\nx,8\ny,eight\nz,1.5\nw,\nv,NaN\n", &["id"]).unwrap();
        let n: Vec<_> = table.lines().map(|line| line.count("n", 1, 100)).collect();
        assert_eq!(n[0], Ok(Some(8)));
        assert_eq!(n[1].as_ref().unwrap_err().field(), "csv.line[2].n");
        assert_eq!(n[2].as_ref().unwrap_err().code(), "wrong_type");
        assert_eq!(n[3], Ok(None));
        assert_eq!(n[4].as_ref().unwrap_err().code(), "out_of_range");
    }
}
