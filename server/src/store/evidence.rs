//! Evidence about lost attempts: what their ranks said, and what became of the jobs on other workers.

use std::collections::HashMap;

use tandem_domain::{
    blame::{Evidence, LostRank},
    quarantine::{Elsewhere, Loss},
    state::RankOutcome,
    timing,
};
use uuid::Uuid;

use super::{Conn, DbResult, parse};

/// The most lost ranks that are read of one job: more than the attempts that it has before it is given up.
const RANKS_MAX: i64 = 200;

/// The ranks of these jobs' lost attempts since their last checkpoints, and those lost lately; by attempt.
pub(crate) async fn lost_ranks(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<HashMap<Uuid, Vec<LostRank>>> {
    let rows = sqlx::query!(
        r#"SELECT lost.* FROM UNNEST($1::uuid[]) AS wanted (job_id)
           CROSS JOIN LATERAL (
               SELECT a.job_id AS "job_id!", a.id AS "attempt!", a.fence AS "fence!", l.rank AS "rank!",
                      l.released_at AS "at!", l.outcome::text AS "outcome!", l.cause AS "cause!",
                      w.id AS "worker!", w.name AS "worker_name!", w.host AS "host!", l.device AS "device!",
                      EXISTS (SELECT FROM leases good JOIN attempts other ON other.id = good.attempt_id
                              WHERE good.device = l.device AND good.outcome = 'succeeded'
                                AND good.released_at > l.released_at - make_interval(secs => $3)
                                AND other.job_id <> a.job_id) AS "others_go_well!",
                      a.fence <= COALESCE((SELECT max(c.fence) FROM checkpoints c WHERE c.job_id = a.job_id), 0)
                          AS "is_recovered!"
               FROM attempts a JOIN leases l ON l.attempt_id = a.id JOIN workers w ON w.id = l.worker_id
               WHERE a.job_id = wanted.job_id AND a.state = 'lost'
                 AND a.fence > (SELECT j.forgiven_fence FROM jobs j WHERE j.id = wanted.job_id)
                 AND l.outcome IN ('lost', 'unknown', 'input_missing', 'peer_lost')
                 AND (l.released_at > clock_timestamp() - make_interval(secs => $2)
                      OR a.fence > COALESCE((SELECT max(c.fence) FROM checkpoints c WHERE c.job_id = a.job_id), 0))
               ORDER BY a.fence DESC, l.rank LIMIT $4
           ) AS lost
           ORDER BY "job_id!", "fence!", "rank!""#,
        jobs,
        timing::AVOID.as_secs_f64(),
        timing::EVIDENCE.as_secs_f64(),
        RANKS_MAX,
    )
    .fetch_all(conn)
    .await?;
    let mut by_job: HashMap<Uuid, Vec<LostRank>> = HashMap::new();
    for row in rows {
        by_job.entry(row.job_id).or_default().push(LostRank {
            attempt: row.attempt,
            at: row.at,
            outcome: parse(&row.outcome)?,
            cause: row.cause,
            worker: row.worker,
            worker_name: row.worker_name,
            host: row.host,
            device: row.device,
            others_go_well: row.others_go_well,
            is_recovered: row.is_recovered,
        });
    }
    Ok(by_job)
}

/// What is known of a job whose attempt was just lost.
pub(crate) async fn of_job(conn: &mut Conn, job: Uuid) -> DbResult<Evidence> {
    let ranks = lost_ranks(conn, &[job]).await?.remove(&job).unwrap_or_default();
    let usable = sqlx::query_scalar!(
        "SELECT id FROM workers WHERE state = 'ready' AND session_id IS NOT NULL
             AND COALESCE(quarantined_until <= clock_timestamp(), true)"
    )
    .fetch_all(&mut *conn)
    .await?;
    let said_missing =
        |worker: &Uuid| ranks.iter().any(|rank| rank.worker == *worker && rank.outcome == RankOutcome::InputMissing);
    let workers_not_asked = usable.iter().filter(|worker| !said_missing(worker)).count();
    let is_proof = sqlx::query_scalar!(r#"SELECT reproduces IS NOT NULL AS "is_proof!" FROM jobs WHERE id = $1"#, job)
        .fetch_one(conn)
        .await?;
    Ok(Evidence { ranks, workers_not_asked, is_proof })
}

/// Ranks that were lost on a worker or ended there for an unknown reason, since one last succeeded there or somebody
/// released it; newest first, with what became of their jobs elsewhere.
pub(crate) async fn losses(conn: &mut Conn, worker: Uuid) -> DbResult<Vec<Loss>> {
    let rows = sqlx::query!(
        r#"SELECT j.id AS job, j.name AS job_name, l.released_at AS "at!", l.outcome::text AS "outcome!", l.cause,
                  EXISTS (SELECT FROM attempts later
                          WHERE later.job_id = a.job_id AND later.fence > a.fence
                            AND (later.state = 'succeeded' OR EXISTS (
                                SELECT FROM checkpoints c WHERE c.job_id = a.job_id AND c.fence = later.fence))
                            AND NOT EXISTS (SELECT FROM leases own
                                            WHERE own.attempt_id = later.id AND own.worker_id = $1)) AS "went_well!",
                  EXISTS (SELECT FROM attempts other JOIN leases theirs ON theirs.attempt_id = other.id
                          WHERE other.job_id = a.job_id AND other.id <> a.id AND theirs.worker_id <> $1
                            AND theirs.outcome IN ('lost', 'unknown')
                            AND theirs.released_at BETWEEN l.released_at - interval '1 hour'
                                                       AND l.released_at + interval '1 hour') AS "lost_too!"
           FROM leases l JOIN attempts a ON a.id = l.attempt_id JOIN jobs j ON j.id = a.job_id
           WHERE l.worker_id = $1 AND l.outcome IN ('lost', 'unknown') AND l.released_at > GREATEST(
               (SELECT max(good.released_at) FROM leases good
                WHERE good.worker_id = $1 AND good.outcome = 'succeeded'),
               (SELECT w.released_at FROM workers w WHERE w.id = $1), '-infinity')
           ORDER BY l.released_at DESC LIMIT 20"#,
        worker
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let elsewhere = match (row.went_well, row.lost_too) {
                (true, _) => Elsewhere::WentWell,
                (false, true) => Elsewhere::LostToo,
                (false, false) => Elsewhere::Untried,
            };
            Ok(Loss {
                job: row.job,
                job_name: row.job_name,
                at: row.at,
                outcome: parse(&row.outcome)?,
                cause: row.cause,
                elsewhere,
            })
        })
        .collect()
}

/// Workers, by id and name, on which a job was lost or ended for an unknown reason before it succeeded.
pub(crate) async fn suspects(conn: &mut Conn, job: Uuid) -> DbResult<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        "SELECT DISTINCT w.id, w.name FROM attempts a
         JOIN leases l ON l.attempt_id = a.id JOIN workers w ON w.id = l.worker_id
         WHERE a.job_id = $1 AND l.outcome IN ('lost', 'unknown') ORDER BY w.id",
        job
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}
