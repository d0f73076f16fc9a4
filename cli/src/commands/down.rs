//! `tandem down`: stops what `tandem up` started.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use nix::{
    errno::Errno,
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::{
    exit::{Exit, Failure},
    home::{Home, path_or_nothing},
    output::Output,
    up::lock,
};

/// More than workers, coordinator and Postgres need together.
const STOP_WITHIN: Duration = Duration::from_secs(150);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Stop what `tandem up` started; the data stay
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem down
  tandem down --dir /tmp/trial")]
pub(crate) struct Down {
    /// The folder that it was started in
    #[arg(long, env = "TANDEM_HOME", value_name = "DIR", value_parser = path_or_nothing())]
    dir: Option<PathBuf>,
}

impl Down {
    pub(crate) async fn run(self, output: &Output) -> Result<Exit> {
        let home = Home::at(self.dir)?;
        let stopped = match lock::holder(&home)? {
            Some(pid) => {
                output.note(&format!("stopping tandem in {} (process {pid})", home.root().display()));
                stop(&home, pid).await?;
                Some(pid)
            }
            None => None,
        };
        match stopped {
            _ if output.is_json() => {
                output.document(&serde_json::json!({ "stopped": stopped.is_some(), "pid": stopped }))?
            }
            Some(_) => output.note("stopped; the data stay in the folder"),
            None => output.note(&format!("nothing runs in {}", home.root().display())),
        }
        Ok(Exit::Ok)
    }
}

/// The process id comes from a file whose lock is held, so it is the supervisor's.
async fn stop(home: &Home, pid: u32) -> Result<()> {
    match signal::kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM) {
        // It ended by itself in the meantime.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(Errno::EPERM) => {
            return Err(Failure::error(
                Exit::NotAllowed,
                format!("process {pid} belongs to another account; stop it from there"),
            ));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot send SIGTERM to process {pid}")),
    }
    let deadline = Instant::now() + STOP_WITHIN;
    while lock::holder(home)? == Some(pid) {
        if Instant::now() > deadline {
            let logs = home.logs();
            let message =
                format!("process {pid} has not ended after {} s; see {}", STOP_WITHIN.as_secs(), logs.display());
            return Err(Failure::error(Exit::Temporary, message));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(())
}
