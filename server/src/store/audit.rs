//! The audit: rows are added, and read by admins.

use chrono::{DateTime, Utc};
use tandem_domain::access::identity::Person;
use uuid::Uuid;

use super::{Conn, DbResult, clean, column, rows::Statement};

/// One change that somebody asked for, or a refusal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) who: String,
    /// The id of a token, or `socket`.
    pub(crate) via: String,
    pub(crate) origin: String,
    /// `Jobs/Cancel`.
    pub(crate) what: String,
    pub(crate) object: String,
    pub(crate) job: Option<Uuid>,
    pub(crate) whose: String,
    /// `done`, or why not.
    pub(crate) outcome: String,
}

impl Entry {
    /// Something that is done in the same transaction.
    pub(crate) fn done(by: &Person, what: &str, object: impl Into<String>, whose: &str) -> Self {
        let via = by.token.as_ref().map_or_else(|| "socket".to_owned(), ToString::to_string);
        Self {
            who: by.name.clone(),
            via,
            origin: by.origin.clone(),
            what: what.to_owned(),
            object: object.into(),
            job: None,
            whose: whose.to_owned(),
            outcome: "done".to_owned(),
        }
    }
}

pub(crate) async fn append(conn: &mut Conn, entries: &[Entry]) -> DbResult<()> {
    let text = |of: fn(&Entry) -> &String| column(entries, |entry| clean(of(entry)));
    sqlx::query!(
        "INSERT INTO audit (who, via, origin, what, object, job_id, whose, outcome)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[])",
        &text(|entry| &entry.who),
        &text(|entry| &entry.via),
        &text(|entry| &entry.origin),
        &text(|entry| &entry.what),
        &text(|entry| &entry.object),
        &column(entries, |entry| entry.job) as &[Option<Uuid>],
        &text(|entry| &entry.whose),
        &text(|entry| &entry.outcome),
    )
    .run_any(conn)
    .await
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) at: DateTime<Utc>,
    pub(crate) who: String,
    pub(crate) via: String,
    pub(crate) origin: String,
    pub(crate) what: String,
    pub(crate) object: String,
    pub(crate) whose: String,
    pub(crate) outcome: String,
}

/// What to show: all that is `None` is of everybody, of all jobs, since ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) who: Option<String>,
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) job: Option<Uuid>,
    pub(crate) limit: u32,
}

/// Newest first.
pub(crate) async fn list(conn: &mut Conn, question: &Question) -> DbResult<Vec<Row>> {
    match &question.who {
        Some(who) => list_of(conn, who, question).await,
        None => list_all(conn, question).await,
    }
}

/// Each half by an index of its own: one condition on both columns would read back as far as it takes.
async fn list_of(conn: &mut Conn, who: &str, question: &Question) -> DbResult<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"SELECT at AS "at!", who AS "who!", via AS "via!", origin AS "origin!", what AS "what!", object AS "object!",
                  whose AS "whose!", outcome AS "outcome!"
           FROM ((SELECT * FROM audit WHERE who = $1 AND ($2::timestamptz IS NULL OR at >= $2)
                    AND ($3::uuid IS NULL OR job_id = $3) ORDER BY at DESC LIMIT $4)
                 UNION
                 (SELECT * FROM audit WHERE whose = $1 AND whose <> '' AND ($2::timestamptz IS NULL OR at >= $2)
                    AND ($3::uuid IS NULL OR job_id = $3) ORDER BY at DESC LIMIT $4)) AS halves
           ORDER BY at DESC, id LIMIT $4"#,
        who,
        question.since,
        question.job,
        i64::from(question.limit),
    )
    .fetch_all(conn)
    .await
}

async fn list_all(conn: &mut Conn, question: &Question) -> DbResult<Vec<Row>> {
    sqlx::query_as!(
        Row,
        "SELECT at, who, via, origin, what, object, whose, outcome FROM audit
         WHERE ($1::timestamptz IS NULL OR at >= $1) AND ($2::uuid IS NULL OR job_id = $2)
         ORDER BY at DESC, id LIMIT $3",
        question.since,
        question.job,
        i64::from(question.limit),
    )
    .fetch_all(conn)
    .await
}
