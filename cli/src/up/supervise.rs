//! Keeps the stack running: starts again what ended by itself, and stops everything in reverse order when asked.

use std::{
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::future::{FutureExt, LocalBoxFuture, OptionFuture, select_all};
use tandem_local_postgres::LocalPostgres;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    database::{DATABASE, start_database},
    process::{Process, Program},
    restart::Backoff,
};
use crate::{home::Home, output::Output};

/// A worker lets its rank finish the step and write a checkpoint, for 30 s at most.
const WORKERS_STOP_WITHIN: Duration = Duration::from_secs(40);
const SERVER_STOP_WITHIN: Duration = Duration::from_secs(40);
const RESTART_AWAITED: Duration = Duration::from_secs(40);
const DATABASE_POLL_EVERY: Duration = Duration::from_secs(1);

/// Everything that `tandem up` runs. Fields are dropped in this order: the database ends last.
pub(crate) struct Stack {
    pub(crate) home: Home,
    pub(crate) address: String,
    pub(crate) socket: PathBuf,
    pub(crate) fingerprint: Option<String>,
    pub(crate) workers: Vec<Child>,
    pub(crate) server: Child,
    pub(crate) postgres: LocalPostgres,
    /// Postgres, while it is started again.
    pub(crate) restart: Option<LocalBoxFuture<'static, Result<LocalPostgres>>>,
}

/// A program and whether it runs.
pub(crate) struct Child {
    program: Program,
    backoff: Backoff,
    state: ChildState,
}

enum ChildState {
    Running {
        process: Process,
        since: Instant,
    },
    /// Ended unexpectedly; starts again at this moment.
    Waiting {
        until: Instant,
    },
}

impl Child {
    pub(crate) fn running(program: Program, process: Process) -> Self {
        Self { program, backoff: Backoff::default(), state: ChildState::Running { process, since: Instant::now() } }
    }

    /// Waits until the child ends, and returns its status, or until it must be restarted, and returns none.
    async fn next(&mut self) -> Option<ExitStatus> {
        match &mut self.state {
            ChildState::Running { process, .. } => process.ended().await.ok(),
            ChildState::Waiting { until } => {
                tokio::time::sleep_until((*until).into()).await;
                None
            }
        }
    }

    fn advance(&mut self, status: Option<ExitStatus>, now: Instant, output: &Output) {
        let name = &self.program.name;
        let (ran_for, ended) = match (&self.state, status) {
            (ChildState::Running { since, .. }, Some(status)) => {
                (now.saturating_duration_since(*since), format!("ended with {status}"))
            }
            (ChildState::Running { since, .. }, None) => {
                (now.saturating_duration_since(*since), "cannot be waited for".to_owned())
            }
            (ChildState::Waiting { .. }, _) => match self.program.start() {
                Ok(process) => {
                    output.note(&format!("{name} runs again"));
                    self.state = ChildState::Running { process, since: now };
                    return;
                }
                Err(error) => (Duration::ZERO, format!("{error:#}")),
            },
        };
        let (backoff, delay) = self.backoff.after(ran_for);
        output.note(&format!(
            "{name}: {ended}; starting it again in {:.1} s (log: {})",
            delay.as_secs_f64(),
            self.program.log.display()
        ));
        self.backoff = backoff;
        self.state = ChildState::Waiting { until: now + delay };
    }

    fn process(&mut self) -> Option<&mut Process> {
        match &mut self.state {
            ChildState::Running { process, .. } => Some(process),
            ChildState::Waiting { .. } => None,
        }
    }
}

impl Stack {
    /// Runs until a signal asks for the end.
    pub(crate) async fn supervise(&mut self, output: &Output) -> Result<()> {
        let mut stop = StopSignals::listen()?;
        let mut poll = tokio::time::interval(DATABASE_POLL_EVERY);
        let mut database_backoff = Backoff::default();
        let mut database_due = Instant::now();
        let mut restart: Option<LocalBoxFuture<'static, Result<LocalPostgres>>> = None;
        loop {
            let (index, status) = tokio::select! {
                () = stop.next() => {
                    self.restart = restart;
                    return Ok(());
                }
                next = self.next_change() => next,
                restarted = OptionFuture::from(restart.as_mut()), if restart.is_some() => {
                    restart = None;
                    if let Some(restarted) = restarted {
                        self.use_database(restarted, output);
                    }
                    continue;
                }
                _ = poll.tick() => {
                    if restart.is_none() && !self.postgres.is_running() && Instant::now() >= database_due {
                        let (backoff, delay) = database_backoff.after(Duration::ZERO);
                        (database_backoff, database_due) = (backoff, Instant::now() + delay);
                        output.note("postgres ended unexpectedly; starting it again");
                        let home = self.home.clone();
                        restart = Some(async move { start_database(&home).await }.boxed_local());
                    }
                    continue;
                }
            };
            if let Some(child) = self.children().nth(index) {
                child.advance(status, Instant::now(), output);
            }
        }
    }

