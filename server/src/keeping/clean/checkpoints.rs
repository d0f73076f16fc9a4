//! Checkpoints of jobs that ended long ago.

use std::collections::BTreeMap;

use tandem_domain::keeping::{
    figure::main_figure,
    verdict::{JobFacts, Why, keeps},
};
use uuid::Uuid;

use super::{
    cursor::Cursor,
    round::{Cleaned, Round},
};
use crate::{
    error::Result,
    store::{
        audit, jobs,
        retention::{self, Candidate, Member},
        retry, stored, unsigned,
    },
};

/// Jobs of a step.
const JOBS: i64 = 100;

pub(super) async fn step(round: &Round<'_>, after: Uuid) -> Result<(Cleaned, Option<Cursor>)> {
    let Some(span) = round.house.retention.checkpoints_after else { return Ok(Default::default()) };
    let (candidates, members) = {
        let mut conn = round.store.reader().await?;
        let candidates = retention::with_checkpoints(&mut conn, after, JOBS).await?;
        let ids: Vec<Uuid> = candidates.iter().map(|one| one.job).collect();
        (candidates, retention::members(&mut conn, &ids).await?)
    };
    let kept = verdicts(round, span, &members);
    let mut cleaned = Cleaned::default();
    let mut going: Vec<&Candidate> = Vec::new();
    for candidate in &candidates {
        match kept.get(&candidate.job) {
            Some(why) => cleaned.stays(*why),
            None => going.push(candidate),
        }
    }
    if round.by.is_none() {
        cleaned.objects = going.len() as u64;
        cleaned.items = going.iter().map(|one| unsigned(one.items)).sum();
        cleaned.bytes = going.iter().map(|one| unsigned(one.bytes)).sum();
    } else if !going.is_empty() {
        let going: Vec<Uuid> = going.iter().map(|one| one.job).collect();
        drop_all(round, &going, &mut cleaned).await?;
    }
    let is_last = (candidates.len() as i64) < JOBS;
    Ok((cleaned, candidates.last().filter(|_| !is_last).map(|last| Cursor::Checkpoints(last.job))))
}

/// Of each job that stays, the first reason of all its experiments.
pub(super) fn verdicts(round: &Round<'_>, span: std::time::Duration, members: &[Member]) -> BTreeMap<Uuid, Why> {
    let mut kept = BTreeMap::new();
    for experiment in members.chunk_by(|a, b| a.experiment.is_some() && a.experiment == b.experiment) {
        let facts: Vec<JobFacts> = experiment.iter().map(facts).collect();
        for (member, why) in experiment.iter().zip(keeps(&round.house.retention, span, &facts, round.now)) {
            if let Some(why) = why {
                kept.entry(member.job).or_insert(why);
            }
        }
    }
    kept
}

fn facts(member: &Member) -> JobFacts {
    let results = member.result_names.iter().map(String::as_str).zip(member.result_values.iter().copied());
    JobFacts {
        stage: member.stage.clone(),
        ended: member.finished_at,
        is_tagged: member.is_tagged,
        is_needed: member.is_needed,
        figure: main_figure(&member.stage, results),
    }
}

async fn drop_all(round: &Round<'_>, going: &[Uuid], cleaned: &mut Cleaned) -> Result<()> {
    let gone = retry(|| async {
        let mut tx = round.store.begin().await?;
        // Whoever takes one of them up again waits, or is waited for.
        jobs::lock(&mut tx, going).await?;
        let gone = retention::drop_checkpoints(&mut tx, going).await?;
        let mut losing: Vec<Uuid> = gone.iter().map(|one| one.job).collect();
        losing.sort_unstable();
        losing.dedup();
        for job in &losing {
            stored::recount(&mut tx, *job).await?;
        }
        let bytes: u64 = gone.iter().map(|one| unsigned(one.bytes)).sum();
        if !gone.is_empty() {
            let object = format!("{} checkpoints of {} jobs, {bytes} bytes", gone.len(), losing.len());
            audit::append(&mut tx, &round.entry(object)).await?;
        }
        tx.commit().await?;
        Ok((losing.len(), gone.len(), bytes))
    });
    let (jobs, items, bytes) = gone.await?;
    (cleaned.objects, cleaned.items, cleaned.bytes) = (jobs as u64, items as u64, bytes);
    Ok(())
}
