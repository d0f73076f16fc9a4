//! Which jobs a list shows, and in which order. Each order is that of an index which is read until the limit is reached,
//! so a list costs what it shows and not what the history holds.

use uuid::Uuid;

use super::{Conn, DbResult, stages::stages};

/// Which jobs to list, and as part of which experiment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter<'a> {
    pub(crate) scope: Scope<'a>,
    /// Only in these states; empty means all. Of no effect beside `figures` on the whole history.
    pub(crate) states: &'a [String],
    /// Only ended jobs that succeeded or have a result, and how they are sorted; else newest experiment first, then by
    /// the graph.
    pub(crate) figures: Option<Figures<'a>>,
    /// Of the whole history: what is queued, as it stands in line.
    pub(crate) in_line: bool,
    /// Of the whole history: what has this tag, or is of an experiment that has it. Empty means all.
    pub(crate) tag: &'a str,
    pub(crate) limit: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Scope<'a> {
    /// The whole history, each job as part of the experiment that brought it.
    #[default]
    All,
    /// The jobs of this experiment, named as it does.
    Experiment(Uuid),
    /// These jobs, each as part of the experiment that brought it.
    Jobs(&'a [Uuid]),
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures<'a> {
    /// Only of this stage; empty means all.
    pub(crate) stage: &'a str,
    /// The result to sort by, jobs without it last; empty means latest end first.
    pub(crate) best: &'a str,
    pub(crate) ascending: bool,
}

/// A job as part of an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) experiment_id: Uuid,
    /// Its name there.
    pub(crate) name: String,
    pub(crate) job_id: Uuid,
}

pub(crate) async fn pick(conn: &mut Conn, filter: &Filter<'_>) -> DbResult<Vec<Pick>> {
    let limit = i64::from(filter.limit);
    match (filter.scope, filter.figures) {
        (Scope::Experiment(experiment), _) => among(conn, Some(experiment), &[], filter, limit).await,
        (Scope::Jobs(jobs), _) => among(conn, None, jobs, filter, limit).await,
        (Scope::All, None) if filter.in_line => line(conn, limit).await,
        (Scope::All, None) if !filter.tag.is_empty() => tagged(conn, filter, limit).await,
        (Scope::All, None) if filter.states.is_empty() => newest(conn, limit).await,
        (Scope::All, None) => in_states(conn, filter.states, limit).await,
        (Scope::All, Some(figures)) => {
            // One by one: an index that is read in one order for all stages may be read to its end for a single one.
            let stages = if figures.stage.is_empty() { stages(conn).await? } else { vec![figures.stage.to_owned()] };
            match figures.best {
                "" => ended(conn, &stages, None, limit).await,
                _ => best(conn, &stages, figures, limit).await,
            }
        }
    }
}

/// As the scheduler sorts them.
async fn line(conn: &mut Conn, limit: i64) -> DbResult<Vec<Pick>> {
    sqlx::query_as!(
        Pick,
        "SELECT experiment_id, name, id AS job_id FROM jobs
         WHERE state = 'queued' ORDER BY priority DESC, queued_at, position, id LIMIT $1",
        limit
    )
    .fetch_all(conn)
    .await
}

/// Newest experiment first, then by the graph.
async fn newest(conn: &mut Conn, limit: i64) -> DbResult<Vec<Pick>> {
    sqlx::query_as!(
        Pick,
        "SELECT link.experiment_id, link.name, link.job_id
         FROM experiments e JOIN experiment_jobs link ON link.experiment_id = e.id
         WHERE NOT link.reused AND e.archived_at IS NULL AND e.deleted_at IS NULL
         ORDER BY e.created_at DESC, e.id, link.position LIMIT $1",
        limit
    )
    .fetch_all(conn)
    .await
}

/// Tags of one word that are looked at, the newest first.
const TAGGED: i64 = 500;

