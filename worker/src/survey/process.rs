//! `tandem-worker survey`: tells the data sets of a folder as JSON lines on stdout. Started by `run`.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Args;
use tandem_learn::data::{Folders, survey};

use crate::rank::{die_with, take_stdout};

#[derive(Args, Clone, Debug)]
pub(crate) struct SurveyArgs {
    /// The process that this one dies with.
    #[arg(long)]
    worker_pid: i32,
    #[arg(long)]
    data: PathBuf,
    /// Folder with the data sets of the store, once that is known.
    #[arg(long)]
    stored: Option<PathBuf>,
    /// Folder in which checksums are remembered.
    #[arg(long)]
    kept: PathBuf,
}

pub(crate) fn main(args: &SurveyArgs) -> ExitCode {
    let mut stdout = match die_with(args.worker_pid).and_then(|()| take_stdout()) {
        Ok(stdout) => stdout,
        Err(error) => {
            eprintln!("tandem-worker survey: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = None;
    let folders = Folders { data: &args.data, stored: args.stored.as_deref() };
    survey(folders, &args.kept, |seen| {
        let told = serde_json::to_string(&seen).map_err(Into::into).and_then(|line| writeln!(stdout, "{line}"));
        failed = failed.take().or(told.err());
    });
    match failed {
        None => ExitCode::SUCCESS,
        Some(error) => {
            eprintln!("tandem-worker survey: {error}");
            ExitCode::FAILURE
        }
    }
}
