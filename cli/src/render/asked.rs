//! Answers to questions in SQL's words, as a table for people.

use chrono::{DateTime, Utc};
use tandem_proto::v1::{AskCell, AskColumn, AskResponse, AskRow, ask_cell::Value};

use super::{
    table::{Rows, Style, Text, Tone},
    units,
};
use crate::time;

/// What a narrow terminal can do without, the first to go last.
const LESS_NEEDED: [(&str, u8); 9] = [
    ("CREATED", 9),
    ("FINISHED", 8),
    ("OWNER", 7),
    ("STATE", 6),
    ("STAGE", 5),
    ("FIGURE", 4),
    ("EXPERIMENT", 3),
    ("SEED", 2),
    ("LABEL_FRACTION", 1),
];

/// One line a job or group. Columns that somebody has `chosen` stay, however narrow the terminal is; so do the keys of groups.
pub(crate) fn table(answer: &AskResponse, chosen: bool, style: Style, now: DateTime<Utc>) -> String {
    let are_jobs = answer.rows.iter().any(|row| !row.job_id.is_empty());
    let upper: Vec<String> = answer.columns.iter().map(|column| column.name.to_uppercase()).collect();
    let mut headers: Vec<&str> = if are_jobs { vec!["ID"] } else { Vec::new() };
    headers.extend(upper.iter().map(String::as_str));
    let mut rows = Rows::new(style, &headers);
    let length = units::id_length(answer.rows.iter().map(|row| row.job_id.as_str()));
    for row in &answer.rows {
        let id = are_jobs.then(|| Text::from(units::short_id(&row.job_id, length)));
        let cells = answer.columns.iter().zip(&row.cells).map(|(column, cell)| text(answer, row, column, cell, now));
        rows.row(id.into_iter().chain(cells));
    }
    let first = usize::from(are_jobs);
    for (index, column) in answer.columns.iter().enumerate() {
        if matches!(column.kind.as_str(), "int" | "float") {
            rows.right(first + index);
        }
    }
    if are_jobs && !chosen {
        rows.less_needed(&LESS_NEEDED);
    } else if !are_jobs {
        let spread = upper.iter().find(|name| name.starts_with("SPREAD ")).map_or("", String::as_str);
        rows.less_needed(&[("MEASURED", 4), ("SEEDS", 3), (spread, 2), ("JOBS", 1)]);
    }
    rows.to_string()
}

fn text(answer: &AskResponse, row: &AskRow, column: &AskColumn, cell: &AskCell, now: DateTime<Utc>) -> Text {
    match &cell.value {
        None => Text::new("-", Tone::Faint),
        Some(Value::Text(text)) => text.as_str().into(),
        Some(Value::Whole(whole)) => whole.to_string().into(),
        Some(Value::Flag(flag)) => flag.to_string().into(),
        Some(Value::Time(at)) => time::utc(&Some(*at)).map_or_else(String::new, |at| units::age(at, now)).into(),
        Some(Value::Number(number)) if column.unit == "s" => units::duration(number.max(0.0)).into(),
        Some(Value::Number(number)) => {
            let name = match column.name.rsplit(' ').next().unwrap_or_default() {
                "value" => main_figure(answer, row).unwrap_or("value"),
                name => name,
            };
            let is_figure = tandem_draw::numbers::is_share(name) || column.name.contains([' ', '(']) || name == "value";
            if is_figure || is_long(*number) { units::figure(name, *number).into() } else { number.to_string().into() }
        }
    }
}

/// More digits than a person has written.
fn is_long(number: f64) -> bool {
    number.to_string().len() > 8
}

/// What the main figure of the row is called, where a column says so.
fn main_figure<'a>(answer: &AskResponse, row: &'a AskRow) -> Option<&'a str> {
    let at = answer.columns.iter().position(|column| column.name == "figure")?;
    match &row.cells.get(at)?.value {
        Some(Value::Text(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str) -> AskColumn {
        AskColumn { name: name.to_owned(), kind: kind.to_owned(), unit: String::new() }
    }

    #[test]
    fn figures_are_shown_as_elsewhere_and_what_was_written_as_it_was() {
        let columns = vec![
            column("encoder", "text"),
            column("figure", "text"),
            column("value", "float"),
            column("lr", "float"),
            column("mean accuracy", "float"),
            AskColumn { unit: "s".to_owned(), ..column("device_seconds", "float") },
        ];
        let cells = [
            Some(Value::Text("resnet18".to_owned())),
            Some(Value::Text("accuracy".to_owned())),
            Some(Value::Number(0.912)),
            Some(Value::Number(0.3)),
            Some(Value::Number(0.877)),
            None,
        ];
        let cells = cells.map(|value| AskCell { value });
        let rows = vec![AskRow { cells: cells.to_vec(), ..AskRow::default() }];
        let answer = AskResponse { columns, rows, ..AskResponse::default() };
        let text = table(&answer, false, Style::default(), DateTime::UNIX_EPOCH);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["ENCODER", "FIGURE", "VALUE", "LR", "MEAN", "ACCURACY", "DEVICE_SECONDS"]);
        assert_eq!(lines[1], ["resnet18", "accuracy", "91.2", "%", "0.3", "87.7", "%", "-"]);
    }
}
