//! Curves of jobs that ended long ago are thinned.

use tandem_domain::keeping::thin::extremes;
use uuid::Uuid;

use super::{
    checkpoints::verdicts,
    cursor::Cursor,
    round::{Cleaned, Round},
};
use crate::{
    error::Result,
    store::{audit, chunks, jobs, points, retention, retry, unsigned},
};

/// Jobs of a step.
const JOBS: i64 = 20;
/// Points that a step takes away, or a curve more: it goes on with the same job then.
const POINTS_OF_STEP: u64 = 100_000;
/// A point in a chunk, as measured; to say what goes in bytes.
const POINT_BYTES: u64 = 9;

pub(super) async fn step(round: &Round<'_>, after: (i32, Uuid)) -> Result<(Cleaned, Option<Cursor>)> {
    let rules = &round.house.retention;
    let Some(span) = rules.points_after else { return Ok(Default::default()) };
    let points = i32::try_from(rules.points).unwrap_or(i32::MAX);
    let (candidates, members) = {
        let mut conn = round.store.reader().await?;
        let candidates = retention::unthinned(&mut conn, points, after, JOBS).await?;
        let ids: Vec<Uuid> = candidates.iter().map(|(_, job)| *job).collect();
        (candidates, retention::members(&mut conn, &ids).await?)
    };
    let kept = verdicts(round, span, &members);
    let mut cleaned = Cleaned::default();
    let mut before = after;
    for (thinned_to, job) in &candidates {
        match kept.get(job) {
            Some(why) => cleaned.stays(*why),
            None => {
                let (dropped, whole) = thin(round, *job, points, POINTS_OF_STEP.saturating_sub(cleaned.items)).await?;
                cleaned.objects += u64::from(dropped > 0);
                cleaned.items += dropped;
                if !whole {
                    let next = Cursor::Points(before.0, before.1);
                    return finished(round, cleaned, Some(next)).await;
                }
            }
        }
        before = (*thinned_to, *job);
    }
    let is_last = (candidates.len() as i64) < JOBS;
    finished(round, cleaned, (!is_last).then_some(Cursor::Points(before.0, before.1))).await
}

async fn finished(round: &Round<'_>, mut cleaned: Cleaned, next: Option<Cursor>) -> Result<(Cleaned, Option<Cursor>)> {
    cleaned.bytes = cleaned.items * POINT_BYTES;
    if round.by.is_some() && cleaned.items > 0 {
        let object = format!("{} points of curves of {} jobs", cleaned.items, cleaned.objects);
        audit::append(&mut *round.store.reader().await?, &round.entry(object)).await?;
    }
    Ok((cleaned, next))
}

/// Thins a job's curves one after the other, until `most` points are gone; returns how many, and whether that was all.
async fn thin(round: &Round<'_>, job: Uuid, points: i32, most: u64) -> Result<(u64, bool)> {
    let long = retention::long_curves(&mut *round.store.reader().await?, &[job], points.into()).await?;
    if round.by.is_none() {
        return Ok((long.iter().map(|(.., count)| unsigned(count - i64::from(points))).sum(), true));
    }
    let mut dropped = 0;
    for (_, name, _) in &long {
        if dropped >= most {
            return Ok((dropped, false));
        }
        dropped += thin_curve(round, job, name, points).await?;
    }
    let mut tx = round.store.begin().await?;
    retention::set_thinned(&mut tx, job, points).await?;
    tx.commit().await?;
    Ok((dropped, true))
}

/// Returns how many points went; none of a job that runs again.
async fn thin_curve(round: &Round<'_>, job: Uuid, name: &String, points: i32) -> Result<u64> {
    retry(|| async {
        let mut tx = round.store.begin().await?;
        let has_ended = jobs::lock(&mut tx, &[job]).await?.first().is_some_and(|job| job.state.is_ended());
        let curve = points::curves(&mut tx, &[job], std::slice::from_ref(name), 0).await?;
        let Some(curve) = curve.into_iter().next().filter(|_| has_ended) else { return Ok(0) };
        let kept = extremes(&curve.values, points.unsigned_abs() as usize);
        let kept: Vec<i64> = kept.into_iter().filter_map(|place| curve.steps.get(place).copied()).collect();
        let dropped = chunks::thin(&mut tx, job, name, &kept).await?;
        tx.commit().await?;
        Ok(dropped)
    })
    .await
}
