//! Messages of the coordinator, and what the worker does about each.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use tandem_domain::timing::{self, Timing};
use tandem_learn::task::Task;
use tandem_proto::v1::{
    Assignment, Drain, RankEnded, RankOutcome, Registered, Stop, coordinator_message, worker_message,
};

use super::state::{Leaving, Session};
use crate::{
    access,
    assignment::{self, WorkerContext},
    attempt::Attempt,
    child::Launch,
    heartbeat_timer::HeartbeatTimer,
    house,
    report_log::ReportLog,
    spool::SpoolHeader,
    store_probe::StoreProbe,
    verdict::Verdict,
};

impl Session {
    pub(super) fn on_registered(
        &mut self,
        now: Instant,
        register_sent_at: Instant,
        from: IpAddr,
        registered: &Registered,
    ) -> anyhow::Result<()> {
        tracing::info!(server = self.link.server(), "registered with the coordinator");
        self.last_failures.clear();
        self.keep_house(&registered.house_id);
        self.meet_on = Some(self.given_meet_on.unwrap_or(from));
        self.timing = Timing::named(&registered.timing).unwrap_or_else(|| {
            let (wanted, used) = (&registered.timing, timing::DEFAULT.name);
            tracing::warn!("the coordinator uses the timeouts `{wanted}`, unknown here; this worker uses `{used}`");
            timing::DEFAULT
        });
        self.link.set_longest_backoff(self.timing.reconnect_longest());
        let store = assignment::store_folder(&registered.store_url).map_err(anyhow::Error::msg)?;
        self.survey.set_store(&store);
        self.sampling.set_store(&store);
        if let Some(foreign) = registered.foreign_use {
            self.sampling.set_foreign_use(foreign);
        }
        self.store = Some(store);
        self.store_id.clone_from(&registered.store_id);
        // Before it shows that it is fit: then it may be given jobs.
        self.tell_samples(now);
        self.show_fitness(registered);
        let or = |ms: u32, default: Duration| if ms == 0 { default } else { Duration::from_millis(ms.into()) };
        let interval = or(registered.heartbeat_ms, self.timing.heartbeat);
        let self_end = or(registered.self_end_ms, self.timing.self_end);
        self.heartbeats = Some(HeartbeatTimer::new(now, register_sent_at, interval, self_end));
        if let Some(attempt) = &mut self.attempt {
            if registered.stale_attempt_ids.iter().any(|id| id == attempt.id()) {
                attempt.abandon("the coordinator gave the attempt up while there was no stream");
            }
            attempt.resend(now);
        }
        for log in &mut self.recovered {
            if registered.stale_attempt_ids.iter().any(|id| id == log.id()) {
                // The coordinator gave the attempt up, or knows how it ended.
                tracing::info!(attempt = log.id(), "the coordinator wants no report of an earlier rank: dropped");
                log.mark_stale();
            }
            log.resend(now);
        }
        if !matches!(self.leaving, Leaving::No) {
            self.link.send(worker_message::Message::Drain(Drain {}));
        }
        Ok(())
    }

    /// From now on this state folder, with what is still to be reported, is of that house.
    fn keep_house(&mut self, id: &str) {
        if id.is_empty() || self.link.register.house_id == id {
            return;
        }
        if let Err(error) = house::keep(&self.state, id) {
            tracing::warn!(%error, "cannot remember which house this worker is of");
        }
        id.clone_into(&mut self.link.register.house_id);
    }

    /// Starts to show the coordinator that this worker can have jobs: it sees the store, and which data sets.
    fn show_fitness(&mut self, registered: &Registered) {
        self.store_probe = None;
        if registered.store_id.is_empty() {
            let version = env!("CARGO_PKG_VERSION");
            return tracing::warn!("the coordinator is older than this worker ({version}): update it");
        }
        self.store_probe = self.store.clone().map(|root| StoreProbe::start(root, registered));
        self.announce();
    }

