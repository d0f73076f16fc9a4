//! `tandem backup`: database and store in one file.

mod check;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use chrono::Utc;
use clap::{Args, Subcommand};
use tandem_archive::Event;
use tandem_domain::policy::span;

use crate::{
    exit::{Exit, Failure},
    files,
    home::Home,
    house::{
        place::{HouseArgs, Place},
        work,
    },
    output::Output,
    render,
};

/// Write a house, its database and its store, into one file, while it runs
#[derive(Debug, Args)]
#[command(
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tandem backup /mnt/backup/house.tar
  tandem backup /mnt/backup             names the file by the time
  tandem backup check /mnt/backup/house.tar
  tandem backup house.tar --database-url postgres://tandem@db/tandem \\
      --store /srv/tandem/store --database-password-file password

Jobs go on meanwhile; files that rows name are not removed until it is done.
Whoever reads the file knows what the house knows: its mode is 600. It holds no
private key and no token. docs/BACKUP.md says what is in it.
Exit code 74: the file is there, and some of the house's files were not whole."
)]
pub(crate) struct Backup {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// The file to write, or a folder that is there
    #[arg(required = true, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    house: HouseArgs,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// The longest that the database may be read, for which it keeps what is changed meanwhile
    #[arg(long, default_value = "30m", value_name = "TIME", value_parser = span::parse)]
    snapshot_limit: Duration,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    Check(check::Check),
}

impl Backup {
    pub(crate) async fn run(self, output: &Output) -> Result<Exit> {
        if let Some(BackupCommand::Check(check)) = self.command {
            return check.run(output);
        }
        let file = named(self.file.context("clap asks for a file")?)?;
        files::check_free(&file, self.force)?;
        let place = match Place::given(&self.house) {
            Some(place) => place,
            None => Place::of_home(&Home::at(self.house.dir)?, output).await?,
        };
        let mut args: Vec<OsString> = vec!["backup".into(), "--out".into(), file.into()];
        args.extend(["--snapshot-limit".into(), format!("{}s", self.snapshot_limit.as_secs()).into()]);
        args.extend(place.options()?);
        let Event::Taken(taken) = work::run(args, &place.database_url, output).await? else {
            return Err(Failure::error(Exit::Internal, "tandem-server did not say what became of the backup"));
        };
        if output.is_json() {
            output.document(&taken)?;
        } else {
            output.text(&render::backup::taken(&taken))?;
        }
        if taken.problems.is_empty() {
            return Ok(Exit::Ok);
        }
        output.note(&render::backup::problems(&taken.problems, taken.problems_left_out));
        Ok(Exit::Damaged)
    }
}

/// In a folder, a file that says when.
fn named(file: PathBuf) -> Result<PathBuf> {
    let file = if file.is_dir() { file.join(Utc::now().format("tandem-%Y%m%d-%H%M%S.tar").to_string()) } else { file };
    if file.file_name().is_none() {
        return Err(Failure::error(Exit::Usage, format!("{} is no name of a file", file.display())));
    }
    std::path::absolute(&file).with_context(|| format!("cannot use {}", file.display()))
}
