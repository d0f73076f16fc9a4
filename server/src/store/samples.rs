//! Looks at devices: all of the last hour, one figure for each minute of a month, and the newest in full.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tandem_domain::{
    device::{Process, Reading},
    timing::{MINUTES_KEPT, SAMPLE_ARRIVES, SAMPLES_KEPT},
};
use uuid::Uuid;

use super::{
    Conn, DbResult, column,
    rows::{RowsChanged, Statement},
    signed, unsigned,
};

/// One look, so long ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookRow {
    pub(crate) worker: Uuid,
    pub(crate) age: Duration,
    pub(crate) reading: Reading,
}

/// The newest look in full.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct Facts {
    pub(crate) reading: Reading,
    pub(crate) processes: Vec<Process>,
    /// Why there was no look; empty if there was one.
    pub(crate) late: String,
    /// What its driver says and cannot be; empty if there is nothing.
    pub(crate) doubt: String,
}

/// Stores looks, each once.
pub(crate) async fn insert(conn: &mut Conn, looks: &[LookRow]) -> DbResult<()> {
    let small = |of: fn(&Reading) -> Option<u32>| {
        column(looks, |look| of(&look.reading).and_then(|figure| i16::try_from(figure).ok()))
    };
    let large = |of: fn(&Reading) -> Option<u64>| column(looks, |look| of(&look.reading).map(signed));
    let throttle = column(looks, |look| look.reading.throttle.and_then(|bits| i16::try_from(bits).ok()));
    sqlx::query!(
        "INSERT INTO samples (worker_id, at, utilization, memory_used, temperature, power_watts, sm_clock, memory_clock,
                              throttle, pcie_received, pcie_sent, load)
         SELECT worker_id, clock_timestamp() - make_interval(secs => age), utilization, memory_used, temperature, power_watts,
                sm_clock, memory_clock, throttle, pcie_received, pcie_sent, load
         FROM UNNEST($1::uuid[], $2::float8[], $3::smallint[], $4::bigint[], $5::smallint[], $6::smallint[], $7::smallint[],
                     $8::smallint[], $9::smallint[], $10::bigint[], $11::bigint[], $12::real[])
             AS look (worker_id, age, utilization, memory_used, temperature, power_watts, sm_clock, memory_clock, throttle,
                      pcie_received, pcie_sent, load)
         ON CONFLICT DO NOTHING",
        &column(looks, |look| look.worker),
        &column(looks, |look| look.age.as_secs_f64()),
        &small(|reading| reading.utilization_percent) as &[Option<i16>],
        &large(|reading| reading.memory_used) as &[Option<i64>],
        &small(|reading| reading.temperature_celsius) as &[Option<i16>],
        &small(|reading| reading.power_watts) as &[Option<i16>],
        &small(|reading| reading.sm_clock_mhz) as &[Option<i16>],
        &small(|reading| reading.memory_clock_mhz) as &[Option<i16>],
        &throttle as &[Option<i16>],
        &large(|reading| reading.pcie_received_per_second) as &[Option<i64>],
        &large(|reading| reading.pcie_sent_per_second) as &[Option<i64>],
        &column(looks, |look| look.reading.load.map(|load| load as f32)) as &[Option<f32>],
    )
    .run_any(conn)
    .await
}

/// Overwrites what was known of these workers' devices; `Duration` is how long ago that was.
pub(crate) async fn put_facts(conn: &mut Conn, facts: &[(Uuid, Duration, Facts)]) -> DbResult<()> {
    let json = facts.iter().map(|(_, _, facts)| serde_json::to_value(facts));
    let json = json.collect::<Result<Vec<_>, _>>().map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        "INSERT INTO device_facts (worker_id, at, facts)
         SELECT worker_id, clock_timestamp() - make_interval(secs => age), facts
         FROM UNNEST($1::uuid[], $2::float8[], $3::jsonb[]) AS known (worker_id, age, facts)
         ON CONFLICT (worker_id) DO UPDATE SET at = excluded.at, facts = excluded.facts
             WHERE excluded.at > device_facts.at",
        &column(facts, |(worker, ..)| *worker),
        &column(facts, |(_, age, _)| age.as_secs_f64()),
        &json,
    )
    .run_any(conn)
    .await
}

