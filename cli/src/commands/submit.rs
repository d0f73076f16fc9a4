//! `tandem submit`: one experiment file to the coordinator.

use std::{
    fs,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Error, Result};
use clap::Args;
use tandem_domain::policy::span;
use tandem_proto::{
    FILE_BYTES_MAX,
    status::Code,
    v1::{SubmitRequest, SubmitResponse},
};
use uuid::Uuid;

use crate::{
    client::Client,
    edit::{self, Assignment},
    exit::{Exit, Failure},
    follow::{self, Outcome},
    json,
    output::Output,
    patience::Patience,
    printable::line,
    render::{plan, results},
    time,
};

/// Submit an experiment file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem submit examples/quickstart.toml --wait
  tandem submit table1.toml --dry-run         what it would run, at what cost
  tandem submit urgent.toml --priority 10     before the others
  tandem submit table1.toml --set seed=2 --set optimizer.lr=0.1 --name slow
  tandem submit table2.toml --set encoder.sweep.tikhonov.lambda='[1, 10]'
  ssh box cat a.toml | tandem submit -")]
pub(crate) struct Submit {
    /// The experiment, TOML; `-` reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check and expand it, store nothing
    #[arg(long)]
    dry_run: bool,
    /// Stay until all its jobs have ended; Ctrl-C leaves them running
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Run again even what has a result already
    #[arg(long)]
    fresh: bool,
    /// Priority, in place of the file's. Jobs of higher priority start first and may preempt others at a checkpoint.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// The longest that each of its jobs may train: 90m, 12h, 2d. It stops at a checkpoint then.
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    max_time: Option<Duration>,
    /// Change a key for this submit: KEY, or JOB.KEY where several jobs have it. Once for each key.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Assignment>,
    /// Name of the experiment, in place of the file's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Submit {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let (toml, changes) = edit::apply(&read(&self.file)?, self.name.as_deref(), &self.set)?;
        // Places in the file are those of the changed text.
        let changed = if changes.is_empty() { "" } else { " (as changed)" };
        changes.iter().for_each(|change| output.note(change));
        let request = SubmitRequest {
            toml,
            file_name: format!("{}{changed}", self.file.display()),
            dry_run: self.dry_run,
            fresh: self.fresh,
            idempotency_key: Uuid::new_v4().to_string(),
            priority: self.priority,
            max_seconds: self.max_time.map(|time| time.as_secs()),
        };
        let response = send(client, request).await?;
        response.notes.iter().for_each(|note| output.note(&line(note)));
        match (self.dry_run, self.wait) {
            (true, _) => report_plan(&response, output),
            (false, false) => report_submitted(&response, output),
            (false, true) => wait(client, &response, output).await,
        }
    }
}

/// The text of an experiment file, of which no more is read than the coordinator takes.
fn read(file: &Path) -> Result<String> {
    read_text(file, "an experiment", FILE_BYTES_MAX)
}

/// The same of a file of another kind, which messages call `what`, as in "a policy".
pub(crate) fn read_text(file: &Path, what: &str, bytes_max: usize) -> Result<String> {
    let name = if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() };
    let unread = |error: io::Error| {
        let exit = match error.kind() {
            ErrorKind::PermissionDenied => Exit::NotAllowed,
            _ => Exit::NotFound,
        };
        Failure::error(exit, format!("cannot read {what} file {name}: {error}"))
    };
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(fs::File::open(file).map_err(unread)?)
    };
    let mut bytes = Vec::new();
    source.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > bytes_max {
        let message = format!("{name}: {what} file has at most {bytes_max} bytes, and this one has more");
        return Err(Failure::error(Exit::BadExperiment, message));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        not_text(&name, error.as_bytes(), at, "not UTF-8")
    })?;
    match text.find('\0') {
        Some(at) => Err(not_text(&name, text.as_bytes(), at, "NUL")),
        None => Ok(text),
    }
}

fn not_text(name: &str, bytes: &[u8], at: usize, what: &str) -> Error {
    let line = 1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    Failure::error(Exit::BadExperiment, format!("{name}:{line}: is not a text file (byte {at} is {what})"))
}

/// May be sent again if the answer was lost: the idempotency key makes both one submit.
async fn send(client: &Client, request: SubmitRequest) -> Result<SubmitResponse> {
    let answer = client.try_each(async |on| on.jobs().submit(request.clone()).await).await;
    let refusal = match answer {
        Ok(answer) => return Ok(answer),
        Err(refusal) => refusal,
    };
    Err(match refusal.code() {
        // The coordinator's message already names file, line, key and what was expected.
        Some(Code::InvalidInput | Code::WrongState | Code::Unsupported) if !refusal.message().is_empty() => {
            Failure::error(Exit::BadExperiment, refusal.message())
        }
        _ => client.error(&refusal, &format!("submit {}", request.file_name)).await,
    })
}

fn submitted(response: &SubmitResponse, dry_run: bool) -> json::Submitted<'_> {
    let SubmitResponse { experiment_id, name, jobs, notes, .. } = response;
    json::Submitted { experiment_id, experiment: name, dry_run, jobs, notes }
}

fn report_plan(response: &SubmitResponse, output: &Output) -> Result<Exit> {
    if output.is_json() {
        output.document(&submitted(response, true))?;
    } else {
        output.text(&plan::dry_run(&response.jobs, output.style()))?;
    }
    let refused = response.jobs.iter().filter(|job| !job.refusal.is_empty()).count();
    if refused > 0 {
        output.note(&format!("{refused} of {} jobs cannot run: the submit would be refused", response.jobs.len()));
        return Ok(Exit::BadExperiment);
    }
    Ok(Exit::Ok)
}

fn report_submitted(response: &SubmitResponse, output: &Output) -> Result<Exit> {
    if output.is_json() {
        output.document(&submitted(response, false))?;
        return Ok(Exit::Ok);
    }
    output.text(&plan::submitted(&response.jobs, output.style()))?;
    output.note(&format!(
        "submitted {}; follow it with: tandem watch {}",
        line(&response.name),
        line(&response.experiment_id)
    ));
    Ok(Exit::Ok)
}

async fn wait(client: &Client, response: &SubmitResponse, output: &Output) -> Result<Exit> {
    let mut interrupt = follow::listen_to_interrupt()?;
    output.note(&format!("submitted {} ({})", line(&response.name), line(&response.experiment_id)));
    if let Some(reused) = plan::reused(&response.jobs) {
        output.note(&reused);
    }
    let followed =
        follow::until_done(client, &response.experiment_id, Patience::proven(), &mut interrupt, |_| Ok(())).await?;
    if followed.outcome == Outcome::Interrupted {
        output.note(&format!(
            "the jobs go on; follow them again with: tandem watch {0}, end them with: tandem cancel {0}",
            response.experiment_id
        ));
        return Ok(Exit::Interrupted);
    }
    if output.is_json() {
        let SubmitResponse { experiment_id, name, .. } = response;
        output.document(&json::Finished { experiment_id, experiment: name, jobs: &followed.jobs })?;
    } else {
        output.text(&results::table(&followed.jobs, None, output.style(), time::now()))?;
    }
    Ok(followed.outcome.exit())
}
