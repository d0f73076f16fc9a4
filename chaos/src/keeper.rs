//! Keeps programs running, as systemd would: what has ended is started again. Faults may hold one back for a while.

use std::{
    collections::BTreeMap,
    process::Child,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::{
    program::{Program, Target},
    say::say,
};

/// Between the end of a program and its next start.
const RESTART_AFTER: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Between SIGTERM and SIGKILL at the end.
const STOP_WITHIN: Duration = Duration::from_secs(10);

struct Slot {
    program: Program,
    child: Option<Child>,
    start_at: Instant,
    starts: u32,
}

#[derive(Default)]
struct State {
    slots: BTreeMap<String, Slot>,
    is_ending: bool,
}

/// Handle of the thread that starts and buries them.
pub(crate) struct Keeper {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// # Errors
    /// When no thread can be had.
    pub(crate) fn start() -> Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || keep(&shared))
            .context("cannot start the thread that keeps programs")?;
        Ok(Self { state, thread: Some(thread) })
    }

    /// From now on it runs.
    pub(crate) fn add(&self, program: Program) {
        let slot = Slot { program, child: None, start_at: Instant::now(), starts: 0 };
        lock(&self.state).slots.insert(slot.program.name.clone(), slot);
    }

    /// `None` while it does not run.
    pub(crate) fn target(&self, name: &str) -> Option<Target> {
        let state = lock(&self.state);
        Target::of(state.slots.get(name)?.child.as_ref()?.id().cast_signed())
    }

    /// Once it has ended, it is not started again before `until`.
    pub(crate) fn hold(&self, name: &str, until: Instant) {
        if let Some(slot) = lock(&self.state).slots.get_mut(name) {
            slot.start_at = until;
        }
    }

    /// How often it was started; more than once means that it ended in between.
    pub(crate) fn starts(&self, name: &str) -> u32 {
        lock(&self.state).slots.get(name).map_or(0, |slot| slot.starts)
    }

    /// Ends the named ones, waits for them, and keeps them no more.
    pub(crate) fn stop(&self, names: &[String]) {
        let slots: Vec<Slot> = {
            let mut state = lock(&self.state);
            names.iter().filter_map(|name| state.slots.remove(name)).collect()
        };
        let mut children: Vec<Child> = slots.into_iter().filter_map(|slot| slot.child).collect();
        for child in &children {
            if let Some(target) = Target::of(child.id().cast_signed()) {
                target.signal(Signal::SIGTERM);
                target.signal(Signal::SIGCONT);
            }
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for child in &mut children {
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                thread::sleep(LOOK_EVERY);
            }
            // An error means that it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let names: Vec<String> = lock(&self.state).slots.keys().cloned().collect();
        self.stop(&names);
        lock(&self.state).is_ending = true;
        if let Some(thread) = self.thread.take() {
            // It never panics; and if it did, everything has been stopped already.
            let _ = thread.join();
        }
    }
}

/// Every start happens here: a child is killed by the kernel when the thread that started it ends.
fn keep(state: &Mutex<State>) {
    loop {
        {
            let mut state = lock(state);
            if state.is_ending {
                return;
            }
            state.slots.values_mut().for_each(|slot| slot.look(Instant::now()));
        }
        thread::sleep(LOOK_EVERY);
    }
}

impl Slot {
    fn look(&mut self, now: Instant) {
        if let Some(child) = &mut self.child {
            match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) => say(&format!("{} ended with {status}", self.program.name)),
                Err(error) => say(&format!("{} cannot be waited for: {error}", self.program.name)),
            }
            self.child = None;
            self.start_at = self.start_at.max(now + RESTART_AFTER);
        }
        if now < self.start_at {
            return;
        }
        match self.program.start() {
            Ok(child) => {
                self.starts += 1;
                if self.starts > 1 {
                    say(&format!("{} runs again (process {})", self.program.name, child.id()));
                }
                self.child = Some(child);
            }
            Err(error) => {
                say(&format!("{}: {error:#}", self.program.name));
                self.start_at = now + RESTART_AFTER;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < deadline, "never: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_is_killed_runs_again_unless_it_is_held_back() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Keeper::start().unwrap();
        keeper.add(Program {
            name: "sleeper".to_owned(),
            path: "/bin/sh".into(),
            args: vec!["-c".into(), "exec sleep 600".into()],
            env: Vec::new(),
            log: dir.path().join("log"),
        });
        until("it runs", || keeper.target("sleeper").is_some());
        let first = keeper.target("sleeper").unwrap();
        assert!(keeper.target("sleeper").is_some_and(|target| target.signal(Signal::SIGKILL)));
        until("it runs again", || keeper.target("sleeper").is_some_and(|target| target != first));

        let back = Instant::now() + Duration::from_secs(2);
        keeper.hold("sleeper", back);
        assert!(keeper.target("sleeper").is_some_and(|target| target.signal(Signal::SIGKILL)));
        until("it runs a third time", || keeper.starts("sleeper") == 3);
        assert!(Instant::now() >= back);

        // Even one that is stopped is ended.
        until("it is there", || keeper.target("sleeper").is_some());
        let last = keeper.target("sleeper").unwrap();
        assert!(last.signal(Signal::SIGSTOP));
        drop(keeper);
        assert_eq!(Target::of(last.pid), None);
    }
}
