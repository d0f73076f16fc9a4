//! Points of a curve in arrays, up to a thousand in a row: a tenth of the space, and of the time to read them, of a row for each.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, column, rows::Statement};

/// Points of a chunk, at most.
pub(super) const CHUNK: usize = 1000;

/// A point of a curve as it was reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) step: i64,
    pub(super) value: f64,
    pub(super) fence: i64,
    pub(super) at: DateTime<Utc>,
}

/// A row: points of one attempt, in order of their steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chunk {
    pub(super) job: Uuid,
    pub(super) name: String,
    pub(super) fence: i64,
    pub(super) first_step: i64,
    /// From each step to the next, where that is always the same.
    pub(super) stride: Option<i64>,
    /// Of each step, from the first.
    pub(super) offsets: Vec<i32>,
    pub(super) values: Vec<f64>,
    pub(super) first_at: DateTime<Utc>,
    pub(super) last_at: DateTime<Utc>,
}

/// Cuts points, in order of their steps and each step once, into chunks.
pub(super) fn cut(job: Uuid, name: &str, points: &[Measured]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut rest = points;
    while let Some(first) = rest.first() {
        let offsets: Vec<i32> = (rest.iter().take(CHUNK).take_while(|point| point.fence == first.fence))
            .map_while(|point| i32::try_from(point.step - first.step).ok())
            .collect();
        let (own, others) = rest.split_at(offsets.len());
        rest = others;
        let stride = i64::from(offsets.get(1).copied().unwrap_or(1));
        let is_regular = offsets.windows(2).all(|pair| i64::from(pair[1]) - i64::from(pair[0]) == stride);
        chunks.push(Chunk {
            job,
            name: name.to_owned(),
            fence: first.fence,
            first_step: first.step,
            stride: is_regular.then_some(stride),
            values: own.iter().map(|point| point.value).collect(),
            first_at: first.at,
            last_at: own.last().map_or(first.at, |last| last.at),
            offsets,
        });
    }
    chunks
}

/// The steps of a chunk as it is stored.
pub(super) fn steps(first: i64, stride: Option<i64>, offsets: Option<&[i32]>, count: usize) -> Vec<i64> {
    match offsets {
        Some(offsets) => offsets.iter().map(|offset| first + i64::from(*offset)).collect(),
        None => (0..).take(count).map(|place: i64| first + place * stride.unwrap_or(1)).collect(),
    }
}

/// Stores chunks. One that begins at a step at which another does is left out: what is stored stays.
pub(super) async fn put(conn: &mut Conn, chunks: &[Chunk]) -> DbResult<()> {
    if chunks.is_empty() {
        return Ok(());
    }
    let (mut from, mut to, mut end) = (Vec::new(), Vec::new(), 0);
    for chunk in chunks {
        from.push(end + 1);
        end += i32::try_from(chunk.values.len()).unwrap_or(0);
        to.push(end);
    }
    let offsets: Vec<i32> = chunks.iter().flat_map(|chunk| chunk.offsets.iter().copied()).collect();
    let values: Vec<f64> = chunks.iter().flat_map(|chunk| chunk.values.iter().copied()).collect();
    sqlx::query!(
        r#"INSERT INTO metric_chunks (job_id, name, fence, first_step, last_step, points, stride, offsets, values, first_at, last_at)
           SELECT job_id, name, fence, first_step, first_step + ($10::integer[])[upto], upto - since + 1, stride,
                  CASE WHEN stride IS NULL THEN ($10::integer[])[since:upto] END, ($11::float8[])[since:upto], first_at, last_at
           FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[], $7::integer[],
                       $8::timestamptz[], $9::timestamptz[])
               AS made (job_id, name, fence, first_step, stride, since, upto, first_at, last_at)
           ON CONFLICT (job_id, name, first_step) DO NOTHING"#,
        &column(chunks, |chunk| chunk.job),
        &column(chunks, |chunk| chunk.name.as_str()) as &[&str],
        &column(chunks, |chunk| chunk.fence),
        &column(chunks, |chunk| chunk.first_step),
        &column(chunks, |chunk| chunk.stride) as &[Option<i64>],
        &from,
        &to,
        &column(chunks, |chunk| chunk.first_at),
        &column(chunks, |chunk| chunk.last_at),
        &offsets,
        &values,
    )
    .run_any(conn)
    .await
}

