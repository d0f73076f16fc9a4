//! Tags and notes of jobs and experiments.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement, targets::Target};

/// A note, and who put it there when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) who: String,
    pub(crate) at: DateTime<Utc>,
}

/// What stands on a job or an experiment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Labels {
    pub(crate) tags: Vec<String>,
    pub(crate) note: Option<Note>,
}

fn row(target: Target) -> (Uuid, bool) {
    match target {
        Target::Job(id) => (id, true),
        Target::Experiment(id) => (id, false),
    }
}

pub(crate) async fn of(conn: &mut Conn, target: Target) -> DbResult<Labels> {
    let (id, _) = row(target);
    let tags = sqlx::query_scalar!("SELECT word FROM tags WHERE target = $1 ORDER BY word", id).fetch_all(&mut *conn);
    let tags = tags.await?;
    let note = sqlx::query_as!(Note, "SELECT text, who, at FROM notes WHERE target = $1", id).fetch_optional(conn);
    Ok(Labels { tags, note: note.await? })
}

/// Puts tags on something; returns how many it has then. Others who do wait until this transaction ends, so that no two together
/// exceed a limit.
pub(crate) async fn add_tags(conn: &mut Conn, target: Target, words: &[String], who: &str) -> DbResult<i64> {
    let (id, is_job) = row(target);
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock(hashtext('tags'))::text AS "locked""#)
        .fetch_one(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO tags (target, is_job, word, who) SELECT $1, $2, word, $4 FROM UNNEST($3::text[]) AS words (word)
         ON CONFLICT (target, word) DO NOTHING",
        id,
        is_job,
        words,
        who,
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM tags WHERE target = $1"#, id).fetch_one(conn).await
}

/// Takes tags off something; returns how many were there.
pub(crate) async fn remove_tags(conn: &mut Conn, target: Target, words: &[String]) -> DbResult<u64> {
    let (id, _) = row(target);
    let removed = sqlx::query!("DELETE FROM tags WHERE target = $1 AND word = ANY($2)", id, words).run(conn).await?;
    Ok(removed.count())
}

/// Puts a note on something, in place of another, or takes it away.
pub(crate) async fn set_note(conn: &mut Conn, target: Target, text: Option<&str>, who: &str) -> DbResult<()> {
    let (id, is_job) = row(target);
    let Some(text) = text else {
        return sqlx::query!("DELETE FROM notes WHERE target = $1", id).run_any(conn).await;
    };
    sqlx::query!(
        "INSERT INTO notes (target, is_job, text, who) VALUES ($1, $2, $3, $4)
         ON CONFLICT (target) DO UPDATE SET text = excluded.text, who = excluded.who, at = clock_timestamp()",
        id,
        is_job,
        text,
        who,
    )
    .run_any(conn)
    .await
}

/// What stood on things that are deleted goes with them.
pub(super) async fn clear(conn: &mut Conn, targets: &[Uuid]) -> DbResult<()> {
    sqlx::query!("DELETE FROM tags WHERE target = ANY($1)", targets).run_any(&mut *conn).await?;
    sqlx::query!("DELETE FROM notes WHERE target = ANY($1)", targets).run_any(conn).await
}