    /// Tells the coordinator the data sets that are known so far.
    pub(super) fn announce(&mut self) {
        if let Some(datasets) = self.survey.newest() {
            self.link.send(worker_message::Message::Datasets(datasets));
        }
    }

    fn on_fitness(&mut self, unfit: String) {
        if let Some(probe) = &self.store_probe {
            probe.set_fit(unfit.is_empty());
        }
        // Each answer is logged once, not at each look.
        if unfit != self.unfit {
            match unfit.as_str() {
                "" => tracing::info!("this worker sees the store and gets jobs again"),
                unfit => tracing::error!("this worker gets no jobs: {unfit}"),
            }
            self.unfit = unfit;
        }
    }

    pub(super) fn on_message(&mut self, now: Instant, message: coordinator_message::Message) {
        match message {
            coordinator_message::Message::HeartbeatAck(ack) => {
                if let Some(heartbeats) = &mut self.heartbeats {
                    heartbeats.acknowledge(ack.sequence);
                }
            }
            coordinator_message::Message::ReportAck(ack) => {
                if let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.id() == ack.attempt_id) {
                    attempt.confirm(ack.sequence, ack.keep_files);
                }
                for log in self.recovered.iter_mut().filter(|log| log.id() == ack.attempt_id) {
                    log.confirm(ack.sequence);
                }
            }
            coordinator_message::Message::Rendezvous(at) => {
                if let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.is(&at.attempt_id, at.fence)) {
                    attempt.forward_rendezvous(at.host, at.port);
                }
            }
            coordinator_message::Message::Assignment(assignment) => self.on_assignment(now, &assignment),
            coordinator_message::Message::Stop(stop) => self.on_stop(now, &stop),
            coordinator_message::Message::Fitness(fitness) => self.on_fitness(fitness.unfit),
            coordinator_message::Message::Registered(_) => {
                tracing::warn!("the coordinator answered the registration twice on one stream")
            }
        }
    }

    pub(super) fn on_assignment(&mut self, now: Instant, assignment: &Assignment) {
        let earlier = self.recovered.iter_mut().find(|held| held.is(&assignment.attempt_id, assignment.fence));
        if let Some(log) = earlier {
            if log.all_sent() {
                log.resend(now);
            }
            return;
        }
        // A worker has one lease: a coordinator that assigns another attempt knows how the earlier ones ended.
        for known in self.recovered.extract_if(.., |log| log.all_sent()) {
            known.forget();
        }
        match &mut self.attempt {
            // Sent again: the coordinator does not know whether it arrived, or how the rank ended.
            Some(held) if held.is(&assignment.attempt_id, assignment.fence) => {
                if held.all_sent() {
                    held.resend(now);
                }
                return;
            }
            // The stale rank is dying, and its device is free once it is dead.
            Some(held) if held.is_stale() && !held.has_ended() => {
                self.next_assignment = Some(assignment.clone());
                return;
            }
            Some(held) if !held.all_sent() => {
                // The coordinator took this worker for idle: neither the worker nor the job is at fault.
                let cause = format!("busy: attempt {} still runs on this worker", held.id());
                return self.refuse(assignment, Verdict::blameless(cause));
            }
            _ => self.attempt.take().into_iter().for_each(Attempt::forget),
        }
        if !matches!(self.leaving, Leaving::No) {
            return self.refuse(assignment, Verdict::new(RankOutcome::Preempted, "the worker leaves"));
        }
        match self.start(now, assignment) {
            Ok(attempt) => self.attempt = Some(attempt),
            Err(verdict) => self.refuse(assignment, verdict),
        }
    }

    fn start(&self, now: Instant, assignment: &Assignment) -> Result<Attempt, Verdict> {
        let unregistered = || Verdict::unknown("assigned before the worker was registered");
        let store = self.store.clone().ok_or_else(unregistered)?;
        let host = self.meet_on.ok_or_else(unregistered)?.to_string();
        let (device, visible) = self.device.for_rank();
        let context = WorkerContext {
            device: device.to_owned(),
            data_dir: self.data_dir.clone(),
            store: store.clone(),
            store_id: self.store_id.clone(),
            host,
            meet_ports: self.meet_ports,
            timing: self.timing.name,
        };
        // The coordinator has accepted the job: another version of this worker may read it.
        let task = assignment::task(assignment, &context).map_err(Verdict::unknown)?;
        let launch = launch(&task, visible)?;
        let header = SpoolHeader { attempt_id: task.attempt_id.clone(), fence: task.fence, rank: task.rank };
        let log = ReportLog::new(&self.state, header, self.spool_writer.clone());
        let attempt = Attempt::start(now, log, store, self.surroundings.clone(), self.timing.progress, &launch)
            .map_err(|error| Verdict::lost(format!("cannot start the rank's process: {error}")))?;
        let Task { rank, world_size, fence, .. } = task;
        tracing::info!(
            attempt = task.attempt_id,
            job = task.spec.name,
            rank,
            world_size,
            fence,
            pid = attempt.pid(),
            "rank started"
        );
        Ok(attempt)
    }

    fn refuse(&mut self, assignment: &Assignment, Verdict { outcome, cause }: Verdict) {
        tracing::warn!(attempt = assignment.attempt_id, cause, "assignment refused");
        let Assignment { attempt_id, fence, rank, .. } = assignment.clone();
        self.link.send(worker_message::Message::RankEnded(RankEnded {
            attempt_id,
            fence,
            rank,
            outcome: outcome.into(),
            cause,
        }));
    }

    fn on_stop(&mut self, now: Instant, stop: &Stop) {
        self.next_assignment.take_if(|next| next.attempt_id == stop.attempt_id && next.fence == stop.fence);
        for log in self.recovered.iter_mut().filter(|held| held.is(&stop.attempt_id, stop.fence)) {
            tracing::info!(
                attempt = log.id(),
                reason = stop.reason,
                "an earlier rank's attempt is over: only how it ended is reported"
            );
            log.drop_unsent();
        }
        let Some(attempt) = self.attempt.as_mut().filter(|held| held.is(&stop.attempt_id, stop.fence)) else { return };
        match (attempt.has_ended(), stop.graceful) {
            // It had ended already. If its end was sent, the coordinator knows it; else it is sent now.
            (true, _) if attempt.all_sent() => self.attempt.take().into_iter().for_each(Attempt::forget),
            (true, _) => attempt.drop_unsent(),
            (false, true) => attempt.stop(now, &stop.reason),
            (false, false) => attempt.kill(Verdict::new(RankOutcome::Cancelled, &stop.reason)),
        }
    }
}

/// The rank's process: this program again, which sees one device and uses as many threads as its spec says.
fn launch(task: &Task, visible_devices: String) -> Result<Launch, Verdict> {
    let first_line = serde_json::to_string(task)
        .map_err(|error| Verdict::unknown(format!("cannot write the task as JSON: {error}")))?;
    let threads = task.spec.threads.to_string();
    Ok(Launch {
        // Not the path that it was started by: an upgrade may have put another version there.
        executable: "/proc/self/exe".into(),
        arg0: "tandem-worker",
        arguments: vec!["rank".to_owned(), format!("--worker-pid={}", std::process::id())],
        environment: vec![
            ("CUDA_VISIBLE_DEVICES", visible_devices),
            ("OMP_NUM_THREADS", threads.clone()),
            ("MKL_NUM_THREADS", threads),
            (tandem_learn::OPENMP.0, tandem_learn::OPENMP.1.to_owned()),
            (tandem_learn::ALLOCATOR.0, tandem_learn::ALLOCATOR.1.to_owned()),
        ],
        hidden_environment: access::SECRET_ENVIRONMENT,
        first_line,
    })
}
