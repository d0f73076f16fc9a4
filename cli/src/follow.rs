//! Follows jobs until all have ended: the loop behind `watch` and `submit --wait`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tandem_proto::v1::{Job, JobState, WatchRequest, WatchResponse};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::{Status, Streaming};

use crate::{
    bars::ProgressDisplay,
    client::{self, Client},
    exit::Exit,
};

/// How long to try to reconnect: jobs go on while the coordinator restarts.
const UNAVAILABLE_AT_MOST: Duration = Duration::from_secs(60);
const RECONNECT_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    /// At least one failed or was cancelled.
    Failed,
    /// Ctrl-C: the jobs go on.
    Interrupted,
}

impl Outcome {
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Succeeded => Exit::Ok,
            Self::Failed => Exit::JobFailed,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    fn of(jobs: &[Job]) -> Self {
        if jobs.iter().all(|job| job.state() == JobState::Succeeded) { Self::Succeeded } else { Self::Failed }
    }
}

/// The last snapshot, and its outcome.
pub(crate) struct Followed {
    pub(crate) jobs: Vec<Job>,
    pub(crate) outcome: Outcome,
}

/// From here on Ctrl-C is received and does not end the process.
pub(crate) fn listen_to_interrupt() -> Result<Signal> {
    signal(SignalKind::interrupt()).context("cannot listen to Ctrl-C")
}

/// Follows the jobs of `target` until all have ended, with progress on stderr; passes each snapshot to `each`.
pub(crate) async fn until_done(
    client: &Client,
    target: &str,
    interrupt: &mut Signal,
    mut each: impl FnMut(&WatchResponse) -> Result<()>,
) -> Result<Followed> {
    let mut display = ProgressDisplay::new();
    let mut jobs = Vec::new();
    let mut unavailable_since: Option<Instant> = None;
    loop {
        let lost = tokio::select! {
            answer = watch(client, target, |snapshot| {
                if unavailable_since.take().is_some() {
                    display.note("the coordinator is back");
                }
                display.update(&snapshot.jobs);
                each(&snapshot)?;
                jobs = snapshot.jobs;
                Ok(())
            }) => answer?,
            _ = interrupt.recv() => {
                display.clear();
                return Ok(Followed { jobs, outcome: Outcome::Interrupted });
            }
        };
        let Some(status) = lost else {
            display.clear();
            let outcome = Outcome::of(&jobs);
            return Ok(Followed { jobs, outcome });
        };
        let is_unavailable = client::is_unavailable(&status);
        if is_unavailable && unavailable_since.is_none() {
            display.note("the coordinator is away; trying again (jobs go on without it)");
        }
        let since = *unavailable_since.get_or_insert_with(Instant::now);
        if !is_unavailable || since.elapsed() > UNAVAILABLE_AT_MOST {
            display.clear();
            return Err(client.refusal(&format!("follow `{target}`"), &status));
        }
        tokio::select! {
            () = tokio::time::sleep(RECONNECT_EVERY) => {}
            _ = interrupt.recv() => {
                display.clear();
                return Ok(Followed { jobs, outcome: Outcome::Interrupted });
            }
        }
    }
}

/// One stream of snapshots. `Ok(None)`: all jobs have ended. `Ok(Some(_))`: the stream broke.
async fn watch(
    client: &Client,
    target: &str,
    mut each: impl FnMut(WatchResponse) -> Result<()>,
) -> Result<Option<Status>> {
    let request = WatchRequest { target: target.to_owned() };
    let mut stream: Streaming<WatchResponse> = match client.jobs().watch(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Ok(Some(status)),
    };
    loop {
        match stream.message().await {
            Ok(Some(snapshot)) => {
                let done = snapshot.done;
                each(snapshot)?;
                if done {
                    return Ok(None);
                }
            }
            // A coordinator that shuts down ends its streams.
            Ok(None) => return Ok(Some(Status::unavailable("the stream ended"))),
            Err(status) => return Ok(Some(status)),
        }
    }
}
