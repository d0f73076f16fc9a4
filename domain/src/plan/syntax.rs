//! The text as TOML, with all that is wrong with it as such.

use serde_spanned::Spanned;
use toml::de::{DeTable, Error};

use super::fault::{Fault, Faults};

/// The tables of the file. What a text with mistakes means is not guessed: no other fault is told beside these.
pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Faults> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut faults = Faults::default();
    let mut line = None;
    for error in errors {
        // What the parser makes of the rest of a line that it could not read is a guess.
        let at = error.span().map(|span| text.get(..span.start).unwrap_or(text).matches('\n').count());
        if at.is_none() || at != line {
            faults.push(fault(text, &error));
        }
        line = at;
    }
    faults.or(root)
}

fn fault(text: &str, error: &Error) -> Fault {
    let span = error.span().unwrap_or(0..0);
    let written = text.get(span.clone()).unwrap_or_default();
    let message = match error.message() {
        "duplicate key" => format!("`{written}` stands twice; keep one of them, or give the second another name"),
        message => format!("not valid TOML: {}", message.replace('\n', ", ")),
    };
    Fault::new(span, "", message)
}
