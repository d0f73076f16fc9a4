//! `tandem`: submit experiments, watch them, ask about results, and run a whole cluster on one machine.
//!
//! Reading order: `args` (the command line), `commands` (one file each), `client` (the coordinator), `render` (text for
//! people) and `json` (for scripts), `up` (the supervisor behind `tandem up`).

mod args;
mod bars;
mod client;
mod commands;
mod config;
mod dataset;
mod download;
mod exit;
mod files;
mod follow;
mod home;
mod json;
mod output;
mod render;
mod time;
mod up;

use std::process::ExitCode;

use clap::Parser;

/// One thread. It is enough for a client, and `up` must start its children from a thread that lives as long as the
/// process: the kernel ends them with it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let output = output::Output::new(cli.global.json, cli.global.color);
    match commands::run(cli, &output).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            let (exit, message) = exit::classify(&error);
            if let Some(message) = message {
                output.note(&format!("tandem: {message}"));
            }
            exit.into()
        }
    }
}
