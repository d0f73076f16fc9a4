//! A table of GitHub's Markdown.

use super::{form::Lines, plain};
use crate::column::{Cell, Heading, Kind};

pub(crate) struct Markdown;

impl Lines for Markdown {
    fn head(&mut self, headings: &[Heading]) -> String {
        let rule = |heading: &Heading| match heading.kind {
            Kind::Int | Kind::Float => "---:".to_owned(),
            Kind::Text | Kind::Bool | Kind::Time => "---".to_owned(),
        };
        line(headings.iter().map(|heading| escaped(&heading.name))) + &line(headings.iter().map(rule))
    }

    fn row(&mut self, row: &mut dyn Iterator<Item = Cell<'_>>) -> String {
        line(row.map(|cell| plain::words(cell, escaped)))
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// Letters stay letters: no column ends, nothing is set in italics, no link, no HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in plain::on_one_line(text) {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // An address or a person would be made a link.
            ':' => safe.push_str("&#58;"),
            '@' => safe.push_str("&#64;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '!' | '#' | '$' => safe.extend(['\\', char]),
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_a_cell() {
        let heading = |name: &str, kind| Heading { name: name.to_owned(), kind };
        let head = Markdown.head(&[heading("knn_accuracy", Kind::Float), heading("a|b", Kind::Text)]);
        assert_eq!(head, "| knn\\_accuracy | a\\|b |\n| ---: | --- |\n");
        let row = [Cell::Float(0.5), Cell::Text("x|y\n<b>[a](http://b) `c` \u{202e}")];
        assert_eq!(
            Markdown.row(&mut row.into_iter()),
            "| 0.5 | x\\|y &lt;b&gt;\\[a\\](http&#58;//b) \\`c\\` \u{fffd} |\n"
        );
    }
}
