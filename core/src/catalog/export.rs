//! A table as the CSV text that an overlay takes back: print it, edit it, lay it over.

use super::table::{Landed, Origin, Row, Table, rows};
use super::{Catalog, Overlay};
use crate::error::Error;

impl Catalog {
    /// The table `name` (`prices`) as CSV text in the columns of `core/data`: the embedded one to the letter; with an
    /// `overlay` its rows in their places. Laid over the embedded tables, the text gives the same table again.
    ///
    /// # Errors
    /// An unknown table, at the field `table`; with paths below `overlay`, as [`Catalog::overlaid`].
    pub fn table_csv(name: &str, overlay: Option<&Overlay>) -> Result<String, Error> {
        let embedded = Overlay::embedded();
        let tables = embedded.tables();
        let Some((_, Some(own @ Table::Csv(text)))) = tables.iter().find(|(known, _)| *known == name) else {
            return Err(Error::unknown_name("table", "table", name, tables.map(|(known, _)| known)));
        };
        let Some(overlay) = overlay else { return Ok(text.clone()) };
        let landed = Landed::default();
        Self::embedded()?.with(overlay, Origin::Overlay(&landed)).map_err(|error| error.within("overlay"))?;
        let Some((_, Some(over))) = overlay.tables().into_iter().find(|(known, _)| *known == name) else {
            return Ok(text.clone());
        };
        let header = header(name, text)?;
        let columns: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut merged = rows(name, own, &columns, Origin::Embedded)?;
        let changed = rows(name, over, &columns, Origin::Overlay(&landed))?;
        for (row, at) in changed.into_iter().zip(landed.of(name)) {
            match merged.get_mut(at) {
                Some(slot) => *slot = row,
                None => merged.push(row),
            }
        }
        written(name, &columns, &merged)
    }
}

impl Overlay {
    /// The tables by name; taken apart so that a new one cannot be forgotten.
    fn tables(&self) -> [(&'static str, Option<&Table>); 10] {
        let Self { gpus, shapes, fabrics, prices, storage, transfers, pairs, limits, energy, models } = self;
        [
            ("gpus", gpus.as_ref()),
            ("shapes", shapes.as_ref()),
            ("fabrics", fabrics.as_ref()),
            ("prices", prices.as_ref()),
            ("storage", storage.as_ref()),
            ("transfers", transfers.as_ref()),
            ("pairs", pairs.as_ref()),
            ("limits", limits.as_ref()),
            ("energy", energy.as_ref()),
            ("models", models.as_ref()),
        ]
    }
}

fn header(name: &str, text: &str) -> Result<Vec<String>, Error> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| malformed(name, &error))?;
    Ok(header.iter().map(str::to_owned).collect())
}

fn written(name: &str, columns: &[&str], rows: &[Row]) -> Result<String, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns).map_err(|error| malformed(name, &error))?;
    for row in rows {
        let cells = columns.iter().map(|column| row.csv_text(column));
        writer.write_record(cells).map_err(|error| malformed(name, &error))?;
    }
    let bytes = writer.into_inner().map_err(|error| malformed(name, &error))?;
    String::from_utf8(bytes).map_err(|error| malformed(name, &error))
}

fn malformed(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Malformed { field: name.to_owned(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    /// The file is a template only if it shows every column that a row may have.
    #[test]
    fn every_table_shows_all_its_columns() {
        for (name, table) in Overlay::embedded().tables() {
            let Some(Table::Csv(text)) = table else { panic!("{name} is text") };
            let mut shown = header(name, text).unwrap();
            // The reader says which columns it takes when it is given another.
            let other = "{\"NAME\": [{\"no such column\": 1}]}".replace("NAME", name);
            let other: Overlay = serde_json::from_str(&other).unwrap();
            let error = Catalog::embedded().unwrap().overlaid(&other).unwrap_err();
            let Error::UnknownField { mut allowed, .. } = error else { panic!("{error}") };
            shown.sort();
            allowed.sort();
            assert_eq!(shown, allowed, "{name}");
        }
    }
}
