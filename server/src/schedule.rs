//! Gives queued jobs to idle workers. Only the holder of the leader row schedules.
//!
//! A pass takes no input: it reads the state and does what is due. It runs when notified, and every second anyway.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_domain::{
    place::{FleetWorker, Placement, Policy, QueuedJob, grow, make_room, over_time, place, soon_free},
    state::{JobEvent, JobState},
    timing::{self, timing},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    meters,
    notifier::Notifier,
    reap,
    sharing::policy,
    snapshot::{self, Snapshot},
    stop,
    store::{
        Store, attempts,
        events::{self, About},
        fleet, jobs, leader, leases,
        notify::{Topic, notify},
        queue, retry, within,
    },
    unblock::{Sweep, unblock_page},
};

/// After this many passes in a row that the database answered, but not as it should, another coordinator may try.
const FAILED_PASSES: u32 = 10;

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
    pub(crate) number: i64,
    since: Instant,
    renewed: Instant,
    reaped: Instant,
    /// When the queue was last read; `None` before the first time.
    placed: Option<Instant>,
    sweep: Sweep,
}

impl Scheduler {
    /// Runs passes until `closing`, then resigns. Calls `healthy` after each pass with whether the database answered.
    pub(crate) async fn run(&self, closing: &CancellationToken, mut healthy: impl FnMut(bool)) {
        let mut term = None;
        let (mut failed, mut notified) = (0, true);
        while !closing.is_cancelled() {
            let began = Instant::now();
            let outcome = self.pass(&mut term, notified).await;
            if term.is_some() {
                meters::pass(began.elapsed(), outcome.is_ok());
            }
            match &outcome {
                Ok(()) if failed > 0 => tracing::info!("scheduling goes on"),
                Err(error) if failed == 0 => tracing::error!(%error, "scheduling stands still"),
                _ => {}
            }
            failed = if outcome.is_ok() { 0 } else { failed + 1 };
            healthy(failed == 0);
            match &outcome {
                // Leases may not have been renewed meanwhile: the next pass starts as a new leader's does.
                Err(error) if error.is_absence() => term = None,
                Err(_) if failed % FAILED_PASSES == 0 => {
                    self.resign().await;
                    term = None;
                }
                _ => {}
            }
            tokio::select! {
                () = closing.cancelled() => break,
                () = self.notifier.schedule.notified(), if failed == 0 => notified = true,
                () = tokio::time::sleep(if failed == 0 { until_next_pass(term) } else { timing::SCHEDULE_POLL }) => notified = false,
            }
        }
        if term.is_some() {
            let resigned = self.resign().await;
            tracing::info!(resigned, "scheduling ends");
        }
    }

    async fn resign(&self) -> bool {
        let resign = async { Ok(leader::resign(&mut *self.store.lane.conn().await?, self.id).await?) };
        within(timing().statement_limit(), resign).await.is_ok()
    }

    /// Renews the leadership and reaps when it is time; places jobs when it is time or a notification came (`notified`).
    ///
    /// What fails for one reason does not hold up the rest; the first failure is returned.
    pub(crate) async fn pass(&self, term: &mut Option<LeadershipTerm>, notified: bool) -> Result<()> {
        let now = Instant::now();
        if term.is_none_or(|term| now - term.renewed >= timing().leader_renew) {
            *term = within(timing().statement_limit(), self.lead(*term, now)).await?;
        }
        let Some(term) = term else { return Ok(()) };
        let mut outcome = Ok(());
        if now - term.reaped >= timing().reap_tick {
            term.reaped = now;
            first_failure(&mut outcome, reap::leases(&self.store, term.number).await.map(drop))?;
            // After an absence of the coordinator workers need time to dial again before they count as lost.
            if now - term.since > timing().lease {
                first_failure(&mut outcome, reap::workers(&self.store, term.number).await)?;
            }
        }
        if notified || term.placed.is_none_or(|placed| now - placed >= timing::SCHEDULE_POLL) {
            term.placed = Some(now);
            first_failure(&mut outcome, self.unblock(&mut term.sweep).await.map_err(slow_pass))?;
            first_failure(&mut outcome, self.place(term.number).await.map_err(slow_pass))?;
        }
        outcome
    }

