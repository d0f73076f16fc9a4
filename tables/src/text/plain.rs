//! Cells as words.

use chrono::SecondsFormat;

use crate::column::Cell;

/// A number in the fewest digits that stand for it alone.
pub(super) fn number(value: f64) -> String {
    format!("{value:?}")
}

/// What is no text, as every format of lines has it; a text is escaped by `escape`, and what is missing is empty.
pub(super) fn words(cell: Cell<'_>, escape: impl Fn(&str) -> String) -> String {
    match cell {
        Cell::Missing => String::new(),
        Cell::Text(text) => escape(text),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => number(value),
        Cell::Bool(value) => value.to_string(),
        // All of one length: a reader takes the form of the first for that of all.
        Cell::Time(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
    }
}

/// A text on one line, without characters that a reader does not see.
pub(super) fn on_one_line(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|char| match char {
        '\n' | '\r' | '\t' => ' ',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        char if char.is_control() => '\u{fffd}',
        char => char,
    })
}
