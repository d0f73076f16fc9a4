//! The list of experiments.

use askama::Template;
use chrono::{DateTime, SecondsFormat, Utc};
use form_urlencoded::Serializer;
use uuid::Uuid;

use super::{
    super::{
        block::{Block, Part, html},
        text::Text,
        units,
    },
    drawn::Drawn,
    state::{self, State},
};
use crate::{
    error::Result,
    store::{
        Conn,
        page::{Chosen, ExperimentRow, LOOKED_AT, SEARCHED, experiments},
    },
};

const ROWS: i64 = 50;

#[derive(Template)]
#[template(path = "experiments.html")]
struct Experiments {
    is_empty: bool,
    is_chosen: bool,
    /// The address of those before these; empty if there are none.
    older: String,
    looked_at: Option<i64>,
}

#[derive(Template)]
#[template(path = "experiments_one.html")]
struct One {
    id: Uuid,
    name: Text,
    owner: Text,
    at: String,
    age: String,
    state: State,
    row: ExperimentRow,
}

/// The form that chooses; it is no part of what is drawn anew.
#[derive(Template)]
#[template(path = "experiments_form.html")]
struct Form {
    owner: Text,
    name: Text,
    state: String,
}

pub(super) async fn draw(conn: &mut Conn, chosen: &Chosen, now: DateTime<Utc>) -> Result<Drawn> {
    let mut rows = experiments(conn, chosen, ROWS + 1).await?;
    let has_more = i64::try_from(rows.len()).unwrap_or(0) > ROWS;
    rows.truncate(ROWS as usize);
    let older = rows.last().filter(|_| has_more).map(|last| older(chosen, last.created_at)).unwrap_or_default();
    let table = Experiments {
        is_empty: rows.is_empty(),
        is_chosen: *chosen != Chosen::default(),
        older,
        looked_at: match (chosen.state.as_str(), chosen.name.as_str()) {
            ("", "") => None,
            ("", _) => Some(SEARCHED),
            _ => Some(LOOKED_AT),
        },
    };
    let part = |row: ExperimentRow| {
        let one = One {
            id: row.id,
            name: Text::line(&row.name),
            owner: Text::line(&row.owner),
            at: units::moment(row.created_at),
            age: units::age(row.created_at, now),
            state: state::of_experiment(row.waiting, row.running, row.failed, row.cancelled),
            row,
        };
        Ok(Part { id: one.id.to_string(), html: html(&one)? })
    };
    let parts = rows.into_iter().map(part).collect::<Result<Vec<_>>>()?;
    let form = Form { owner: Text::line(&chosen.owner), name: Text::line(&chosen.name), state: chosen.state.clone() };
    let title = Text::line("Experiments");
    Ok(Drawn {
        title: title.clone(),
        heading: title,
        blocks: vec![Block::whole(&form)?, Block::around(&table, parts)?],
    })
}

fn older(chosen: &Chosen, before: DateTime<Utc>) -> String {
    let mut query = Serializer::new(String::new());
    for (key, value) in [("owner", &chosen.owner), ("name", &chosen.name), ("state", &chosen.state)] {
        if !value.is_empty() {
            query.append_pair(key, value);
        }
    }
    query.append_pair("before", &before.to_rfc3339_opts(SecondsFormat::Micros, true));
    format!("/experiments?{}", query.finish())
}
