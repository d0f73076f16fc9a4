//! The whole state of one run, and the step from one event to the next.

use tandem_domain::place::Policy;

use crate::{
    artifacts::Artifacts,
    broken::Broken,
    coordinator::state::Coordinator,
    counts::Counts,
    database::Database,
    event::{Agenda, Event, Lifetime, Message, Process, ProcessEvent},
    gang::{Disk, Gangs},
    invariants::ghost::{Ghost, Violation},
    plan::{Ms, Plan},
    rng::Rng,
    worker::state::Worker,
};

/// One stream between a worker and a coordinator; its number is the coordinator's session.
pub(crate) struct Connection {
    pub(crate) worker: usize,
    pub(crate) coordinator: usize,
    epochs: (u32, u32),
    pub(crate) is_open: bool,
    /// Nothing arrives before this, as packets are lost and sent again.
    pub(crate) stalled_until: Ms,
    /// When the last message in each direction arrives; later ones do not overtake it.
    last: [Ms; 2],
}

pub(crate) struct World {
    pub(crate) now: Ms,
    pub(crate) plan: Plan,
    pub(crate) broken: Option<Broken>,
    pub(crate) policy: Policy,
    pub(crate) rng: Rng,
    pub(crate) agenda: Agenda,
    pub(crate) db: Database,
    pub(crate) coordinators: Vec<Coordinator>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) gangs: Gangs,
    pub(crate) disk: Disk,
    pub(crate) artifacts: Artifacts,
    pub(crate) ghost: Ghost,
    /// A line for each thing that a person would want to read; `None` if nobody does.
    pub(crate) trace: Option<String>,
    pub(crate) counts: Counts,
    pub(crate) violation: Option<Violation>,
    /// No fault comes any more.
    pub(crate) is_quiet: bool,
}

impl World {
    pub(crate) fn lifetime(&mut self, process: Process) -> &mut Lifetime {
        match process {
            Process::Coordinator(number) => &mut self.coordinators[number].lifetime,
            Process::Worker(number) => &mut self.workers[number].lifetime,
        }
    }

    /// Sets a timer that a restart of the process cancels.
    pub(crate) fn timer(&mut self, at: Ms, process: Process, what: ProcessEvent) {
        let epoch = self.lifetime(process).epoch;
        self.agenda.at(at, Event::To { process, epoch, what });
    }

    /// Handles the next event; `false` when there is none.
    pub(crate) fn step(&mut self) -> bool {
        let Some((at, event)) = self.agenda.next() else { return false };
        self.now = at;
        self.db.now = at;
        self.counts.events += 1;
        match event {
            Event::To { process, epoch, what } => {
                let life = self.lifetime(process);
                if life.is_frozen && life.epoch == epoch {
                    life.deferred.push(Event::To { process, epoch, what });
                } else if life.is_up && life.epoch == epoch {
                    match process {
                        Process::Coordinator(number) => self.on_coordinator(number, what),
                        Process::Worker(number) => self.on_worker(number, what),
                    }
                }
            }
            Event::Submit(job) => {
                self.log(|| format!("submit job{job}"));
                self.ghost.changed();
                self.db.submit(job);
            }
            Event::Cancel(job) => {
                self.log(|| format!("cancel job{job}"));
                self.ghost.changed();
                self.ghost.cancelled[job] = true;
                self.db.cancel(job);
            }
            Event::Fault(fault) => self.on_fault(fault),
            Event::Quiet => self.on_quiet(),
            Event::Step { attempt, serial } => self.on_step(attempt, serial),
            Event::Stalled { attempt, serial } => self.on_stalled(attempt, serial),
            Event::Loaded { attempt, rank } => self.on_loaded(attempt, rank),
            Event::RendezvousTimeout { attempt, rank } => self.on_rendezvous_timeout(attempt, rank),
            Event::Unstuck { attempt, rank } => self.on_unstuck(attempt, rank),
        }
        self.check();
        if std::mem::take(&mut self.db.notifies) {
            self.notify();
        }
        true
    }

    /// NOTIFY wakes every coordinator. Sometimes it is lost, and polling must find the change.
    fn notify(&mut self) {
        for number in 0..self.coordinators.len() {
            if !self.rng.percent(5) {
                let at = self.now + self.rng.between(1, 20);
                self.notify_coordinator(number, at);
            }
        }
    }

    /// Appends a line to the trace, if there is one.
    pub(crate) fn log(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push_str(&format!("{:>10.3} {}\n", self.now as f64 / 1000.0, line()));
        }
    }

    pub(crate) fn freeze(&mut self, process: Process) {
        self.lifetime(process).is_frozen = true;
    }

    /// SIGCONT: everything that came meanwhile is handled at once, in order.
    pub(crate) fn thaw(&mut self, process: Process) {
        let life = self.lifetime(process);
        life.is_frozen = false;
        let deferred = std::mem::take(&mut life.deferred);
        let now = self.now;
        self.agenda.first(now, deferred);
    }

    /// Ends the process and its connections.
    pub(crate) fn kill(&mut self, process: Process) {
        let life = self.lifetime(process);
        *life = Lifetime { epoch: life.epoch + 1, ..Lifetime::default() };
        for number in 0..self.connections.len() {
            let connection = &self.connections[number];
            let is_its = match process {
                Process::Coordinator(coordinator) => connection.coordinator == coordinator,
                Process::Worker(worker) => connection.worker == worker,
            };
            if is_its && connection.is_open {
                self.cut(number);
            }
        }
    }

    pub(crate) fn connect(&mut self, worker: usize, coordinator: usize) -> usize {
        let epochs = (self.workers[worker].lifetime.epoch, self.coordinators[coordinator].lifetime.epoch);
        let (is_open, stalled_until, last) = (true, 0, [0; 2]);
        self.connections.push(Connection { worker, coordinator, epochs, is_open, stalled_until, last });
        self.connections.len() - 1
    }

    /// Breaks the connection: messages on their way are lost, and both ends notice soon.
    pub(crate) fn cut(&mut self, connection: usize) {
        let Connection { worker, coordinator, epochs, is_open, .. } = &mut self.connections[connection];
        if !std::mem::take(is_open) {
            return;
        }
        let (worker, coordinator, epochs) = (*worker, *coordinator, *epochs);
        for (process, epoch) in [(Process::Worker(worker), epochs.0), (Process::Coordinator(coordinator), epochs.1)] {
            let at = self.now + self.rng.between(1, 50);
            self.agenda.at(at, Event::To { process, epoch, what: ProcessEvent::Lost { connection } });
        }
    }

    pub(crate) fn send_to_coordinator(&mut self, connection: usize, message: Message) {
        self.send(connection, 0, message);
    }

    pub(crate) fn send_to_worker(&mut self, connection: usize, message: Message) {
        self.send(connection, 1, message);
    }

    fn send(&mut self, number: usize, direction: usize, message: Message) {
        let latency = if self.rng.percent(2) { self.rng.between(50, 400) } else { self.rng.between(1, 8) };
        let connection = &mut self.connections[number];
        if !connection.is_open {
            return;
        }
        let at = connection.last[direction].max(self.now.max(connection.stalled_until) + latency);
        connection.last[direction] = at;
        let (process, epoch) = match direction {
            0 => (Process::Coordinator(connection.coordinator), connection.epochs.1),
            _ => (Process::Worker(connection.worker), connection.epochs.0),
        };
        self.agenda.at(at, Event::To { process, epoch, what: ProcessEvent::Receive { connection: number, message } });
    }
}
