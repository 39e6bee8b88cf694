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
        let columns = header(text);
        let mut merged = rows(name, own, &columns, Origin::Embedded)?;
        let changed = rows(name, over, &columns, Origin::Overlay(&landed))?;
        for (row, at) in changed.into_iter().zip(landed.of(name)) {
            match merged.get_mut(at) {
                Some(slot) => *slot = row,
                None => merged.push(row),
            }
        }
        Ok(written(&columns, &merged))
    }
}

impl Overlay {
    /// The tables by name; taken apart so that a new one cannot be forgotten.
    fn tables(&self) -> [(&'static str, Option<&Table>); 12] {
        let Self {
            gpus,
            shapes,
            fabrics,
            prices,
            regions,
            storage,
            transfers,
            pairs,
            limits,
            energy,
            reliability,
            models,
        } = self;
        [
            ("gpus", gpus.as_ref()),
            ("shapes", shapes.as_ref()),
            ("fabrics", fabrics.as_ref()),
            ("prices", prices.as_ref()),
            ("regions", regions.as_ref()),
            ("storage", storage.as_ref()),
            ("transfers", transfers.as_ref()),
            ("pairs", pairs.as_ref()),
            ("limits", limits.as_ref()),
            ("energy", energy.as_ref()),
            ("reliability", reliability.as_ref()),
            ("models", models.as_ref()),
        ]
    }
}

/// The columns of one of our own tables, whose names need no quotes.
fn header(text: &str) -> Vec<&str> {
    text.lines().next().unwrap_or_default().split(',').collect()
}

fn written(columns: &[&str], rows: &[Row]) -> String {
    let mut out = columns.join(",");
    out.push('\n');
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|column| quoted(row.csv_text(column))).collect();
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

/// The cell as RFC 4180 writes it.
fn quoted(cell: String) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
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
            let mut shown = header(text);
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
