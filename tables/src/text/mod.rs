//! Formats of lines.

mod plain;

mod csv;
mod json;
mod latex;
mod markdown;

use super::{
    column::{Cell, Heading},
    format::Format,
};

/// How a table is put into lines, each with its end.
pub(crate) trait Lines: Send {
    /// What stands before the first row.
    fn head(&mut self, headings: &[Heading]) -> String;

    /// `row` has a cell for each heading.
    fn row(&mut self, row: &mut dyn Iterator<Item = Cell<'_>>) -> String;

    /// What stands behind the last row.
    fn foot(&mut self) -> String {
        String::new()
    }
}

/// `None` if the format is none of lines.
pub(crate) fn lines(format: Format) -> Option<Box<dyn Lines>> {
    Some(match format {
        Format::Csv => Box::new(csv::Csv),
        Format::Json => Box::new(json::Json::default()),
        Format::Markdown => Box::new(markdown::Markdown),
        Format::Latex => Box::new(latex::Latex),
        Format::Parquet => return None,
    })
}