/// What is known of those of these workers' devices that were looked at in the last hour.
pub(crate) async fn facts(conn: &mut Conn, workers: &[Uuid]) -> DbResult<Vec<(Uuid, DateTime<Utc>, Facts)>> {
    let rows = sqlx::query!(
        "SELECT worker_id, at, facts FROM device_facts
         WHERE worker_id = ANY($1) AND at > clock_timestamp() - make_interval(secs => $2)",
        workers,
        SAMPLES_KEPT.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    // What cannot be read was written by another version.
    let read = |facts| serde_json::from_value(facts).unwrap_or_default();
    Ok(rows.into_iter().map(|row| (row.worker_id, row.at, read(row.facts))).collect())
}

/// The figures of a worker from one moment to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) worker: Uuid,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

/// Some looks that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: DateTime<Utc>,
    pub(crate) utilization: Option<f64>,
    pub(crate) memory_used: Option<u64>,
    pub(crate) temperature: Option<i16>,
    pub(crate) power_watts: Option<f64>,
    pub(crate) sm_clock: Option<f64>,
    pub(crate) load: Option<f64>,
    pub(crate) throttled: bool,
}

/// The figures of each span, in its order: at most `points` of each, in the order of time.
pub(crate) async fn points(conn: &mut Conn, spans: &[Span], points: u32) -> DbResult<Vec<Vec<Point>>> {
    let numbers: Vec<i32> = (0..).take(spans.len()).collect();
    let rows = sqlx::query!(
        r#"SELECT span.number AS "number!", to_timestamp(EXTRACT(epoch FROM span.begins)::float8 + part.place * width.seconds) AS "at!",
                  part.utilization, part.memory_used, part.temperature, part.power_watts, part.sm_clock, part.load,
                  part.throttled AS "throttled!"
           FROM UNNEST($1::integer[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS span (number, worker_id, begins, ends)
           CROSS JOIN LATERAL (
               SELECT GREATEST(EXTRACT(epoch FROM span.ends - span.begins)::float8 / $5, 1) AS seconds) width
           -- Where points are minutes, those are enough; and there are none yet of what is not thinned.
           CROSS JOIN LATERAL (
               SELECT CASE WHEN width.seconds >= 60 THEN through
                           ELSE LEAST(through, clock_timestamp() - make_interval(secs => $6)) END AS at
               FROM samples_thinned) border
           CROSS JOIN LATERAL (
               SELECT LEAST(floor(EXTRACT(epoch FROM look.at - span.begins)::float8 / width.seconds), $5 - 1) AS place,
                      avg(look.utilization)::float8 AS utilization, max(look.memory_used) AS memory_used,
                      max(look.temperature) AS temperature, avg(look.power_watts)::float8 AS power_watts,
                      avg(look.sm_clock)::float8 AS sm_clock, avg(look.load)::float8 AS load,
                      bool_or(look.throttled) AS throttled
               FROM (SELECT at, utilization::real, memory_used, temperature, power_watts::real, sm_clock::real, load,
                            COALESCE(throttle & 200, 0) <> 0 AS throttled
                     FROM samples WHERE worker_id = span.worker_id AND at >= GREATEST(span.begins, border.at) AND at < span.ends
                     UNION ALL
                     SELECT minute, utilization, memory_used, temperature, power_watts, sm_clock, load, throttled
                     FROM samples_by_minute WHERE worker_id = span.worker_id AND minute >= span.begins
                         AND minute < LEAST(span.ends, border.at)) look
               GROUP BY 1) part
           ORDER BY span.number, part.place"#,
        &numbers,
        &column(spans, |span| span.worker),
        &column(spans, |span| span.from),
        &column(spans, |span| span.until),
        f64::from(points.max(1)),
        SAMPLES_KEPT.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    let mut of_spans = vec![Vec::new(); spans.len()];
    for row in rows {
        let Some(of_span) = usize::try_from(row.number).ok().and_then(|number| of_spans.get_mut(number)) else {
            continue;
        };
        of_span.push(Point {
            at: row.at,
            utilization: row.utilization,
            memory_used: row.memory_used.map(unsigned),
            temperature: row.temperature,
            power_watts: row.power_watts,
            sm_clock: row.sm_clock,
            load: row.load,
            throttled: row.throttled,
        });
    }
    Ok(of_spans)
}

/// The most that one step takes on: a leader that comes back after long thins in several.
const STEP_MINUTES: f64 = 10.0;
const STEP_ROWS: i64 = 20_000;

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thinned {
    /// Rows by minute that were made, and that there may be more at once.
    pub(crate) made: u64,
    pub(crate) is_behind: bool,
    pub(crate) dropped: u64,
}

/// Makes rows by minute of looks that have all come, and drops what is too old; some of it.
pub(crate) async fn thin(conn: &mut Conn) -> DbResult<Thinned> {
    let span = sqlx::query!(
        r#"SELECT known.begins AS "begins!", known.ends AS "ends!", known.ends < known.last AS "is_behind!"
           FROM (SELECT begins, LEAST(begins + make_interval(mins => $2::integer), last) AS ends, last
                 FROM (SELECT done.last, LEAST(done.last, date_trunc('minute', GREATEST(done.through,
                              COALESCE((SELECT min(at) FROM samples WHERE at >= done.through), done.last)))) AS begins
                       FROM (SELECT through, date_trunc('minute', clock_timestamp() - make_interval(secs => $1)) AS last
                             FROM samples_thinned FOR UPDATE) done) first) known"#,
        SAMPLE_ARRIVES.as_secs_f64(),
        STEP_MINUTES as i32,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(span) = span else { return Ok(Thinned::default()) };
    let made = sqlx::query!(
        "INSERT INTO samples_by_minute (worker_id, minute, looks, utilization, memory_used, temperature, power_watts, sm_clock,
                                        load, throttled)
         SELECT worker_id, date_trunc('minute', at), LEAST(count(*), 32767)::smallint, avg(utilization)::real, max(memory_used),
                max(temperature), avg(power_watts)::real, avg(sm_clock)::real, avg(load)::real,
                bool_or(COALESCE(throttle & 200, 0) <> 0)
         FROM samples WHERE at >= $1 AND at < $2 GROUP BY worker_id, date_trunc('minute', at)
         ON CONFLICT DO NOTHING",
        span.begins,
        span.ends,
    )
    .run(&mut *conn)
    .await
    .map(RowsChanged::count)?;
    sqlx::query!("UPDATE samples_thinned SET through = GREATEST(through, $1)", span.ends).run_any(&mut *conn).await?;
    let looks = sqlx::query!(
        "DELETE FROM samples WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM samples WHERE at < LEAST($1, clock_timestamp() - make_interval(secs => $2))
             ORDER BY at LIMIT $3))",
        span.ends,
        SAMPLES_KEPT.as_secs_f64(),
        STEP_ROWS,
    )
    .run(&mut *conn)
    .await
    .map(RowsChanged::count)?;
    let minutes = sqlx::query!(
        "DELETE FROM samples_by_minute WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM samples_by_minute WHERE minute < clock_timestamp() - make_interval(secs => $1)
             ORDER BY minute LIMIT $2))",
        MINUTES_KEPT.as_secs_f64(),
        STEP_ROWS,
    )
    .run(&mut *conn)
    .await
    .map(RowsChanged::count)?;
    sqlx::query!(
        "DELETE FROM device_facts WHERE at < clock_timestamp() - make_interval(secs => $1)",
        MINUTES_KEPT.as_secs_f64()
    )
    .run_any(&mut *conn)
    .await?;
    let is_full = [looks, minutes].iter().any(|dropped| i64::try_from(*dropped) == Ok(STEP_ROWS));
    Ok(Thinned { made, is_behind: span.is_behind || is_full, dropped: looks + minutes })
}
