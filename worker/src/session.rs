//! The worker's one loop: the stream to the coordinator, one rank, the clock and the signals meet here.
//!
//! Whatever happens is first taken in; then [`Session::settle`] does all that is due. There is one thread and no lock:
//! the state of the worker is the fields of [`Session`].
//!
//! What the coordinator may rely on:
//! - Everything about an attempt travels on one stream in order: reports, then the rank's end.
//! - Reports are sent again after a reconnect until they are acknowledged; the end of a rank is sent again on every
//!   new stream until the coordinator gives a sign that it knows: it calls the attempt stale, stops it, or assigns
//!   another one. Repeats must therefore change nothing.
//! - A stream that the worker closes by itself has been used to the end: a leaving worker closes its half and waits
//!   for the coordinator to close the other.

mod orders;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;
use tandem_proto::v1::{Drain, Heartbeat, Register, worker_message as ours};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    attempt::Attempt,
    child::Output,
    config::{self, RunArgs},
    device::Device,
    identity::Identity,
    link::{Link, LinkEvent},
    pulse::Pulse,
    verdict::Verdict,
};

/// A leaving worker waits this long for the coordinator to hear its last words.
const FAREWELL: Duration = Duration::from_secs(5);

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
    let endpoint = args.endpoint()?;
    let server = endpoint.uri().to_string();
    tracing::info!(worker = name, id = %identity.id, device = %args.device, server, "worker starts");
    let session = Session {
        link: Link::new(endpoint, args.token()?, register),
        server,
        meet_on,
        data_dir: std::path::absolute(&args.data)?,
        device,
        store: None,
        pulse: None,
        attempt: None,
        leaving: Leaving::No,
        last_failure: None,
    };
    session.run(terminate, interrupt).await
}

struct Session {
    link: Link,
    server: String,
    meet_on: String,
    data_dir: PathBuf,
    device: Device,
    /// Known once registered.
    store: Option<PathBuf>,
    /// While the stream is up.
    pulse: Option<Pulse>,
    attempt: Option<Attempt>,
    leaving: Leaving,
    /// Why there is no stream, as logged: each reason once, not each try.
    last_failure: Option<String>,
}

enum Leaving {
    No,
    /// The rank was asked to stop; `farewell_ends` is set once it has.
    Asked {
        farewell_ends: Option<Instant>,
    },
    AtOnce,
}

