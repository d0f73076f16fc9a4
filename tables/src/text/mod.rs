//! Formats of lines.

mod form;
mod plain;

mod csv;
mod json;
mod latex;
mod markdown;

use super::format::Format;
pub(crate) use form::Lines;

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