/// Makes chunks of points of a curve that are in none, the first ones, `limit` at most. Its caller is the only one who writes points of
/// this job: by the lease of its attempt, or because it has ended and is locked.
pub(super) async fn fold(conn: &mut Conn, job: Uuid, name: &str, limit: i64) -> DbResult<()> {
    let taken = sqlx::query_as!(
        Measured,
        "DELETE FROM metrics WHERE job_id = $1 AND name = $2 AND step = ANY(ARRAY(
             SELECT step FROM metrics WHERE job_id = $1 AND name = $2 ORDER BY step LIMIT $3))
         RETURNING step, value, fence, at",
        job,
        name,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    store(conn, job, vec![(name.to_owned(), taken)]).await
}

/// [`fold`] for all curves of a job; returns whether none of its points is left out.
pub(crate) async fn fold_all(conn: &mut Conn, job: Uuid, limit: i64) -> DbResult<bool> {
    let taken = sqlx::query!(
        "DELETE FROM metrics WHERE ctid = ANY(ARRAY(
             SELECT ctid FROM metrics WHERE job_id = $1 ORDER BY name, step LIMIT $2))
         RETURNING name, step, value, fence, at",
        job,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    let is_all = (taken.len() as i64) < limit;
    let mut curves = BTreeMap::<String, Vec<Measured>>::new();
    for row in taken {
        let point = Measured { step: row.step, value: row.value, fence: row.fence, at: row.at };
        curves.entry(row.name).or_default().push(point);
    }
    store(conn, job, curves.into_iter().collect()).await?;
    Ok(is_all)
}

async fn store(conn: &mut Conn, job: Uuid, curves: Vec<(String, Vec<Measured>)>) -> DbResult<()> {
    let (mut chunks, mut names, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (name, mut points) in curves {
        points.sort_by_key(|point| point.step);
        counts.push(i32::try_from(points.len()).unwrap_or(i32::MAX));
        leave_out_stored(&mut *conn, job, &name, &mut points).await?;
        chunks.extend(cut(job, &name, &points));
        names.push(name);
    }
    put(&mut *conn, &chunks).await?;
    sqlx::query!(
        "UPDATE curves SET loose = GREATEST(loose - folded.count, 0)
         FROM UNNEST($2::text[], $3::integer[]) AS folded (name, count) WHERE job_id = $1 AND curves.name = folded.name",
        job,
        &names,
        &counts,
    )
    .run_any(conn)
    .await
}

/// A coordinator of an earlier version, which knows no chunks, may have stored a step once more.
async fn leave_out_stored(conn: &mut Conn, job: Uuid, name: &str, points: &mut Vec<Measured>) -> DbResult<()> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
    let stored = sqlx::query_scalar!(
        r#"SELECT p.step AS "step!" FROM metric_chunks c CROSS JOIN LATERAL chunk_points(c) p
           WHERE c.job_id = $1 AND c.name = $2 AND c.first_step <= $4 AND c.last_step >= $3"#,
        job,
        name,
        first.step,
        last.step,
    )
    .fetch_all(conn)
    .await?;
    let stored: HashSet<i64> = stored.into_iter().collect();
    points.retain(|point| !stored.contains(&point.step));
    Ok(())
}

