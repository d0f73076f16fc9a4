//! The worker: `run` holds a device and talks to the coordinator; `rank` trains, as a child process of `run`, so that
//! a crash in CUDA or libtorch never takes the worker down and all memory is freed between jobs; `local` runs an
//! experiment file in one process, without a coordinator. [`probe`] tries libtorch.
//!
//! `run`, in reading order:
//! - [`config`] and [`identity`]: who this worker is, and [`house`]: of which house. [`access`]: where its coordinators are, and its token. [`device`], with [`nvml`]: what it holds.
//!   [`meet_ports`]: where its ranks listen.
//! - [`link`]: the stream to the coordinator. [`heartbeat_timer`]: when the lease may have run out. [`disconnect_grace`]:
//!   how long a rank goes on without a coordinator. [`session`]: the loop that joins them.
//! - [`store_probe`] and [`survey`]: that it sees the store, and which data sets; [`sampling`]: what its device is like;
//!   [`in_thread`]: what may hang.
//! - [`assignment`]: an assignment becomes a task. [`attempt`]: one rank, whose process is a [`child`] read by a
//!   [`line_reader`]; [`rank_output`] parses its lines, [`progress_clock`] notices if it hangs, and [`verdict`] says what
//!   its [`exit_code`] means; [`surroundings`] is what a rank does not know of what it runs in.
//! - [`report_log`]: what is not yet reported of one rank, in an [`outbox`] in memory and a [`spool`] on disk. [`text`]:
//!   bounded ones.

mod access;
mod assignment;
mod attempt;
mod child;
mod config;
mod device;
mod disconnect_grace;
mod exit_code;
mod heartbeat_timer;
mod house;
mod identity;
mod in_thread;
mod line_reader;
mod link;
mod local;
mod meet_ports;
mod nvml;
mod outbox;
mod probe;
mod progress_clock;
mod rank;
mod rank_output;
mod report_log;
mod sampling;
mod session;
mod spool;
mod store_probe;
mod surroundings;
mod survey;
mod text;
mod verdict;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Holds one device of the fleet and trains on it.
#[derive(Parser)]
#[command(name = "tandem-worker", version)]
struct Command {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    Run(config::RunArgs),
    Local(local::LocalArgs),
    /// One rank of one attempt; started by `run`.
    #[command(hide = true)]
    Rank(rank::RankArgs),
    /// Tells the data sets of a folder; started by `run`.
    #[command(hide = true)]
    Survey(survey::SurveyArgs),
    /// Tells what libtorch can do here; started by `tandem doctor`.
    #[command(hide = true)]
    Probe,
}

fn main() -> ExitCode {
    match Command::parse().role {
        Role::Rank(args) => {
            let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
            // The worker adds the time to each line.
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(io::stderr)
                .with_ansi(false)
                .without_time()
                .init();
            rank::main(args)
        }
        Role::Local(args) => local::main(&args),
        Role::Survey(args) => survey::main(&args),
        Role::Probe => probe::main(),
        Role::Run(args) => {
            let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
            let colours = io::stderr().is_terminal();
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
            match run(args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("tandem-worker: {error:#}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}

// One thread: the kernel kills a rank when the thread that started it ends, so that thread must live as long as the worker.
#[tokio::main(flavor = "current_thread")]
async fn run(args: config::RunArgs) -> anyhow::Result<()> {
    session::run(args).await
}
