//! Keeps programs running, as systemd would: a program that has ended is started again. Faults may delay that.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tandem_harness::{Process, ProcessHandle, Program};

use crate::log::log;

/// Between the end of a program and its next start.
const RESTART_DELAY: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Between SIGTERM and SIGKILL at the end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

struct Slot {
    program: Program,
    process: Option<Process>,
    start_at: Instant,
    starts: u32,
}

#[derive(Default)]
struct State {
    slots: BTreeMap<String, Slot>,
    is_ending: bool,
}

/// Handle of the thread that starts programs and waits for their ends.
pub(crate) struct Supervisor {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    /// # Errors
    /// When no thread can be had.
    pub(crate) fn start() -> Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn(move || supervise(&shared))
            .context("cannot start the supervisor's thread")?;
        Ok(Self { state, thread: Some(thread) })
    }

    /// Runs the program from now on.
    pub(crate) fn add(&self, program: Program) {
        let slot = Slot { program, process: None, start_at: Instant::now(), starts: 0 };
        lock(&self.state).slots.insert(slot.program.name().to_owned(), slot);
    }

    /// `None` while it does not run.
    pub(crate) fn handle(&self, name: &str) -> Option<ProcessHandle> {
        lock(&self.state).slots.get(name)?.process.as_ref()?.handle()
    }

    /// Once it has ended, it is not started again before `until`.
    pub(crate) fn delay_restart(&self, name: &str, until: Instant) {
        if let Some(slot) = lock(&self.state).slots.get_mut(name) {
            slot.start_at = until;
        }
    }

    /// How often it was started; more than once means that it ended in between.
    pub(crate) fn starts(&self, name: &str) -> u32 {
        lock(&self.state).slots.get(name).map_or(0, |slot| slot.starts)
    }

    /// Ends these programs, waits for them, and does not start them again.
    pub(crate) fn stop<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let slots: Vec<Slot> = {
            let mut state = lock(&self.state);
            names.into_iter().filter_map(|name| state.slots.remove(name)).collect()
        };
        let mut processes: Vec<Process> = slots.into_iter().filter_map(|slot| slot.process).collect();
        processes.iter().for_each(Process::terminate);
        let deadline = Instant::now() + STOP_LIMIT;
        for process in &mut processes {
            // One that has not ended by then was killed, which is all that is needed.
            let _ = process.wait(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let names: Vec<String> = lock(&self.state).slots.keys().cloned().collect();
        self.stop(names.iter().map(String::as_str));
        lock(&self.state).is_ending = true;
        if let Some(thread) = self.thread.take() {
            // It never panics; and if it did, everything has been stopped already.
            let _ = thread.join();
        }
    }
}

fn supervise(state: &Mutex<State>) {
    loop {
        {
            let mut state = lock(state);
            if state.is_ending {
                return;
            }
            state.slots.values_mut().for_each(|slot| slot.poll(Instant::now()));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

impl Slot {
    fn poll(&mut self, now: Instant) {
        let name = self.program.name();
        if let Some(process) = &mut self.process {
            match process.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) => log(&format!("{name} ended with {status}")),
                Err(error) => log(&format!("{error:#}")),
            }
            self.process = None;
            self.start_at = self.start_at.max(now + RESTART_DELAY);
        }
        if now < self.start_at {
            return;
        }
        match self.program.start() {
            Ok(process) => {
                self.starts += 1;
                if self.starts > 1 {
                    log(&format!("{name} runs again (process {})", process.pid()));
                }
                self.process = Some(process);
            }
            Err(error) => {
                log(&format!("{name}: {error:#}"));
                self.start_at = now + RESTART_DELAY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix::sys::signal::Signal;
    use tandem_harness::until;

    use super::*;

    #[test]
    fn a_killed_program_runs_again_and_not_before_its_delay() {
        let dir = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::start().unwrap();
        let program = Program::new("sleeper", Path::new("/bin/sh"), &dir.path().join("log"));
        supervisor.add(program.args(["-c", "exec sleep 600"]));
        let limit = Duration::from_secs(30);
        let first = until("it runs", limit, || supervisor.handle("sleeper"));
        assert!(first.signal(Signal::SIGKILL));
        let second = until("it runs again", limit, || supervisor.handle("sleeper").filter(|handle| *handle != first));

        let restart = Instant::now() + Duration::from_secs(2);
        supervisor.delay_restart("sleeper", restart);
        assert!(second.signal(Signal::SIGKILL));
        until("it runs a third time", limit, || (supervisor.starts("sleeper") == 3).then_some(()));
        assert!(Instant::now() >= restart);

        // Even one that is stopped is ended.
        let last = until("it runs", limit, || supervisor.handle("sleeper"));
        assert!(last.signal(Signal::SIGSTOP));
        drop(supervisor);
        assert!(!last.is_running());
    }
}
