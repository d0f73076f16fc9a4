//! Injects a fault, and returns what must be undone and when.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_harness::ProcessHandle;

use crate::{
    clock,
    cluster::{COORDINATORS, Cluster, WORKERS},
    disk::DiskFiller,
    fault::FaultKind,
    plan::PlannedFault,
    proxy::ProxyState,
    queries,
    readers::Readers,
    table_lock::TableLock,
};

/// An hour: further than any timeout.
const CLOCK_STEP_SECONDS: i64 = -3600;
/// A frozen rank is resumed so long after its lease has expired: the next attempt is being placed and does not train yet.
const RANK_RESUMES_AFTER: Duration = Duration::from_millis(300);
/// Its worker is resumed so long after the rank, which meanwhile computes steps that nobody else has done.
const WORKER_RESUMES_AFTER: Duration = Duration::from_millis(1200);

/// What ends a fault that lasts.
pub(crate) enum Undo {
    Resume(Vec<ProcessHandle>),
    StartPostgres,
    /// The proxies by worker and coordinator.
    Reconnect(Vec<(usize, usize)>),
    AnswerCommits,
    /// The coordinator whose wire to Postgres is silent.
    ReconnectDatabase(usize),
    Unlock(Box<TableLock>),
    EndReaders(Readers),
    /// Until then, space that becomes free is filled too.
    FreeDisk(DiskFiller),
    /// The clock of the program of that name.
    ResetClock(String),
}

/// A fault that was injected.
pub(crate) struct ActiveFault {
    pub(crate) victim: String,
    /// What to undo, and when.
    pub(crate) undo: Vec<(Instant, Undo)>,
}

/// Injects a fault; `None` if there is no victim at this moment.
///
/// # Errors
/// When it cannot be injected, and so the run cannot go on.
pub(crate) fn inject(cluster: &mut Cluster, fault: &PlannedFault) -> Result<Option<ActiveFault>> {
    let choice = fault.choice as usize;
    let lasts = cluster.options.timing.lease + Duration::from_millis(fault.beyond_ms.into());
    let until = Instant::now() + lasts;
    let done = |victim: String| Ok(Some(ActiveFault { victim, undo: Vec::new() }));
    let lasting = |victim: String, undo: Undo| Ok(Some(ActiveFault { victim, undo: vec![(until, undo)] }));

    match fault.kind {
        FaultKind::KillRank | FaultKind::TermRank | FaultKind::StopRank => {
            let Some((worker, rank)) = pick(&cluster.ranks(), choice).copied() else { return Ok(None) };
            let signal = match fault.kind {
                FaultKind::KillRank => Signal::SIGKILL,
                FaultKind::TermRank => Signal::SIGTERM,
                _ => Signal::SIGSTOP,
            };
            if !rank.signal(signal) {
                return Ok(None);
            }
            let victim = format!("the rank of {}", WORKERS[worker]);
            if signal == Signal::SIGSTOP { lasting(victim, Undo::Resume(vec![rank])) } else { done(victim) }
        }
        FaultKind::KillWorker
        | FaultKind::LoseWorker
        | FaultKind::TermWorker
        | FaultKind::StopWorker
        | FaultKind::FreezeWorker => on_worker(cluster, fault, until),
        FaultKind::KillLeader | FaultKind::StopLeader | FaultKind::TermLeader => {
            on_coordinator(cluster, fault.kind, true, until)
        }
        FaultKind::KillFollower | FaultKind::StopFollower | FaultKind::TermFollower => {
            on_coordinator(cluster, fault.kind, false, until)
        }
        FaultKind::EndBackend | FaultKind::KillBackend => {
            let Ok(backends) = queries::backends(&cluster.database) else { return Ok(None) };
            let Some(&(backend,)) = pick(&backends, choice) else { return Ok(None) };
            let ended = match fault.kind {
                FaultKind::EndBackend => queries::end_backend(&cluster.database, backend).unwrap_or(false),
                _ => kill(Pid::from_raw(backend), Signal::SIGKILL).is_ok(),
            };
            if ended { done(format!("the backend {backend} of Postgres")) } else { Ok(None) }
        }
        FaultKind::StopPostgres => {
            cluster.stop_postgres()?;
            lasting("Postgres".to_owned(), Undo::StartPostgres)
        }
        FaultKind::HoldCommits => {
            queries::hold_commits(&cluster.database)?;
            lasting("the commits of Postgres".to_owned(), Undo::AnswerCommits)
        }
        FaultKind::FreezePostgres => {
            let processes = cluster.postgres_processes();
            for process in &processes {
                // A connection may have ended just now.
                let _ = process.signal(Signal::SIGSTOP);
            }
            lasting("Postgres".to_owned(), Undo::Resume(processes))
        }
        FaultKind::SilentDatabase => {
            let index = choice % COORDINATORS.len();
            cluster.database_proxies[index].set(ProxyState::Silent);
            lasting(format!("{} from Postgres", COORDINATORS[index]), Undo::ReconnectDatabase(index))
        }
        FaultKind::LockReports => lasting(
            "the tables of reports".to_owned(),
            Undo::Unlock(Box::new(TableLock::take(&cluster.database_url()?)?)),
        ),
        FaultKind::ManyReaders => {
            lasting("the coordinators' answers".to_owned(), Undo::EndReaders(Readers::start(cluster)?))
        }
        FaultKind::CutConnection => Ok(Some(cut(cluster, choice, ProxyState::Cut, until))),
        FaultKind::SilentConnection => Ok(Some(cut(cluster, choice, ProxyState::Silent, until))),
        FaultKind::FullStore => fill(DiskFiller::on(&cluster.store()), "the store".to_owned(), until),
        FaultKind::FullSpool => {
            let worker = choice % WORKERS.len();
            fill(DiskFiller::on(&cluster.state_of(worker)), format!("the state folder of {}", WORKERS[worker]), until)
        }
        FaultKind::StepClock => {
            let name = [COORDINATORS, WORKERS].concat()[choice % (COORDINATORS.len() + WORKERS.len())];
            clock::set(&cluster.clock_of(name), CLOCK_STEP_SECONDS)?;
            lasting(format!("the clock of {name}"), Undo::ResetClock(name.to_owned()))
        }
    }
}

