//! The whole screen: head, tables or a job, foot.

use chrono::{DateTime, Utc};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    detail, foot,
    grid::cut,
    look::Look,
    panes,
    state::{Pane, State},
};
use crate::{
    printable,
    render::{table::Tone, units},
};

/// Fewer lines show the table that has the focus alone.
const TALL: u16 = 10;
/// From here on there is a blank line between tables.
const AIRY: u16 = 18;

pub(crate) fn draw(state: &State, look: Look, now: DateTime<Utc>, buffer: &mut Buffer) {
    let area = buffer.area;
    if area.width == 0 || area.height == 0 {
        return;
    }
    if area.height < 3 {
        // Only one line has room: that which the keys act on, or are for.
        foot::draw(state, Rect { height: 1, ..area }, look, buffer);
        return;
    }
    head(state, Rect { height: 1, ..area }, look, now, buffer);
    let body = Rect { y: area.y + 1, height: area.height - 2, ..area };
    match &state.opened {
        Some(opened) => detail::draw(opened, body, look, now, buffer),
        None => tables(state, body, look, now, buffer),
    }
    foot::draw(state, Rect { y: area.bottom() - 1, height: 1, ..area }, look, buffer);
    foot::help(state, body, look, buffer);
}

fn head(state: &State, area: Rect, look: Look, now: DateTime<Utc>, buffer: &mut Buffer) {
    let status = &state.news.status;
    let (text, style) = match &state.away {
        Some(away) => {
            let since = units::age(away.since, now);
            let text = format!("the coordinator is away for {since}; jobs go on, trying again. {}", away.why);
            (text, look.remark(true))
        }
        None => {
            let counts = format!("{} running, {} queued, {} blocked", status.running, status.queued, status.blocked);
            (format!("tandem top  {counts}  {}", state.server), look.tone(Tone::Plain))
        }
    };
    let clock = now.format("%H:%M:%S UTC").to_string();
    let width = usize::from(area.width);
    let room = width.saturating_sub(clock.len() + 2);
    buffer.set_stringn(
        area.x,
        area.y,
        cut(&printable::line(&text), if room < 30 { width } else { room }),
        width,
        style,
    );
    if room >= 30 {
        let x = area.right() - u16::try_from(clock.len()).unwrap_or(0);
        buffer.set_string(x, area.y, clock, look.tone(Tone::Faint));
    }
}

fn tables(state: &State, area: Rect, look: Look, now: DateTime<Utc>, buffer: &mut Buffer) {
    if area.height < TALL {
        panes::grid(state, state.pane, now).draw(area, look, buffer);
        return;
    }
    let gap = u16::from(area.height >= AIRY);
    let rows = [state.devices().len(), state.running().len(), state.waiting().len()];
    let room = usize::from(area.height - 2 * gap);
    let mut y = area.y;
    for (pane, height) in Pane::ALL.into_iter().zip(heights(rows.map(|rows| rows.max(1) + 1), room)) {
        let height = u16::try_from(height).unwrap_or(area.height);
        panes::grid(state, pane, now).draw(Rect { y, height, ..area }, look, buffer);
        y += height + gap;
    }
}

/// Each gets what it needs, or an equal share of what is left; the last gets the rest.
fn heights(needs: [usize; 3], room: usize) -> [usize; 3] {
    let mut heights = [0; 3];
    let mut left = room;
    let mut order = [0, 1, 2];
    order.sort_by_key(|place| needs[*place]);
    for (done, place) in order.into_iter().enumerate() {
        heights[place] = needs[place].min(left / (3 - done));
        left -= heights[place];
    }
    heights[2] += left;
    heights
}

#[cfg(test)]
mod tests;
