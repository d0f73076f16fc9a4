//! A table on the screen: what fits of its columns, and the rows around the chosen one.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Span};

use super::look::Look;
use crate::{
    printable,
    render::{
        fit::{Need, fit},
        table::Tone,
    },
};

const GAP: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) head: &'static str,
    /// Letters that it can be cut to; 0 where it is never cut.
    pub(crate) least: usize,
    /// Columns of a higher rank are left out first; one of rank 0 stays.
    pub(crate) rank: u8,
    /// Numbers end together.
    pub(crate) is_number: bool,
}

pub(crate) const fn column(head: &'static str, least: usize, rank: u8) -> Column {
    Column { head, least, rank, is_number: false }
}

pub(crate) const fn number(head: &'static str, rank: u8) -> Column {
    Column { head, least: 0, rank, is_number: true }
}

/// Text of a cell, harmless to a terminal.
pub(crate) fn cell(text: impl AsRef<str>, tone: Tone) -> (String, Tone) {
    (printable::line(text.as_ref()).into_owned(), tone)
}

pub(crate) struct Grid<'a> {
    pub(crate) columns: &'a [Column],
    pub(crate) rows: Vec<Vec<(String, Tone)>>,
    /// In place of rows, where there are none.
    pub(crate) none: &'a str,
    pub(crate) chosen: Option<usize>,
    pub(crate) has_focus: bool,
}

impl Grid<'_> {
    pub(crate) fn draw(&self, area: Rect, look: Look, buffer: &mut Buffer) {
        if area.height == 0 || area.width == 0 {
            return;
        }
        let widths = self.widths(area.width.into());
        let heads: Vec<String> = self.columns.iter().map(|column| column.head.to_owned()).collect();
        let head = if self.has_focus { look.head().patch(look.chosen()) } else { look.head() };
        let line = Rect { height: 1, ..area };
        buffer.set_style(line, head);
        self.line(line, &heads, &widths, |_| Style::new(), buffer);
        if self.rows.is_empty() {
            let style = look.tone(Tone::Faint);
            if area.height > 1 {
                buffer.set_stringn(area.x, area.y + 1, self.none, area.width.into(), style);
            }
            return;
        }
        let room = usize::from(area.height - 1);
        // The chosen row is the last that is seen, or further above.
        let first = self.chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(room));
        for (y, (place, row)) in (area.y + 1..).zip(self.rows.iter().enumerate().skip(first).take(room)) {
            let line = Rect { y, height: 1, ..area };
            let texts: Vec<String> = row.iter().map(|(text, _)| text.clone()).collect();
            let is_chosen = self.has_focus && self.chosen == Some(place);
            let tone = |column: usize| row.get(column).map_or(Style::new(), |(_, tone)| look.tone(*tone));
            self.line(line, &texts, &widths, tone, buffer);
            if is_chosen {
                buffer.set_style(line, look.chosen());
            }
        }
    }

    fn widths(&self, room: usize) -> Vec<Option<usize>> {
        let need = |(place, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(place)).map(|(text, _)| width(text));
            let widest = cells.max().unwrap_or(0);
            // A column without a word in it is no use to anybody.
            let is_empty = widest == 0 && column.rank > 0;
            let wide = if is_empty { 0 } else { widest.max(width(column.head)) };
            let least = if column.least == 0 { wide } else { column.least.max(width(column.head)) };
            (Need { wide, least, rank: column.rank }, is_empty)
        };
        let needs: Vec<(Need, bool)> = self.columns.iter().enumerate().map(need).collect();
        let present: Vec<Need> = needs.iter().filter(|(_, is_empty)| !is_empty).map(|(need, _)| *need).collect();
        let mut fitted = fit(&present, GAP, room).into_iter();
        needs.iter().map(|(_, is_empty)| if *is_empty { None } else { fitted.next().flatten() }).collect()
    }

    fn line(
        &self,
        area: Rect,
        texts: &[String],
        widths: &[Option<usize>],
        style: impl Fn(usize) -> Style,
        buffer: &mut Buffer,
    ) {
        let mut x = usize::from(area.x);
        for (place, (text, wide)) in texts.iter().zip(widths).enumerate() {
            let (Some(wide), Some(column)) = (*wide, self.columns.get(place)) else { continue };
            let room = usize::from(area.right()).saturating_sub(x);
            let shown = cut(text, wide.min(room));
            let pad = if column.is_number { wide.saturating_sub(width(&shown)) } else { 0 };
            if room > pad {
                let at = u16::try_from(x + pad).unwrap_or(u16::MAX);
                buffer.set_stringn(at, area.y, &shown, room - pad, style(place));
            }
            x += wide + GAP;
        }
    }
}

/// In cells of the terminal.
pub(crate) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The beginning, and that there is more.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for char in text.chars() {
        let own = width(char.encode_utf8(&mut [0; 4]));
        if used + own + 1 > most {
            break;
        }
        used += own;
        short.push(char);
    }
    if most > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_cells_and_not_by_letters() {
        assert_eq!(cut("encoder", 7), "encoder");
        assert_eq!(cut("encoder", 4), "enc…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!((cut("ab", 1), cut("ab", 0)), ("…".to_owned(), String::new()));
    }
}
