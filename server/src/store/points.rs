//! The points of curves: in chunks what is long, one by one what has just come; and what each curve comes to.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Conn, DbResult,
    chunks::{self, CHUNK, Measured},
    column, integer,
    rows::Statement,
};

/// As many points of a curve that come at once are a chunk.
const RUN: usize = 128;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) step: i64,
    pub(crate) value: f64,
    pub(crate) at: DateTime<Utc>,
}

/// What points of a curve come to.
#[derive(Clone, Debug, PartialEq)]
struct Sums {
    points: i64,
    first_step: i64,
    last_step: i64,
    last: f64,
    /// Of those that are numbers.
    smallest: Option<f64>,
    largest: Option<f64>,
}

/// By job and name, in one order: transactions that change the same rows cannot deadlock.
type Curves = BTreeMap<(Uuid, String), Vec<Measured>>;

/// Stores points with their jobs and fences, and what they make of their curves. A step that is stored already stays: it was
/// computed from the same state.
pub(crate) async fn insert(conn: &mut Conn, points: &[(Uuid, i64, Point)]) -> DbResult<()> {
    let mut new = Curves::new();
    for (job, fence, point) in points {
        let measured = Measured { step: point.step, value: point.value, fence: *fence, at: point.at };
        new.entry((*job, point.name.clone())).or_default().push(measured);
    }
    for points in new.values_mut() {
        points.sort_by_key(|point| point.step);
        points.dedup_by_key(|point| point.step);
    }
    let last = last_steps(&mut *conn, &new).await?;
    leave_out_stored(&mut *conn, &mut new, &last).await?;
    if new.is_empty() {
        return Ok(());
    }
    let (runs, loose): (Vec<_>, Vec<_>) = new.iter().partition(|(_, points)| points.len() >= RUN);
    let made: Vec<_> = runs.iter().flat_map(|((job, name), points)| chunks::cut(*job, name, points)).collect();
    chunks::put(&mut *conn, &made).await?;
    put_loose(&mut *conn, &loose).await?;

    let (known, unknown): (Vec<_>, Vec<_>) = new.iter().partition(|(curve, _)| last.contains_key(*curve));
    let unknown: Vec<&(Uuid, String)> = unknown.into_iter().map(|(curve, _)| curve).collect();
    sum_up(&mut *conn, &unknown).await?;
    for (job, name) in add_up(&mut *conn, &known).await? {
        chunks::fold(&mut *conn, job, &name, CHUNK as i64).await?;
    }
    Ok(())
}

/// The last stored step of each of these curves that has a row.
async fn last_steps(conn: &mut Conn, curves: &Curves) -> DbResult<HashMap<(Uuid, String), i64>> {
    if curves.is_empty() {
        return Ok(HashMap::new());
    }
    let keys: Vec<_> = curves.keys().collect();
    let rows = sqlx::query!(
        "SELECT c.job_id, c.name, c.last_step FROM UNNEST($1::uuid[], $2::text[]) AS asked (job_id, name)
         JOIN curves c ON c.job_id = asked.job_id AND c.name = asked.name",
        &column(&keys, |(job, _)| *job),
        &column(&keys, |(_, name)| name.as_str()) as &[&str],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.job_id, row.name), row.last_step)).collect())
}

/// Leaves points out whose steps are stored. Only curves that do not go on behind their last step are looked at.
async fn leave_out_stored(conn: &mut Conn, new: &mut Curves, last: &HashMap<(Uuid, String), i64>) -> DbResult<()> {
    let spans: Vec<_> = (new.iter())
        .filter_map(|(curve, points)| Some((curve, points.first()?.step, points.last()?.step)))
        .filter(|(curve, first, _)| last.get(*curve).is_none_or(|last| first <= last))
        .collect();
    if spans.is_empty() {
        return Ok(());
    }
    let stored = sqlx::query!(
        r#"SELECT asked.job_id AS "job!", asked.name AS "name!", stored.step AS "step!"
           FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS asked (job_id, name, first, last)
           CROSS JOIN LATERAL (
               SELECT m.step FROM metrics m
               WHERE m.job_id = asked.job_id AND m.name = asked.name AND m.step BETWEEN asked.first AND asked.last
               UNION ALL
               SELECT p.step FROM metric_chunks c CROSS JOIN LATERAL chunk_points(c) p
               WHERE c.job_id = asked.job_id AND c.name = asked.name AND c.first_step <= asked.last AND c.last_step >= asked.first
           ) stored"#,
        &column(&spans, |((job, _), ..)| *job),
        &column(&spans, |((_, name), ..)| name.as_str()) as &[&str],
        &column(&spans, |(_, first, _)| *first),
        &column(&spans, |(.., last)| *last),
    )
    .fetch_all(conn)
    .await?;
    let mut steps: HashMap<(Uuid, String), Vec<i64>> = HashMap::new();
    for row in stored {
        steps.entry((row.job, row.name)).or_default().push(row.step);
    }
    for (curve, mut steps) in steps {
        steps.sort_unstable();
        if let Some(points) = new.get_mut(&curve) {
            points.retain(|point| steps.binary_search(&point.step).is_err());
        }
    }
    new.retain(|_, points| !points.is_empty());
    Ok(())
}

