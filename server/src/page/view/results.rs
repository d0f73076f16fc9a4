//! Results: the figures of jobs that have ended.

use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{
        block::{Block, Part, html},
        place::Sorted,
        text::Text,
        units,
    },
    drawn::Drawn,
    state::{self, State},
};
use crate::{
    error::{Error, Result},
    query::results::{Question, query},
    store::{Conn, overview::JobRow},
};

const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "results_form.html")]
struct Form {
    target: Text,
    stage: Text,
    best: Text,
    ascending: bool,
}

#[derive(Template)]
#[template(path = "results.html")]
struct Results {
    is_empty: bool,
    is_full: bool,
    problem: Text,
}

#[derive(Template)]
#[template(path = "results_job.html")]
struct One {
    id: Uuid,
    experiment_id: Uuid,
    experiment: Text,
    name: Text,
    owner: Text,
    stage: Text,
    state: State,
    ended: String,
    figures: Vec<(Text, String)>,
}

pub(super) async fn draw(conn: &mut Conn, sorted: &Sorted, now: DateTime<Utc>) -> Result<Drawn> {
    let Sorted { target, stage, best, ascending, own } = sorted;
    let question = Question { own, target, stage, best, ascending: *ascending, limit: ROWS };
    let (rows, problem) = match query(conn, question).await {
        Ok(rows) => (rows, String::new()),
        // The form stays there, to be filled in otherwise.
        Err(Error::NotFound(words) | Error::Invalid(words)) => (Vec::new(), words),
        Err(error) => return Err(error),
    };
    let problem = Text::line(&problem);
    let table = Results { is_empty: rows.is_empty(), is_full: rows.len() >= ROWS as usize, problem };
    let part = |row: &JobRow| {
        let one = in_words(row, best, now);
        Ok(Part { id: one.id.to_string(), html: html(&one)? })
    };
    let parts = rows.iter().map(part).collect::<Result<Vec<_>>>()?;
    let form =
        Form { target: Text::line(target), stage: Text::line(stage), best: Text::line(best), ascending: *ascending };
    let title = Text::line("Results");
    Ok(Drawn {
        title: title.clone(),
        heading: title,
        blocks: vec![Block::whole(&form)?, Block::around(&table, parts)?],
    })
}

fn in_words(row: &JobRow, best: &str, now: DateTime<Utc>) -> One {
    One {
        id: row.id,
        experiment_id: row.experiment_id,
        experiment: Text::line(&row.experiment_name),
        name: Text::line(&row.name),
        owner: Text::line(&row.owner),
        stage: Text::line(&row.stage),
        state: state::of_job(&row.state),
        ended: row.finished_at.map(|at| units::age(at, now)).unwrap_or_default(),
        figures: figures(row, best),
    }
}

/// The one that it is sorted by first.
pub(super) fn figures(row: &JobRow, best: &str) -> Vec<(Text, String)> {
    let mut figures: Vec<(&String, f64)> = row.result_names.iter().zip(row.result_values.iter().copied()).collect();
    figures.sort_by_key(|(name, _)| name.as_str() != best);
    figures.into_iter().map(|(name, value)| (Text::line(name), units::figure(name, value))).collect()
}