/// What has a tag, archived or not, newest experiment first.
async fn tagged(conn: &mut Conn, filter: &Filter<'_>, limit: i64) -> DbResult<Vec<Pick>> {
    sqlx::query_as!(
        Pick,
        r#"WITH found AS MATERIALIZED (SELECT target, is_job FROM tags WHERE word = $1 ORDER BY at DESC LIMIT $2)
           SELECT part.experiment_id AS "experiment_id!", part.name AS "name!", part.job_id AS "job_id!"
           FROM (
               SELECT link.experiment_id, link.name, link.job_id, link.position
               FROM found JOIN experiment_jobs link ON link.experiment_id = found.target WHERE NOT found.is_job
               UNION
               SELECT own.experiment_id, own.name, own.job_id, own.position
               FROM found JOIN jobs j ON j.id = found.target
               JOIN experiment_jobs own ON own.experiment_id = j.experiment_id AND own.name = j.name WHERE found.is_job
           ) part
           JOIN experiments e ON e.id = part.experiment_id JOIN jobs j ON j.id = part.job_id
           WHERE cardinality($3::text[]) = 0 OR j.state = ANY($3::text[]::job_state[])
           ORDER BY e.created_at DESC, e.id, part.position LIMIT $4"#,
        filter.tag,
        TAGGED,
        filter.states,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The same order, in these states: the first of each, then the first of these.
async fn in_states(conn: &mut Conn, states: &[String], limit: i64) -> DbResult<Vec<Pick>> {
    sqlx::query_as!(
        Pick,
        "SELECT first.experiment_id, first.name, first.job_id
         FROM (SELECT DISTINCT UNNEST($1::text[])::job_state AS state) wanted
         CROSS JOIN LATERAL (
             SELECT j.experiment_id, j.name, j.id AS job_id, j.submitted_at, link.position
             FROM jobs j
             JOIN experiment_jobs link ON link.experiment_id = j.experiment_id AND link.name = j.name
             WHERE j.state = wanted.state AND NOT j.hidden ORDER BY j.submitted_at DESC, j.experiment_id, link.position LIMIT $2
         ) first
         ORDER BY first.submitted_at DESC, first.experiment_id, first.position LIMIT $2",
        states,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Ended jobs with something to show, latest end first; those with a figure of the name `without` are left out.
async fn ended(conn: &mut Conn, stages: &[String], without: Option<&str>, limit: i64) -> DbResult<Vec<Pick>> {
    sqlx::query_as!(
        Pick,
        "SELECT first.experiment_id, first.name, first.job_id
         FROM UNNEST($1::text[]) AS wanted (stage)
         CROSS JOIN LATERAL (
             SELECT j.experiment_id, j.name, j.id AS job_id, j.finished_at, j.submitted_at, link.position
             FROM jobs j
             JOIN experiment_jobs link ON link.experiment_id = j.experiment_id AND link.name = j.name
             WHERE j.stage = wanted.stage AND NOT j.hidden AND j.reproduces IS NULL
               AND j.finished_at IS NOT NULL AND (j.state = 'succeeded' OR j.started_at IS NOT NULL)
               AND (j.state = 'succeeded' OR EXISTS (SELECT FROM results r WHERE r.job_id = j.id))
               AND NOT EXISTS (SELECT FROM results r WHERE r.job_id = j.id AND r.name = $2 AND r.value < 'NaN')
             ORDER BY j.finished_at DESC, j.submitted_at DESC, j.experiment_id, link.position LIMIT $3
         ) first
         ORDER BY first.finished_at DESC, first.submitted_at DESC, first.experiment_id, first.position LIMIT $3",
        stages,
        without,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The best figures first, then the jobs without.
async fn best(conn: &mut Conn, stages: &[String], figures: Figures<'_>, limit: i64) -> DbResult<Vec<Pick>> {
    // A figure that is no number is not the best one; Postgres holds NaN to be the largest.
    let mut picks = if figures.ascending {
        sqlx::query_as!(
            Pick,
            "SELECT first.experiment_id, first.name, first.job_id
             FROM UNNEST($1::text[]) AS wanted (stage)
             CROSS JOIN LATERAL (
                 SELECT r.value, j.experiment_id, j.name, j.id AS job_id, j.finished_at, j.submitted_at, link.position
                 FROM results r JOIN jobs j ON j.id = r.job_id
                 JOIN experiment_jobs link ON link.experiment_id = j.experiment_id AND link.name = j.name
                 WHERE r.stage = wanted.stage AND r.name = $2 AND r.value < 'NaN' AND j.finished_at IS NOT NULL AND NOT j.hidden
                   AND j.reproduces IS NULL
                 ORDER BY r.value, j.finished_at DESC, j.submitted_at DESC, j.experiment_id, link.position LIMIT $3
             ) first
             ORDER BY first.value, first.finished_at DESC, first.submitted_at DESC, first.experiment_id, first.position
             LIMIT $3",
            stages,
            figures.best,
            limit,
        )
        .fetch_all(&mut *conn)
        .await?
    } else {
        sqlx::query_as!(
            Pick,
            "SELECT first.experiment_id, first.name, first.job_id
             FROM UNNEST($1::text[]) AS wanted (stage)
             CROSS JOIN LATERAL (
                 SELECT r.value, j.experiment_id, j.name, j.id AS job_id, j.finished_at, j.submitted_at, link.position
                 FROM results r JOIN jobs j ON j.id = r.job_id
                 JOIN experiment_jobs link ON link.experiment_id = j.experiment_id AND link.name = j.name
                 WHERE r.stage = wanted.stage AND r.name = $2 AND r.value < 'NaN' AND j.finished_at IS NOT NULL AND NOT j.hidden
                   AND j.reproduces IS NULL
                 ORDER BY r.value DESC, j.finished_at DESC, j.submitted_at DESC, j.experiment_id, link.position LIMIT $3
             ) first
             ORDER BY first.value DESC, first.finished_at DESC, first.submitted_at DESC, first.experiment_id,
                      first.position
             LIMIT $3",
            stages,
            figures.best,
            limit,
        )
        .fetch_all(&mut *conn)
        .await?
    };
    // Fewer than the limit have the figure, so the walk past them is as short.
    let missing = limit.saturating_sub(i64::try_from(picks.len()).unwrap_or(i64::MAX));
    if missing > 0 {
        picks.extend(ended(conn, stages, Some(figures.best), missing).await?);
    }
    Ok(picks)
}

/// Of an experiment's jobs or of `jobs`: few enough to be read and sorted as a whole.
async fn among(
    conn: &mut Conn,
    experiment: Option<Uuid>,
    jobs: &[Uuid],
    filter: &Filter<'_>,
    limit: i64,
) -> DbResult<Vec<Pick>> {
    let Figures { stage, best, ascending } = filter.figures.unwrap_or_default();
    sqlx::query_as!(
        Pick,
        r#"SELECT link.experiment_id AS "experiment_id!", link.name AS "name!", link.job_id AS "job_id!"
           FROM (
               SELECT experiment_id, name, job_id, position FROM experiment_jobs WHERE experiment_id = $1
               UNION ALL
               SELECT own.experiment_id, own.name, own.job_id, own.position
               FROM jobs j JOIN experiment_jobs own ON own.experiment_id = j.experiment_id AND own.name = j.name
               WHERE j.id = ANY($2)
           ) link
           JOIN experiments e ON e.id = link.experiment_id
           JOIN jobs j ON j.id = link.job_id
           LEFT JOIN results best ON best.job_id = j.id AND best.name = $6 AND best.value < 'NaN'
           WHERE (cardinality($3::text[]) = 0 OR j.state = ANY($3::text[]::job_state[]))
             AND (NOT $4 OR (j.finished_at IS NOT NULL AND (
                 j.state = 'succeeded' OR EXISTS (SELECT FROM results r WHERE r.job_id = j.id))))
             AND ($5 = '' OR j.stage = $5)
           ORDER BY CASE WHEN NOT $7 THEN best.value END DESC NULLS LAST,
                    CASE WHEN $7 THEN best.value END NULLS LAST,
                    CASE WHEN $4 THEN j.finished_at END DESC NULLS LAST,
                    e.created_at DESC, e.id, link.position
           LIMIT $8"#,
        experiment,
        jobs,
        filter.states,
        filter.figures.is_some(),
        stage,
        best,
        ascending,
        limit,
    )
    .fetch_all(conn)
    .await
}
