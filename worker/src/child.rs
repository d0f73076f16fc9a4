//! One rank's process: started, read, signalled, reaped.
//!
//! The process has a process group of its own, so that Ctrl-C in the worker's terminal reaches the worker only. It asks
//! the kernel to be killed when its parent ends (`rank::process`). The kernel sends that signal when the *thread* that
//! started the process ends, so the worker has one thread only.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal};
use tokio::{
    io::AsyncWriteExt,
    process::{Child as Process, ChildStdin, Command},
    sync::mpsc,
    task::JoinHandle,
};

use crate::{line_reader::LineReader, verdict::Exit};

/// Longest line, as text; the rest of a longer one is cut off.
const LINE_BYTES: usize = 4096;

/// Time to wait for a dead rank's pipes to close: another process may hold them open.
const LAST_LINES: Duration = Duration::from_secs(2);

/// What to start.
pub(crate) struct Launch {
    pub(crate) executable: PathBuf,
    /// The name that `ps` shows.
    pub(crate) arg0: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Variables that the rank must not see.
    pub(crate) hidden_environment: &'static [&'static str],
    /// First line on its stdin.
    pub(crate) first_line: String,
}

/// What a rank's process did.
#[derive(Debug, PartialEq)]
pub(crate) enum ChildEvent {
    /// It wrote a line to stdout.
    Stdout(String),
    /// It wrote a line to stderr.
    Stderr(String),
    /// It ended; nothing follows.
    Exited(Exit),
}

/// Handle of a running rank; dropping it kills the rank.
pub(crate) struct Child {
    pub(crate) pid: u32,
    events_rx: mpsc::Receiver<ChildEvent>,
    signals: mpsc::UnboundedSender<Signal>,
    lines: mpsc::UnboundedSender<String>,
}

impl Child {
    /// Starts the process. Call it on the thread that lives as long as the worker.
    pub(crate) fn spawn(launch: &Launch) -> io::Result<Self> {
        let mut command = Command::new(&launch.executable);
        command
            .arg0(launch.arg0)
            .args(&launch.arguments)
            .envs(launch.environment.iter().map(|(key, value)| (key, value)));
        for name in launch.hidden_environment {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.process_group(0).kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("the new process has no pipes");
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (stdin, stdout, stderr) =
            (stdin.ok_or_else(missing)?, stdout.ok_or_else(missing)?, stderr.ok_or_else(missing)?);

        // Bounded: a rank that writes faster than the worker reads waits in its own write.
        let (events, events_rx) = mpsc::channel(1024);
        let (signals, signals_rx) = mpsc::unbounded_channel();
        let (lines, lines_rx) = mpsc::unbounded_channel();
        let forwarders = [
            tokio::spawn(forward_lines(LineReader::new(stdout, LINE_BYTES), ChildEvent::Stdout, events.clone())),
            tokio::spawn(forward_lines(LineReader::new(stderr, LINE_BYTES), ChildEvent::Stderr, events.clone())),
        ];
        let pid = process.id().ok_or_else(missing)?;
        tokio::spawn(write_lines(stdin, launch.first_line.clone(), lines_rx));
        tokio::spawn(supervise(process, signals_rx, forwarders, events));
        Ok(Self { pid, events_rx, signals, lines })
    }

    /// The next event; `None` after [`ChildEvent::Exited`]. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<ChildEvent> {
        self.events_rx.recv().await
    }

    /// SIGTERM: finish the step, write a checkpoint, leave.
    pub(crate) fn terminate(&self) {
        let _ = self.signals.send(Signal::TERM);
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        let _ = self.signals.send(Signal::KILL);
    }

    /// One more line on its stdin.
    pub(crate) fn write_line(&self, line: String) {
        let _ = self.lines.send(line);
    }
}

