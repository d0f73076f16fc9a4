//! Does a fault, and says what must be undone when.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    clock,
    disk::Balloon,
    fault::Kind,
    house::{COORDINATORS, House, WORKERS},
    plan::Planned,
    program::Target,
    proxy::WireState,
};

/// An hour: further than any timeout.
const CLOCK_STEP_SECONDS: i64 = -3600;
/// A frozen rank wakes so long after its lease ran out: the next attempt is being placed, and does not train yet.
const RANK_WAKES_AFTER: Duration = Duration::from_millis(300);
/// And its worker so long after it: what the rank did meanwhile, nobody else has done.
const WORKER_WAKES_AFTER: Duration = Duration::from_millis(1200);

/// What still lasts of a fault.
pub(crate) enum Undo {
    Wake(Vec<Target>),
    StartPostgres,
    /// Pairs of worker and coordinator.
    Open(Vec<(usize, usize)>),
    /// Grows until it is burst: room that becomes free is taken, too.
    Burst(Balloon),
    /// Of the program of that name.
    ClockBack(String),
}

/// A fault that was done.
pub(crate) struct Injected {
    pub(crate) victim: String,
    pub(crate) undo: Vec<(Instant, Undo)>,
}

/// Does it; `None` if there is no victim at this moment.
///
/// # Errors
/// When the harness itself fails: it cannot go on.
pub(crate) fn inject(house: &mut House, fault: &Planned) -> Result<Option<Injected>> {
    let choice = fault.choice as usize;
    let lasts = house.order.timing.lease + Duration::from_millis(fault.beyond_ms.into());
    let until = Instant::now() + lasts;
    let done = |victim: String| Ok(Some(Injected { victim, undo: Vec::new() }));
    let lasting = |victim: String, undo: Undo| Ok(Some(Injected { victim, undo: vec![(until, undo)] }));

    match fault.kind {
        Kind::KillRank | Kind::TermRank | Kind::StopRank => {
            let ranks = house.ranks();
            let all: Vec<(usize, Target)> = ranks
                .into_iter()
                .flat_map(|(worker, ranks)| ranks.into_iter().map(move |rank| (worker, rank)))
                .collect();
            let Some((worker, rank)) = pick(&all, choice).copied() else { return Ok(None) };
            let signal = match fault.kind {
                Kind::KillRank => Signal::SIGKILL,
                Kind::TermRank => Signal::SIGTERM,
                _ => Signal::SIGSTOP,
            };
            if !rank.signal(signal) {
                return Ok(None);
            }
            let victim = format!("the rank of {}", WORKERS[worker]);
            if signal == Signal::SIGSTOP { lasting(victim, Undo::Wake(vec![rank])) } else { done(victim) }
        }
        Kind::KillWorker | Kind::LoseWorker | Kind::TermWorker | Kind::StopWorker | Kind::FreezeWorker => {
            on_worker(house, fault, until)
        }
        Kind::KillLeader | Kind::StopLeader | Kind::TermLeader => on_coordinator(house, fault.kind, true, until),
        Kind::KillFollower | Kind::StopFollower | Kind::TermFollower => on_coordinator(house, fault.kind, false, until),
        Kind::EndBackend | Kind::KillBackend => {
            let Ok(backends) = house.db.backends() else { return Ok(None) };
            let Some(&backend) = pick(&backends, choice) else { return Ok(None) };
            let ended = match fault.kind {
                Kind::EndBackend => house.db.end_backend(backend).unwrap_or(false),
                _ => kill(Pid::from_raw(backend), Signal::SIGKILL).is_ok(),
            };
            if ended { done(format!("the backend {backend} of Postgres")) } else { Ok(None) }
        }
        Kind::StopPostgres => {
            house.stop_postgres()?;
            lasting("Postgres".to_owned(), Undo::StartPostgres)
        }
        Kind::CutConnection => Ok(Some(cut(house, choice, WireState::Cut, until))),
        Kind::SilentConnection => Ok(Some(cut(house, choice, WireState::Silent, until))),
        Kind::FullStore => fill(Balloon::on(&house.store()), "the store".to_owned(), until),
        Kind::FullSpool => {
            let worker = choice % WORKERS.len();
            fill(Balloon::on(&house.state_of(worker)), format!("the state folder of {}", WORKERS[worker]), until)
        }
        Kind::StepClock => {
            let name = [COORDINATORS, WORKERS].concat()[choice % (COORDINATORS.len() + WORKERS.len())];
            clock::set(&house.clock_of(name), CLOCK_STEP_SECONDS)?;
            lasting(format!("the clock of {name}"), Undo::ClockBack(name.to_owned()))
        }
    }
}

