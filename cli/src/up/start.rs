//! Starts everything in order: database, coordinator, workers.

use std::{
    env,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tandem_proto::v1::StatusRequest;

use super::{
    database::{DATABASE, start_database},
    plan::WorkerPlan,
    process::{Process, Program},
    supervise::{Child, Stack},
};
use crate::{
    client::Client,
    config::Target,
    exit::{Exit, Failure},
    home::Home,
    output::Output,
};

/// Time for the coordinator to get ready; the first start creates the schema.
const SERVER_READY_WITHIN: Duration = Duration::from_secs(30);
const WORKERS_READY_WITHIN: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct StackOptions {
    pub(crate) listen: String,
    pub(crate) insecure: bool,
    pub(crate) data: PathBuf,
    pub(crate) workers: Vec<WorkerPlan>,
}

/// The programs beside this one, or in `$TANDEM_BIN_DIR`.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) server: PathBuf,
    pub(crate) worker: PathBuf,
}

impl Binaries {
    pub(crate) fn find() -> Result<Self> {
        let dir = match env::var_os("TANDEM_BIN_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => {
                let own = env::current_exe().context("cannot find out where this program is")?;
                own.parent().map(Path::to_path_buf).unwrap_or_default()
            }
        };
        let find = |name: &str| {
            let path = dir.join(name);
            if path.is_file() {
                return Ok(path);
            }
            let hint = "`cargo build` makes it; TANDEM_BIN_DIR names another folder";
            Err(Failure::error(Exit::NotFound, format!("found no {name} in {}: {hint}", dir.display())))
        };
        Ok(Self { server: find("tandem-server")?, worker: find("tandem-worker")? })
    }
}

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

    output.note("starting the coordinator");
    let program = server_program(home, &binaries, options, &postgres.url(DATABASE));
    let (process, address) = start_server(home, &program).await?;
    // A restarted coordinator keeps the address, even if the system chose the port at first.
    let listen = address.strip_prefix("http://").unwrap_or(&address).to_owned();
    let program = server_program(home, &binaries, &StackOptions { listen, ..options.clone() }, &postgres.url(DATABASE));
    let server = Child::running(program, process);

    let mut workers = Vec::new();
    for plan in &options.workers {
        let program = worker_program(home, &binaries, options, plan, &address);
        let process = program.start()?;
        workers.push(Child::running(program, process));
    }
    wait_for_workers(&address, options.workers.len(), output).await?;
    Ok(Stack { home: home.clone(), postgres, restart: None, server, workers, address })
}

fn server_program(home: &Home, binaries: &Binaries, options: &StackOptions, database_url: &str) -> Program {
    let mut args = vec!["--listen".into(), options.listen.as_str().into(), "--store".into(), home.store().into()];
    args.extend(["--announce".into(), home.announcement().into()]);
    if options.insecure {
        args.push("--insecure".into());
    }
    Program {
        name: "the coordinator".to_owned(),
        path: binaries.server.clone(),
        args,
        // Not an argument: everybody on the machine can read those, and the URL holds the password.
        env: vec![("DATABASE_URL", database_url.into())],
        log: home.logs().join("server.log"),
    }
}

fn worker_program(
    home: &Home,
    binaries: &Binaries,
    options: &StackOptions,
    plan: &WorkerPlan,
    address: &str,
) -> Program {
    let mut args = vec!["run".into(), "--server".into(), address.into(), "--name".into(), plan.name.as_str().into()];
    args.extend(["--device".into(), plan.device.as_str().into(), "--data".into(), options.data.clone().into()]);
    args.extend(["--state".into(), home.worker(&plan.name).into()]);
    Program {
        name: format!("worker {}", plan.name),
        path: binaries.worker.clone(),
        args,
        env: Vec::new(),
        log: home.logs().join(format!("worker-{}.log", plan.name)),
    }
}

#[derive(Deserialize)]
struct Announcement {
    address: String,
}

/// Starts the coordinator and waits until it announces where it listens.
async fn start_server(home: &Home, program: &Program) -> Result<(Process, String)> {
    let path = home.announcement();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", path.display()));
        }
        _ => {}
    }
    let log = program.log_length();
    let mut process = program.start()?;
    let deadline = Instant::now() + SERVER_READY_WITHIN;
    while Instant::now() < deadline {
        // It may be read while it is being written: then it does not parse yet.
        let announced =
            fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Announcement>(&text).ok());
        if let Some(announcement) = announced {
            return Ok((process, announcement.address));
        }
        tokio::select! {
            status = process.ended() => {
                let status = status.context("cannot wait for the coordinator")?;
                let lines = program.last_log_lines(log);
                let reason = if lines.is_empty() { format!("it ended with {status}") } else { lines };
                return Err(Failure::error(Exit::of_child(status.code()), format!("cannot start the coordinator: {reason}")));
            }
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
    }
    bail!("the coordinator was not ready after {} s; see {}", SERVER_READY_WITHIN.as_secs(), program.log.display())
}

/// Waits until a job that is submitted now finds its workers. The supervisor takes care of a worker that does not come.
async fn wait_for_workers(address: &str, count: usize, output: &Output) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    output.note("waiting for the workers");
    let client = Client::new(&Target { servers: vec![address.to_owned()], token: None })?;
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
