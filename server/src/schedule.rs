//! Gives queued jobs to idle workers. Only the holder of the leader row schedules.
//!
//! A pass takes no input: it reads the state and does what is due. It runs when notified, and every second anyway.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_domain::{
    place::{Placement, Policy, grow, make_room, place, soon_free},
    state::{JobEvent, JobState},
    timing::{self, timing},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::Result,
    notifier::Notifier,
    reap,
    snapshot::{self, Snapshot},
    stop,
    store::{
        Store, attempts,
        events::{self, About},
        fleet, jobs, leader, leases,
        notify::{Topic, notify},
        queue, retry,
    },
    unblock::unblock,
};

/// Schedules while it holds the leader row, and tries to get it otherwise.
pub(crate) struct Scheduler {
    pub(crate) store: Store,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) policy: Policy,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LeadershipTerm {
    number: i64,
    since: Instant,
    renewed: Instant,
    reaped: Instant,
    /// When the queue was last read; `None` before the first time.
    placed: Option<Instant>,
}

impl Scheduler {
    /// Runs passes until `closing`, then resigns. Calls `healthy` after each pass with whether the database answered.
    pub(crate) async fn run(&self, closing: &CancellationToken, mut healthy: impl FnMut(bool)) {
        let mut term = None;
        let (mut was_healthy, mut notified) = (true, true);
        while !closing.is_cancelled() {
            let outcome = self.pass(&mut term, notified).await;
            if let Err(error) = &outcome
                && was_healthy
            {
                tracing::error!(%error, "scheduling stands still");
            } else if outcome.is_ok() && !was_healthy {
                tracing::info!("scheduling goes on");
            }
            was_healthy = outcome.is_ok();
            healthy(was_healthy);
            if !was_healthy {
                // Leases may not have been renewed meanwhile: the next pass starts as a new leader's does.
                term = None;
            }
            tokio::select! {
                () = closing.cancelled() => break,
                () = self.notifier.schedule.notified(), if was_healthy => notified = true,
                () = tokio::time::sleep(if was_healthy { until_next_pass(term) } else { timing::SCHEDULE_POLL }) => notified = false,
            }
        }
        if term.is_some() {
            let resigned = async { leader::resign(&mut *self.store.conn().await?, self.id).await }.await;
            tracing::info!(resigned = resigned.is_ok(), "scheduling ends");
        }
    }

    /// Renews the leadership and reaps when it is time; places jobs when it is time or a notification came (`notified`).
    pub(crate) async fn pass(&self, term: &mut Option<LeadershipTerm>, notified: bool) -> Result<()> {
        let now = Instant::now();
        if term.is_none_or(|term| now - term.renewed >= timing().leader_renew) {
            *term = self.lead(*term, now).await?;
        }
        let Some(term) = term else { return Ok(()) };
        if now - term.reaped >= timing().reap_tick {
            term.reaped = now;
            reap::leases(&self.store, term.number).await?;
            // After an absence of the coordinator workers need time to dial again before they count as lost.
            if now - term.since > timing().lease {
                reap::workers(&self.store, term.number).await?;
            }
        }
        if notified || term.placed.is_none_or(|placed| now - placed >= timing::SCHEDULE_POLL) {
            term.placed = Some(now);
            self.unblock().await?;
            self.place(term.number).await?;
        }
        Ok(())
    }

    async fn lead(&self, before: Option<LeadershipTerm>, now: Instant) -> Result<Option<LeadershipTerm>> {
        let mut tx = self.store.begin().await?;
        let absence = leader::absence(&mut tx).await?;
        let number = leader::hold(&mut tx, self.id, &self.name).await?;
        let term = match (number, before) {
            (Some(number), Some(before)) if before.number == number => Some(LeadershipTerm { renewed: now, ..before }),
            (Some(number), _) => {
                // Perhaps no coordinator could renew leases until now. The attempts that still run are adopted.
                let adopted = leases::renew_all(&mut tx).await?;
                if let Some(seconds) = absence.filter(|_| adopted > 0) {
                    let message = format!(
                        "no coordinator could schedule for {seconds:.0} s (none ran, or Postgres was away); {} does now, \
                         and the attempt goes on",
                        self.name
                    );
                    events::append_to_live(&mut tx, "adopted", &message).await?;
                }
                tracing::info!(term = number, adopted, "this coordinator schedules");
                Some(LeadershipTerm { number, since: now, renewed: now, reaped: now, placed: None })
            }
            (None, _) => None,
        };
        tx.commit().await?;
        if before.is_some() && term.is_none() {
            tracing::warn!("another coordinator schedules now");
        }
        Ok(term)
    }