async fn put_loose(conn: &mut Conn, curves: &[(&(Uuid, String), &Vec<Measured>)]) -> DbResult<()> {
    let points: Vec<(Uuid, &str, &Measured)> = (curves.iter())
        .flat_map(|((job, name), points)| points.iter().map(|point| (*job, name.as_str(), point)))
        .collect();
    if points.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO metrics (job_id, name, step, value, fence, at)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::float8[], $5::bigint[], $6::timestamptz[])
         ON CONFLICT (job_id, name, step) DO NOTHING",
        &column(&points, |(job, ..)| *job),
        &column(&points, |(_, name, _)| *name) as &[&str],
        &column(&points, |(.., point)| point.step),
        &column(&points, |(.., point)| point.value),
        &column(&points, |(.., point)| point.fence),
        &column(&points, |(.., point)| point.at),
    )
    .run_any(conn)
    .await
}

/// Makes the rows of curves that have none, of all that is stored of them: by earlier versions, too.
pub(super) async fn sum_up(conn: &mut Conn, curves: &[&(Uuid, String)]) -> DbResult<()> {
    if curves.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"INSERT INTO curves (job_id, name, points, first_step, last_step, last, smallest, largest, loose)
           SELECT asked.job_id, asked.name, sums.* FROM UNNEST($1::uuid[], $2::text[]) AS asked (job_id, name)
           CROSS JOIN LATERAL (
               SELECT count(*), min(p.step), max(p.step), (array_agg(p.value ORDER BY p.step DESC))[1],
                      min(p.value) FILTER (WHERE p.value > '-Infinity' AND p.value < 'Infinity'),
                      max(p.value) FILTER (WHERE p.value > '-Infinity' AND p.value < 'Infinity'),
                      count(*) FILTER (WHERE p.is_loose)
               FROM (
                   SELECT m.step, m.value, true AS is_loose FROM metrics m WHERE m.job_id = asked.job_id AND m.name = asked.name
                   UNION ALL
                   SELECT p.step, p.value, false FROM metric_chunks c CROSS JOIN LATERAL chunk_points(c) p
                   WHERE c.job_id = asked.job_id AND c.name = asked.name
               ) p
           ) sums
           ORDER BY asked.job_id, asked.name
           ON CONFLICT (job_id, name) DO NOTHING"#,
        &column(curves, |(job, _)| *job),
        &column(curves, |(_, name)| name.as_str()) as &[&str],
    )
    .run_any(conn)
    .await
}

/// Adds new points to the rows of their curves; returns those that have enough points for a chunk.
async fn add_up(conn: &mut Conn, curves: &[(&(Uuid, String), &Vec<Measured>)]) -> DbResult<Vec<(Uuid, String)>> {
    let added: Vec<(Uuid, &str, Sums)> =
        (curves.iter()).filter_map(|((job, name), points)| Some((*job, name.as_str(), Sums::of(points)?))).collect();
    if added.is_empty() {
        return Ok(Vec::new());
    }
    let loose = |sums: &Sums| if sums.points < RUN as i64 { i32::try_from(sums.points).unwrap_or(0) } else { 0 };
    let rows = sqlx::query!(
        "INSERT INTO curves (job_id, name, points, first_step, last_step, last, smallest, largest, loose)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::float8[], $7::float8[],
                              $8::float8[], $9::integer[])
         ON CONFLICT (job_id, name) DO UPDATE SET
             points = curves.points + excluded.points,
             first_step = LEAST(curves.first_step, excluded.first_step),
             last_step = GREATEST(curves.last_step, excluded.last_step),
             last = CASE WHEN excluded.last_step >= curves.last_step THEN excluded.last ELSE curves.last END,
             smallest = LEAST(curves.smallest, excluded.smallest),
             largest = GREATEST(curves.largest, excluded.largest),
             loose = curves.loose + excluded.loose
         RETURNING job_id, name, loose",
        &column(&added, |(job, ..)| *job),
        &column(&added, |(_, name, _)| *name) as &[&str],
        &column(&added, |(.., sums)| sums.points),
        &column(&added, |(.., sums)| sums.first_step),
        &column(&added, |(.., sums)| sums.last_step),
        &column(&added, |(.., sums)| sums.last),
        &column(&added, |(.., sums)| sums.smallest) as &[Option<f64>],
        &column(&added, |(.., sums)| sums.largest) as &[Option<f64>],
        &column(&added, |(.., sums)| loose(sums)),
    )
    .fetch_all(conn)
    .await?;
    let full = rows.into_iter().filter(|row| row.loose >= integer(CHUNK as u32));
    Ok(full.map(|row| (row.job_id, row.name)).collect())
}

