//! Pieces of a page that are drawn anew while somebody looks: each has an id, and is sent when it has changed.

use askama::Template;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Where the parts of a block stand in it.
const PARTS: &str = "<!--parts-->";

/// A piece of a page, with parts that may change alone: the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    before: String,
    parts: Vec<Part>,
    after: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) id: String,
    pub(crate) html: String,
}

impl Block {
    pub(crate) fn whole(template: &impl Template) -> Result<Self> {
        Ok(Self { before: html(template)?, parts: Vec::new(), after: String::new() })
    }

    /// `template` has [`PARTS`] where they stand. Its root element has an id, and so has that of each part.
    pub(crate) fn around(template: &impl Template, parts: Vec<Part>) -> Result<Self> {
        let html = html(template)?;
        let (before, after) = html.split_once(PARTS).unwrap_or((&html, ""));
        Ok(Self { before: before.to_owned(), parts, after: after.to_owned() })
    }

    pub(crate) fn html(&self) -> String {
        let parts: String = self.parts.iter().map(|part| part.html.as_str()).collect();
        format!("{}{parts}{}", self.before, self.after)
    }

    /// What has to be sent to whoever has `before`.
    fn changes(&self, before: Option<&Self>) -> Vec<String> {
        let Some(before) = before else { return vec![self.html()] };
        let same_parts = self.parts.len() == before.parts.len()
            && self.parts.iter().zip(&before.parts).all(|(now, before)| now.id == before.id);
        if self.before != before.before || self.after != before.after || !same_parts {
            return vec![self.html()];
        }
        let pairs = self.parts.iter().zip(&before.parts);
        pairs.filter(|(now, before)| now != before).map(|(now, _)| now.html.clone()).collect()
    }
}

pub(crate) fn html(template: &impl Template) -> Result<String> {
    template.render().map_err(|error| Error::Bug(format!("a page cannot be drawn: {error}")))
}

/// What changed from `before` to `now`; a page has the same blocks always.
pub(crate) fn changes(before: &[Block], now: &[Block]) -> Vec<String> {
    now.iter().enumerate().flat_map(|(index, block)| block.changes(before.get(index))).collect()
}

/// Tells two states of a page apart.
pub(crate) fn digest(blocks: &[Block]) -> String {
    let mut hash = Sha256::new();
    for block in blocks {
        hash.update(block.html());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(head: &str, rows: &[(&str, &str)]) -> Block {
        let part = |(id, html): &(&str, &str)| Part { id: (*id).to_owned(), html: (*html).to_owned() };
        Block { before: head.to_owned(), parts: rows.iter().map(part).collect(), after: "</table>".to_owned() }
    }

    #[test]
    fn a_row_is_sent_alone_and_a_table_whose_rows_are_others_whole() {
        let before = [table("<table>", &[("a", "1"), ("b", "2")])];
        assert_eq!(changes(&before, &before), Vec::<String>::new());
        assert_eq!(changes(&before, &[table("<table>", &[("a", "1"), ("b", "3")])]), ["3"]);
        assert_eq!(changes(&before, &[table("<table>", &[("b", "2")])]), ["<table>2</table>"]);
        assert_eq!(changes(&before, &[table("<table x>", &[("a", "1"), ("b", "2")])]), ["<table x>12</table>"]);
        assert_eq!(changes(&[], &before), ["<table>12</table>"]);
    }

    #[test]
    fn two_states_of_a_page_differ() {
        let (one, other) = ([table("<table>", &[])], [table("<table>", &[("a", "1")])]);
        assert_eq!(digest(&one), digest(&one));
        assert_ne!(digest(&one), digest(&other));
    }
}
