//! What one pass of the scheduler decides about: the fleet, the gangs at work, and the queue with what is known of each job.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::{
    blame::{LostRank, any_kind, avoided, missing_inputs},
    place::{FleetWorker, Policy, QueuedJob, RunningGang, WorkerStatus, end_with_time, largest_gang, too_large},
    policy::HousePolicy,
};
use uuid::Uuid;

use crate::{
    error::Result,
    estimate,
    sharing::shares::Shares,
    store::{
        Conn, attempts, evidence, fleet, jobs, measures, queue,
        queue::QueueRow,
        times::{self, JobTime},
    },
};

pub(crate) struct Snapshot {
    pub(crate) now: DateTime<Utc>,
    pub(crate) queue: Vec<QueuedJob>,
    pub(crate) running: Vec<RunningGang>,
    pub(crate) fleet: Vec<FleetWorker>,
    /// The policy of placement, with what each person may still take.
    pub(crate) policy: Policy,
    pub(crate) shares: Shares,
    /// Sizes of gang that no kind of device can make, and what is to be said to jobs that need one.
    pub(crate) too_large: Vec<(u32, String)>,
}

/// `looks_ahead` if somebody wants to know when who waits will start, which takes estimates of all.
pub(crate) async fn read(conn: &mut Conn, policy: &Policy, house: &HousePolicy, looks_ahead: bool) -> Result<Snapshot> {
    let mut fleet = fleet::snapshot(conn).await?;
    // Who looks ahead sees beyond the end of a hold.
    let largest = if looks_ahead { largest_gang(&after_holds(&fleet), policy) } else { largest_gang(&fleet, policy) };
    let mut rows = queue::read(conn, largest).await?;
    let mut running = attempts::running(conn).await?;
    let sizes = queue::sizes_above(conn, largest).await?;
    let too_large = sizes.into_iter().map(|size| (size, too_large(size, &fleet, policy))).collect();
    let now = jobs::now(conn).await?;
    add_evidence(conn, now, &mut rows, &mut running).await?;
    if looks_ahead || wants_estimates(&rows, &fleet) {
        add_estimates(conn, &mut rows, &fleet).await?;
    }
    add_times(conn, now, house, &mut rows, &mut running, &mut fleet).await?;
    let mut queue: Vec<QueuedJob> = rows.into_iter().map(|row| row.job).collect();
    let shares = match queue.is_empty() {
        true => Shares::default(),
        false => Shares::read(conn, house, &running).await?,
    };
    shares.take_turns(house, &mut queue);
    let policy = shares.policy(house, policy, &queue);
    Ok(Snapshot { now, queue, running, fleet, policy, shares, too_large })
}

fn after_holds(fleet: &[FleetWorker]) -> Vec<FleetWorker> {
    let mut fleet = fleet.to_vec();
    for worker in &mut fleet {
        if matches!(worker.status, WorkerStatus::Held { .. }) {
            worker.status = WorkerStatus::Idle;
        }
    }
    fleet
}

/// Whether somebody starts, of whom it is to be known how long it takes, or people take turns.
fn wants_estimates(rows: &[QueueRow], fleet: &[FleetWorker]) -> bool {
    let several = rows.iter().any(|row| row.job.owner != rows[0].job.owner);
    !rows.is_empty() && (several || fleet.iter().any(|worker| worker.status == WorkerStatus::Idle))
}

async fn add_evidence(
    conn: &mut Conn,
    now: DateTime<Utc>,
    rows: &mut [QueueRow],
    running: &mut [RunningGang],
) -> Result<()> {
    let started = rows.iter().filter(|row| row.has_started).map(|row| row.job.id);
    let wanted: Vec<Uuid> = started.chain(running.iter().map(|gang| gang.job)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let lost: HashMap<Uuid, Vec<LostRank>> = evidence::lost_ranks(conn, &wanted).await?;
    for job in rows.iter_mut().map(|row| &mut row.job) {
        if let Some(ranks) = lost.get(&job.id) {
            (job.avoid, job.missing) = (avoided(now, ranks), missing_inputs(ranks));
            job.any_kind = any_kind(ranks);
        }
    }
    for gang in running {
        if let Some(ranks) = lost.get(&gang.job) {
            (gang.avoid, gang.missing) = (avoided(now, ranks), missing_inputs(ranks));
        }
    }
    Ok(())
}

/// What ends with its maximum time is expected to end then.
async fn add_times(
    conn: &mut Conn,
    now: DateTime<Utc>,
    house: &HousePolicy,
    rows: &mut [QueueRow],
    running: &mut [RunningGang],
    fleet: &mut [FleetWorker],
) -> Result<()> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.job.id).chain(running.iter().map(|gang| gang.job)).collect();
    let times = times::of(conn, &ids, house).await?;
    for job in rows.iter_mut().map(|row| &mut row.job) {
        if let Some(left) = times.get(&job.id).and_then(JobTime::left) {
            job.end_with_time(Duration::try_from_secs_f64(left.max(0.0)).unwrap_or(Duration::MAX));
        }
    }
    for gang in running.iter_mut() {
        let left = times.get(&gang.job).and_then(JobTime::left);
        gang.time_left = left.map(|left| TimeDelta::milliseconds((left * 1000.0).clamp(-1e15, 1e15) as i64));
    }
    end_with_time(now, running, fleet);
    Ok(())
}

async fn add_estimates(conn: &mut Conn, rows: &mut [QueueRow], fleet: &[FleetWorker]) -> Result<()> {
    let works: BTreeSet<String> = rows.iter().map(|row| row.work.clone()).filter(|work| !work.is_empty()).collect();
    let kinds: BTreeSet<String> = fleet.iter().map(|worker| worker.device_kind.clone()).collect();
    let (works, kinds): (Vec<String>, Vec<String>) = (works.into_iter().collect(), kinds.into_iter().collect());
    let precedents = measures::precedents(conn, &works, &kinds).await?;
    for row in rows.iter_mut() {
        row.job.estimates = estimate::of_queued(row, &precedents);
    }
    estimate::add_assumed(conn, rows, &kinds).await
}
