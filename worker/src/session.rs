//! The worker's one loop: the stream to the coordinator, one rank, the clock and the signals meet here.
//!
//! Whatever happens is first taken in; then [`Session::settle`] does all that is due. There is one thread and no lock:
//! the state of the worker is the fields of [`Session`].
//!
//! What the coordinator may rely on:
//! - Everything about an attempt travels on one stream in order: reports, then the rank's end.
//! - Reports are sent again after a reconnect, and by the next process of this worker, until they are acknowledged; the
//!   end of a rank is sent again on every new stream until the coordinator gives a sign that it knows: it calls the
//!   attempt stale, stops it, or assigns another one. Repeats must therefore change nothing.
//! - A worker whose lease may have run out sends nothing more of its rank, which it ends first ([`due`]).
//! - A stream that the worker closes by itself has been used to the end: a leaving worker closes its half and waits
//!   for the coordinator to close the other.

mod due;
mod messages;

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;
use tandem_domain::timing::{self, Timing};
use tandem_proto::v1::{Assignment, Drain, Register, worker_message};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    attempt::Attempt,
    child::ChildEvent,
    config::{self, RunArgs},
    device::Device,
    disconnect_grace::DisconnectGrace,
    heartbeat_timer::HeartbeatTimer,
    identity::Identity,
    link::{Link, LinkEvent},
    report_log::ReportLog,
    spool,
    verdict::Verdict,
};

/// A leaving worker waits this long for the coordinator to hear its last words.
const LAST_REPORTS_WITHIN: Duration = Duration::from_secs(5);

/// Holds the device until a signal says to leave.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let identity = Identity::open(&args.state)?;
    let device = Device::open(args.device, args.threads)?;
    let (name, meet_on) = (args.name(), args.meet_on()?);
    let register = Register {
        worker_id: identity.id.to_string(),
        name: name.clone(),
        host: config::host_name(),
        device: Some(device.description.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        running: Vec::new(),
    };
    let link = Link::new(args.endpoints()?, args.token()?, register);
    tracing::info!(worker = name, id = %identity.id, device = %args.device, server = link.server(), "worker starts");
    let now = Instant::now();
    let session = Session {
        link,
        meet_on,
        data_dir: std::path::absolute(&args.data)?,
        recovered: recover_logs(now, &args),
        state: args.state,
        device,
        store: None,
        timing: timing::DEFAULT,
        heartbeats: None,
        disconnect_grace: DisconnectGrace::new(now, *args.away_grace),
        attempt: None,
        next: None,
        leaving: Leaving::No,
        last_failures: HashMap::new(),
    };
    session.run(terminate, interrupt).await
}

/// What an earlier process of this worker had no time to tell.
fn recover_logs(now: Instant, args: &RunArgs) -> Vec<ReportLog> {
    let (found, problems) = spool::recover(&args.state);
    problems.iter().for_each(|problem| tracing::warn!("{problem}"));
    let report_logs = found.into_iter().map(|(path, contents)| {
        let (events, spool::SpoolHeader { attempt_id, rank, .. }) = (contents.events.len(), &contents.header);
        tracing::warn!(
            attempt = attempt_id,
            rank,
            events,
            "this worker was killed with a rank; telling what it had done"
        );
        ReportLog::recovered(now, path, contents)
    });
    report_logs.collect()
}

struct Session {
    link: Link,
    meet_on: String,
    data_dir: PathBuf,
    /// Folder of this worker alone.
    state: PathBuf,
    device: Device,
    /// Known once registered.
    store: Option<PathBuf>,
    /// What the coordinator goes by.
    timing: Timing,
    /// While the stream is up.
    heartbeats: Option<HeartbeatTimer>,
    disconnect_grace: DisconnectGrace,
    attempt: Option<Attempt>,
    /// The next one, while a rank that the coordinator disowned is dying.
    next: Option<Assignment>,
    /// Ranks of an earlier process of this worker, which the coordinator may not know the end of.
    recovered: Vec<ReportLog>,
    leaving: Leaving,
    /// Why there is no stream to a coordinator, as logged: each reason once, not each try.
    last_failures: HashMap<String, String>,
}