fn on_worker(cluster: &mut Cluster, fault: &PlannedFault, until: Instant) -> Result<Option<ActiveFault>> {
    let ranks = cluster.ranks();
    let mut busy: Vec<usize> = ranks.iter().map(|(worker, _)| *worker).collect();
    busy.dedup();
    let Some(&index) = pick(&busy, fault.choice as usize) else { return Ok(None) };
    let name = WORKERS[index];
    let Some(worker) = cluster.supervisor.handle(name) else { return Ok(None) };
    if fault.kind == FaultKind::LoseWorker {
        cluster.supervisor.delay_restart(name, until);
    }
    let signal = match fault.kind {
        FaultKind::KillWorker | FaultKind::LoseWorker => Signal::SIGKILL,
        FaultKind::TermWorker => Signal::SIGTERM,
        _ => Signal::SIGSTOP,
    };
    if !worker.signal(signal) {
        return Ok(None);
    }
    let mut undo = Vec::new();
    if fault.kind == FaultKind::StopWorker {
        undo.push((until, Undo::Resume(vec![worker])));
    }
    if fault.kind == FaultKind::FreezeWorker {
        let ranks: Vec<_> = ranks.into_iter().filter(|(worker, _)| *worker == index).map(|(_, rank)| rank).collect();
        for rank in &ranks {
            // One that has just ended need not be stopped.
            let _ = rank.signal(Signal::SIGSTOP);
        }
        let resume_at = Instant::now() + cluster.options.timing.lease + RANK_RESUMES_AFTER;
        undo.push((resume_at, Undo::Resume(ranks)));
        undo.push((resume_at + WORKER_RESUMES_AFTER, Undo::Resume(vec![worker])));
    }
    Ok(Some(ActiveFault { victim: name.to_owned(), undo }))
}