    async fn unblock(&self) -> Result<()> {
        retry(|| async {
            let mut tx = self.store.begin().await?;
            unblock(&mut tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn place(&self, term: i64) -> Result<()> {
        let Snapshot { now, queue, running, fleet, too_large } =
            snapshot::read(&mut *self.store.conn().await?, &self.policy).await?;
        if queue.is_empty() && running.is_empty() && too_large.is_empty() {
            return Ok(());
        }
        let mut stops = make_room(now, &queue, &running, &fleet, &self.policy);
        // Nobody passes who takes longer than the gangs that are about to stop.
        let decision = place(now, &queue, &soon_free(now, &fleet, &running, &stops), &self.policy);
        let began = Instant::now();
        for placement in &decision.placements {
            if began.elapsed() >= timing().leader_renew {
                // A large fleet is claimed over several passes, or the leadership would expire before the end.
                self.notifier.schedule.notify_one();
                break;
            }
            if !retry(|| claim(&self.store, term, placement)).await? {
                // The state has changed since the decision. Whoever changed it notifies; if what is read and what is
                // claimed differ for good, a pass at once would spin.
                tracing::debug!(job = %placement.job, workers = ?placement.workers, "cannot be claimed");
            }
        }
        stops.extend(grow(now, &queue, &decision, &running, &fleet, &self.policy));
        retry(|| stop::ask(&self.store, term, &stops, &running, &fleet)).await?;
        let waiting: Vec<_> = decision.waiting.into_iter().map(|waiting| (waiting.job, waiting.reason)).collect();
        let mut conn = self.store.conn().await?;
        let is_news = jobs::set_reasons(&mut conn, &waiting).await?;
        if queue::set_reasons_of_sizes(&mut conn, &too_large).await? || is_news {
            notify(&mut conn, &[Topic::Watch]).await?;
        }
        Ok(())
    }
}

/// How long until the next pass: reaping and renewal are on time, however often notifications come in between.
fn until_next_pass(term: Option<LeadershipTerm>) -> Duration {
    let (reap, renew) = (timing().reap_tick, timing().leader_renew);
    let due =
        term.map(|term| reap.saturating_sub(term.reaped.elapsed()).min(renew.saturating_sub(term.renewed.elapsed())));
    // A leader row that becomes free is taken soon.
    timing::SCHEDULE_POLL.min(due.unwrap_or(renew))
}

/// Claims job and workers, and creates the attempt with the next fence and one lease per rank, in one transaction.
/// `false` if any of that is not possible any more.
pub(crate) async fn claim(store: &Store, term: i64, placement: &Placement) -> Result<bool> {
    let mut tx = store.begin().await?;
    if !leader::is_current(&mut tx, term).await? {
        return Ok(false);
    }
    let Some(job) = jobs::lock(&mut tx, &[placement.job]).await?.pop() else { return Ok(false) };
    let Some(names) = fleet::lock_gang(&mut tx, &placement.workers).await? else { return Ok(false) };
    let placed = jobs::transition(&mut tx, job.id, JobState::Queued, JobEvent::Placed, "", Duration::ZERO).await?;
    if placed.is_none() {
        return Ok(false);
    }
    let world_size = u32::try_from(placement.workers.len()).unwrap_or(u32::MAX);
    let attempt = attempts::insert(&mut tx, Uuid::new_v4(), job.id, term, world_size).await?;
    if !leases::insert(&mut tx, attempt.id, attempt.fence, &placement.workers).await? {
        return Ok(false);
    }
    let message = format!("attempt {} assigned to {} (fence {})", attempt.number, names.join(", "), attempt.fence);
    events::append(&mut tx, About::attempt(job.id, attempt.id), "assigned", &message).await?;
    notify(&mut tx, &[Topic::Dispatch, Topic::Watch]).await?;
    tx.commit().await?;
    tracing::info!(attempt = %attempt.id, job = %job.id, name = job.name, fence = attempt.fence, workers = names.join(","), "assigned");
    Ok(true)
}
