//! Questions that are kept under a name: `tandem view`.

use chrono::{DateTime, Utc};
use tandem_domain::access::{identity::Person, name};

use super::asked::{self, Question, Saved};
use crate::{
    error::{Error, Result},
    store::{
        Conn, Store, retry,
        saved_views::{self, SavedRow},
    },
};

/// Of one person.
const VIEWS_OF_ONE: i64 = 200;
/// As many are listed.
const LISTED: i64 = 1000;

#[derive(Clone, Debug)]
pub(crate) struct ViewRow {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) question: Saved,
    pub(crate) made_at: DateTime<Utc>,
}

impl TryFrom<SavedRow> for ViewRow {
    type Error = Error;

    fn try_from(row: SavedRow) -> Result<Self> {
        let SavedRow { owner, name, question, made_at } = row;
        let question = serde_json::from_value(question)
            .map_err(|error| Error::Bug(format!("the view {owner}/{name} is none of this version: {error}")))?;
        Ok(Self { owner, name, question, made_at })
    }
}

/// Asks `question` once and keeps it; whether there was one of that name.
///
/// # Errors
/// `Invalid` for what is no name, or no question; `Refused` for too many.
pub(crate) async fn save(store: &Store, by: &Person, name: &str, question: &Question) -> Result<(ViewRow, bool)> {
    name::check("a view", name).map_err(Error::Invalid)?;
    for (what, given) in [("view", !question.view.is_empty()), ("cursor", !question.cursor.is_empty())] {
        if given {
            return Err(Error::Invalid(format!("{what}: a view is a question of its own, from its first page on")));
        }
    }
    let mut conn = store.reader().await?;
    asked::ask(&mut conn, &by.name, &Question { limit: 1, ..question.clone() }).await?;
    drop(conn);
    let text = serde_json::to_value(Saved::of(question)).map_err(|error| Error::Bug(error.to_string()))?;
    retry(|| async {
        let mut tx = store.begin().await?;
        let has = saved_views::count(&mut tx, &by.name).await?;
        let replaced = saved_views::one(&mut tx, &by.name, name).await?.is_some();
        if !replaced && has >= VIEWS_OF_ONE {
            return Err(Error::Refused(format!("you have {has} views already; `tandem view rm` removes one")));
        }
        saved_views::put(&mut tx, &by.name, name, &text).await?;
        let row = saved_views::one(&mut tx, &by.name, name).await?.ok_or_else(|| absent(name))?;
        tx.commit().await?;
        Ok((row.try_into()?, replaced))
    })
    .await
}

/// Those of one person, or of everybody; and whether there are more.
pub(crate) async fn list(conn: &mut Conn, owner: Option<&str>) -> Result<(Vec<ViewRow>, bool)> {
    let mut rows = saved_views::list(conn, owner, LISTED + 1).await?;
    let more = rows.len() > LISTED as usize;
    rows.truncate(LISTED as usize);
    Ok((rows.into_iter().map(ViewRow::try_from).collect::<Result<_>>()?, more))
}

pub(crate) async fn remove(store: &Store, by: &Person, name: &str) -> Result<ViewRow> {
    let name = match name.split_once('/') {
        Some((owner, _)) if owner != by.name => {
            return Err(Error::Forbidden(format!("`{name}` is {owner}'s, who alone removes it")));
        }
        Some((_, own)) => own,
        None => name,
    };
    retry(|| async {
        let mut tx = store.begin().await?;
        let row = saved_views::remove(&mut tx, &by.name, name).await?.ok_or_else(|| absent(name))?;
        tx.commit().await?;
        row.try_into()
    })
    .await
}

/// The question with the view that it names, of `own` or as OWNER/NAME.
pub(crate) async fn resolved(conn: &mut Conn, own: &str, question: Question) -> Result<Question> {
    let view = question.view.trim();
    if view.is_empty() {
        return Ok(question);
    }
    let (owner, name) = view.split_once('/').unwrap_or((own, view));
    let row = saved_views::one(conn, owner, name).await?.ok_or_else(|| absent(view))?;
    Ok(ViewRow::try_from(row)?.question.under(question))
}

fn absent(view: &str) -> Error {
    Error::NotFound(format!("there is no view `{view}`; `tandem view list --all` shows which there are"))
}
