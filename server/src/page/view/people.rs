//! People: who has what running and waiting. Admins see their roles and accounts, too.

use askama::Template;
use chrono::{DateTime, Utc};

use super::{
    super::{block::Block, text::Text, units},
    drawn::{Drawn, Rights},
};
use crate::{
    error::Result,
    store::{
        Conn,
        page::{LoadRow, loads},
        people::{self, PersonRow},
    },
};

/// More people than a house has.
const SHOWN: usize = 500;

struct Load {
    owner: Text,
    row: LoadRow,
}

struct Person {
    name: Text,
    role: Text,
    login: Text,
    disabled: bool,
    tokens: i64,
    since: String,
}

#[derive(Template)]
#[template(path = "people_loads.html")]
struct Loads {
    loads: Vec<Load>,
}

#[derive(Template)]
#[template(path = "people_all.html")]
struct All {
    people: Vec<Person>,
}

pub(super) async fn draw(conn: &mut Conn, rights: &Rights, now: DateTime<Utc>) -> Result<Drawn> {
    let rows = loads(conn).await?;
    let loads = Loads { loads: rows.into_iter().map(|row| Load { owner: Text::line(&row.owner), row }).collect() };
    let mut blocks = vec![Block::whole(&loads)?];
    if rights.admin() {
        let rows = people::list(conn, None).await?;
        let person = |row: PersonRow| Person {
            name: Text::line(&row.name),
            role: Text::line(&row.role),
            login: Text::line(row.login.as_deref().unwrap_or("–")),
            disabled: row.disabled,
            tokens: row.tokens,
            since: units::age(row.made_at, now),
        };
        blocks.push(Block::whole(&All { people: rows.into_iter().take(SHOWN).map(person).collect() })?);
    }
    let title = Text::line("People");
    Ok(Drawn { title: title.clone(), heading: title, blocks })
}
