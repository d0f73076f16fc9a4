//! Jobs as people see them: with experiment, progress, newest metrics and results.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, targets::Target};

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
    /// Newest value of each curve, by name.
    pub(crate) metric_names: Vec<String>,
    pub(crate) metric_values: Vec<f64>,
    pub(crate) result_names: Vec<String>,
    pub(crate) result_values: Vec<f64>,
    pub(crate) depends_on: Vec<Uuid>,
}

/// Which jobs to list, and as part of which experiment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter<'a> {
    /// Only this job, or this experiment's jobs, named and ordered as it does; else all jobs.
    pub(crate) target: Option<Target>,
    /// Only these; empty means all.
    pub(crate) jobs: &'a [Uuid],
    /// Only in these states; empty means all.
    pub(crate) states: &'a [String],
    /// Only jobs that ended and succeeded or have a result.
    pub(crate) finished_only: bool,
    /// Only of this stage; empty means all.
    pub(crate) stage: &'a str,
    pub(crate) order: Order<'a>,
    pub(crate) limit: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Order<'a> {
    /// Newest experiment first, then by the graph.
    #[default]
    Experiment,
    /// Latest end first.
    Finished,
    /// By a result, jobs without it last.
    Result { name: &'a str, ascending: bool },
}

pub(crate) async fn list(conn: &mut Conn, filter: &Filter<'_>) -> DbResult<Vec<JobRow>> {
    let (experiment, job) = match filter.target {
        Some(Target::Experiment(id)) => (Some(id), None),
        Some(Target::Job(id)) => (None, Some(id)),
        None => (None, None),
    };
    let jobs: Vec<Uuid> = filter.jobs.iter().copied().chain(job).collect();
    let (best, ascending, by_end) = match filter.order {
        Order::Experiment => (None, false, false),
        Order::Finished => (None, false, true),
        Order::Result { name, ascending } => (Some(name), ascending, true),
    };
    sqlx::query_as!(
        JobRow,
        r#"WITH picked AS MATERIALIZED (
               SELECT link.experiment_id, link.name, j.id AS job_id, row_number() OVER (ORDER BY
                   -- A figure that is no number is not the best one; Postgres holds NaN to be the largest.
                   CASE WHEN NOT $7 THEN NULLIF(best.value, 'NaN') END DESC NULLS LAST,
                   CASE WHEN $7 THEN NULLIF(best.value, 'NaN') END ASC NULLS LAST,
                   CASE WHEN $8 THEN j.finished_at END DESC NULLS LAST,
                   e.created_at DESC, e.id, link.position) AS place
               FROM experiment_jobs link
               JOIN experiments e ON e.id = link.experiment_id
               JOIN jobs j ON j.id = link.job_id
               LEFT JOIN results best ON best.job_id = j.id AND best.name = $6
               WHERE (($1::uuid IS NULL AND link.experiment_id = j.experiment_id AND link.name = j.name)
                      OR link.experiment_id = $1)
                 AND (cardinality($2::uuid[]) = 0 OR j.id = ANY($2))
                 AND (cardinality($3::text[]) = 0 OR j.state::text = ANY($3))
                 AND (NOT $4 OR (j.finished_at IS NOT NULL AND (
                     j.state = 'succeeded' OR EXISTS (SELECT FROM results r WHERE r.job_id = j.id))))
                 AND ($5 = '' OR j.stage = $5)
               ORDER BY place LIMIT $9
           )
           SELECT j.id, e.id AS experiment_id, e.name AS experiment_name, e.owner, picked.name, j.stage,
                  j.state::text AS "state!", j.reason, j.spec::text AS "spec_json!", j.content_key,
                  j.workers_min, j.workers_max, j.shards, j.priority, j.created_at, j.started_at, j.finished_at,
                  (SELECT count(*) FROM attempts a WHERE a.job_id = j.id)::integer AS "attempts!",
                  p.phase AS "phase?", p.step AS "step?", p.steps AS "steps?", p.epoch AS "epoch?",
                  p.epochs AS "epochs?", p.images_per_second AS "images_per_second?",
                  p.seconds_left AS "seconds_left?",
                  newest.names AS "metric_names!", newest.values AS "metric_values!",
                  final.names AS "result_names!", final.values AS "result_values!",
                  ARRAY(SELECT d.depends_on FROM job_dependencies d WHERE d.job_id = j.id ORDER BY d.position)
                      AS "depends_on!"
           FROM picked
           JOIN experiments e ON e.id = picked.experiment_id
           JOIN jobs j ON j.id = picked.job_id
           LEFT JOIN progress p ON p.job_id = j.id
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
           ORDER BY picked.place"#,
        experiment,
        &jobs,
        filter.states,
        filter.finished_only,
        filter.stage,
        best,
        ascending,
        by_end,
        i64::from(filter.limit),
    )
    .fetch_all(conn)
    .await
}
