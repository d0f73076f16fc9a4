//! One program of the house: how it is started, so that it dies with the harness whatever happens to either.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What to run; kept, so that it can be run again.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(String, OsString)>,
    /// Its stdout and stderr are appended to this file.
    pub(crate) log: PathBuf,
}

impl Program {
    /// Must be called on a thread that lives as long as the harness: the child is killed when that thread dies.
    pub(crate) fn start(&self) -> Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        // setpriv and not pre_exec: no unsafe code. It becomes the program, so the process id is the program's. KILL
        // and not TERM: it may be stopped when the harness dies.
        Command::new("setpriv")
            .args(["--pdeathsig=KILL", "--"])
            .arg(&self.path)
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {} through setpriv (package util-linux)", self.path.display()))
    }
}

/// A process to be signalled, now and perhaps later: it is told apart from another that got its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) pid: i32,
    started: u64,
}

impl Target {
    /// `None` if there is no such process.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: started(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)? })
    }

    /// Whether it was still there to get the signal.
    pub(crate) fn signal(self, signal: Signal) -> bool {
        Self::of(self.pid) == Some(self) && kill(Pid::from_raw(self.pid), signal).is_ok()
    }
}

/// Field 22 of `/proc/PID/stat`; the name in brackets may hold anything. A zombie is no process any more.
fn started(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The ranks that a worker has.
pub(crate) fn ranks_of(worker: i32) -> Vec<Target> {
    let tasks = std::fs::read_dir(format!("/proc/{worker}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<i32> = children
        .flat_map(|line| line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    let is_rank = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains("rank")
    };
    pids.into_iter().filter(is_rank).filter_map(Target::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_read_whatever_the_name() {
        let stat = |name: &str, state: &str| {
            let rest = (5..=22).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
            format!("7 ({name}) {state} 4 {rest} 23 24")
        };
        assert_eq!(started(&stat("a", "R")), Some(22));
        assert_eq!(started(&stat("a) b 9 (", "S")), Some(22));
        assert_eq!(started(&stat("a", "Z")), None);
    }

    #[test]
    fn a_signal_reaches_only_the_process_that_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        let program = Program {
            name: "test".to_owned(),
            path: "/bin/sh".into(),
            args: vec!["-c".into(), "exec sleep 600".into()],
            env: Vec::new(),
            log: dir.path().join("log"),
        };
        let mut child = program.start().unwrap();
        let target = Target::of(child.id().cast_signed()).unwrap();
        assert!(!Target { started: target.started + 1, ..target }.signal(Signal::SIGKILL));
        assert!(child.try_wait().unwrap().is_none());
        assert!(target.signal(Signal::SIGKILL));
        child.wait().unwrap();
        assert!(!target.signal(Signal::SIGKILL));
    }
}
