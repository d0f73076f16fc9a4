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
        start::{self, StackOptions},
        state::UpState,
        supervise::StopSignals,
    },
};

/// Start everything on this machine: a private Postgres, the coordinator, workers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem up                              stays until Ctrl-C
  tandem up --detach                     stays in the background until `tandem down`
  tandem up --listen 127.0.0.1:0 --dir /tmp/trial --workers 4

Ctrl-C lets the workers write a checkpoint, then stops the coordinator and Postgres.
The data stay: the next `tandem up` goes on with queued and interrupted jobs.")]
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
    /// Where the coordinator listens; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7077")]
    listen: SocketAddr,
    /// Allow --listen beyond this machine, though everybody who reaches it may then submit, read and cancel
    #[arg(long)]
    insecure: bool,
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
        start::make_folders(&home, &data)?;
        if self.detach && !self.in_background {
            // Checked here too, where the message reaches the person.
            drop(Lock::take(&home)?);
            let state = detach::detach(&home, output).await?;
            report(&state, output)?;
            output.note("it runs in the background; `tandem down` stops it");
            return Ok(Exit::Ok);
        }
        if self.in_background {
            detach::leave_session()?;
        }
        let _lock = Lock::take(&home)?;
        let options = StackOptions { listen: self.listen.to_string(), insecure: self.insecure, data, workers };
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
        database_url: stack.postgres.url(DATABASE),
        database: stack.postgres.url_without_password(DATABASE),
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
    if output.is_json() { output.document(&state.printed()) } else { output.text(&state.table()) }
}
