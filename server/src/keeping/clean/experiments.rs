//! Experiments that ended long ago go out of the lists, or altogether, if the policy says so.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::keeping::verdict::{ExperimentFacts, keeps_experiment};
use uuid::Uuid;

use super::{
    super::take_back::{Live, take_back},
    cursor::Cursor,
    round::{Cleaned, Round},
};
use crate::{
    error::{Error, Result},
    store::{
        archive as archiving,
        audit::{self, Entry},
        notify::{Topic, notify},
        retention::{self, OldExperiment},
        retry, unsigned, wishes,
    },
};

/// Experiments that a step looks at.
const LOOKED_AT: i64 = 200;
/// Of those that go, a step takes fewer: each may have a thousand jobs.
const DELETED: usize = 20;

type Place = (DateTime<Utc>, Uuid);

/// What a step looks at, sorted.
struct Old {
    going: Vec<OldExperiment>,
    cleaned: Cleaned,
    next: Option<Place>,
}

pub(super) async fn archive(round: &Round<'_>, after: Place) -> Result<(Cleaned, Option<Cursor>)> {
    let Some(span) = round.house.retention.archive_after else { return Ok(Default::default()) };
    let Old { going, mut cleaned, next } = look(round, span, false, after, usize::MAX).await?;
    let ids: Vec<Uuid> = going.iter().map(|one| one.id).collect();
    cleaned.objects = ids.len() as u64;
    if round.by.is_some() && !ids.is_empty() {
        let changed = retry(|| async {
            let mut tx = round.store.begin().await?;
            let old = retention::still_old(&mut tx, &ids).await?;
            let changed = archiving::set(&mut tx, &old, true).await?;
            let entries =
                going.iter().filter(|one| changed.contains(&one.id)).flat_map(|one| entry(round, "archived", one));
            audit::append(&mut tx, &entries.collect::<Vec<_>>()).await?;
            notify(&mut tx, &[Topic::Watch]).await?;
            tx.commit().await?;
            Ok(changed.len())
        });
        cleaned.objects = changed.await? as u64;
    }
    Ok((cleaned, next.map(|(at, id)| Cursor::Archive(at, id))))
}

pub(super) async fn delete(round: &Round<'_>, archived: bool, after: Place) -> Result<(Cleaned, Option<Cursor>)> {
    let Some(span) = round.house.retention.delete_after else { return Ok(Default::default()) };
    let most = if round.by.is_some() { DELETED } else { usize::MAX };
    let Old { going, mut cleaned, next } = look(round, span, archived, after, most).await?;
    for one in &going {
        if round.by.is_none() {
            // Some of its jobs may be those of others, too.
            cleaned.objects += 1;
            cleaned.items += unsigned(one.jobs);
            cleaned.bytes += unsigned(one.bytes);
        } else if let Some((jobs, bytes)) = retry(|| delete_one(round, one)).await? {
            cleaned.objects += 1;
            cleaned.items += jobs;
            cleaned.bytes += bytes;
        }
    }
    Ok((cleaned, next.map(|(at, id)| Cursor::Delete { archived, at, id })))
}

async fn look(round: &Round<'_>, span: Duration, archived: bool, after: Place, most: usize) -> Result<Old> {
    let rules = &round.house.retention;
    let least = TimeDelta::from_std(rules.at_least(span)).unwrap_or(TimeDelta::MAX);
    let cutoff = round.now.checked_sub_signed(least).unwrap_or(DateTime::UNIX_EPOCH);
    let mut conn = round.store.reader().await?;
    let looked_at = retention::old_experiments(&mut conn, archived, after, cutoff, LOOKED_AT).await?;
    let is_last = (looked_at.len() as i64) < LOOKED_AT;
    let mut old = Old { going: Vec::new(), cleaned: Cleaned::default(), next: None };
    for one in looked_at {
        let place = (one.created_at, one.id);
        let facts = ExperimentFacts { ended: one.ended, is_tagged: one.is_tagged };
        match keeps_experiment(rules, span, facts, round.now) {
            Some(why) => old.cleaned.stays(why),
            None => old.going.push(one),
        }
        old.next = Some(place);
        if old.going.len() == most {
            return Ok(old);
        }
    }
    old.next = old.next.filter(|_| !is_last);
    Ok(old)
}

/// Deletes one, as its owner would; `None` if it is not old any more. How many jobs went, and their bytes.
async fn delete_one(round: &Round<'_>, one: &OldExperiment) -> Result<Option<(u64, u64)>> {
    let mut tx = round.store.begin().await?;
    if retention::still_old(&mut tx, &[one.id]).await?.is_empty() {
        return Ok(None);
    }
    let wanted = wishes::of_experiment(&mut tx, one.id).await?;
    let taken = match take_back(&mut tx, &wanted, "deleted by the policy, for its age", Live::Refuse).await {
        // Somebody was faster, or wants it again.
        Err(Error::Refused(_) | Error::Conflict(_)) => return Ok(None),
        taken => taken?,
    };
    audit::append(&mut tx, &entry(round, "deleted", one)).await?;
    notify(&mut tx, &[Topic::Watch]).await?;
    tx.commit().await?;
    Ok(Some((taken.gone.len() as u64, taken.gone.iter().map(|job| unsigned(job.bytes)).sum())))
}

fn entry(round: &Round<'_>, done: &str, one: &OldExperiment) -> Vec<Entry> {
    let entries = round.entry(format!("{done} for its age: {} {}", one.name, one.id));
    entries.into_iter().map(|entry| Entry { whose: one.owner.clone(), ..entry }).collect()
}