impl Sums {
    /// Of points in order of their steps; `None` of none.
    fn of(points: &[Measured]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let finite = || points.iter().map(|point| point.value).filter(|value| value.is_finite());
        Some(Self {
            points: points.len() as i64,
            first_step: first.step,
            last_step: last.step,
            last: last.value,
            smallest: finite().reduce(f64::min),
            largest: finite().reduce(f64::max),
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) job: Uuid,
    pub(crate) name: String,
    pub(crate) steps: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// Curves of these jobs in their order, by name, in order of steps, from the step `from` on; of all names if `names` is empty.
pub(crate) async fn curves(conn: &mut Conn, jobs: &[Uuid], names: &[String], from: i64) -> DbResult<Vec<Curve>> {
    // The loose points first: those that are put into a chunk meanwhile are then seen twice, and not never.
    let loose = sqlx::query!(
        r#"SELECT job_id, name, array_agg(step ORDER BY step) AS "steps!", array_agg(value ORDER BY step) AS "values!"
           FROM metrics WHERE job_id = ANY($1) AND (cardinality($2::text[]) = 0 OR name = ANY($2)) AND step >= $3
           GROUP BY job_id, name"#,
        jobs,
        names,
        from,
    )
    .fetch_all(&mut *conn)
    .await?;
    let chunks = sqlx::query!(
        r#"SELECT job_id, name, first_step, stride, offsets, values FROM metric_chunks
           WHERE job_id = ANY($1) AND (cardinality($2::text[]) = 0 OR name = ANY($2)) AND last_step >= $3
           ORDER BY job_id, name, first_step"#,
        jobs,
        names,
        from,
    )
    .fetch_all(&mut *conn)
    .await?;
    // A curve that has no point from this step on is one all the same.
    let named = sqlx::query!(
        "SELECT job_id, name FROM curves
         WHERE job_id = ANY($1) AND (cardinality($2::text[]) = 0 OR name = ANY($2)) AND last_step < $3",
        jobs,
        names,
        from,
    )
    .fetch_all(conn)
    .await?;
    let places: HashMap<Uuid, usize> = jobs.iter().enumerate().rev().map(|(place, job)| (*job, place)).collect();
    let mut found = BTreeMap::<(Option<&usize>, String), Curve>::new();
    let mut append = |job: Uuid, name: String, steps: Vec<i64>, values: Vec<f64>| {
        let curve = found.entry((places.get(&job), name)).or_insert_with_key(|(_, name)| Curve {
            job,
            name: name.clone(),
            steps: Vec::new(),
            values: Vec::new(),
        });
        curve.steps.extend(steps);
        curve.values.extend(values);
    };
    for row in chunks {
        let mut steps = chunks::steps(row.first_step, row.stride, row.offsets.as_deref(), row.values.len());
        let mut values = row.values;
        let before = steps.partition_point(|step| *step < from);
        steps.drain(..before);
        values.drain(..before);
        append(row.job_id, row.name, steps, values);
    }
    for row in loose {
        append(row.job_id, row.name, row.steps, row.values);
    }
    for row in named {
        append(row.job_id, row.name, Vec::new(), Vec::new());
    }
    Ok(found.into_values().map(in_order).collect())
}

/// Chunks lie side by side but for points that came late.
fn in_order(mut curve: Curve) -> Curve {
    if !curve.steps.is_sorted_by(|before, after| before < after) {
        let mut points: Vec<(i64, f64)> = curve.steps.into_iter().zip(curve.values).collect();
        points.sort_by_key(|(step, _)| *step);
        points.dedup_by_key(|(step, _)| *step);
        (curve.steps, curve.values) = points.into_iter().unzip();
    }
    curve
}
