//! `tandem reproduce` and `tandem verify`: whether a result comes again.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_domain::receipt::{Comparison, Receipt, compare};
use tandem_proto::{
    status::Code,
    v1::{ReceiptRequest, ReproduceRequest, ReproduceResponse},
};
use tokio::time::{Instant, sleep};

use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    follow::{self, Outcome},
    json,
    output::Output,
    patience::Patience,
    printable::line,
    signed::opened,
};

/// How long the receipt of a job that has just succeeded is waited for, and how often it is asked for.
const SIGNED_WITHIN: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(200);

/// Run a job anew, below all other jobs, and compare bits and figures with its receipt
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem reproduce quickstart/encoder --wait
  tandem reproduce 0199a1b2    `tandem show 0199a1b2` says what came of it

On the same kind of device every state, file and figure must be the same, bit
for bit. On another kind (processor, libtorch, driver) it says in what that is
another, and figures may be 2% off.
Exit codes with --wait: 0 it came again; 1 it did not, or the job failed.")]
pub(crate) struct Reproduce {
    #[command(flatten)]
    again: Again,
}

/// Replay some steps of a job from a kept checkpoint, and evaluate again what it exported
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem verify quickstart/encoder --wait
  tandem verify 0199a1b2    `tandem show 0199a1b2` says what came of it

From the newest checkpoint that is kept, else from the beginning, to the next
state that the receipt lists: that state must be the same bits on the same kind
of device, and so must the accuracy of the exported model. It takes a part of
the time that `tandem reproduce` takes.
Exit codes with --wait: 0 it holds; 1 it does not, or the job failed.")]
pub(crate) struct Verify {
    #[command(flatten)]
    again: Again,
}

#[derive(Debug, Args)]
struct Again {
    /// Job that has succeeded: an id, its first characters, EXPERIMENT/JOB, or an experiment of one job
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    job: String,
    /// Wait for the end, and say what came of it
    #[arg(long)]
    wait: bool,
}

impl Reproduce {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        self.again.run(client, output, false).await
    }
}

impl Verify {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        self.again.run(client, output, true).await
    }
}

impl Again {
    async fn run(self, client: &Client, output: &Output, replay: bool) -> Result<Exit> {
        let what = if replay { "verify" } else { "reproduce" };
        let request = ReproduceRequest { target: self.job.clone(), replay };
        let tried = format!("{what} `{}`", self.job);
        // Sent twice it is queued once.
        let answer = client.ask(&tried, async |on| on.results().reproduce(request.clone()).await).await?;
        output.note(&queued(&answer));
        if self.wait {
            return wait(client, output, &answer).await;
        }
        if output.is_json() {
            output.document(&answer)?;
        }
        Ok(Exit::Ok)
    }
}

fn queued(answer: &ReproduceResponse) -> String {
    let already = if answer.already { " already" } else { "" };
    let what = match answer.until_step {
        0 => "runs all of it anew".to_owned(),
        until => format!("replays steps {} to {until}", answer.from_step),
    };
    format!("job {} ({}){already} {what}, below all other jobs", line(&answer.job_id), line(&answer.experiment))
}

async fn wait(client: &Client, output: &Output, answer: &ReproduceResponse) -> Result<Exit> {
    let mut interrupt = follow::listen_to_interrupt()?;
    let followed = follow::until_done(client, &answer.job_id, Patience::proven(), &mut interrupt, |_| Ok(())).await?;
    match followed.outcome {
        Outcome::Succeeded => {}
        Outcome::Interrupted => {
            let job = line(&answer.job_id);
            output.note(&format!("it goes on; follow it with: tandem watch {job}, end it with: tandem cancel {job}"));
            return Ok(Exit::Interrupted);
        }
        Outcome::Failed => {
            let why = followed.jobs.first().map(|job| job.reason.clone()).unwrap_or_default();
            return Err(Failure::error(
                Exit::JobFailed,
                format!("job {} did not succeed, so nothing is compared: {}", line(&answer.job_id), line(&why)),
            ));
        }
    }
    let (first, again) = (receipt(client, &answer.of_id).await?, receipt(client, &answer.job_id).await?);
    let found = compare(&first, &again);
    say(output, answer, &found)?;
    Ok(if found.holds { Exit::Ok } else { Exit::JobFailed })
}

fn say(output: &Output, answer: &ReproduceResponse, found: &Comparison) -> Result<()> {
    if output.is_json() {
        return output.document(&json::Compared {
            job: &answer.job_id,
            of: &answer.of_id,
            holds: found.holds,
            verdict: &found.verdict(),
            equal: found.equal,
            unequal: &found.unequal,
            kinds: &found.kinds,
        });
    }
    let mut text = format!("{}\n", line(&found.verdict()));
    text.push_str(&format!("{} of {} equal\n", found.equal, found.equal + found.unequal.len()));
    for unequal in &found.unequal {
        text.push_str(&format!("  not equal: {}\n", line(unequal)));
    }
    output.text(&text)
}

/// What was signed of a job that has succeeded. It is signed a moment later, once all of its ranks have ended.
async fn receipt(client: &Client, job: &str) -> Result<Receipt> {
    let request = ReceiptRequest { target: job.to_owned(), files: Vec::new() };
    let until = Instant::now() + SIGNED_WITHIN;
    loop {
        match client.try_each(async |on| on.results().receipt(request.clone()).await).await {
            Ok(answer) => return Ok(opened(&answer)?.0.predicate),
            Err(refusal) if refusal.code() == Some(Code::WrongState) && Instant::now() < until => sleep(AGAIN).await,
            Err(refusal) => return Err(client.error(&refusal, &format!("read the receipt of {job}")).await),
        }
    }
}
