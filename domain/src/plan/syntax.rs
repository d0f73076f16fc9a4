//! The text as TOML, with all that is wrong with it as such.

use serde_spanned::Spanned;
use toml::de::{DeTable, Error};

use super::fault::{Fault, Faults};

/// The tables of the file. What a text with mistakes means is not guessed: no other fault is told beside these.
pub(crate) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Faults> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut faults = Faults::default();
    let (mut line, mut table) = (None, None);
    let mut cursor = Cursor { text, ..Cursor::default() };
    for error in errors {
        if faults.is_full() {
            break;
        }
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..start).unwrap_or(text);
        cursor.go_to(before.len());
        // What the parser makes of the rest of a line that it could not read is a guess.
        let at = cursor.line;
        // A table that stands twice has its keys twice.
        let of = cursor.table;
        let is_duplicate = error.message() == DUPLICATE;
        if line != Some(at) && !(is_duplicate && table == Some(of)) {
            faults.push(fault(text, &error));
        }
        line = Some(at);
        if is_duplicate && before.rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('[')) {
            table = Some(of);
        }
    }
    faults.or(root)
}

/// Where in the text we are. It is read once and not from its start for each error, of which there may be one for each byte.
#[derive(Default)]
struct Cursor<'t> {
    text: &'t str,
    at: usize,
    /// Line feeds before it.
    line: usize,
    /// The last line feed before a `[` before it.
    table: Option<usize>,
}

impl Cursor<'_> {
    fn go_to(&mut self, to: usize) {
        if to < self.at {
            *self = Self { text: self.text, ..Self::default() };
        }
        let bytes = self.text.as_bytes();
        for at in self.at..to {
            if bytes[at] == b'\n' {
                self.line += 1;
            }
            if bytes[at] == b'[' && at > 0 && bytes[at - 1] == b'\n' {
                self.table = Some(at - 1);
            }
        }
        self.at = to;
    }
}

const DUPLICATE: &str = "duplicate key";

fn fault(text: &str, error: &Error) -> Fault {
    let span = error.span().unwrap_or(0..0);
    let written = text.get(span.clone()).unwrap_or_default();
    let message = match (error.message(), bare_word(text, span.start)) {
        (DUPLICATE, _) => format!("`{written}` stands twice; keep one of them, or give the second another name"),
        (_, Some(word)) => format!("not valid TOML: a word stands in quotes: \"{word}\""),
        (message, None) => format!("not valid TOML: {}", message.replace('\n', ", ")),
    };
    Fault::new(span, "", message)
}

/// The value that begins at `at`, if it is one word without quotes.
fn bare_word(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?.lines().next_back()?;
    let value = text.get(at..)?.lines().next()?.split('#').next()?.trim();
    let is_word = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
    let is_value = before.trim_end().ends_with('=') && value.starts_with(char::is_alphabetic);
    (is_value && value.chars().all(is_word)).then_some(value)
}