impl Session {
    async fn run(mut self, mut terminate: Signal, mut interrupt: Signal) -> anyhow::Result<()> {
        loop {
            let now = Instant::now();
            self.settle(now);
            if self.may_leave(now) {
                break;
            }
            let wake_at = tokio::time::Instant::from_std(self.wake_at(now));
            tokio::select! {
                event = self.link.next() => self.on_link(Instant::now(), event)?,
                output = next_output(&mut self.attempt) => self.on_output(Instant::now(), output),
                _ = terminate.recv() => self.on_signal(Instant::now()),
                _ = interrupt.recv() => self.on_signal(Instant::now()),
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
        if matches!(self.leaving, Leaving::AtOnce) {
            bail!("ended at once by a second signal");
        }
        let had_attempt = self.attempt.is_some();
        if !self.link.finish(FAREWELL).await && had_attempt {
            tracing::warn!(server = self.server, "left without hearing that the coordinator knows how the rank ended");
        }
        tracing::info!("worker leaves");
        Ok(())
    }

    /// Does all that is due now.
    fn settle(&mut self, now: Instant) {
        if self.attempt.as_ref().is_some_and(Attempt::is_over) {
            self.attempt = None;
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.tick(now);
        }
        let ended = self.attempt.as_ref().is_none_or(Attempt::has_ended);
        if let Leaving::Asked { farewell_ends: farewell_ends @ None } = &mut self.leaving
            && ended
        {
            *farewell_ends = Some(now + FAREWELL);
        }
        self.beat(now);
        while self.link.is_up()
            && let Some(message) = self.attempt.as_mut().and_then(|attempt| attempt.message(now))
        {
            self.link.send(message);
        }
        self.link.register.running = self.attempt.as_ref().and_then(Attempt::unsettled).into_iter().collect();
    }

    /// Sends the heartbeat that is due. A coordinator that is there but silent has, for all we know, given our
    /// attempt to others: the rank ends.
    fn beat(&mut self, now: Instant) {
        if !self.link.is_up() {
            self.pulse = None;
        }
        let Some(pulse) = &mut self.pulse else { return };
        if let Some(silence) = pulse.silence(now) {
            tracing::warn!(server = self.server, ?silence, "the coordinator does not answer heartbeats");
            if let Some(attempt) = &mut self.attempt {
                let cause =
                    format!("the coordinator was reachable but acknowledged nothing for {silence:.1?}; rank ended");
                attempt.kill(Verdict::lost(cause));
            }
            self.pulse = None;
            return self.link.hang_up();
        }
        if let Some(sequence) = pulse.beat(now) {
            let facts = self.device.facts(self.attempt.as_ref().map(Attempt::pid));
            let running = self.attempt.as_ref().and_then(Attempt::running).into_iter().collect();
            self.link.send(ours::Message::Heartbeat(Heartbeat { sequence, facts, running }));
        }
    }

    /// When [`Self::settle`] has something to do even if nothing happens.
    fn wake_at(&self, now: Instant) -> Instant {
        let attempt = self.attempt.as_ref();
        let farewell = match self.leaving {
            Leaving::Asked { farewell_ends } => farewell_ends,
            Leaving::No | Leaving::AtOnce => None,
        };
        let due = [
            self.pulse.as_ref().map(Pulse::due_at),
            attempt.and_then(Attempt::tick_at),
            attempt.filter(|_| self.link.is_up()).and_then(|attempt| attempt.message_at(now)),
            farewell,
        ];
        due.into_iter().flatten().min().unwrap_or(now + Duration::from_secs(3600))
    }

    fn may_leave(&self, now: Instant) -> bool {
        let attempt = self.attempt.as_ref();
        match self.leaving {
            Leaving::No => false,
            Leaving::Asked { farewell_ends } => {
                attempt.is_none_or(Attempt::is_told) || farewell_ends.is_some_and(|end| now >= end)
            }
            Leaving::AtOnce => attempt.is_none_or(Attempt::has_ended),
        }
    }

    fn on_link(&mut self, now: Instant, event: LinkEvent) -> anyhow::Result<()> {
        match event {
            LinkEvent::Up(registered) => self.on_registered(now, &registered)?,
            LinkEvent::Message(message) => self.on_message(now, message),
            LinkEvent::Down(reason) => {
                if self.last_failure.as_ref() != Some(&reason) {
                    let trains = self.attempt.as_ref().is_some_and(|attempt| !attempt.has_ended());
                    let meanwhile = if trains { "the rank goes on meanwhile" } else { "nothing runs here meanwhile" };
                    let server = &self.server;
                    tracing::warn!("no stream to the coordinator at {server}: {reason}; trying again, {meanwhile}");
                }
                self.last_failure = Some(reason);
            }
        }
        Ok(())
    }

    fn on_output(&mut self, now: Instant, output: Output) {
        if let Some(attempt) = &mut self.attempt {
            attempt.hear(now, output);
        }
    }

    fn on_signal(&mut self, now: Instant) {
        if !matches!(self.leaving, Leaving::No) {
            tracing::warn!("second signal: ending at once");
            self.leaving = Leaving::AtOnce;
            if let Some(attempt) = &mut self.attempt {
                attempt.kill(Verdict::lost("the worker was ended at once by a second signal"));
            }
            return;
        }
        tracing::info!("signal: taking nothing new, leaving when the rank has stopped");
        self.leaving = Leaving::Asked { farewell_ends: None };
        self.link.send(ours::Message::Drain(Drain {}));
        if let Some(attempt) = &mut self.attempt {
            attempt.stop(now, "the worker leaves");
        }
    }
}

async fn next_output(attempt: &mut Option<Attempt>) -> Output {
    match attempt {
        Some(attempt) => attempt.next().await,
        None => std::future::pending().await,
    }
}
