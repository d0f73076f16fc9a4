//! Jobs as people see them: with experiment, progress, newest metrics and results.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    Conn, DbResult, column,
    picks::{Filter, Pick, pick},
    times,
};

/// Everything that a list or a detail view shows of one job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JobRow {
    pub(crate) id: Uuid,
    pub(crate) experiment_id: Uuid,
    pub(crate) experiment_name: String,
    pub(crate) owner: String,
    /// Its name in the experiment that it is shown in.
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) spec_json: String,
    pub(crate) content_key: String,
    pub(crate) workers_min: i32,
    pub(crate) workers_max: i32,
    pub(crate) shards: i32,
    pub(crate) priority: i32,
    pub(crate) attempts: i32,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    /// `None` until a rank has reported.
    pub(crate) phase: Option<String>,
    pub(crate) step: Option<i64>,
    pub(crate) steps: Option<i64>,
    pub(crate) epoch: Option<i32>,
    pub(crate) epochs: Option<i32>,
    pub(crate) images_per_second: Option<f64>,
    pub(crate) seconds_left: Option<f64>,
    /// The longest that it may train, and how long it has, in seconds; only of those that have not ended.
    pub(crate) longest: Option<f64>,
    pub(crate) trained: Option<f64>,
    /// The policy says so, and nobody who wants it.
    pub(crate) is_longest_by_policy: bool,
    /// Newest value of each curve, by name.
    pub(crate) metric_names: Vec<String>,
    pub(crate) metric_values: Vec<f64>,
    pub(crate) result_names: Vec<String>,
    pub(crate) result_values: Vec<f64>,
    pub(crate) depends_on: Vec<Uuid>,
    /// Its own, and those of the experiment that it is shown in.
    pub(crate) tags: Vec<String>,
    pub(crate) note_text: Option<String>,
    pub(crate) note_who: Option<String>,
    pub(crate) note_at: Option<DateTime<Utc>>,
}

/// The jobs that the filter picks, in its order.
pub(crate) async fn list(conn: &mut Conn, filter: &Filter<'_>) -> DbResult<Vec<JobRow>> {
    let mut tx = conn.begin().await?;
    // A plan made once for every limit would be one for a tenth of the history.
    sqlx::query_scalar!("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)").fetch_one(&mut *tx).await?;
    let picks = pick(&mut tx, filter).await?;
    let mut rows = if picks.is_empty() { Vec::new() } else { details(&mut tx, &picks, filter.states).await? };
    let live: Vec<Uuid> = rows.iter().filter(|row| row.finished_at.is_none()).map(|row| row.id).collect();
    let times = times::now(&mut tx, &live).await?;
    for row in &mut rows {
        let Some((time, longest)) = times.get(&row.id).and_then(|time| Some((time, time.longest?))) else { continue };
        (row.longest, row.trained) = (Some(longest.as_secs_f64()), Some(time.trained.as_secs_f64()));
        row.is_longest_by_policy = time.asked != Some(longest);
        row.seconds_left = time.ends_by(row.seconds_left);
    }
    tx.commit().await?;
    Ok(rows)
}

/// What is shown of these, in their order; not of those that have left `states` since they were picked.
async fn details(conn: &mut Conn, picks: &[Pick], states: &[String]) -> DbResult<Vec<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"SELECT j.id, e.id AS experiment_id, e.name AS experiment_name, e.owner, picked.name AS "name!", j.stage,
                  j.state::text AS "state!", j.reason, j.spec::text AS "spec_json!", j.content_key,
                  j.workers_min, j.workers_max, j.shards, j.priority, j.created_at, j.started_at, j.finished_at,
                  (SELECT count(*) FROM attempts a WHERE a.job_id = j.id)::integer AS "attempts!",
                  p.phase AS "phase?", p.step AS "step?", p.steps AS "steps?", p.epoch AS "epoch?",
                  p.epochs AS "epochs?", p.images_per_second AS "images_per_second?",
                  p.seconds_left AS "seconds_left?", NULL::float8 AS longest, NULL::float8 AS trained,
                  false AS "is_longest_by_policy!",
                  newest.names AS "metric_names!", newest.values AS "metric_values!",
                  final.names AS "result_names!", final.values AS "result_values!",
                  ARRAY(SELECT d.depends_on FROM job_dependencies d WHERE d.job_id = j.id ORDER BY d.position)
                      AS "depends_on!",
                  ARRAY(SELECT DISTINCT t.word FROM tags t WHERE t.target IN (j.id, e.id) ORDER BY t.word) AS "tags!",
                  note.text AS "note_text?", note.who AS "note_who?", note.at AS "note_at?"
           FROM UNNEST($1::uuid[], $2::text[], $3::uuid[]) WITH ORDINALITY
               AS picked (experiment_id, name, job_id, place)
           JOIN experiments e ON e.id = picked.experiment_id
           JOIN jobs j ON j.id = picked.job_id
           LEFT JOIN progress p ON p.job_id = j.id
           LEFT JOIN notes note ON note.target = j.id
           CROSS JOIN LATERAL (
               SELECT COALESCE(array_agg(m.name ORDER BY m.name), '{}') AS names,
                      COALESCE(array_agg(m.value ORDER BY m.name), '{}') AS values
               FROM newest_metrics(j.id) m
           ) newest
           CROSS JOIN LATERAL (
               SELECT COALESCE(array_agg(r.name ORDER BY r.name), '{}') AS names,
                      COALESCE(array_agg(r.value ORDER BY r.name), '{}') AS values
               FROM results r WHERE r.job_id = j.id
           ) final
           WHERE cardinality($4::text[]) = 0 OR j.state = ANY($4::text[]::job_state[])
           ORDER BY picked.place"#,
        &column(picks, |pick| pick.experiment_id),
        &column(picks, |pick| pick.name.as_str()) as &[&str],
        &column(picks, |pick| pick.job_id),
        states,
    )
    .fetch_all(conn)
    .await
}