    /// Takes or renews the leadership; `None` while another coordinator has it.
    pub(crate) async fn lead(&self, before: Option<LeadershipTerm>, now: Instant) -> Result<Option<LeadershipTerm>> {
        let mut tx = self.store.lane.begin().await?;
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
                Some(LeadershipTerm {
                    number,
                    since: now,
                    renewed: now,
                    reaped: now,
                    placed: None,
                    sweep: Sweep::default(),
                })
            }
            (None, _) => None,
        };
        tx.commit().await?;
        if before.is_some() && term.is_none() {
            tracing::warn!("another coordinator schedules now");
        }
        Ok(term)
    }

    async fn unblock(&self, sweep: &mut Sweep) -> Result<()> {
        let began = Instant::now();
        let page = async || {
            let mut tx = self.store.lane.begin().await?;
            let some = unblock_page(&mut tx).await?.is_some();
            tx.commit().await?;
            Ok(some)
        };
        while within(timing().transaction_limit(), retry(page)).await? {
            if began.elapsed() >= timing().leader_renew {
                // The rest is for the next pass, or the leadership would expire before the end.
                self.notifier.schedule.notify_one();
                return Ok(());
            }
        }
        if sweep.is_due(began) {
            let swept = retry(async || {
                let mut tx = self.store.lane.begin().await?;
                let swept = sweep.page(&mut tx, began).await?;
                tx.commit().await?;
                Ok(swept)
            });
            *sweep = within(timing().transaction_limit(), swept).await?;
        }
        Ok(())
    }

    async fn place(&self, term: i64) -> Result<()> {
        let limit = timing().statement_limit();
        let seen = within(limit, async {
            let mut tx = self.store.lane.snapshot().await?;
            let (_, house) = policy::current(&mut tx).await?;
            snapshot::read(&mut tx, &self.policy, &house, false).await
        });
        let Snapshot { now, queue, running, fleet, policy, too_large, .. } = seen.await?;
        if queue.is_empty() && running.is_empty() && too_large.is_empty() {
            return Ok(());
        }
        let mut stops = over_time(now, &running);
        stops.extend(make_room(now, &queue, &running, &fleet, &policy));
        // Nobody passes who takes longer than the gangs that are about to stop.
        let decision = place(now, &queue, &soon_free(now, &fleet, &running, &stops), &policy);
        let began = Instant::now();
        let mut outcome = Ok(());
        for placement in &decision.placements {
            if began.elapsed() >= timing().leader_renew {
                // A large fleet is claimed over several passes, or the leadership would expire before the end.
                self.notifier.schedule.notify_one();
                break;
            }
            let estimated = expected_time(placement, &queue, &fleet);
            match within(limit, retry(|| claim(&self.store, term, placement, estimated))).await {
                Ok(true) => {}
                // The state has changed since the decision. Whoever changed it notifies; if what is read and what is
                // claimed differ for good, a pass at once would spin.
                Ok(false) => {
                    tracing::debug!(job = %placement.job, workers = ?placement.workers, "cannot be claimed");
                }
                Err(error) => {
                    tracing::warn!(job = %placement.job, %error, "cannot give this job to workers");
                    first_failure(&mut outcome, Err(error))?;
                }
            }
        }
        stops.extend(grow(now, &queue, &decision, &running, &fleet, &policy));
        let stops = within(limit, retry(|| stop::ask(&self.store, term, &stops, &running, &fleet))).await;
        first_failure(&mut outcome, stops.map(drop))?;
        let waiting: Vec<_> = decision.waiting.into_iter().map(|waiting| (waiting.job, waiting.reason)).collect();
        first_failure(&mut outcome, within(limit, self.explain(&waiting, &too_large)).await)?;
        outcome
    }

    /// Stores why jobs wait.
    async fn explain(&self, waiting: &[(Uuid, String)], too_large: &[(u32, String)]) -> Result<()> {
        let mut tx = self.store.lane.begin().await?;
        let is_news = jobs::set_reasons(&mut tx, waiting).await?;
        if queue::set_reasons_of_sizes(&mut tx, too_large).await? || is_news {
            notify(&mut tx, &[Topic::Watch]).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Keeps the first failure. One that says that the database is away is returned at once: the rest would only wait.
fn first_failure(outcome: &mut Result<()>, next: Result<()>) -> Result<()> {
    match next {
        Err(error) if error.is_absence() => return Err(error),
        Err(error) if outcome.is_ok() => *outcome = Err(error),
        _ => {}
    }
    Ok(())
}

/// The leadership was renewed and leases were looked at, so the database is there: a queue that is read too slowly must not
/// keep the leases of dead workers alive.
fn slow_pass(error: Error) -> Error {
    match error {
        Error::DatabaseSlow(error) => Error::PassSlow(error),
        other => other,
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

/// How long a job takes on the gang that it is given, as far as is known.
fn expected_time(placement: &Placement, queue: &[QueuedJob], fleet: &[FleetWorker]) -> Option<Duration> {
    let job = queue.iter().find(|job| job.id == placement.job)?;
    let first = placement.workers.first()?;
    let kind = &fleet.iter().find(|worker| worker.id == *first)?.device_kind;
    let least = job.workers.world_sizes(job.shards).next()?;
    Some(job.estimates.get(kind)?.mul_f64(f64::from(least) / placement.workers.len() as f64))
}

/// Claims job and workers, and creates the attempt with the next fence and one lease per rank, in one transaction.
/// `false` if any of that is not possible any more.
///
/// After an error it may have happened: the next pass reads the queue again, and the job is not in it then.
pub(crate) async fn claim(
    store: &Store,
    term: i64,
    placement: &Placement,
    estimated: Option<Duration>,
) -> Result<bool> {
    let mut tx = store.lane.begin().await?;
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
    let attempt =
        attempts::insert(&mut tx, Uuid::new_v4(), job.id, term, world_size, placement.passed, estimated).await?;
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
