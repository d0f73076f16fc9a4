//! `tandem`: submit experiments, watch them, ask about results, and run a whole cluster on one machine.
//!
//! Reading order: `args` (the command line), `commands` (one file each), `target` (which coordinators, by `choice`; `config`,
//! `contexts` and `known_houses` are what is kept of them), `client` (asks them; `refusal` and `patience` when they do not
//! answer), `doctor` (looks at this machine), `render` (text for people), `top` (a screen that follows) and `json` (for
//! scripts), `compare` and `report` (what experiments say together), `signed` and `fetched` (receipts), `house` (one as a whole, for
//! backups), `up` (the supervisor behind `tandem up`).

mod args;
mod bars;
mod choice;
mod client;
mod commands;
mod compare;
mod complete;
mod config;
mod contexts;
mod core_files;
mod dataset;
mod doctor;
mod download;
mod edit;
mod exit;
mod expiry;
mod exports;
mod fetched;
mod files;
mod follow;
mod gauge;
mod heard;
mod home;
mod house;
mod image_folder;
mod json;
mod known_houses;
mod newest;
mod output;
mod patience;
mod printable;
mod prompt;
mod refusal;
mod render;
mod report;
mod signed;
mod since;
mod target;
mod time;
mod top;
mod up;
mod upload;
mod way_for_workers;

use std::{fs::File, io, process::ExitCode};

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use tokio::runtime::Builder;

use exit::Exit;

fn main() -> ExitCode {
    // A shell that asks what may be typed is answered, and that is all.
    CompleteEnv::with_factory(args::Cli::command).var(complete::VARIABLE).complete();
    let cli = args::Cli::parse();
    let output = output::Output::new(cli.global.json, cli.global.color);
    // One thread. It is enough for a client, and `up` must start its children from a thread that lives as long as the
    // process: the kernel ends them with it.
    let runtime = match enough_files().and_then(|()| Builder::new_current_thread().enable_all().build()) {
        Ok(runtime) => runtime,
        Err(error) => {
            output.note(&format!("tandem: cannot start: {error}; `ulimit -n` says how many files it may open"));
            return Exit::System.into();
        }
    };
    let code = match runtime.block_on(commands::run(cli, &output)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let (exit, message) = exit::classify(&error);
            if let Some(message) = message {
                output.note(&format!("tandem: {message}"));
            }
            exit.into()
        }
    };
    // A database that is still being started is not waited for: it ends with this process.
    runtime.shutdown_background();
    code
}

/// The runtime opens some files for itself where it cannot return an error, and panics if it gets none.
fn enough_files() -> io::Result<()> {
    const OWN: usize = 6;
    (0..OWN).map(|_| File::open("/dev/null")).collect::<io::Result<Vec<_>>>().map(drop)
}
