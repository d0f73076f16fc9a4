//! The audit, a line each; where that does not fit, what is least needed goes, and then outcomes stand on lines of their own.

use tandem_proto::v1::AuditEntry;

use super::table::{Rows, Style, Text, Tone};
use crate::{printable::line, time::utc};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    When,
    Who,
    From,
    What,
    To,
    Whose,
    Outcome,
}

use Column::{From, Outcome, To, What, When, Who, Whose};

/// From what says most to what fits best.
const LAYOUTS: [&[Column]; 3] = [
    &[When, Who, From, What, To, Whose, Outcome],
    &[When, Who, From, What, To, Outcome],
    &[When, Who, What, To, Outcome],
];
/// With the object and the outcome below.
const NARROW: &[Column] = &[When, Who, What];
const INDENT: &str = "    ";

/// `width`: of the terminal, if it is shown on one.
pub(crate) fn table(entries: &[AuditEntry], style: Style, width: Option<usize>) -> String {
    let Some(width) = width else { return rows(entries, LAYOUTS[0], style) };
    // An outcome in a column of six letters would be read by nobody.
    match LAYOUTS.into_iter().find(|columns| widest(&rows(entries, columns, Style::default())) <= width) {
        Some(columns) => rows(entries, columns, whole(style)),
        None => narrow(entries, style, width),
    }
}

fn whole(style: Style) -> Style {
    Style { width: None, ..style }
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn rows(entries: &[AuditEntry], columns: &[Column], style: Style) -> String {
    let headers: Vec<&str> = columns.iter().map(|column| column.header()).collect();
    let mut rows = Rows::new(style, &headers);
    for entry in entries {
        rows.row(columns.iter().map(|column| column.of(entry)));
    }
    rows.to_string()
}

fn narrow(entries: &[AuditEntry], style: Style, width: usize) -> String {
    let table = rows(entries, NARROW, whole(style));
    let mut lines = table.lines();
    let mut text = lines.next().map(|header| format!("{header}\n")).unwrap_or_default();
    for (head, entry) in lines.zip(entries) {
        text.push_str(&format!("{head}\n"));
        let about = [&entry.object, &entry.outcome].into_iter().filter(|part| !part.is_empty()).map(|part| line(part));
        let about = about.collect::<Vec<_>>().join(": ");
        for part in wrapped(&about, width.saturating_sub(INDENT.len())) {
            text.push_str(&format!("{INDENT}{part}\n"));
        }
    }
    text
}

/// At blanks, where there are some.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let room = lines.last().map_or(0, |last| width.saturating_sub(last.chars().count() + 1));
        match lines.last_mut() {
            Some(last) if word.len() <= room => {
                last.push(' ');
                last.extend(word);
                continue;
            }
            _ => {}
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        lines.push(word.into_iter().collect());
    }
    lines
}

impl Column {
    fn header(self) -> &'static str {
        match self {
            When => "WHEN (UTC)",
            Who => "WHO",
            From => "FROM",
            What => "WHAT",
            To => "TO",
            Whose => "WHOSE",
            Outcome => "OUTCOME",
        }
    }

    fn of(self, entry: &AuditEntry) -> Text {
        match self {
            When => utc(&entry.at).map(|at| at.format("%m-%d %H:%M:%S").to_string()).unwrap_or_default().into(),
            Who => entry.who.as_str().into(),
            From => entry.origin.as_str().into(),
            What => entry.what.as_str().into(),
            To => entry.object.as_str().into(),
            Whose => entry.whose.as_str().into(),
            Outcome if entry.outcome == "done" => Text::new("done", Tone::Plain),
            Outcome => Text::new(entry.outcome.as_str(), Tone::Bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::convert::Timestamp;

    use super::*;

    fn entry(outcome: &str) -> AuditEntry {
        AuditEntry {
            at: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            who: "ann".to_owned(),
            via: "q_R7s-0A".to_owned(),
            origin: "192.168.100.100".to_owned(),
            what: "Jobs/Cancel".to_owned(),
            object: "0199a1b2".to_owned(),
            whose: "bob".to_owned(),
            outcome: outcome.to_owned(),
        }
    }

    fn shown(outcome: &str, width: Option<usize>) -> String {
        let text = table(&[entry("done"), entry(outcome)], Style { width: Some(80), color: false }, width);
        assert!(width.is_none_or(|width| widest(&text) <= width), "{text}");
        text
    }

    #[test]
    fn an_outcome_is_not_squeezed() {
        assert!(shown("done", Some(120)).contains("WHOSE"));
        let eighty = shown("refused: it is bob's", Some(80));
        assert!(!eighty.contains("FROM") && !eighty.contains("WHOSE"), "{eighty}");
        assert!(eighty.lines().nth(2).is_some_and(|line| line.ends_with("refused: it is bob's")), "{eighty}");
        let long = "refused: the token q_R7s-0A is a reader's, and to cancel takes a submitter or an admin";
        for width in [80, 60, 40] {
            let text = shown(long, Some(width));
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("0199a1b2: done") && words.contains(long), "{text}");
        }
        shown(&"x".repeat(200), Some(60));
    }

    #[test]
    fn a_record_of_a_file_is_one_line_and_forges_none() {
        let text = shown("refused:\nall is well", None);
        assert!(text.lines().count() == 3 && text.contains("192.168.100.100") && text.contains("WHOSE"), "{text}");
        assert_eq!(shown("refused:\nall is well", Some(40)).lines().count(), 5);
    }
}