fn on_coordinator(
    cluster: &mut Cluster,
    kind: FaultKind,
    leading: bool,
    until: Instant,
) -> Result<Option<ActiveFault>> {
    let Ok(Some((leader, _))) = queries::leader(&cluster.database) else { return Ok(None) };
    let Some(name) = COORDINATORS.into_iter().find(|name| (*name == leader) == leading) else { return Ok(None) };
    let Some(target) = cluster.supervisor.handle(name) else { return Ok(None) };
    let signal = match kind {
        FaultKind::KillLeader | FaultKind::KillFollower => Signal::SIGKILL,
        FaultKind::TermLeader | FaultKind::TermFollower => Signal::SIGTERM,
        _ => Signal::SIGSTOP,
    };
    if !target.signal(signal) {
        return Ok(None);
    }
    let undo = match signal {
        Signal::SIGSTOP => vec![(until, Undo::Resume(vec![target]))],
        _ => Vec::new(),
    };
    Ok(Some(ActiveFault { victim: name.to_owned(), undo }))
}

/// Cuts or silences all proxies of one worker, or all to one coordinator, or all.
fn cut(cluster: &Cluster, choice: usize, state: ProxyState, until: Instant) -> ActiveFault {
    let (workers, coordinators) = (WORKERS.len(), COORDINATORS.len());
    let all = (0..workers).flat_map(|worker| (0..coordinators).map(move |coordinator| (worker, coordinator)));
    let (victim, proxies): (String, Vec<(usize, usize)>) = match choice % (workers + coordinators + 1) {
        index if index < workers => {
            (format!("{} from both coordinators", WORKERS[index]), all.filter(|proxy| proxy.0 == index).collect())
        }
        index if index < workers + coordinators => {
            let index = index - workers;
            (format!("both workers from {}", COORDINATORS[index]), all.filter(|proxy| proxy.1 == index).collect())
        }
        _ => ("both workers from both coordinators".to_owned(), all.collect()),
    };
    proxies.iter().for_each(|&(worker, coordinator)| cluster.proxies[worker][coordinator].set(state));
    ActiveFault { victim, undo: vec![(until, Undo::Reconnect(proxies))] }
}

fn fill(mut filler: DiskFiller, victim: String, until: Instant) -> Result<Option<ActiveFault>> {
    filler.fill()?;
    Ok(Some(ActiveFault { victim, undo: vec![(until, Undo::FreeDisk(filler))] }))
}

impl Undo {
    /// To be called again and again while the fault lasts.
    pub(crate) fn keep_up(&mut self) -> Result<()> {
        match self {
            Self::FreeDisk(filler) => filler.fill(),
            Self::EndReaders(readers) => readers.keep_up(),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// When it cannot be undone, and so the run cannot go on.
    pub(crate) fn undo(self, cluster: &mut Cluster) -> Result<()> {
        match self {
            Self::Resume(processes) => {
                for target in processes {
                    // One that has ended meanwhile need not be resumed.
                    let _ = target.signal(Signal::SIGCONT);
                }
            }
            Self::StartPostgres => cluster.start_postgres()?,
            Self::Reconnect(proxies) => {
                proxies
                    .iter()
                    .for_each(|&(worker, coordinator)| cluster.proxies[worker][coordinator].set(ProxyState::Open));
            }
            Self::AnswerCommits => queries::answer_commits(&cluster.database)?,
            Self::ReconnectDatabase(index) => cluster.database_proxies[index].set(ProxyState::Open),
            Self::Unlock(lock) => lock.release()?,
            Self::EndReaders(readers) => drop(readers),
            Self::FreeDisk(mut filler) => filler.remove()?,
            Self::ResetClock(name) => clock::set(&cluster.clock_of(&name), 0)?,
        }
        Ok(())
    }
}

fn pick<T>(items: &[T], choice: usize) -> Option<&T> {
    if items.is_empty() { None } else { items.get(choice % items.len()) }
}
