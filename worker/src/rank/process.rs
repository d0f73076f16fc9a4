//! Prepares the rank's process: its death with the worker, its priority, its streams, its panics.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use rustix::process::{Pid, Signal, getppid, nice, set_parent_process_death_signal};
use tandem_collective::Error;

/// Below the coordinator, the worker and a shell: these need little time, but at once.
const NICE: i32 = 5;

/// Asks the kernel for a SIGKILL when the worker ends, however it ends. An error if the worker has ended before this call:
/// then the parent is another process already.
pub(crate) fn die_with(worker_pid: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get()) != Some(worker_pid) {
        return Err(io::Error::other(format!("the worker (pid {worker_pid}) is gone, or did not start this rank")));
    }
    // A sandbox that refuses a lower priority stops no training.
    let _ = nice(NICE);
    Ok(())
}

/// Keeps stdout for events. Whatever a library prints there goes to stderr instead, into the log.
pub(crate) fn take_stdout() -> io::Result<File> {
    let events = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(File::from(events))
}

/// The largest resident set of this process so far, in bytes; `None` where the kernel does not say.
pub(super) fn peak_memory() -> Option<u64> {
    peak_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(1024 * kibibytes.trim().parse::<u64>().ok()?)
}

/// A panic writes one line, the last of the log: the worker reports it as the cause.
pub(super) fn log_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        // libtorch's errors bring dozens of C++ frames along.
        let message = Error::from_panic(message).map_or_else(|| message.replace('\n', " "), |error| error.to_string());
        let location = panic.location().map_or_else(String::new, |location| format!(" at {location}"));
        let _ = writeln!(io::stderr(), "panicked{location}: {message}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_of_this_process_and_never_falls() {
        let before = peak_memory().unwrap();
        // Touched page by page, or the kernel has nothing to give.
        let block = vec![1u8; 64 << 20];
        assert!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>() == 64 << 20);
        drop(block);
        let after = peak_memory().unwrap();
        assert!(after >= before + (48 << 20), "{before} {after}");
    }

    #[test]
    fn the_status_file_of_the_kernel() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t  123456 kB\nVmRSS:\t 1 kB\n"), Some(123_456 * 1024));
        assert_eq!(peak_of("Name:\tx\n"), None);
    }
}
