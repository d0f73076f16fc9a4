//! Processes as `/proc` shows them.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A running process, told apart by its start time from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessHandle {
    pub pid: i32,
    /// Clock ticks after boot.
    started: u64,
}

impl ProcessHandle {
    /// `None` if there is no such process, or only a zombie.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)? })
    }

    /// Sends the signal; false if the process had ended.
    pub fn signal(self, signal: Signal) -> bool {
        self.is_running() && kill(Pid::from_raw(self.pid), signal).is_ok()
    }

    #[must_use]
    pub fn is_running(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Field 22 of `/proc/PID/stat`, counted from behind the name, which may hold anything. `None` for a zombie.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Process ids of the children that live, in no particular order.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|line| line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The children, their children, and so on.
#[must_use]
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(children(parent));
        next += 1;
    }
    found
}

/// Program and arguments, with spaces between; empty once the process has ended.
#[must_use]
pub fn command_line(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_start_time_is_read_whatever_the_name() {
        let stat = |name: &str, state: &str| {
            let rest = (5..=22).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
            format!("7 ({name}) {state} 4 {rest} 23 24")
        };
        assert_eq!(start_time(&stat("a", "R")), Some(22));
        assert_eq!(start_time(&stat("a) b 9 (", "S")), Some(22));
        assert_eq!(start_time(&stat("a", "Z")), None);
    }

    #[test]
    fn a_signal_reaches_only_the_process_that_was_meant() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let handle = ProcessHandle::of(child.id().cast_signed()).unwrap();
        assert!(!ProcessHandle { started: handle.started + 1, ..handle }.signal(Signal::SIGKILL));
        assert!(child.try_wait().unwrap().is_none());
        assert!(descendants(std::process::id().cast_signed()).contains(&handle.pid));
        assert!(handle.signal(Signal::SIGKILL));
        child.wait().unwrap();
        assert!(!handle.signal(Signal::SIGKILL));
    }
}
