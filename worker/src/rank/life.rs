//! The rank as a process: how it starts, what its streams are, whom it dies with.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use rustix::process::{Pid, Signal, getppid, nice, set_parent_process_death_signal};

/// Below the coordinator, the worker and a person's shell: they need little, but at once.
const NICE: i32 = 5;

/// SIGKILL from the kernel when the worker ends, however it ends. The worker may have ended before this call: then the
/// parent is somebody else already.
pub(super) fn die_with(worker_pid: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get()) != Some(worker_pid) {
        return Err(io::Error::other(format!("the worker (pid {worker_pid}) is gone, or did not start this rank")));
    }
    // Priority is a courtesy: a sandbox that refuses it stops no training.
    let _ = nice(NICE);
    Ok(())
}

/// Takes stdout for events alone. Whatever a library prints there goes to stderr, into the log.
pub(super) fn take_stdout() -> io::Result<File> {
    let events = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(File::from(events))
}

/// A panic is one line of the log, its last: the worker shows it as the cause.
pub(super) fn say_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message").replace('\n', " ");
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let _ = writeln!(io::stderr(), "panicked{place}: {message}");
    }));
}