/// Owns the process until it is reaped, so that no signal can reach another process with the same id.
async fn supervise(
    mut process: Process,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    forwarders: [JoinHandle<()>; 2],
    events: mpsc::Sender<ChildEvent>,
) {
    let exit = loop {
        tokio::select! {
            biased;
            status = process.wait() => break status,
            signal = signals.recv() => {
                // No sender is left: the handle was dropped.
                let Some(signal) = signal else {
                    signal_group(&process, Signal::KILL);
                    break process.wait().await;
                };
                signal_group(&process, signal);
            }
        }
    };
    for forwarder in forwarders {
        let abort = forwarder.abort_handle();
        if tokio::time::timeout(LAST_LINES, forwarder).await.is_err() {
            abort.abort();
        }
    }
    let exit = exit.map_or(Exit::Code(-1), Exit::from);
    let _ = events.send(ChildEvent::Exited(exit)).await;
}

/// Writes lines to the rank's stdin. An error means that the rank has ended, which is reported elsewhere.
async fn write_lines(mut stdin: ChildStdin, first: String, mut lines: mpsc::UnboundedReceiver<String>) {
    let mut next = Some(first);
    while let Some(line) = next {
        if stdin.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            return;
        }
        next = lines.recv().await;
    }
}

fn signal_group(process: &Process, signal: Signal) {
    // `id` is `None` once the process is reaped. Its group has the same id.
    let Some(group) = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else { return };
    if let Err(error) = rustix::process::kill_process_group(group, signal) {
        tracing::warn!(%error, ?signal, pid = group.as_raw_nonzero(), "could not signal the rank");
    }
}

async fn forward_lines(
    mut lines: LineReader<impl tokio::io::AsyncRead + Unpin>,
    wrap: fn(String) -> ChildEvent,
    to: mpsc::Sender<ChildEvent>,
) {
    while let Some(line) = lines.next().await {
        if to.send(wrap(line)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::{SIGKILL, SIGTERM};

    use super::*;

    fn shell(script: &str) -> Child {
        let launch = Launch {
            executable: "/bin/sh".into(),
            arg0: "sh",
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: vec![("GREETING", "hello".to_owned())],
            hidden_environment: &["HOME"],
            first_line: "task".to_owned(),
        };
        Child::spawn(&launch).unwrap()
    }

    async fn rest(child: &mut Child) -> Vec<ChildEvent> {
        let mut all = Vec::new();
        while let Some(output) = child.next().await {
            all.push(output);
        }
        all
    }

    #[tokio::test]
    async fn lines_come_through_and_the_exit_comes_last() {
        let mut child =
            shell("read task; echo $GREETING $task ${HOME-homeless}; read more; echo $more; echo woe >&2; exit 65");
        child.write_line("meeting".to_owned());
        let mut all = rest(&mut child).await;
        assert_eq!(all.pop(), Some(ChildEvent::Exited(Exit::Code(65))));
        let events: Vec<_> = all.iter().filter(|output| matches!(output, ChildEvent::Stdout(_))).collect();
        assert_eq!(
            events,
            [&ChildEvent::Stdout("hello task homeless".to_owned()), &ChildEvent::Stdout("meeting".to_owned())]
        );
        assert!(all.contains(&ChildEvent::Stderr("woe".to_owned())));
    }

    #[tokio::test]
    async fn signals_reach_the_whole_group() {
        let mut child = shell("sleep 600 & echo ready; wait");
        assert_eq!(child.next().await, Some(ChildEvent::Stdout("ready".to_owned())));
        child.terminate();
        // The end comes only when the pipes are closed, that is, when `sleep` is dead too.
        assert_eq!(rest(&mut child).await, [ChildEvent::Exited(Exit::Signal(SIGTERM))]);
    }

    #[tokio::test]
    async fn a_rank_deaf_to_sigterm_is_killed() {
        let mut child = shell("trap '' TERM; echo ready; while :; do read line || :; done");
        assert_eq!(child.next().await, Some(ChildEvent::Stdout("ready".to_owned())));
        child.terminate();
        child.kill();
        assert_eq!(rest(&mut child).await, [ChildEvent::Exited(Exit::Signal(SIGKILL))]);
    }
}
