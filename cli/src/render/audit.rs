//! The audit, a line each.

use tandem_proto::v1::AuditEntry;

use super::table::{Rows, Style, Text, Tone};
use crate::time::utc;

pub(crate) fn table(entries: &[AuditEntry], style: Style) -> String {
    let mut rows = Rows::new(style, &["WHEN (UTC)", "WHO", "FROM", "WHAT", "TO", "WHOSE", "OUTCOME"]);
    for entry in entries {
        let outcome = match entry.outcome.as_str() {
            "done" => Text::new("done", Tone::Plain),
            other => Text::new(other, Tone::Bad),
        };
        rows.row([
            utc(&entry.at).map(|at| at.format("%m-%d %H:%M:%S").to_string()).unwrap_or_default().into(),
            entry.who.as_str().into(),
            entry.origin.as_str().into(),
            entry.what.as_str().into(),
            entry.object.as_str().into(),
            entry.whose.as_str().into(),
            outcome,
        ]);
    }
    rows.keep_whole([0]);
    rows.to_string()
}