enum Leaving {
    No,
    /// The rank was asked to stop; `farewell_ends` is set once it has.
    Graceful {
        report_until: Option<Instant>,
    },
    Immediate,
}

enum Wakeup {
    Link(LinkEvent),
    Child(ChildEvent),
    Signal,
    Time,
}

impl Session {
    async fn run(mut self, mut terminate: Signal, mut interrupt: Signal) -> anyhow::Result<()> {
        loop {
            let now = Instant::now();
            self.run_due(now);
            if self.may_exit(now) {
                break;
            }
            let wake_at = self.wake_at(now);
            let wakeup = tokio::select! {
                event = self.link.next() => Wakeup::Link(event),
                event = next_child_event(&mut self.attempt) => Wakeup::Child(event),
                _ = terminate.recv() => Wakeup::Signal,
                _ = interrupt.recv() => Wakeup::Signal,
                () = tokio::time::sleep_until(wake_at.into()) => Wakeup::Time,
            };
            let now = Instant::now();
            self.after_wait(now, wake_at, &wakeup);
            match wakeup {
                Wakeup::Link(event) => self.on_link(now, event)?,
                Wakeup::Child(event) => self.on_child_event(now, event),
                Wakeup::Signal => self.on_signal(now),
                Wakeup::Time => {}
            }
        }
        if matches!(self.leaving, Leaving::Immediate) {
            bail!("ended at once by a second signal");
        }
        let had_something_to_say = self.attempt.is_some() || !self.recovered.is_empty();
        let all_sent = self.all_sent();
        let server = self.link.server();
        if self.link.finish(LAST_REPORTS_WITHIN).await && all_sent {
            // It has read all of it, to the end of the stream.
            self.attempt.into_iter().for_each(Attempt::forget);
            self.recovered.into_iter().for_each(ReportLog::forget);
        } else if had_something_to_say {
            tracing::warn!(
                server,
                "left without hearing that the coordinator knows how the rank ended; it will be told when this worker \
                 starts again with the same --state"
            );
        }
        tracing::info!("worker leaves");
        Ok(())
    }

    fn on_link(&mut self, now: Instant, event: LinkEvent) -> anyhow::Result<()> {
        match event {
            LinkEvent::Up(registered, register_sent_at) => self.on_registered(now, register_sent_at, &registered)?,
            LinkEvent::Message(message) => self.on_message(now, message),
            LinkEvent::Down(reason) => {
                let server = self.link.server();
                if self.last_failures.get(&server) != Some(&reason) {
                    let trains = self.attempt.as_ref().is_some_and(|attempt| !attempt.has_ended());
                    let meanwhile = if trains { "the rank goes on meanwhile" } else { "nothing runs here meanwhile" };
                    tracing::warn!("no stream to the coordinator at {server}: {reason}; trying again, {meanwhile}");
                }
                self.last_failures.insert(server, reason);
            }
        }
        Ok(())
    }

    fn on_child_event(&mut self, now: Instant, event: ChildEvent) {
        if let Some(attempt) = &mut self.attempt {
            attempt.handle(now, event);
        }
    }

    fn on_signal(&mut self, now: Instant) {
        if !matches!(self.leaving, Leaving::No) {
            tracing::warn!("second signal: ending at once");
            self.leaving = Leaving::Immediate;
            if let Some(attempt) = &mut self.attempt {
                attempt.kill(Verdict::lost("the worker was ended at once by a second signal"));
            }
            return;
        }
        tracing::info!("signal: taking nothing new, leaving when the rank has stopped");
        self.leaving = Leaving::Graceful { report_until: None };
        self.link.send(worker_message::Message::Drain(Drain {}));
        if let Some(attempt) = &mut self.attempt {
            attempt.stop(now, "the worker leaves");
        }
    }
}

async fn next_child_event(attempt: &mut Option<Attempt>) -> ChildEvent {
    match attempt {
        Some(attempt) => attempt.next().await,
        None => std::future::pending().await,
    }
}
