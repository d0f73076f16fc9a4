//! The worker's one loop: the stream to the coordinator, one rank, the clock and the signals meet here.
//!
//! Each turn first takes in what happened (`messages` for what the coordinator sent, `looks` for what the device is like), then does all that is due (`due`).
//! There is one thread and no lock: `state` is all that the worker knows.
//!
//! What the coordinator may rely on:
//! - Everything about an attempt travels on one stream in order: reports, then the rank's end.
//! - Reports are sent again after a reconnect, and by the next process of this worker, until they are acknowledged. The
//!   end of a rank is sent again on every new stream until the coordinator shows that it knows: it calls the attempt
//!   stale, stops it, or assigns another one. Repeats must therefore change nothing.
//! - A worker whose lease may have run out ends its rank before it sends anything more.
//! - A leaving worker closes its half of the stream, and waits for the coordinator to read all of it and close the other.

mod due;
mod looks;
mod messages;
mod state;

use std::{collections::HashMap, time::Instant};

use anyhow::bail;
use tandem_domain::{LEARN_VERSION, fit::PROTOCOL, spec::SPEC_VERSION, timing};
use tandem_proto::v1::{Drain, RankOutcome, Register, StoreSeen, coordinator_message, worker_message};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    access,
    attempt::Attempt,
    child::ChildEvent,
    config::{self, RunArgs},
    device::Device,
    disconnect_grace::DisconnectGrace,
    house,
    identity::Identity,
    link::{Link, LinkEvent},
    meet_ports,
    report_log::ReportLog,
    sampling::Sampling,
    spool::{self, Writer},
    store_probe::StoreProbe,
    surroundings::Surroundings,
    survey::Survey,
    verdict::Verdict,
};
use state::{LAST_REPORTS_WITHIN, LAST_WRITES_WITHIN, Leaving, Session};

/// Holds the device until a signal says to leave.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    access::forbid_core_files();
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let identity = Identity::open(&args.state)?;
    let device = Device::open(args.device, args.threads, args.nvml.as_deref(), Some(&args.state))?;
    let (name, spool_writer) = (args.name(), Writer::start()?);
    let register = Register {
        worker_id: identity.id.to_string(),
        name: name.clone(),
        host: config::host_name(),
        device: Some(device.description.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        running: Vec::new(),
        protocol: PROTOCOL,
        spec_version: SPEC_VERSION,
        learn_version: LEARN_VERSION.to_owned(),
        house_id: house::of(&args.state)?,
    };
    meet_ports::remark(args.meet_ports, args.device);
    let link = Link::new(args.access.clone(), register).map_err(anyhow::Error::msg)?;
    tracing::info!(worker = name, id = %identity.id, device = %args.device, server = link.server(), "worker starts");
    let now = Instant::now();
    let data_dir = std::path::absolute(&args.data)?;
    let mut sampling = Sampling::start(device.card.clone(), args.state.clone(), *args.sample_every);
    // A card that is in use must not be given out before that is known.
    sampling.first(timing::SAMPLE_FIRST).await;
    let surroundings = Surroundings::read(name.clone(), config::host_name(), device.description.clone()).await;
    let session = Session {
        name,
        link,
        meet_on: None,
        given_meet_on: args.meet_on,
        meet_ports: args.meet_ports,
        survey: Survey::start(data_dir.clone(), args.state.join("datasets")),
        data_dir,
        recovered: recover_logs(now, &args, &spool_writer),
        state: args.state,
        spool_writer,
        device,
        surroundings,
        sampling,
        store: None,
        store_id: String::new(),
        store_probe: None,
        unfit: String::new(),
        timing: timing::DEFAULT,
        heartbeats: None,
        disconnect_grace: DisconnectGrace::new(now, *args.away_grace),
        attempt: None,
        next_assignment: None,
        noted: (String::new(), 0),
        looks_until: None,
        leaving: Leaving::No,
        last_failures: HashMap::new(),
    };
    session.run(terminate, interrupt).await
}

/// What an earlier process of this worker could not report.
fn recover_logs(now: Instant, args: &RunArgs, writer: &Writer) -> Vec<ReportLog> {
    let (found, problems) = spool::recover(&args.state);
    problems.iter().for_each(|problem| tracing::warn!("{problem}"));
    let report_logs = found.into_iter().map(|(path, contents)| {
        let (events, spool::SpoolHeader { attempt_id, rank, .. }) = (contents.events.len(), &contents.header);
        tracing::warn!(
            attempt = attempt_id,
            rank,
            events,
            "this worker was killed while a rank ran; reporting what the rank had done"
        );
        ReportLog::recovered(now, path, contents, writer.clone())
    });
    report_logs.collect()
}

