//! Follows jobs until all have ended: the loop behind `watch` and `submit --wait`.

use anyhow::{Context, Result};
use tandem_proto::v1::{Job, JobState, WatchRequest, WatchResponse};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::{Status, Streaming};

use crate::{
    bars::ProgressDisplay,
    client::{Client, in_time},
    exit::Exit,
    patience::Patience,
    refusal::{is_away, is_refused},
};

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
/// `patience` is that with the coordinators so far.
pub(crate) async fn until_done(
    client: &Client,
    target: &str,
    mut patience: Patience,
    interrupt: &mut Signal,
    mut each: impl FnMut(&WatchResponse) -> Result<()>,
) -> Result<Followed> {
    let mut display = ProgressDisplay::new();
    let mut jobs = Vec::new();
    let tried = format!("follow `{target}`");
    let mut said_away = false;
    loop {
        let lost = tokio::select! {
            answer = watch(client, target, &mut patience, |snapshot, is_back| {
                if is_back && std::mem::take(&mut said_away) {
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
        // Where nobody listens, the next coordinator is tried without a word.
        let was_there = patience.was_opened() || !is_refused(&status);
        if was_there && is_away(&status) && !said_away {
            said_away = true;
            display.note("the coordinator is away; trying again (jobs go on without it)");
        }
        tokio::select! {
            again = patience.wait(client, &tried, status) => again.inspect_err(|_| display.clear())?,
            _ = interrupt.recv() => {
                display.clear();
                return Ok(Followed { jobs, outcome: Outcome::Interrupted });
            }
        }
    }
}

/// One stream of snapshots; each is passed on with whether there was none for a while. `Ok(None)`: all jobs have ended.
/// `Ok(Some(_))`: the stream broke.
async fn watch(
    client: &Client,
    target: &str,
    patience: &mut Patience,
    mut each: impl FnMut(WatchResponse, bool) -> Result<()>,
) -> Result<Option<Status>> {
    let request = WatchRequest { target: target.to_owned() };
    let mut stream: Streaming<WatchResponse> = match in_time(client.services().jobs().watch(request)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Ok(Some(status)),
    };
    patience.opened();
    loop {
        match stream.message().await {
            Ok(Some(snapshot)) => {
                let done = snapshot.done;
                each(snapshot, patience.received())?;
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