fn on_worker(house: &mut House, fault: &Planned, until: Instant) -> Result<Option<Injected>> {
    let ranks = house.ranks();
    let busy: Vec<usize> = ranks.keys().copied().collect();
    let Some(&index) = pick(&busy, fault.choice as usize) else { return Ok(None) };
    let name = WORKERS[index];
    let Some(worker) = house.keeper.target(name) else { return Ok(None) };
    if fault.kind == Kind::LoseWorker {
        house.keeper.hold(name, until);
    }
    let signal = match fault.kind {
        Kind::KillWorker | Kind::LoseWorker => Signal::SIGKILL,
        Kind::TermWorker => Signal::SIGTERM,
        _ => Signal::SIGSTOP,
    };
    if !worker.signal(signal) {
        return Ok(None);
    }
    let mut undo = Vec::new();
    if fault.kind == Kind::StopWorker {
        undo.push((until, Undo::Wake(vec![worker])));
    }
    if fault.kind == Kind::FreezeWorker {
        let ranks = ranks.get(&index).cloned().unwrap_or_default();
        for rank in &ranks {
            // One that has just ended needs no stop.
            let _ = rank.signal(Signal::SIGSTOP);
        }
        let wakes = Instant::now() + house.order.timing.lease + RANK_WAKES_AFTER;
        undo.push((wakes, Undo::Wake(ranks)));
        undo.push((wakes + WORKER_WAKES_AFTER, Undo::Wake(vec![worker])));
    }
    Ok(Some(Injected { victim: name.to_owned(), undo }))
}

fn on_coordinator(house: &mut House, kind: Kind, leading: bool, until: Instant) -> Result<Option<Injected>> {
    let Ok(Some((leader, _))) = house.db.leader() else { return Ok(None) };
    let Some(name) = COORDINATORS.into_iter().find(|name| (*name == leader) == leading) else { return Ok(None) };
    let Some(target) = house.keeper.target(name) else { return Ok(None) };
    let signal = match kind {
        Kind::KillLeader | Kind::KillFollower => Signal::SIGKILL,
        Kind::TermLeader | Kind::TermFollower => Signal::SIGTERM,
        _ => Signal::SIGSTOP,
    };
    if !target.signal(signal) {
        return Ok(None);
    }
    let undo = match signal {
        Signal::SIGSTOP => vec![(until, Undo::Wake(vec![target]))],
        _ => Vec::new(),
    };
    Ok(Some(Injected { victim: name.to_owned(), undo }))
}

/// All wires of one worker, or all to one coordinator, or all there are.
fn cut(house: &House, choice: usize, state: WireState, until: Instant) -> Injected {
    let (workers, coordinators) = (WORKERS.len(), COORDINATORS.len());
    let all = (0..workers).flat_map(|worker| (0..coordinators).map(move |coordinator| (worker, coordinator)));
    let (victim, wires): (String, Vec<(usize, usize)>) = match choice % (workers + coordinators + 1) {
        index if index < workers => {
            (format!("{} from both coordinators", WORKERS[index]), all.filter(|wire| wire.0 == index).collect())
        }
        index if index < workers + coordinators => {
            let index = index - workers;
            (format!("both workers from {}", COORDINATORS[index]), all.filter(|wire| wire.1 == index).collect())
        }
        _ => ("both workers from both coordinators".to_owned(), all.collect()),
    };
    wires.iter().for_each(|&(worker, coordinator)| house.wires[worker][coordinator].set(state));
    Injected { victim, undo: vec![(until, Undo::Open(wires))] }
}

fn fill(mut balloon: Balloon, victim: String, until: Instant) -> Result<Option<Injected>> {
    balloon.grow()?;
    Ok(Some(Injected { victim, undo: vec![(until, Undo::Burst(balloon))] }))
}

impl Undo {
    /// While it lasts, again and again.
    pub(crate) fn keep_up(&mut self) -> Result<()> {
        match self {
            Self::Burst(balloon) => balloon.grow(),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn undo(self, house: &mut House) -> Result<()> {
        match self {
            Self::Wake(targets) => {
                for target in targets {
                    // One that has died meanwhile needs no waking.
                    let _ = target.signal(Signal::SIGCONT);
                }
            }
            Self::StartPostgres => house.start_postgres()?,
            Self::Open(wires) => {
                wires.iter().for_each(|&(worker, coordinator)| house.wires[worker][coordinator].set(WireState::Open));
            }
            Self::Burst(mut balloon) => balloon.burst()?,
            Self::ClockBack(name) => clock::set(&house.clock_of(&name), 0)?,
        }
        Ok(())
    }
}

fn pick<T>(items: &[T], choice: usize) -> Option<&T> {
    if items.is_empty() { None } else { items.get(choice % items.len()) }
}
