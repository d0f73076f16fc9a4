//! One rank of one attempt, from its start until the coordinator knows how it ended.

mod narrator;

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
    time::{Duration, Instant},
};

use tandem_domain::timing::Progress;
use tandem_learn::task::Command;
use tandem_proto::v1::{
    self, LogEvent, RankOutcome, RunningRank, rank_event::Event as Kind, worker_message::Message as WorkerMessage,
};

use crate::{
    child::{Child, ChildEvent, Launch},
    progress_clock::ProgressClock,
    rank_output::{RankOutput, is_work, parse},
    report_log::ReportLog,
    surroundings::Surroundings,
    verdict::{Requested, Verdict, verdict},
};

/// State of the rank's process.
///
/// ```text
/// Running ──stop──> Stopping ──grace over──> Killed ──> Ended
///    └──────────────────┴────────kill─────────^  (each may also end by itself)
/// ```
#[derive(Debug, PartialEq)]
enum RankState {
    /// Nothing was requested of it.
    Running,
    /// SIGTERM was sent; SIGKILL follows at `kill_at`.
    Stopping { reason: String, grace: Duration, kill_at: Instant },
    /// SIGKILL was sent, for this reason.
    Killed(Verdict),
    /// The process has ended, and its verdict is in the report log.
    Ended,
}

pub(crate) struct Attempt {
    report_log: ReportLog,
    store: PathBuf,
    surroundings: Surroundings,
    state: RankState,
    child: Child,
    clock: ProgressClock,
    last_log_line: Option<String>,
    /// Of rank 0: where the other ranks find it, until training shows that all have met.
    own_rendezvous: Option<v1::Rendezvous>,
    rendezvous_sent: bool,
    /// Of other ranks: they were told where rank 0 listens.
    rendezvous_forwarded: bool,
}

impl Deref for Attempt {
    type Target = ReportLog;

    fn deref(&self) -> &ReportLog {
        &self.report_log
    }
}

impl DerefMut for Attempt {
    fn deref_mut(&mut self) -> &mut ReportLog {
        &mut self.report_log
    }
}

