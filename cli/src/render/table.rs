//! Plain tables: no frames, so that columns can be cut and searched; fitted to the terminal where there is one.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};

use crate::printable;

/// How text may look on the present stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) color: bool,
    /// Wrap long cells to the width of the terminal. Off for files and pipes: one record stays one line.
    pub(crate) fit: bool,
}

impl Style {
    /// Columns of the terminal, if there is one to fit to.
    pub(crate) fn width(self) -> Option<usize> {
        self.fit.then(|| Table::new().width()).flatten().map(usize::from)
    }
}

/// Tables are made for terminals of so many columns.
const NARROW: u16 = 80;

/// The meaning of a cell, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Active,
    Faint,
}

/// A table with upper-case headers.
pub(crate) struct Rows {
    table: Table,
    style: Style,
}

impl Rows {
    pub(crate) fn new(style: Style, headers: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // In a terminal too narrow for columns, lines that run over are easier to read than columns of three letters.
        let is_wide = table.width().is_none_or(|width| width >= NARROW);
        if style.fit && is_wide {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.force_no_tty();
        }
        if style.color {
            table.enforce_styling();
        }
        table.set_header(headers.iter().map(|header| head(header, style)));
        Self { table, style }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Text>) {
        let style = self.style;
        self.table.add_row(cells.into_iter().map(|text| text.cell(style)));
    }

    /// Aligns a column to the right.
    pub(crate) fn right(&mut self, column: usize) {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    /// Never broken over lines: ids, states, numbers.
    pub(crate) fn keep_whole(&mut self, columns: impl IntoIterator<Item = usize>) {
        for index in columns {
            if let Some(column) = self.table.column_mut(index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.table.lines() {
            // Without the left margin and right padding of the preset.
            writeln!(f, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
        }
        Ok(())
    }
}

fn head(header: &str, style: Style) -> Cell {
    let cell = Cell::new(header);
    if style.color { cell.add_attribute(Attribute::Bold) } else { cell }
}

/// One cell.
pub(crate) struct Text {
    text: String,
    tone: Tone,
}

impl Text {
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn tone(&self) -> Tone {
        self.tone
    }

    fn cell(self, style: Style) -> Cell {
        let cell = Cell::new(printable::line(&self.text));
        match self.tone {
            _ if !style.color => cell,
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::Green),
            Tone::Bad => cell.fg(Color::Red),
            Tone::Active => cell.fg(Color::Cyan),
            Tone::Faint => cell.add_attribute(Attribute::Dim),
        }
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// `name  value` lines with the values below each other.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<width$}  {}\n", printable::line(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_and_numbers_end_together() {
        let mut rows = Rows::new(Style::default(), &["JOB", "STEPS", "REASON"]);
        let reason = "waits for 2 workers; ".repeat(20);
        rows.row(["encoder".into(), "7".into(), Text::new(reason.trim(), Tone::Faint)]);
        rows.row(["linear".into(), "12,345".into(), "".into()]);
        rows.right(1);
        let text = rows.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("JOB "), "{text}");
        assert!(lines[1].starts_with("encoder       7  waits"), "{text}");
        assert_eq!(lines[2], "linear   12,345");
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        let text = |color| {
            let mut rows = Rows::new(Style { color, fit: false }, &["STATE"]);
            rows.row([Text::new("failed", Tone::Bad)]);
            rows.to_string()
        };
        assert!(text(true).contains("\u{1b}["), "{}", text(true));
        assert!(!text(false).contains('\u{1b}'));
    }

    #[test]
    fn a_value_forges_no_line() {
        let mut rows = Rows::new(Style { color: true, fit: false }, &["NAME"]);
        rows.row([Text::new("a\nb\u{1b}[2J", Tone::Plain)]);
        let text = rows.to_string() + &pairs(&[("owner", "a\nid  7\u{1b}[31m".into())]);
        assert_eq!(text.lines().count(), 3, "{text:?}");
        assert!(!text.contains("\u{1b}[2J") && !text.contains("\u{1b}[31m"), "{text:?}");
    }

    #[test]
    fn pairs_leave_out_what_is_empty() {
        assert_eq!(
            pairs(&[("id", "7".into()), ("reason", String::new()), ("stage", "linear".into())]),
            "id      7\nstage   linear\n"
        );
    }
}
