//! Rows as a table for people.

use comfy_table::{ContentArrangement, Table, presets};

use crate::row::{Row, Verdict};

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "measured", "quartiles", "min .. max", "n", "goal", ""]);
    for row in rows {
        let show = |value| row.unit.show(value);
        let value = row.value;
        let verdict = match row.verdict() {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Void => "VOID",
        };
        let mut what = format!("{}\n{}", row.what, row.note);
        if let Some(void) = &row.void {
            what = format!("{what}\n{void}");
        }
        table.add_row([
            what,
            show(value.median),
            format!("{} .. {}", show(value.first_quartile), show(value.third_quartile)),
            format!("{} .. {}", show(value.min), show(value.max)),
            value.count.to_string(),
            row.goal.show(row.unit),
            verdict.to_owned(),
        ]);
    }
    table
}
