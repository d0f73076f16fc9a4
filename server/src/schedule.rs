//! Gives queued jobs to idle workers. One coordinator does: the holder of the leader row.
//!
//! A pass takes no input and may run at any time: it looks at what is there and does what is due. It runs when
//! somebody calls and every second anyway.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_domain::{
    place::{Placement, Policy, grow, make_room, place},
    state::{JobEvent, JobState},
    timing::{self, timing},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::Result,
    notifier::Notifier,
    reap, stop,
    store::{
        Store, attempts,
        events::{self, About},
        fleet, jobs, leader, leases,
        notify::{Topic, notify},
        retry,
    },
    unblock::unblock,
};

/// Leads while it may, and waits to lead otherwise.
pub(crate) struct Scheduler {
    pub(crate) store: Store,
    pub(crate) notifier: Arc<Notifier>,
    /// This process, for as long as it lives.
    pub(crate) id: Uuid,
    /// For people.
    pub(crate) name: String,
    pub(crate) policy: Policy,
}

/// A time of leadership.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeadershipTerm {
    number: i64,
    since: Instant,
    renewed: Instant,
    reaped: Instant,
    /// `None`: the queue was not looked at yet.
    placed: Option<Instant>,
}

impl Scheduler {
    /// Passes until `closing`, then lets others lead. `healthy` hears after each pass whether the database answered.
    pub(crate) async fn run(&self, closing: &CancellationToken, mut healthy: impl FnMut(bool)) {
        let mut term = None;
        let (mut was_healthy, mut called) = (true, true);
        while !closing.is_cancelled() {
            let outcome = self.pass(&mut term, called).await;
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
                // Nobody could renew a lease meanwhile, however short it was: the next pass begins as a new leader does.
                term = None;
            }
            tokio::select! {
                () = closing.cancelled() => break,
                () = self.notifier.schedule.notified(), if was_healthy => called = true,
                () = tokio::time::sleep(if was_healthy { next_look(term) } else { timing::SCHEDULE_POLL }) => called = false,
            }
        }
        if term.is_some() {
            let resigned = async { leader::resign(&mut *self.store.conn().await?, self.id).await }.await;
            tracing::info!(resigned = resigned.is_ok(), "scheduling ends");
        }
    }

    /// The lead is renewed and silence is looked for when it is time; the queue, when somebody `called` or it is time.
    pub(crate) async fn pass(&self, term: &mut Option<LeadershipTerm>, called: bool) -> Result<()> {
        let now = Instant::now();
        if term.is_none_or(|term| now - term.renewed >= timing().leader_renew) {
            *term = self.lead(*term, now).await?;
        }
        let Some(term) = term else { return Ok(()) };
        if now - term.reaped >= timing().reap_tick {
            term.reaped = now;
            reap::leases(&self.store, term.number).await?;
            // Workers dial again after the coordinator was away: none of them is lost before it had the time to.
            if now - term.since > timing().lease {
                reap::workers(&self.store, term.number).await?;
            }
        }
        if called || term.placed.is_none_or(|placed| now - placed >= timing::SCHEDULE_POLL) {
            term.placed = Some(now);
            self.unblock().await?;
            self.place(term.number).await?;
        }
        Ok(())
    }

    /// Takes or renews the leadership.
    async fn lead(&self, before: Option<LeadershipTerm>, now: Instant) -> Result<Option<LeadershipTerm>> {
        let mut tx = self.store.begin().await?;
        let nobody_for = leader::absence(&mut tx).await?;
        let number = leader::hold(&mut tx, self.id, &self.name).await?;
        let term = match (number, before) {
            (Some(number), Some(before)) if before.number == number => Some(LeadershipTerm { renewed: now, ..before }),
            (Some(number), _) => {
                // Nobody could renew leases while nobody led, as far as we know. What still runs is adopted.
                let adopted = leases::grace(&mut tx).await?;
                if let Some(seconds) = nobody_for.filter(|_| adopted > 0) {
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
        let mut conn = self.store.conn().await?;
        let queue = jobs::queue(&mut conn).await?;
        let running = attempts::running(&mut conn).await?;
        if queue.is_empty() && running.is_empty() {
            return Ok(());
        }
        let now = jobs::now(&mut conn).await?;
        let fleet = fleet::snapshot(&mut conn).await?;
        let decision = place(now, &queue, &fleet, &self.policy);
        let began = Instant::now();
        for placement in &decision.placements {
            if began.elapsed() >= timing().leader_renew {
                // A large fleet is claimed over several passes, or the lead would run out under it.
                self.notifier.schedule.notify_one();
                break;
            }
            if !retry(|| claim(&self.store, term, placement)).await? {
                // The world moved on: look again at once.
                self.notifier.schedule.notify_one();
            }
        }
        let mut stops = make_room(now, &queue, &running, &fleet, &self.policy);
        stops.extend(grow(now, &queue, &decision, &running, &fleet, &self.policy));
        retry(|| stop::ask(&self.store, term, &stops, &running, &fleet)).await?;
        let waiting: Vec<_> = decision.waiting.into_iter().map(|waiting| (waiting.job, waiting.reason)).collect();
        if jobs::set_reasons(&mut conn, &waiting).await? {
            notify(&mut conn, &[Topic::Watch]).await?;
        }
        Ok(())
    }
}

/// How long a pass may be put off. What ran out is looked for on time, however often somebody called in between.
fn next_look(term: Option<LeadershipTerm>) -> Duration {
    let (reap, renew) = (timing().reap_tick, timing().leader_renew);
    let due =
        term.map(|term| reap.saturating_sub(term.reaped.elapsed()).min(renew.saturating_sub(term.renewed.elapsed())));
    // A lead that is to be had is had soon, if nobody else takes it.
    timing::SCHEDULE_POLL.min(due.unwrap_or(renew))
}

/// The claim: job, workers, attempt with the next fence, one lease per rank; `false` if any of it is not to be had.
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
