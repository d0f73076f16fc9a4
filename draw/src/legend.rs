//! The legend beside a panel: the names of its lines.

use plotters::{prelude::*, style::FontStyle};

use super::{
    canvas::{Area, Drawn, font},
    lines::Line,
    names,
};

/// Beside the panels, in pixels.
pub(crate) const WIDTH: u32 = 340;
/// What of a panel's height is not for its legend, in pixels.
const MARGINS: u32 = 60;
/// Smallest and largest distance between lines of text, in pixels.
const LINE: (usize, usize) = (12, 20);
/// Longest name.
const MOST_LETTERS: usize = 46;

/// Many names stand closer together; if there are more than fit, only the first are drawn.
pub(crate) fn draw(area: &Area<'_>, lines: &[Line]) -> Drawn {
    let height = area.dim_in_pixel().1.saturating_sub(MARGINS) as usize;
    let (closest, widest) = LINE;
    let line_height = (height / lines.len().max(1)).clamp(closest, widest);
    let size = if line_height < widest { 10.0 } else { 13.0 };
    let fit = (height / line_height).max(1);
    let named = if lines.len() > fit { &lines[..fit - 1] } else { lines };
    let labels: Vec<&str> = named.iter().map(|line| line.label.as_str()).collect();
    let labels = names::distinct(&labels, MOST_LETTERS);
    let mut rows = (44..).step_by(line_height);
    for ((line, label), y) in named.iter().zip(labels).zip(rows.by_ref()) {
        for part in line.strokes.sample((0, y)) {
            area.draw(&part)?;
        }
        area.draw(&line.strokes.mark((13, y)))?;
        area.draw(&Text::new(label, (34, y - 7), font(size, FontStyle::Normal)))?;
    }
    if let (true, Some(y)) = (named.len() < lines.len(), rows.next()) {
        let more = format!("and {} more", lines.len() - named.len());
        area.draw(&Text::new(more, (34, y - 7), font(size, FontStyle::Normal)))?;
    }
    Ok(())
}

/// Where there are more lines than can be told apart.
pub(crate) fn count(area: &Area<'_>, lines: usize) -> Drawn {
    let text = format!("{lines} lines, too many to name");
    area.draw(&Text::new(text, (0, 37), font(13.0, FontStyle::Normal)))
}
