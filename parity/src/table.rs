//! Rows as a table for people.

use comfy_table::{ContentArrangement, Table, presets};

use crate::row::Row;

pub(crate) fn table(rows: &[Row], failures: &[String]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "compared", "tolerance", "found", ""]);
    for row in rows {
        let what = if row.note.is_empty() { row.what.clone() } else { format!("{}\n{}", row.what, row.note) };
        let verdict = if row.passes() { "ok" } else { "FAILED" };
        let tolerance = row.bound.show(row.unit);
        table.add_row([&row.number.to_string(), &what, &tolerance, &row.unit.show(row.figure), verdict]);
    }
    for failure in failures {
        table.add_row(["", failure, "", "", "NOT MEASURED"]);
    }
    table
}
