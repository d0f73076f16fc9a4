//! Comma-separated values.

use super::{form::Lines, plain};
use crate::column::{Cell, Heading};

/// A text that begins with one of these is run by a spreadsheet.
const RUN: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

pub(crate) struct Csv;

impl Lines for Csv {
    fn head(&mut self, headings: &[Heading]) -> String {
        joined(headings.iter().map(|heading| field(&heading.name)))
    }

    fn row(&mut self, row: &mut dyn Iterator<Item = Cell<'_>>) -> String {
        joined(row.map(|cell| plain::words(cell, field)))
    }
}

fn joined(fields: impl Iterator<Item = String>) -> String {
    let mut fields: Vec<String> = fields.collect();
    // A line of one empty field would be no line.
    if let [one] = fields.as_mut_slice()
        && one.is_empty()
    {
        "\"\"".clone_into(one);
    }
    fields.join(",") + "\n"
}

/// A quotation mark before a formula makes a text of it, for a spreadsheet; other readers see the mark. An empty text is told
/// from what is missing by its quotes.
fn field(text: &str) -> String {
    let mark = if text.starts_with(RUN) { "'" } else { "" };
    if text.is_empty() || !mark.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        format!("\"{mark}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_a_text() {
        for (text, expected) in [
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-x", "\"'-x\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\tx", "\"'\tx\""),
            ("\r=x", "\"'\r=x\""),
            ("a=1", "a=1"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("", "\"\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn a_negative_number_is_a_number() {
        let row = [Cell::Float(-1.5), Cell::Int(-2), Cell::Missing, Cell::Float(f64::NAN), Cell::Float(1e300)];
        assert_eq!(Csv.row(&mut row.into_iter()), "-1.5,-2,,NaN,1e300\n");
        assert_eq!(Csv.row(&mut [Cell::Missing].into_iter()), "\"\"\n");
    }
}
