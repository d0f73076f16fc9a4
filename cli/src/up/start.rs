//! Starts everything in order: database, coordinator, workers.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tandem_connect::Address;
use tandem_proto::v1::StatusRequest;

use super::{
    announced,
    database::{DATABASE, start_database, write_password},
    programs::{Binaries, StackOptions},
    supervise::{Child, Stack},
    worker_tokens,
};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    home::Home,
    output::Output,
    target::Target,
};

const WORKERS_READY_WITHIN: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Refuses a home that Postgres could not keep a database in, before anything is made there.
pub(crate) fn check_home(home: &Home) -> Result<()> {
    tandem_local_postgres::check_path(&home.postgres())
        .map_err(|error| Failure::error(Exit::Config, format!("{error:#}")))
}

/// Makes the folders of a home. If we are root, Postgres runs as another account, which must be able to pass through.
pub(crate) fn make_folders(home: &Home, data: &Path) -> Result<()> {
    let mode = if nix::unistd::geteuid().is_root() { 0o711 } else { 0o700 };
    let make = |path: &Path, mode: u32| {
        DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|error| {
            Failure::error(
                Exit::CannotCreate,
                format!("cannot make the folder {}: {error}; choose another with --dir", path.display()),
            )
        })
    };
    if !home.root().is_dir() {
        if let Some(parent) = home.root().parent() {
            make(parent, 0o755)?;
        }
        make(home.root(), mode)?;
    }
    for path in [home.store(), home.logs(), home.root().join("workers")] {
        make(&path, 0o700)?;
    }
    make(data, 0o755)
}

/// Starts everything. If a step fails, what runs already ends with this process.
pub(crate) async fn start(home: &Home, options: &StackOptions, output: &Output) -> Result<Stack> {
    let binaries = Binaries::find()?;
    output.note("starting postgres");
    // A failure here is one of the machine's set-up: no Postgres is installed, or it may not enter the folder.
    let postgres = start_database(home)
        .await
        .map_err(|error| Failure::error(Exit::Config, format!("cannot start the database: {error:#}")))?;
    write_password(home, &postgres)?;
    let url = postgres.url_without_password(DATABASE);

    output.note("starting the coordinator");
    let program = binaries.server(home, options, &options.listen.to_string(), &url);
    let (process, announced) = announced::start(&program, &home.announcement()).await?;
    let program = binaries.server(home, options, announced.listen(), &url);
    let server = Child::running(program, process);
    let Some(socket) = announced.socket.clone() else {
        bail!("the coordinator announced no socket in {}: is it of another version?", home.announcement().display());
    };

    // The kernel says there that we are who started it.
    let client = Client::new(Target::of(Address::Unix(socket.clone())))?;
    worker_tokens::write(home, &client, &worker_tokens::way(&announced).await?, &options.workers).await?;
    let mut workers = Vec::new();
    for plan in &options.workers {
        let program = binaries.worker(home, &options.data, plan);
        let process = program.start()?;
        workers.push(Child::running(program, process));
    }
    wait_for_workers(&client, options.workers.len(), output).await?;
    let (address, fingerprint) = (announced.address, announced.fingerprint);
    Ok(Stack { home: home.clone(), postgres, restart: None, server, workers, address, socket, fingerprint })
}

/// Waits until a job that is submitted now finds its workers. The supervisor takes care of a worker that does not come.
async fn wait_for_workers(client: &Client, count: usize, output: &Output) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    output.note("waiting for the workers");
    let deadline = Instant::now() + WORKERS_READY_WITHIN;
    while Instant::now() < deadline {
        let status = client.ask("ask for the status", async |on| on.fleet().status(StatusRequest {}).await).await?;
        let here = status.workers.iter().filter(|worker| is_here(worker)).count();
        if here >= count {
            return Ok(());
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    output.note("not all workers have reported yet; `tandem status` shows them, and their logs say why");
    Ok(())
}

fn is_here(worker: &tandem_proto::v1::Worker) -> bool {
    use tandem_proto::v1::WorkerState::{Busy, Idle};
    matches!(worker.state(), Idle | Busy)
}