    fn children(&mut self) -> impl Iterator<Item = &mut Child> {
        std::iter::once(&mut self.server).chain(&mut self.workers)
    }

    /// Waits for the next child that ends or must be restarted: its place in `children`, and its status.
    async fn next_change(&mut self) -> (usize, Option<ExitStatus>) {
        let (status, index, _) = select_all(self.children().map(|child| child.next().boxed_local())).await;
        (index, status)
    }

    fn use_database(&mut self, restarted: Result<LocalPostgres>, output: &Output) {
        match restarted {
            Ok(postgres) => {
                let moved = postgres.port() != self.postgres.port();
                self.postgres = postgres;
                output.note("postgres runs again");
                if moved {
                    // Its old port was taken. The coordinator is restarted with the new one.
                    let url = self.postgres.url_without_password(DATABASE);
                    self.server.program.env = vec![("DATABASE_URL", url.into())];
                    if let Some(process) = self.server.process() {
                        process.terminate();
                    }
                }
            }
            Err(error) => output.note(&format!("postgres cannot be started: {error:#}")),
        }
    }

    /// Stops the workers first, since they still have to report, then the coordinator, then the database. A second signal
    /// kills what still runs.
    pub(crate) async fn stop(mut self, output: &Output) -> Result<()> {
        let mut second_signal = StopSignals::listen()?;
        let mut workers: Vec<&mut Process> = self.workers.iter_mut().filter_map(Child::process).collect();
        output.note(&format!("stopping {} (they write a checkpoint first)", plural(workers.len(), "worker")));
        let killed = {
            let stops = workers.iter_mut().map(|worker| worker.stop(WORKERS_STOP_WITHIN).boxed_local());
            let all = futures::future::join_all(stops);
            tokio::select! {
                ended = all => ended.into_iter().filter(|ended| !ended).count(),
                () = second_signal.next() => usize::MAX,
            }
        };
        if killed == usize::MAX {
            output.note("killing the workers, as asked twice");
            for worker in &mut workers {
                worker.kill();
                let _ = worker.ended().await;
            }
        } else if killed > 0 {
            output.note(&format!(
                "killed {}: no end within {} s",
                plural(killed, "worker"),
                WORKERS_STOP_WITHIN.as_secs()
            ));
        }

        output.note("stopping the coordinator");
        if let Some(server) = self.server.process() {
            tokio::select! {
                _ = server.stop(SERVER_STOP_WITHIN) => {}
                () = second_signal.next() => server.kill(),
            }
        }
        output.note("stopping postgres");
        let stopping = stop_database(self.postgres, self.restart.take());
        tokio::select! {
            stopped = stopping => stopped.context("cannot stop postgres"),
            // It ends with this process.
            () = second_signal.next() => Ok(()),
        }
    }
}

/// Stops what runs, and what is being started once it is there; if that takes too long, it ends with this process.
async fn stop_database(
    postgres: LocalPostgres,
    restart: Option<LocalBoxFuture<'static, Result<LocalPostgres>>>,
) -> Result<()> {
    let restarted = match restart {
        Some(restart) => tokio::time::timeout(RESTART_AWAITED, restart).await.ok().and_then(Result::ok),
        None => None,
    };
    let stop = move || {
        postgres.stop()?;
        restarted.map_or(Ok(()), LocalPostgres::stop)
    };
    // On a thread of its own: signals must be heard meanwhile.
    tokio::task::spawn_blocking(stop).await.context("the thread that stops the database broke off")?
}

/// SIGINT, SIGTERM and SIGHUP all mean: stop.
pub(crate) struct StopSignals {
    signals: [tokio::signal::unix::Signal; 3],
}

impl StopSignals {
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        let signals =
            [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?];
        Ok(Self { signals })
    }

    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
