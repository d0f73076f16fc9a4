//! The last line: what the keys do, a question, a remark; and the page of keys.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    grid::{cut, width},
    look::Look,
    state::{Mode, State},
};
use crate::{printable, render::table::Tone};

pub(crate) fn draw(state: &State, area: Rect, look: Look, buffer: &mut Buffer) {
    let faint = look.tone(Tone::Faint);
    let (text, style) = match (&state.mode, &state.said) {
        (Mode::Cancel(job), _) => (format!("cancel {}? [y/N]", job.name), look.remark(true)),
        (Mode::Priority(job, typed), _) => (format!("priority of {}: {typed}▏", job.name), look.remark(false)),
        (Mode::Filter, _) => (format!("/{}▏", state.filter), look.remark(false)),
        (_, Some(said)) => (said.text.clone(), look.remark(said.is_bad)),
        (Mode::Help, _) => ("any key goes back".to_owned(), faint),
        (Mode::Look, None) if state.opened.is_some() => {
            (hints(&[("Esc", "back"), ("Tab", "curve"), ("↑↓", "events")], state), faint)
        }
        (Mode::Look, None) if !state.filter.is_empty() => {
            (format!("shown is what has `{}`; Esc shows all", state.filter), look.remark(false))
        }
        (Mode::Look, None) => (hints(&[("Tab", "table"), ("Enter", "open"), ("/", "filter")], state), faint),
    };
    buffer.set_stringn(area.x, area.y, cut(&printable::line(&text), area.width.into()), area.width.into(), style);
}

fn hints(own: &[(&str, &str)], state: &State) -> String {
    let mut all = own.to_vec();
    all.extend([("c", "cancel"), ("p", "priority"), ("?", "keys")]);
    if state.opened.is_none() {
        all.push(("q", "quit"));
    }
    all.iter().map(|(key, does)| format!("{key} {does}")).collect::<Vec<_>>().join("  ")
}

/// The page of keys, over the tables.
pub(crate) fn help(state: &State, area: Rect, look: Look, buffer: &mut Buffer) {
    if state.mode != Mode::Help {
        return;
    }
    let keys = [
        ("↑ ↓, k j", "another row; in a job, its events"),
        ("Tab, ← →", "another table; in a job, another curve"),
        ("Home End, g G", "the first row, the last"),
        ("Enter", "a job's curve and events"),
        ("Esc", "back; all rows again"),
        ("/", "only rows with these words: names, owners, reasons"),
        ("c", "cancel the chosen job, after a question"),
        ("p", "another priority for the chosen job"),
        ("q, Ctrl-C", "quit; jobs go on"),
        ("Ctrl-Z", "back to the shell; fg comes back"),
    ];
    for y in area.top()..area.bottom() {
        buffer.set_string(area.x, y, " ".repeat(area.width.into()), ratatui::style::Style::reset());
    }
    let left = keys.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    for (y, (key, does)) in (area.top()..area.bottom()).zip(keys) {
        let pad = " ".repeat(left - width(key));
        let line = cut(&format!(" {key}{pad}  {does}"), area.width.into());
        buffer.set_stringn(area.x, y, line, area.width.into(), look.tone(Tone::Plain));
    }
}