/// Why the loop goes on.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
enum Wakeup {
    Link(LinkEvent),
    Child(ChildEvent),
    /// Something was written to disk.
    Spool,
    /// What the store looked like.
    Store(StoreSeen),
    /// What is known of the data sets has changed.
    Survey,
    /// The device was looked at.
    Sample,
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
                () = self.spool_writer.progressed() => Wakeup::Spool,
                seen = next_store_look(&mut self.store_probe) => Wakeup::Store(seen),
                () = self.survey.changed() => Wakeup::Survey,
                () = self.sampling.changed() => Wakeup::Sample,
                _ = terminate.recv() => Wakeup::Signal,
                _ = interrupt.recv() => Wakeup::Signal,
                () = tokio::time::sleep_until(wake_at.into()) => Wakeup::Time,
            };
            let now = Instant::now();
            // An acknowledgement counts from when its heartbeat was sent, however late it is read.
            let acknowledges =
                matches!(&wakeup, Wakeup::Link(LinkEvent::Message(coordinator_message::Message::HeartbeatAck(_))));
            self.after_wait(now, wake_at, acknowledges);
            match wakeup {
                Wakeup::Link(event) => self.on_link(now, event)?,
                Wakeup::Child(event) => self.on_child_event(now, event),
                Wakeup::Signal => self.on_signal(now),
                Wakeup::Store(seen) => _ = self.link.send(worker_message::Message::StoreSeen(seen)),
                Wakeup::Survey => self.announce(),
                Wakeup::Sample => self.on_sample(now),
                Wakeup::Spool | Wakeup::Time => {}
            }
        }
        let spool_writer = self.spool_writer.clone();
        let ended = self.leave().await;
        // A verdict that nobody has received must be on disk.
        if !spool_writer.flush(LAST_WRITES_WITHIN) {
            tracing::warn!(
                "left before the state folder took the last writes: it has not answered for {LAST_WRITES_WITHIN:?}"
            );
        }
        ended
    }

    /// Ends the stream.
    async fn leave(self) -> anyhow::Result<()> {
        if matches!(self.leaving, Leaving::Immediate) {
            bail!("ended at once by a second signal");
        }
        let had_reports = self.attempt.is_some() || !self.recovered.is_empty();
        let all_sent = self.all_sent();
        let server = self.link.server();
        if self.link.finish(LAST_REPORTS_WITHIN).await && all_sent {
            // The coordinator has read the stream to its end.
            self.attempt.into_iter().for_each(Attempt::forget);
            self.recovered.into_iter().for_each(ReportLog::forget);
        } else if had_reports {
            tracing::warn!(
                server,
                "left before the coordinator confirmed how the rank ended; it is reported when this worker starts again \
                 with the same --state"
            );
        }
        tracing::info!("worker leaves");
        Ok(())
    }

    fn on_link(&mut self, now: Instant, event: LinkEvent) -> anyhow::Result<()> {
        match event {
            LinkEvent::Up { registered, at, from } => self.on_registered(now, at, from, &registered)?,
            LinkEvent::Message(message) => self.on_message(now, message),
            LinkEvent::Down { reason, refused } => {
                self.store_probe = None;
                if refused {
                    self.report_logs_mut().for_each(|log| log.refused(&reason));
                }
                let server = self.link.server();
                if self.last_failures.get(&server) != Some(&reason) {
                    let trains = self.attempt.as_ref().is_some_and(|attempt| !attempt.has_ended());
                    let meanwhile = if trains { "the rank goes on meanwhile" } else { "no rank runs here" };
                    tracing::warn!("no stream to the coordinator at {server}: {reason}; trying again, {meanwhile}");
                }
                self.last_failures.insert(server, reason);
            }
        }
        Ok(())
    }

    fn on_child_event(&mut self, now: Instant, event: ChildEvent) {
        let Some(attempt) = &mut self.attempt else { return };
        match attempt.handle(now, event) {
            Some(RankOutcome::InputMissing) => {
                // Perhaps its data sets have changed since it told them, or the store is not there any more.
                self.survey.again();
                self.store_probe.iter().for_each(|probe| probe.set_fit(false));
            }
            Some(RankOutcome::Lost | RankOutcome::Unknown) if self.device.card.is_some() => {
                // Perhaps the card has failed, and is not to be given out again.
                self.sampling.look_again();
                self.looks_until = Some(now + timing::SAMPLE_FIRST);
            }
            _ => {}
        }
    }

    fn on_signal(&mut self, now: Instant) {
        if !matches!(self.leaving, Leaving::No) {
            tracing::warn!("second signal: ending at once");
            self.leaving = Leaving::Immediate;
            if let Some(attempt) = &mut self.attempt {
                // By a person.
                attempt.kill(Verdict::blameless("the worker was ended at once by a second signal"));
            }
            return;
        }
        tracing::info!("signal: no new rank starts; leaving when the present one has stopped");
        self.leaving = Leaving::Graceful { report_until: None };
        self.link.send(worker_message::Message::Drain(Drain {}));
        if let Some(attempt) = &mut self.attempt {
            attempt.stop(now, "the worker leaves");
        }
    }
}

async fn next_store_look(probe: &mut Option<StoreProbe>) -> StoreSeen {
    match probe {
        Some(probe) => probe.next().await,
        None => std::future::pending().await,
    }
}

async fn next_child_event(attempt: &mut Option<Attempt>) -> ChildEvent {
    match attempt {
        Some(attempt) => attempt.next().await,
        None => std::future::pending().await,
    }
}
