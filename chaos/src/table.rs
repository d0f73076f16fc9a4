//! The table for people, in Markdown, as RESULTS.md has it.

use comfy_table::{CellAlignment, Table, presets};

use crate::summary::{FaultRow, Spread};

pub(crate) fn table(rows: &[FaultRow]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let header = ["fault", "injected", "lost", "doubled", "changed", "recovered"];
    table.set_header(header.into_iter().chain(["notice p50/p95/max s", "next step p50/p95/max s", "weights equal"]));
    for row in rows {
        table.add_row([
            row.kind.name(),
            row.injected.to_string(),
            row.lost.to_string(),
            row.doubled.to_string(),
            row.changed.to_string(),
            row.recovered.to_string(),
            show(row.notice),
            show(row.next_step),
            if row.weights_equal { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn show(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".to_owned(), |Spread { p50, p95, max }| format!("{p50:.1} / {p95:.1} / {max:.1}"))
}