/// Takes all points of a curve away but those of these steps, in order; returns how many went. Not those that are in no chunk.
pub(crate) async fn thin(conn: &mut Conn, job: Uuid, name: &str, kept: &[i64]) -> DbResult<u64> {
    let points = sqlx::query_as!(
        Measured,
        r#"SELECT p.step AS "step!", p.value AS "value!", c.fence,
                  c.first_at + (c.last_at - c.first_at) * ((p.place - 1)::float8 / GREATEST(c.points - 1, 1)) AS "at!"
           FROM metric_chunks c CROSS JOIN LATERAL chunk_points(c) p
           WHERE c.job_id = $1 AND c.name = $2 AND p.step = ANY($3) ORDER BY p.step"#,
        job,
        name,
        kept,
    )
    .fetch_all(&mut *conn)
    .await?;
    let gone = sqlx::query_scalar!(
        r#"WITH gone AS (DELETE FROM metric_chunks WHERE job_id = $1 AND name = $2 RETURNING points)
           SELECT COALESCE(sum(points), 0)::bigint AS "count!" FROM gone"#,
        job,
        name,
    )
    .fetch_one(&mut *conn)
    .await?;
    put(&mut *conn, &cut(job, name, &points)).await?;
    let dropped = gone - points.len() as i64;
    sqlx::query!("UPDATE curves SET points = points - $3 WHERE job_id = $1 AND name = $2", job, name, dropped)
        .run_any(conn)
        .await?;
    Ok(super::unsigned(dropped))
}

/// Jobs that have ended with points in no chunk, those that wait longest first.
pub(crate) async fn due(conn: &mut Conn, limit: i64) -> DbResult<Vec<Uuid>> {
    sqlx::query_scalar!("SELECT job_id FROM folds ORDER BY due_at, job_id LIMIT $1", limit).fetch_all(conn).await
}

/// A job has ended.
pub(super) async fn set_due(conn: &mut Conn, job: Uuid) -> DbResult<()> {
    sqlx::query!(
        "INSERT INTO folds (job_id) SELECT $1 WHERE EXISTS (SELECT FROM metrics WHERE job_id = $1) ON CONFLICT (job_id) DO NOTHING",
        job
    )
    .run_any(conn)
    .await
}

/// Nothing is left to fold of them.
pub(crate) async fn set_folded(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<()> {
    sqlx::query!("DELETE FROM folds WHERE job_id = ANY($1)", jobs).run_any(conn).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(steps: impl IntoIterator<Item = (i64, i64)>) -> Vec<Measured> {
        let point = |(step, fence)| Measured { step, value: step as f64, fence, at: DateTime::UNIX_EPOCH };
        steps.into_iter().map(point).collect()
    }

    fn all_steps(chunks: &[Chunk]) -> Vec<i64> {
        let of = |chunk: &Chunk| {
            let stored = chunk.stride.is_none().then_some(chunk.offsets.as_slice());
            steps(chunk.first_step, chunk.stride, stored, chunk.values.len())
        };
        chunks.iter().flat_map(of).collect()
    }

    #[test]
    fn chunks_hold_the_points_of_one_attempt_each_and_all_of_them() {
        let measured = points((0..2500).map(|place| (place * 10, if place < 1200 { 3 } else { 7 })));
        let chunks = cut(Uuid::nil(), "loss", &measured);
        let shape = |chunk: &Chunk| (chunk.fence, chunk.first_step, chunk.stride, chunk.values.len());
        assert_eq!(
            chunks.iter().map(shape).collect::<Vec<_>>(),
            [
                (3, 0, Some(10), 1000),
                (3, 10_000, Some(10), 200),
                (7, 12_000, Some(10), 1000),
                (7, 22_000, Some(10), 300)
            ]
        );
        assert_eq!(all_steps(&chunks), measured.iter().map(|point| point.step).collect::<Vec<_>>());
        assert!(cut(Uuid::nil(), "loss", &[]).is_empty());
    }

    #[test]
    fn steps_that_are_not_even_or_far_apart_are_kept() {
        let far = i64::from(i32::MAX) + 8;
        let uneven = [(3, 1), (4, 1), (9, 1), (far, 1), (far * 2, 1)];
        let chunks = cut(Uuid::nil(), "loss", &points(uneven));
        assert_eq!(all_steps(&chunks), uneven.map(|(step, _)| step));
        assert_eq!(chunks.iter().map(|chunk| chunk.stride).collect::<Vec<_>>(), [None, Some(1), Some(1)]);
    }
}
