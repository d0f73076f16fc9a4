//! One child: how it is started, and how it is ended.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tandem_local_postgres::bound_command;
use tokio::process::{Child, Command};

/// What a person's own commands go by. A child is told all that it needs, and must not be led elsewhere, or see a token.
const PERSONAL: [&str; 7] = [
    "TANDEM_SERVER",
    "TANDEM_CONTEXT",
    "TANDEM_TOKEN",
    "TANDEM_TOKEN_FILE",
    "TANDEM_JOIN_FILE",
    "TANDEM_SOCKET",
    "TANDEM_HOME",
];

/// Has a child not see what a person's own commands go by.
pub(crate) fn forget_personal(command: &mut Command) {
    PERSONAL.iter().for_each(|name| _ = command.env_remove(name));
}

/// What to run; kept, so that it can be run again.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// For people: `coordinator`, `worker cpu-0`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, OsString)>,
    /// Its stdout and stderr are appended to this file.
    pub(crate) log: PathBuf,
}

/// A running child. It is not killed when dropped, but ends with the supervisor.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: Pid,
}

impl Program {
    /// Must be called on the main thread: the child gets SIGTERM when the thread that started it dies.
    pub(crate) fn start(&self) -> Result<Process> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::from(bound_command("TERM", &[], self.path.as_os_str()));
        forget_personal(&mut command);
        let child = command
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in a terminal must reach the supervisor only.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {} through setpriv (package util-linux)", self.path.display()))?;
        let pid = child.id().context("the child has ended before it was started")?;
        Ok(Process { child, pid: Pid::from_raw(pid.cast_signed()) })
    }

    /// Bytes logged so far: where the log of the next start begins.
    pub(crate) fn log_length(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |meta| meta.len())
    }

    /// The last lines it logged since `from`.
    pub(crate) fn last_log_lines(&self, from: u64) -> String {
        last_lines(&self.log, from, 5).unwrap_or_default()
    }
}

impl Process {
    /// Waits for its end. May be cancelled and called again.
    pub(crate) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// SIGTERM, and SIGKILL if it is still there after `patience`. True if it ended by itself.
    pub(crate) async fn stop(&mut self, patience: Duration) -> bool {
        self.terminate();
        let ended = tokio::time::timeout(patience, self.child.wait()).await.is_ok();
        if !ended {
            self.kill();
            let _ = self.child.wait().await;
        }
        ended
    }

    fn signal(&self, signal: Signal) {
        // `id` is none once the process is reaped: another process may have the number then.
        if self.child.id().is_some() {
            let _ = signal::kill(self.pid, signal);
        }
    }
}

fn last_lines(path: &Path, from: u64, count: usize) -> std::io::Result<String> {
    /// Enough for the last lines of any sensible log.
    const TAIL: u64 = 16 << 10;
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Ok(lines[lines.len().saturating_sub(count)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(dir: &Path, script: &str) -> Program {
        Program {
            name: "test".to_owned(),
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![("GREETING", "hello".into())],
            log: dir.join("log"),
        }
    }

    #[tokio::test]
    async fn output_goes_to_the_log_and_the_status_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let program = program(dir.path(), "echo $GREETING; echo sorry >&2; exit 3");
        let status = program.start().unwrap().ended().await.unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(program.last_log_lines(0), "hello\nsorry");
        assert_eq!(program.last_log_lines(6), "sorry");
        assert_eq!(program.log_length(), 12);
    }

    #[tokio::test]
    async fn who_ignores_sigterm_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let polite = program(dir.path(), "exec sleep 60");
        assert!(polite.start().unwrap().stop(Duration::from_secs(30)).await);

        let stubborn = program(dir.path(), "trap '' TERM; echo ready; exec sleep 60");
        let mut process = stubborn.start().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !stubborn.last_log_lines(0).contains("ready") {
            assert!(std::time::Instant::now() < deadline, "it never came to its trap");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!process.stop(Duration::from_millis(50)).await);
    }
}