impl Attempt {
    /// Starts the rank. An error is the machine's fault.
    pub(crate) fn start(
        now: Instant,
        report_log: ReportLog,
        store: PathBuf,
        surroundings: Surroundings,
        limits: Progress,
        launch: &Launch,
    ) -> std::io::Result<Self> {
        Ok(Self {
            report_log,
            store,
            surroundings,
            state: RankState::Running,
            child: Child::spawn(launch)?,
            clock: ProgressClock::new(now, limits),
            last_log_line: None,
            own_rendezvous: None,
            rendezvous_sent: false,
            rendezvous_forwarded: false,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid
    }

    /// As [`ReportLog::running`], with its progress clock.
    pub(crate) fn running(&self, now: Instant) -> Option<RunningRank> {
        self.report_log.running().map(|rank| self.with_clock(now, rank))
    }

    /// As [`ReportLog::unconfirmed`], with its progress clock.
    pub(crate) fn unconfirmed(&self, now: Instant) -> Option<RunningRank> {
        self.report_log.unconfirmed().map(|rank| self.with_clock(now, rank))
    }

    fn with_clock(&self, now: Instant, rank: RunningRank) -> RunningRank {
        // A rank that has ended does not hang.
        if self.has_ended() {
            return rank;
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        RunningRank { idle_ms: millis(self.clock.idle(now)), slowest_ms: self.clock.slowest().map(millis), ..rank }
    }

    /// The process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state == RankState::Ended
    }

    /// The process has ended and nobody needs a report of it.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended() && self.is_stale()
    }

    /// The process has ended and everything was sent on the present stream.
    pub(crate) fn all_sent(&self) -> bool {
        self.has_ended() && self.report_log.all_sent()
    }

    /// SIGTERM now, SIGKILL after the grace. Changes nothing if the rank is being stopped or killed already.
    pub(crate) fn stop(&mut self, now: Instant, reason: &str) {
        if self.state == RankState::Running {
            tracing::info!(attempt = self.id(), reason, "stopping the rank");
            let grace = self.clock.stop_grace();
            self.state = RankState::Stopping { reason: reason.to_owned(), grace, kill_at: now + grace };
            self.child.terminate();
        }
    }

    /// SIGKILL now; `verdict` is what the coordinator is told.
    pub(crate) fn kill(&mut self, verdict: Verdict) {
        if matches!(self.state, RankState::Running | RankState::Stopping { .. }) {
            tracing::info!(attempt = self.id(), reason = verdict.cause, "killing the rank");
            self.state = RankState::Killed(verdict);
            self.child.kill();
        }
    }

    /// The coordinator does not know this attempt, or no longer: kills the rank and reports nothing.
    pub(crate) fn abandon(&mut self, reason: &str) {
        self.report_log.mark_stale();
        self.kill(Verdict::new(RankOutcome::Cancelled, reason));
    }

    /// The next event of the process; pending for ever once it has ended. Cancel-safe.
    pub(crate) async fn next(&mut self) -> ChildEvent {
        match self.child.next().await {
            Some(output) => output,
            None => std::future::pending().await,
        }
    }

    /// Handles what [`Self::next`] returned. Returns how the rank ended, if it has.
    pub(crate) fn handle(&mut self, now: Instant, event: ChildEvent) -> Option<RankOutcome> {
        match event {
            ChildEvent::Stdout(line) => match parse(&line, &self.store) {
                RankOutput::Rendezvous { host, port } => {
                    self.clock.worked(now);
                    if let Some(RunningRank { attempt_id, fence, .. }) = self.report_log.unconfirmed() {
                        self.own_rendezvous = Some(v1::Rendezvous { attempt_id, fence, host, port: port.into() });
                    }
                }
                RankOutput::KeepAlive { slowest } => self.clock.keep_alive(now, slowest),
                RankOutput::Known => {}
                RankOutput::Event(mut event) => {
                    if let Kind::Environment(environment) = &mut event {
                        self.surroundings.complete(environment);
                    }
                    if is_work(&event) {
                        self.clock.worked(now);
                    }
                    // Training has begun, so all ranks have met.
                    if matches!(event, Kind::Metric(_) | Kind::Checkpoint(_)) {
                        self.own_rendezvous = None;
                    }
                    // These are not the rank's own words, which may say why it ended.
                    let line = narrator::line(&event);
                    self.push(now, event);
                    line.into_iter().for_each(|line| self.push(now, Kind::Log(LogEvent { line })));
                }
            },
            ChildEvent::Stderr(line) => {
                if !line.trim().is_empty() {
                    self.last_log_line = Some(line.clone());
                }
                self.push(now, Kind::Log(LogEvent { line }));
            }
            ChildEvent::Exited(exit) => {
                let requested = match &self.state {
                    RankState::Stopping { reason, .. } => Requested::Stop { reason },
                    RankState::Killed(verdict) => Requested::Kill(verdict),
                    RankState::Running | RankState::Ended => Requested::Nothing,
                };
                let verdict = verdict(requested, exit, self.last_log_line.as_deref());
                tracing::info!(attempt = self.id(), outcome = ?verdict.outcome, cause = verdict.cause, "rank ended");
                let outcome = verdict.outcome;
                self.own_rendezvous = None;
                self.report_log.end(verdict);
                self.state = RankState::Ended;
                return Some(outcome);
            }
        }
        None
    }

    /// Passes on to the rank, once, where rank 0 listens.
    pub(crate) fn forward_rendezvous(&mut self, host: String, port: u32) {
        let Ok(port) = u16::try_from(port) else {
            return tracing::warn!(
                attempt = self.id(),
                port,
                "the coordinator named an impossible port for the rendezvous"
            );
        };
        if !self.is_rank_0() && !self.rendezvous_forwarded {
            self.send_command(&Command::Rendezvous { host, port });
            self.rendezvous_forwarded = true;
        }
    }

    /// The coordinator has stored everything up to `sequence`. Rank 0 is told of a checkpoint among it, since it may then
    /// remove older ones; not where `keep_files`, while a backup reads them: the next checkpoint stands for this one, too.
    pub(crate) fn confirm(&mut self, sequence: u64, keep_files: bool) {
        if let Some(step) = self.report_log.confirm(sequence)
            && !keep_files
            && self.is_rank_0()
            && !self.has_ended()
        {
            self.send_command(&Command::Committed { step });
        }
    }

    fn send_command(&self, command: &Command) {
        match serde_json::to_string(command) {
            Ok(line) => self.child.write_line(line),
            Err(error) => tracing::warn!(attempt = self.id(), %error, ?command, "not passed on to the rank"),
        }
    }

    /// A new stream: whatever was not confirmed is sent again.
    pub(crate) fn resend(&mut self, now: Instant) {
        self.report_log.resend(now);
        self.rendezvous_sent = false;
    }

    /// The worker did not run for `by`: that time counts neither as idle nor as grace.
    pub(crate) fn shift(&mut self, by: Duration) {
        self.clock.shift(by);
        self.report_log.shift(by);
        if let RankState::Stopping { kill_at, .. } = &mut self.state {
            *kill_at += by;
        }
    }

    /// Kills the rank if it hangs, or if its grace is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        let (RankState::Running | RankState::Stopping { .. }) = self.state else { return };
        if let Some(cause) = self.clock.stuck(now) {
            return self.kill(Verdict::lost(cause));
        }
        if let RankState::Stopping { reason, grace, kill_at } = &self.state
            && now >= *kill_at
        {
            // It was asked to stop and is stopped: preempted, not lost.
            let cause = format!(
                "did not finish its step within {} s of SIGTERM ({reason}); goes on from the checkpoint before",
                grace.as_secs()
            );
            self.kill(Verdict::new(RankOutcome::Preempted, cause));
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(crate) fn tick_at(&self) -> Option<Instant> {
        match self.state {
            RankState::Running => Some(self.clock.stuck_at()),
            RankState::Stopping { kill_at, .. } => Some(kill_at.min(self.clock.stuck_at())),
            RankState::Killed(_) | RankState::Ended => None,
        }
    }

    /// The next message for the coordinator, if one is due.
    pub(crate) fn message(&mut self, now: Instant) -> Option<WorkerMessage> {
        if let Some(rendezvous) = self.own_rendezvous.clone().filter(|_| !self.rendezvous_sent && !self.is_stale()) {
            self.rendezvous_sent = true;
            return Some(WorkerMessage::Rendezvous(rendezvous));
        }
        self.report_log.message(now)
    }

    /// The rank has ended and the coordinator needs nothing more: removes its spool.
    pub(crate) fn forget(self) {
        self.report_log.forget();
    }
}

#[cfg(test)]
mod tests;
