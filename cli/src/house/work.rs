//! `tandem-server backup` and `restore`, run as a child: what it tells is shown, and a signal ends it in order.

use std::{collections::VecDeque, ffi::OsString, process::Stdio, time::Duration};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tandem_archive::Event;
use tandem_local_postgres::bound_command;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    exit::{Exit, Failure},
    gauge::{Gauge, Unit},
    output::Output,
    up::{process::forget_personal, programs, supervise::StopSignals},
};

/// It has to see that it is to stop, and to remove what it has written.
const STOPS_WITHIN: Duration = Duration::from_secs(20);
/// What it logged last, for when it says nothing else.
const LOG_LINES: usize = 5;

/// Runs it to its end; what it came to. Must be called on the main thread: the child ends with the thread that started it.
pub(crate) async fn run(args: Vec<OsString>, database_url: &str, output: &Output) -> Result<Event> {
    let program = programs::server()?;
    let mut command = Command::from(bound_command("TERM", &[], program.as_os_str()));
    forget_personal(&mut command);
    command
        .args(args)
        .arg("--events")
        .env("DATABASE_URL", database_url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in a terminal reaches this program alone, which then ends it.
        .process_group(0);
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "warn");
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {} through setpriv (package util-linux)", program.display()))?;
    let mut stop = StopSignals::listen()?;
    let listened = tokio::select! {
        listened = listen(&mut child, output) => listened,
        () = stop.next() => Err(interrupted(&mut child, output).await),
    };
    let (event, log) = listened?;
    let status = child.wait().await.context("cannot wait for tandem-server")?;
    match event {
        Some(Event::Failed { message, exit }) => Err(Failure::error(Exit::of_child(Some(exit.into())), message)),
        Some(event) => Ok(event),
        None => {
            let why = if log.is_empty() { format!("it ended with {status}") } else { log };
            Err(Failure::error(Exit::of_child(status.code()), why.trim_start_matches("tandem-server: ").to_owned()))
        }
    }
}

/// Shows what it tells; its last word, and what it logged.
async fn listen(child: &mut Child, output: &Output) -> Result<(Option<Event>, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = (stdout.context("it has no stdout")?, stderr.context("it has no stderr")?);
    let events = async {
        let mut lines = BufReader::new(stdout).lines();
        let (mut last, mut gauge) = (None, None::<(String, Gauge)>);
        while let Some(line) = lines.next_line().await? {
            match serde_json::from_str(&line) {
                Ok(Event::Progress { what, done, total }) => {
                    if gauge.as_ref().is_none_or(|(shown, _)| *shown != what) {
                        gauge = Some((what.clone(), Gauge::new(&what, Unit::Bytes, total)));
                    }
                    if let Some((_, gauge)) = &gauge {
                        gauge.set(done);
                    }
                }
                Ok(Event::Note(note)) => {
                    gauge = None;
                    output.note(&note);
                }
                Ok(event) => last = Some(event),
                // Of another version.
                Err(_) => {}
            }
        }
        std::io::Result::Ok(last)
    };
    let (event, log) = tokio::join!(events, last_lines(stderr));
    Ok((event.context("cannot read what tandem-server says")?, log))
}

async fn last_lines(stderr: impl AsyncRead + Unpin) -> String {
    let mut lines = BufReader::new(stderr).lines();
    let mut last = VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        last.push_back(line);
        if last.len() > LOG_LINES {
            last.pop_front();
        }
    }
    Vec::from(last).join("\n")
}

async fn interrupted(child: &mut Child, output: &Output) -> anyhow::Error {
    output.note("stopping");
    if let Some(pid) = child.id() {
        let _ = signal::kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    }
    if timeout(STOPS_WITHIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    Failure::error(Exit::Interrupted, "stopped before it was done: nothing of it can be used")
}
