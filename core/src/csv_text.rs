//! CSV text (RFC 4180) as records, for the embedded tables and those that users give.
//!
//! Lines end in `\n`, `\r\n` or `\r`; blank ones are passed over; a quote inside an unquoted cell stands for itself. Our
//! own, for the general reader takes more of the page's budget than all tables that it reads; a test compares the two.

/// The records of a text, the header among them as the first.
pub(crate) struct Records<'a> {
    text: &'a str,
    /// Whether white space around cells is removed.
    trim: bool,
    at: usize,
    line: u64,
    record: u64,
    /// Cells of the first record.
    width: Option<usize>,
}

impl<'a> Records<'a> {
    /// With every cell as it stands.
    pub(crate) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, trim: false, at, line: 1, record: 0, width: None }
    }

    /// With every cell trimmed.
    pub(crate) fn trimmed(text: &'a str) -> Self {
        Self { trim: true, ..Self::new(text) }
    }

    /// The first record; empty if the text has none.
    pub(crate) fn header(&mut self) -> Vec<String> {
        // No width is known yet that it could contradict.
        self.next().and_then(Result::ok).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.line += u64::from(self.peek() == Some(b'\n'));
        self.at += 1;
    }

    /// What stands from here to the first byte that ends it, or to the end of the text; the end is not read.
    fn run(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let from = self.at;
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.step();
        }
        // The ends are ASCII, so this is a slice at the borders of characters.
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// The cell that begins here, and whether another one follows in the record.
    fn cell(&mut self) -> (String, bool) {
        let mut cell = String::new();
        if self.peek() == Some(b'"') {
            self.step();
            loop {
                cell.push_str(self.run(|byte| byte == b'"'));
                self.step();
                if self.peek() != Some(b'"') {
                    break;
                }
                cell.push('"');
                self.step();
            }
        }
        cell.push_str(self.run(|byte| matches!(byte, b',' | b'\r' | b'\n')));
        let more = self.peek() == Some(b',');
        self.step();
        (if self.trim { cell.trim().to_owned() } else { cell }, more)
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Vec<String>, String>;

    /// The next record; as an error, in words, one that is wider or narrower than the first.
    fn next(&mut self) -> Option<Self::Item> {
        let (line, byte) = (self.line, self.at);
        while matches!(self.peek(), Some(b'\r' | b'\n')) {
            self.step();
        }
        self.peek()?;
        let mut cells = Vec::new();
        loop {
            let (cell, more) = self.cell();
            cells.push(cell);
            if !more {
                break;
            }
        }
        let record = self.record;
        self.record += 1;
        let width = *self.width.get_or_insert(cells.len());
        Some(if width == cells.len() {
            Ok(cells)
        } else {
            Err(format!(
                "CSV error: record {record} (line: {line}, byte: {byte}): found record with {} fields, but the \
                 previous record has {width} fields",
                cells.len()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Records;

    fn by_the_general_reader(text: &str, trim: csv::Trim) -> Vec<Result<Vec<String>, String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(trim).from_reader(text.as_bytes());
        let owned = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
        reader.records().map(|record| record.map(owned).map_err(|error| error.to_string())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn reads_as_the_general_reader_does(text in "\u{feff}?[a,\"\r\n é]{0,24}") {
            let ours: Vec<_> = Records::new(&text).collect();
            prop_assert_eq!(ours, by_the_general_reader(&text, csv::Trim::None));
            let ours: Vec<_> = Records::trimmed(&text).collect();
            prop_assert_eq!(ours, by_the_general_reader(&text, csv::Trim::All));
        }
    }
}
