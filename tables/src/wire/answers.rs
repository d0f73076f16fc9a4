//! Answers to questions in SQL's words.

use chrono::{DateTime, Utc};
use tandem_proto::{
    convert,
    v1::{AskResponse, AskRow, ask_cell::Value},
};

use crate::{Cells, Column, Error, Table};

/// All columns with their types, and of jobs their ids. A parameter is what all jobs have it as, else text.
///
/// # Errors
/// Where a row has fewer cells than there are columns.
pub fn answers(answer: &AskResponse) -> Result<Table, Error> {
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
    Table::new(columns)
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
        Value::Time(at) => convert::optional_moment("at", Some(*at)).ok().flatten(),
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

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{AskCell, AskColumn};

    use super::*;

    fn column(name: &str, kind: &str) -> AskColumn {
        AskColumn { name: name.to_owned(), kind: kind.to_owned(), unit: String::new() }
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
        let table = answers(&answer).unwrap();
        let csv = String::from_utf8(crate::bytes(&table, crate::Format::Csv).unwrap()).unwrap();
        assert_eq!(
            csv,
            "job_id,experiment_id,job,seed,lr,created,optimizer.nesterov,optimizer.momentum,width,radii,head.output\n\
             1,e,\"'=a\",1,0.5,2026-06-01T12:00:00.000000Z,true,0.5,1,1,\n\
             2,e,b,,,,false,2.0,2,[1],\n"
        );
        let kinds: Vec<_> = table.headings().into_iter().map(|heading| heading.kind).collect();
        use crate::Kind::{Bool, Float, Int, Text, Time};
        assert_eq!(kinds, [Text, Text, Text, Int, Float, Time, Bool, Float, Int, Text, Int]);
    }
}
