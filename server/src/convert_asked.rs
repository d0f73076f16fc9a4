//! Questions and answers about jobs, from and to the messages of the wire.

use tandem_domain::state::JobState;
use tandem_proto::{
    convert::timestamp,
    v1::{self, ask_cell},
};

use crate::{
    query::{
        asked::{Answer, AnswerRow, Found, Heading, Holds, Question, Saved},
        views::ViewRow,
    },
    store::{asked::Cell, unsigned},
};

pub(crate) fn question(request: v1::AskRequest) -> Question {
    let ascending = match request.direction() {
        v1::AskDirection::Unspecified => None,
        v1::AskDirection::Ascending => Some(true),
        v1::AskDirection::Descending => Some(false),
    };
    Question {
        condition: request.r#where,
        states: Vec::new(),
        target: request.target,
        owner: request.owner,
        mine: request.mine,
        view: request.view,
        also: String::new(),
        since: request.since,
        tag: request.tag,
        order: request.order,
        ascending,
        by: request.by,
        columns: request.columns,
        limit: request.limit,
        cursor: request.cursor,
    }
}

/// What is listed with a condition; `states` are checked.
pub(crate) fn list(request: v1::ListRequest, states: Vec<JobState>) -> Question {
    Question {
        condition: request.r#where,
        states,
        target: request.experiment,
        owner: request.owner,
        mine: request.mine,
        view: request.view,
        since: request.since,
        tag: request.tag,
        limit: request.limit,
        cursor: request.cursor,
        ..Question::default()
    }
}

pub(crate) fn view(row: ViewRow) -> v1::View {
    let Saved { condition, target, owner, mine, since, tag, order, ascending, by, columns } = row.question;
    let direction = match ascending {
        None => v1::AskDirection::Unspecified,
        Some(true) => v1::AskDirection::Ascending,
        Some(false) => v1::AskDirection::Descending,
    };
    let mut question = v1::AskRequest {
        r#where: condition,
        target,
        owner,
        mine,
        since,
        tag,
        order,
        by,
        columns,
        ..v1::AskRequest::default()
    };
    question.set_direction(direction);
    v1::View { owner: row.owner, name: row.name, question: Some(question), made_at: Some(timestamp(row.made_at)) }
}

pub(crate) fn answer(answer: Answer) -> v1::AskResponse {
    v1::AskResponse {
        columns: answer.headings.into_iter().map(column).collect(),
        rows: answer.rows.into_iter().map(row).collect(),
        next_cursor: answer.next.unwrap_or_default(),
        total: answer.total.map(|total| unsigned(total.count)),
        more_than_total: answer.total.is_some_and(|total| !total.is_exact),
        not_indexed: unsigned(answer.not_indexed),
    }
}

/// A list, with what is left of those that were found, if it was asked for by a condition.
pub(crate) fn found(list: v1::ListResponse, found: Option<Found>) -> v1::ListResponse {
    let Some(found) = found else { return list };
    v1::ListResponse {
        next_cursor: found.next.unwrap_or_default(),
        total: found.total.map(|total| unsigned(total.count)),
        more_than_total: found.total.is_some_and(|total| !total.is_exact),
        not_indexed: unsigned(found.not_indexed),
        ..list
    }
}

fn column(heading: Heading) -> v1::AskColumn {
    let kind = match heading.kind {
        Holds::Text => "text",
        Holds::Whole => "int",
        Holds::Number => "float",
        Holds::Time => "time",
        Holds::Any => "any",
    };
    v1::AskColumn { name: heading.name, kind: kind.to_owned(), unit: heading.unit.to_owned() }
}

fn row(row: AnswerRow) -> v1::AskRow {
    let (job, experiment) =
        row.job.map(|(job, experiment)| (job.to_string(), experiment.to_string())).unwrap_or_default();
    v1::AskRow { job_id: job, experiment_id: experiment, cells: row.cells.into_iter().map(cell).collect() }
}

fn cell(cell: Cell) -> v1::AskCell {
    let value = match cell {
        Cell::Missing => None,
        Cell::Text(text) => Some(ask_cell::Value::Text(text)),
        Cell::Whole(whole) => Some(ask_cell::Value::Whole(whole)),
        Cell::Number(number) => Some(ask_cell::Value::Number(number)),
        Cell::Flag(flag) => Some(ask_cell::Value::Flag(flag)),
        Cell::Time(at) => Some(ask_cell::Value::Time(timestamp(at))),
    };
    v1::AskCell { value }
}
