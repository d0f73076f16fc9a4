//! Answers to questions in SQL's words, as a table for people and for other programs.

use anyhow::{Error, Result};
use chrono::{DateTime, Utc};
use tandem_proto::v1::{AskCell, AskColumn, AskResponse, AskRow, ask_cell::Value};
use tandem_tables::{Cells, Column, Table};

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

/// One line a job or group.
pub(crate) fn table(answer: &AskResponse, style: Style, now: DateTime<Utc>) -> String {
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
    rows.less_needed(&LESS_NEEDED);
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

/// All columns with their types, and of jobs their ids. A parameter is what all jobs have it as, else text.
pub(crate) fn data(answer: &AskResponse) -> Result<Table> {
    let mut columns = Vec::with_capacity(answer.columns.len() + 2);
    // Groups have no ids; an answer without rows is one of jobs, unless its columns are those of groups.
    if !answer.columns.iter().any(|column| column.name == "measured") {
        let ids =
            |of: fn(&AskRow) -> &String| Cells::Text(answer.rows.iter().map(|row| Some(of(row).clone())).collect());
        columns.push(Column::new("job_id", ids(|row| &row.job_id)));
        columns.push(Column::new("experiment_id", ids(|row| &row.experiment_id)));
    }
    for (at, column) in answer.columns.iter().enumerate() {
        let values: Vec<Option<&Value>> =
            answer.rows.iter().map(|row| row.cells.get(at).and_then(|cell| cell.value.as_ref())).collect();
        columns.push(Column::new(&column.name, cells(&column.kind, &values)));
    }
    Table::new(columns).map_err(Error::new)
}

fn cells(kind: &str, values: &[Option<&Value>]) -> Cells {
    let all = |fits: fn(&Value) -> bool| values.iter().flatten().all(|value| fits(value));
    let is_any = kind == "any";
    let whole = |value: &Value| match value {
        Value::Whole(whole) => Some(*whole),
        _ => None,
    };
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        Value::Whole(whole) => Some(*whole as f64),
        _ => None,
    };
    let each = values.iter().copied();
    match kind {
        "int" => Cells::Int(each.map(|value| value.and_then(whole)).collect()),
        "float" => Cells::Float(each.map(|value| value.and_then(number)).collect()),
        "time" => Cells::Time(each.map(|value| value.and_then(moment)).collect()),
        _ if is_any && all(|value| matches!(value, Value::Flag(_))) && values.iter().any(Option::is_some) => {
            let flag = |value: &Value| matches!(value, Value::Flag(true));
            Cells::Bool(each.map(|value| value.map(flag)).collect())
        }
        _ if is_any && all(|value| matches!(value, Value::Whole(_))) => {
            Cells::Int(each.map(|value| value.and_then(whole)).collect())
        }
        _ if is_any && all(|value| matches!(value, Value::Whole(_) | Value::Number(_))) => {
            Cells::Float(each.map(|value| value.and_then(number)).collect())
        }
        _ => Cells::Text(each.map(|value| value.map(plain)).collect()),
    }
}

fn moment(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Time(at) => time::utc(&Some(*at)),
        _ => None,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Whole(whole) => whole.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Time(_) => moment(value).map_or_else(String::new, |at| at.to_rfc3339()),
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
        let text = table(&answer, Style::default(), DateTime::UNIX_EPOCH);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["ENCODER", "FIGURE", "VALUE", "LR", "MEAN", "ACCURACY", "DEVICE_SECONDS"]);
        assert_eq!(lines[1], ["resnet18", "accuracy", "91.2", "%", "0.3", "87.7", "%", "-"]);
    }

    #[test]
    fn other_programs_get_types_and_a_parameter_is_what_all_jobs_have_it_as() {
        let columns = vec![
            column("job", "text"),
            column("seed", "int"),
            column("lr", "float"),
            column("created", "time"),
            column("optimizer.nesterov", "any"),
            column("optimizer.momentum", "any"),
            column("width", "any"),
            column("radii", "any"),
            column("head.output", "any"),
        ];
        let at = tandem_proto::convert::timestamp("2026-06-01T12:00:00Z".parse().unwrap());
        let row = |cells: [Option<Value>; 9], id: &str| AskRow {
            job_id: id.to_owned(),
            experiment_id: "e".to_owned(),
            cells: cells.map(|value| AskCell { value }).to_vec(),
        };
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let (one, half) = (Some(Value::Whole(1)), Some(Value::Number(0.5)));
        let first = [
            text("=a"),
            one.clone(),
            half.clone(),
            Some(Value::Time(at)),
            Some(Value::Flag(true)),
            half,
            one.clone(),
            one,
            None,
        ];
        let (two, flag) = (Some(Value::Whole(2)), Some(Value::Flag(false)));
        let second = [text("b"), None, None, None, flag, two.clone(), two, text("[1]"), None];
        let answer = AskResponse { columns, rows: vec![row(first, "1"), row(second, "2")], ..AskResponse::default() };
        let table = data(&answer).unwrap();
        let csv = String::from_utf8(tandem_tables::bytes(&table, tandem_tables::Format::Csv).unwrap()).unwrap();
        assert_eq!(
            csv,
            "job_id,experiment_id,job,seed,lr,created,optimizer.nesterov,optimizer.momentum,width,radii,head.output\n\
             1,e,\"'=a\",1,0.5,2026-06-01T12:00:00.000000Z,true,0.5,1,1,\n\
             2,e,b,,,,false,2.0,2,[1],\n"
        );
        let kinds: Vec<_> = table.headings().into_iter().map(|heading| heading.kind).collect();
        use tandem_tables::Kind::{Bool, Float, Int, Text, Time};
        assert_eq!(kinds, [Text, Text, Text, Int, Float, Time, Bool, Float, Int, Text, Int]);
    }
}
