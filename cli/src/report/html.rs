//! A report as one page: no script, nothing from elsewhere, and a policy that says so to the browser.

use anyhow::{Context, Result};
use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::document::{Block, Document};

const STYLE: &str = include_str!("../../templates/report.css");

/// Texts of others are escaped by the template, as its name ends in `.html`; figures are SVG whose texts are escaped.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    document: &'a Document,
    policy: String,
    style: &'static str,
}

/// # Errors
/// None that is known: the template says that it may fail.
pub(crate) fn page(document: &Document) -> Result<String> {
    let style = STYLE.trim();
    // The one style sheet, by its hash: no other is taken, nor anything that is fetched, run or sent.
    let hash = STANDARD.encode(Sha256::digest(style));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    Page { document: &printable(document), policy, style }.render().context("cannot write the page")
}

/// Characters that steer, such as those that turn the direction of text, are shown as what they are.
fn printable(document: &Document) -> Document {
    let mut shown = document.clone();
    let line = |text: &mut String| *text = crate::printable::line(text).into_owned();
    line(&mut shown.title);
    shown.facts.iter_mut().for_each(|(key, value)| {
        line(key);
        line(value);
    });
    for block in shown.sections.iter_mut().flat_map(|section| &mut section.blocks) {
        match block {
            Block::Text(text) => line(text),
            Block::List(lines) => lines.iter_mut().for_each(line),
            Block::Todo(todo) => todo.iter_mut().for_each(|(said, command)| {
                line(said);
                line(command);
            }),
            Block::Table(table) => {
                let cells = table.rows.iter_mut().flatten().flat_map(|cell| &mut cell.0);
                cells.for_each(|(text, note)| {
                    line(text);
                    line(note);
                });
            }
            Block::Figure(_) => {}
        }
    }
    shown
}

/// What stands between backquotes is a command, a file or a key; an odd one is a letter.
pub(crate) fn spans(text: &str) -> Vec<(bool, &str)> {
    let mut parts: Vec<(bool, &str)> =
        text.split('`').enumerate().map(|(place, part)| (place % 2 == 1, part)).collect();
    if parts.len().is_multiple_of(2) {
        return vec![(false, text)];
    }
    parts.retain(|(_, part)| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_words() {
        assert_eq!(spans("see `a b` and `c`"), [(false, "see "), (true, "a b"), (false, " and "), (true, "c")]);
        assert_eq!(spans("one ` alone"), [(false, "one ` alone")]);
        assert_eq!(spans(""), []);
    }
}
