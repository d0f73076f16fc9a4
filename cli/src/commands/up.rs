//! `tandem up`: everything on this machine.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::Args;

use crate::{
    exit::{Exit, Failure},
    home::{Home, path_or_nothing},
    output::Output,
    up::{
        database::DATABASE,
        detach,
        lock::Lock,
        plan::{self, Devices},
        programs::{LoginRole, StackOptions},
        socket_place, start,
        state::UpState,
        supervise::StopSignals,
    },
};

/// Start everything on this machine: a private Postgres, the coordinator, workers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem up                         stays until Ctrl-C
  tandem up --detach                stays in the background until `tandem down`
  tandem up --listen 127.0.0.1:0 --dir /tmp/trial --workers 4
  tandem up --listen 0.0.0.0:7077   for other machines, too: it says how to join

Ctrl-C lets the workers write a checkpoint, then stops the coordinator and
Postgres. The data stay: the next `tandem up` goes on with queued and
interrupted jobs.")]
pub(crate) struct Up {
    /// Keep everything in this folder [default: /var/lib/tandem as root, else ~/.local/share/tandem]
    #[arg(long, env = "TANDEM_HOME", value_name = "DIR", value_parser = path_or_nothing())]
    dir: Option<PathBuf>,
    /// How many workers [default: one per GPU, or two on the CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64))]
    workers: Option<u32>,
    /// What the workers compute on; auto is: on GPUs if there are any
    #[arg(long, value_enum, default_value = "auto")]
    devices: Devices,
    /// Where the coordinator listens; port 0 takes a free one. Beyond this machine it speaks TLS, and asks for tokens
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7077")]
    listen: SocketAddr,
    /// The socket for this machine's accounts [default: /run/tandem/tandem.sock as root, else /tmp/tandem.sock; with --dir, in it]
    #[arg(long, value_name = "PATH", value_parser = path_or_nothing())]
    socket: Option<PathBuf>,
    /// What accounts of this machine may do that are linked to no person. You are its admin
    #[arg(long, value_enum, default_value = "submitter", value_name = "ROLE")]
    login_role: LoginRole,
    /// Folder with data sets [default: data in the home]
    #[arg(long, env = "TANDEM_DATA", value_name = "DIR", value_parser = path_or_nothing())]
    data: Option<PathBuf>,
    /// Return when all is ready; `tandem down` ends it
    #[arg(long)]
    detach: bool,
    #[arg(long = "in-background", hide = true, requires = "detach")]
    in_background: bool,
}

impl Up {
    pub(crate) async fn run(self, output: &Output) -> Result<Exit> {
        let home = Home::at(self.dir.clone())?;
        let workers = plan::workers(self.devices, self.workers, plan::count_gpus());
        let workers = workers.map_err(|reason| Failure::error(Exit::Usage, reason))?;
        let data = self.data.clone().filter(|data| !data.as_os_str().is_empty());
        let data = data.map_or_else(|| Ok(home.data()), std::path::absolute)?;
        start::check_home(&home)?;
        let home_was_chosen = self.dir.as_ref().is_some_and(|dir| !dir.as_os_str().is_empty());
        let given = self.socket.clone().filter(|path| !path.as_os_str().is_empty());
        let given = given.map(std::path::absolute).transpose()?;
        let chosen = socket_place::choose(given, &home, home_was_chosen).await;
        let (socket, note) = chosen.map_err(|why| Failure::error(Exit::Config, why))?;
        start::make_folders(&home, &data)?;
        if self.detach && !self.in_background {
            // Checked here too, where the message reaches the person.
            drop(Lock::take(&home)?);
            let state = detach::detach(&home, output).await?;
            report(&state, output)?;
            let is_usual = Home::at(None).is_ok_and(|usual| usual == home);
            let dir = if is_usual { String::new() } else { format!(" --dir {}", home.root().display()) };
            output.note(&format!("it runs in the background; `tandem down{dir}` stops it"));
            return Ok(Exit::Ok);
        }
        if self.in_background {
            detach::leave_session()?;
        }
        let _lock = Lock::take(&home)?;
        note.iter().for_each(|note| output.note(note));
        let options = StackOptions { listen: self.listen, socket, login_role: self.login_role, data, workers };
        run(&home, &options, self.in_background, output).await
    }
}

async fn run(home: &Home, options: &StackOptions, in_background: bool, output: &Output) -> Result<Exit> {
    UpState::remove(home);
    let mut interrupted = StopSignals::listen()?;
    let mut stack = tokio::select! {
        stack = start::start(home, options, output) => stack?,
        () = interrupted.next() => {
            output.note("stopped before it was ready");
            return Ok(Exit::Interrupted);
        }
    };
    let state = UpState {
        pid: std::process::id(),
        server: stack.address.clone(),
        socket: Some(stack.socket.clone()),
        fingerprint: stack.fingerprint.clone(),
        database_url: stack.postgres.url_without_password(DATABASE),
        database: stack.postgres.url_without_password(DATABASE),
        database_password_file: Some(home.database_password()),
        home: home.root().to_owned(),
        data: options.data.clone(),
        logs: home.logs(),
        workers: options.workers.iter().map(|worker| worker.name.clone()).collect(),
    };
    state.write(home)?;
    if !in_background {
        report(&state, output)?;
        output.note("Ctrl-C stops it");
    }
    let supervised = stack.supervise(output).await;
    let stopped = stack.stop(output).await;
    UpState::remove(home);
    supervised.and(stopped)?;
    output.note("stopped; the data stay in the folder");
    Ok(Exit::Ok)
}

fn report(state: &UpState, output: &Output) -> Result<()> {
    if output.is_json() { output.document(state) } else { output.text(&state.table()) }
}
