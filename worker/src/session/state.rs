//! What the session knows: its fields are the whole state of the worker.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use tandem_collective::PortRange;
use tandem_domain::timing::Timing;
use tandem_proto::v1::Assignment;

use crate::{
    attempt::Attempt, device::Device, disconnect_grace::DisconnectGrace, heartbeat_timer::HeartbeatTimer, link::Link,
    report_log::ReportLog, sampling::Sampling, spool::Writer, store_probe::StoreProbe, surroundings::Surroundings,
    survey::Survey,
};

/// A leaving worker waits this long for the coordinator to read its last reports.
pub(super) const LAST_REPORTS_WITHIN: Duration = Duration::from_secs(5);

/// And this long for its state folder to take the last writes.
pub(super) const LAST_WRITES_WITHIN: Duration = Duration::from_secs(3);

pub(crate) struct Session {
    /// Of this worker, as people see it.
    pub(super) name: String,
    pub(super) link: Link,
    /// Address on which this host's ranks meet others; known once registered, if it was not given.
    pub(super) meet_on: Option<IpAddr>,
    pub(super) given_meet_on: Option<IpAddr>,
    /// Ports on which ranks listen for each other; any if `None`.
    pub(super) meet_ports: Option<PortRange>,
    pub(super) data_dir: PathBuf,
    /// Folder of this worker alone.
    pub(super) state: PathBuf,
    pub(super) spool_writer: Writer,
    pub(super) device: Device,
    pub(super) surroundings: Surroundings,
    pub(super) sampling: Sampling,
    /// Root of checkpoints and artifacts; known once registered.
    pub(super) store: Option<PathBuf>,
    pub(super) store_id: String,
    /// `None` while there is no stream, and of a coordinator that does not ask for it.
    pub(super) store_probe: Option<StoreProbe>,
    /// Why the coordinator gives this worker no jobs; empty if it does.
    pub(super) unfit: String,
    pub(super) survey: Survey,
    /// The coordinator's timeouts.
    pub(super) timing: Timing,
    /// `None` while there is no stream.
    pub(super) heartbeats: Option<HeartbeatTimer>,
    pub(super) disconnect_grace: DisconnectGrace,
    pub(super) attempt: Option<Attempt>,
    /// Starts once the rank of a stale attempt is dead.
    pub(super) next_assignment: Option<Assignment>,
    /// Logs of an earlier process of this worker: the coordinator may not know how their ranks ended.
    pub(super) recovered: Vec<ReportLog>,
    /// The attempt that was told of guests and errors of its device, and of how many.
    pub(super) noted: (String, usize),
    /// A rank has ended badly on a card: how it ended is told after a new look at it, or then.
    pub(super) looks_until: Option<Instant>,
    pub(super) leaving: Leaving,
    /// By coordinator, why there was no stream: each reason is logged once, not at each try.
    pub(super) last_failures: HashMap<String, String>,
}

pub(super) enum Leaving {
    No,
    /// The rank was asked to stop; `report_until` is set once it has ended.
    Graceful {
        report_until: Option<Instant>,
    },
    Immediate,
}

impl Session {
    /// No rank runs, and everything that is known was sent on the present stream.
    pub(super) fn all_sent(&self) -> bool {
        self.attempt.as_ref().is_none_or(Attempt::all_sent) && self.recovered.iter().all(ReportLog::all_sent)
    }

    /// After a refusal one batch of one log at a time is under way, so that it shows which one is refused. And whoever decides
    /// where a lost job goes next is to know first what its card is like.
    pub(super) fn may_report(&self, now: Instant) -> bool {
        if self.looks_until.is_some_and(|until| now < until) && !self.sampling.has_looked_again() {
            return false;
        }
        !self.report_logs().any(ReportLog::is_cautious) || !self.report_logs().any(ReportLog::is_under_way)
    }

    pub(super) fn report_logs(&self) -> impl Iterator<Item = &ReportLog> {
        self.attempt.as_deref().into_iter().chain(&self.recovered)
    }

    pub(super) fn report_logs_mut(&mut self) -> impl Iterator<Item = &mut ReportLog> {
        self.attempt.as_deref_mut().into_iter().chain(&mut self.recovered)
    }
}
