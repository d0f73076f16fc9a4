//! `tandem up --detach`: the same supervisor in a session of its own.

use std::{
    fs::OpenOptions,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{process::Program, state::UpState};
use crate::{
    exit::{Exit, Failure},
    home::Home,
    output::Output,
};

/// Marks the copy of this program that runs in the background.
pub(crate) const MARKER: &str = "--in-background";
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Starts this program again with the same arguments, and returns when the copy is ready or has failed.
pub(crate) async fn detach(home: &Home, output: &Output) -> Result<UpState> {
    let log_path = home.logs().join("up.log");
    let log = OpenOptions::new().create(true).append(true).open(&log_path);
    let log = log.with_context(|| format!("cannot write {}", log_path.display()))?;
    let program = Program {
        name: "tandem".to_owned(),
        path: std::env::current_exe().context("cannot find out where this program is")?,
        args: std::env::args_os().skip(1).chain([MARKER.into()]).collect(),
        env: Vec::new(),
        log: log_path,
    };
    let from = program.log_length();
    let mut child = Command::new(&program.path)
        .args(&program.args)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the supervisor in the background")?;
    output.note(&format!("starting in the background; log: {}", program.log.display()));
    loop {
        // A damaged one is left from before; the copy replaces it.
        let state = UpState::read(home).ok().flatten();
        if let Some(state) = state.filter(|state| state.pid == child.id()) {
            return Ok(state);
        }
        if let Some(status) = child.try_wait().context("cannot wait for the supervisor")? {
            let lines = program.last_log_lines(from);
            let message =
                lines.lines().last().and_then(|line| line.strip_prefix("tandem: ")).unwrap_or(&lines).to_owned();
            return Err(Failure::error(Exit::of_child(status.code()), message));
        }
        // No deadline here: each step of the start has its own.
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Called in the copy: leaves the terminal's session, so that closing the terminal does not end it.
pub(crate) fn leave_session() -> Result<()> {
    nix::unistd::setsid().context("cannot leave the terminal's session")?;
    Ok(())
}
