//! Plain tables: no frames, so that columns can be cut and searched; fitted to the terminal where there is one. Only the last column
//! is ever broken over lines, and at words: a name or a state that is broken is neither read nor copied.

use console::{Term, measure_text_width};

use super::fit::{Need, fit};
use crate::printable;

/// How text may look on the present stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) color: bool,
    /// Letters that a line has room for; without it, one record stays one line: in files and pipes, and in a terminal that does not say
    /// how wide it is.
    pub(crate) width: Option<usize>,
}

impl Style {
    /// As stdout is a terminal.
    pub(crate) fn of_terminal(color: bool) -> Self {
        let told = |columns: &u16| *columns > 0;
        // A terminal that does not say how wide it is: as whoever started it says.
        let exported = || std::env::var("COLUMNS").ok()?.parse().ok();
        let columns = Term::stdout().size_checked().map(|(_, columns)| columns);
        let columns = columns.map_or(0, |columns| Some(columns).filter(told).or_else(exported).map_or(0, usize::from));
        Self { color, width: Some(columns).filter(|columns| *columns > 0) }
    }
}

/// Between columns.
const GAP: usize = 2;
/// With less room the last column stands below.
const BESIDE: usize = 28;
/// Of what stands below.
const INDENT: usize = 4;

/// The meaning of a cell, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Active,
    Faint,
}

impl Tone {
    /// Of a terminal: `ESC [ .. m`.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Active => Some("36"),
            Self::Faint => Some("2"),
        }
    }
}

const BOLD: &str = "1";

/// A table with upper-case headers.
pub(crate) struct Rows {
    style: Style,
    heads: Vec<String>,
    rows: Vec<Vec<Text>>,
    is_right: Vec<bool>,
    /// See [`Need`].
    ranks: Vec<u8>,
}

/// Where the cells go.
struct Layout {
    /// Of each column; `None` where it is left out, or stands below.
    widths: Vec<Option<usize>>,
    last: Last,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// As the others.
    Whole,
    /// In so many letters, over lines.
    Beside(usize),
    /// In lines of its own, in so many letters.
    Below(usize),
}

