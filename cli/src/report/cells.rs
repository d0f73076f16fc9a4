//! Figures of runs as cells of a table.

use super::{
    document::Cell,
    facts::{Runs, View, states},
};
use crate::render::spread;

/// `70.83 ± 0.41 %`, and smaller: how many runs, their interval, their ids. Of several configurations a line each, with what names it; without
/// any result, how far they are.
pub(crate) fn measured(view: &View<'_>, runs: &[Runs<'_>], result: &str) -> Cell {
    if runs.is_empty() {
        return Cell::with("-", "no job");
    }
    let line = |one: &Runs<'_>| {
        let named = if runs.len() > 1 { format!("{}: ", one.name) } else { String::new() };
        match one.summary(result) {
            Some(summary) => {
                let with = one.with(result);
                let interval =
                    summary.interval.map(|interval| format!("95 % {}, ", spread::interval(result, interval)));
                let note = format!("{named}n = {}, {}{}", summary.n, interval.unwrap_or_default(), view.ids(&with));
                (spread::mean(result, &summary), note)
            }
            None => ("-".to_owned(), format!("{named}{}, {}", states(&one.jobs), view.ids(&one.jobs))),
        }
    };
    Cell(runs.iter().map(line).collect())
}
