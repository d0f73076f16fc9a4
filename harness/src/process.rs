use std::{
    process::{Child, ExitStatus},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::{process_handle::ProcessHandle, wait::try_until};

/// Longer than a worker takes that lets its rank write a checkpoint.
const STOP_WITHIN: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A started program. Dropped, it is asked to end and waited for.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Taken at the start: later, another process may have the number.
    handle: Option<ProcessHandle>,
}

impl Process {
    pub(crate) fn new(name: &str, child: Child) -> Self {
        let handle = ProcessHandle::of(child.id().cast_signed());
        Self { name: name.to_owned(), child, handle }
    }

    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// `None` once it has ended.
    #[must_use]
    pub fn handle(&self) -> Option<ProcessHandle> {
        self.handle.filter(|handle| handle.is_running())
    }

    /// How it ended; `None` while it runs.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// SIGTERM, which reaches a stopped process too. Nothing happens if it has ended.
    pub fn terminate(&self) {
        if let Some(handle) = self.handle() {
            handle.signal(Signal::SIGTERM);
            handle.signal(Signal::SIGCONT);
        }
    }

    /// Waits for its end. Fails if it has not ended within `limit`; it is killed then.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        try_until(&what, limit, POLL_INTERVAL, || self.try_wait()).inspect_err(|_| self.kill())
    }

    /// Asks it to end, and waits. Fails if it had to be killed after a minute.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.terminate();
        self.wait(STOP_WITHIN)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        // Fails if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("warning: {error:#}");
        }
    }
}