impl Rows {
    pub(crate) fn new(style: Style, headers: &[&str]) -> Self {
        let heads = headers.iter().map(|&header| header.to_owned()).collect();
        let count = headers.len();
        Self { style, heads, rows: Vec::new(), is_right: vec![false; count], ranks: vec![0; count] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Text>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Aligns a column to the right.
    pub(crate) fn right(&mut self, column: usize) {
        if let Some(is_right) = self.is_right.get_mut(column) {
            *is_right = true;
        }
    }

    /// Columns that are left out where there is no room for all, those of the highest rank first.
    pub(crate) fn less_needed(&mut self, ranks: &[(&str, u8)]) {
        for (head, own) in self.heads.iter().zip(&mut self.ranks) {
            *own = ranks.iter().find(|(name, _)| name == head).map_or(0, |(_, rank)| *rank);
        }
    }

    /// Columns that are left out where no row has anything in them.
    pub(crate) fn unless_empty(&mut self, heads: &[&str]) {
        for column in (0..self.heads.len()).rev() {
            if heads.contains(&self.heads[column].as_str()) && self.is_empty(column) {
                self.heads.remove(column);
                self.ranks.remove(column);
                self.is_right.remove(column);
                for row in self.rows.iter_mut().filter(|row| column < row.len()) {
                    row.remove(column);
                }
            }
        }
    }

    fn is_empty(&self, column: usize) -> bool {
        self.rows.iter().all(|row| row.get(column).is_none_or(|text| text.width() == 0))
    }

    fn layout(&self) -> Layout {
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(Text::width);
            cells.max().unwrap_or(0).max(measure_text_width(&self.heads[column]))
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(wide).collect();
        let whole = Layout { widths: widths.iter().copied().map(Some).collect(), last: Last::Whole };
        let total = widths.iter().map(|width| width + GAP).sum::<usize>().saturating_sub(GAP);
        let Some(room) = self.style.width.filter(|room| total > *room) else { return whole };
        let Some((last, others)) = widths.split_last() else { return whole };
        let need = |(column, width): (usize, &usize)| {
            // What says nothing is no loss, whatever it is.
            let rank = if column > 0 && self.is_empty(column) { u8::MAX } else { self.ranks[column] };
            Need { wide: *width, least: *width, rank }
        };
        let ends_together = self.is_right.last().is_some_and(|is_right| *is_right);
        // Numbers are no text to be broken, and a few words need not be.
        if ends_together || others.is_empty() || *last <= BESIDE {
            let needs: Vec<Need> = widths.iter().enumerate().map(need).collect();
            return Layout { widths: fit(&needs, GAP, room), last: Last::Whole };
        }
        let needs: Vec<Need> = others.iter().enumerate().map(need).collect();
        let mut widths = fit(&needs, GAP, room);
        let left = room.saturating_sub(widths.iter().flatten().map(|width| width + GAP).sum());
        widths.push(Some(*last).filter(|last| *last <= left));
        let last = match left {
            left if left >= *last => Last::Whole,
            left if left >= BESIDE => Last::Beside(left),
            _ => Last::Below(room.saturating_sub(INDENT)),
        };
        Layout { widths, last }
    }

    fn line(&self, cells: &[(&str, Option<&str>)], layout: &Layout) -> String {
        let mut line = String::new();
        let mut pad = 0;
        for (column, (text, code)) in cells.iter().enumerate() {
            let Some(Some(wide)) = layout.widths.get(column) else { continue };
            let free = wide.saturating_sub(measure_text_width(text));
            let (before, after) = if self.is_right[column] { (free, 0) } else { (0, free) };
            line.push_str(&" ".repeat(pad + before));
            line.push_str(&self.styled(text, *code));
            pad = after + GAP;
        }
        line
    }

    fn styled(&self, text: &str, code: Option<&str>) -> String {
        match code.filter(|_| self.style.color && !text.is_empty()) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }

    /// A record, over as many lines as it needs.
    fn lines(&self, cells: &[(&str, Option<&str>)], layout: &Layout) -> Vec<String> {
        let mut lines = vec![self.line(cells, layout)];
        let Some((text, code)) = cells.last() else { return lines };
        let (room, indent) = match layout.last {
            Last::Whole => return lines,
            Last::Beside(room) => (room, layout.widths.iter().flatten().map(|width| width + GAP).sum()),
            Last::Below(room) => (room, INDENT),
        };
        let mut parts = wrapped(text, room).into_iter();
        if let Last::Beside(_) = layout.last {
            let first = parts.next().unwrap_or_default();
            let line = &mut lines[0];
            let own = measure_text_width(&console::strip_ansi_codes(line));
            line.push_str(&" ".repeat(indent.saturating_sub(own)));
            line.push_str(&self.styled(&first, *code));
        }
        lines.extend(parts.map(|part| format!("{}{}", " ".repeat(indent), self.styled(&part, *code))));
        lines
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layout = self.layout();
        let heads: Vec<(&str, Option<&str>)> = self.heads.iter().map(|head| (head.as_str(), Some(BOLD))).collect();
        // What stands below has no head of its own.
        let heads = if matches!(layout.last, Last::Below(_)) { &heads[..heads.len() - 1] } else { &heads[..] };
        if matches!(layout.last, Last::Below(_)) {
            writeln!(f, "{}", self.line(heads, &layout).trim_end())?;
        } else {
            self.lines(heads, &layout).iter().try_for_each(|line| writeln!(f, "{}", line.trim_end()))?;
        }
        for row in &self.rows {
            let texts: Vec<String> = row.iter().map(|cell| printable::line(&cell.text).into_owned()).collect();
            let cells: Vec<(&str, Option<&str>)> =
                texts.iter().zip(row).map(|(text, cell)| (text.as_str(), cell.tone.code())).collect();
            self.lines(&cells, &layout).iter().try_for_each(|line| writeln!(f, "{}", line.trim_end()))?;
        }
        Ok(())
    }
}

/// Broken between words. A word that is longer than the room stays whole: it may be one to copy.
pub(crate) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if measure_text_width(last) + 1 + measure_text_width(word) <= room => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
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

    fn width(&self) -> usize {
        measure_text_width(&printable::line(&self.text))
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
mod tests;
