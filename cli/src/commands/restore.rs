//! `tandem restore`: a house out of an archive.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use tandem_archive::{Event, Restored};

use crate::{
    exit::{Exit, Failure},
    home::Home,
    house::{
        place::{HouseArgs, Place},
        staging::Staging,
        work,
    },
    output::Output,
    render,
    up::{
        database::{DATABASE, start_database, write_password},
        start,
    },
};

/// Make a house of an archive of `tandem backup`: another house, which goes on where that one was
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem restore /mnt/backup/house.tar --dir /srv/tandem
  tandem restore house.tar --database-url postgres://tandem@db/new \\
      --store /srv/new/store --receipt-key /srv/new/receipt.key

The folder, or the database and the store, must be new or empty. The house gets
a new id: workers of the former one are refused, and start anew with a new
folder and token. Jobs that ran go on from their checkpoints. Tokens are revoked
unless --keep-tokens is given; sessions of browsers and tokens of workers are in
any case. Whoever starts `tandem up` in the folder is its admin.")]
pub(crate) struct Restore {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    house: HouseArgs,
    /// With --database-url: the key that will sign receipts; made, unless it is there
    #[arg(long, value_name = "FILE", requires = "database_url")]
    receipt_key: Option<PathBuf>,
    /// Leave people's tokens good: whoever had one has one
    #[arg(long)]
    keep_tokens: bool,
}

impl Restore {
    pub(crate) async fn run(self, output: &Output) -> Result<Exit> {
        // A mistake in the name, or a file of something else, is told before anything is made.
        tandem_archive::begin(&self.file).map_err(|error| {
            let exit = if error.is_damage() { Exit::Damaged } else { Exit::NotFound };
            Failure::error(exit, format!("cannot restore {}: {error}", self.file.display()))
        })?;
        let (restored, way_in) = match Place::given(&self.house) {
            Some(place) => {
                let key = self.receipt_key.clone().ok_or_else(|| {
                    Failure::error(
                        Exit::Usage,
                        "--receipt-key is missing: the file that will sign this house's receipts",
                    )
                })?;
                let restored = self.fill(&place, &key, output).await?;
                (restored, "`tandem-server admin-line` makes a token of an admin for it".to_owned())
            }
            None => {
                let home = Home::at(self.house.dir.clone())?;
                let restored = self.in_home(&home, output).await?;
                let dir = home.root().display();
                (restored, format!("`tandem up --dir {dir}` starts it, and who does that is its admin"))
            }
        };
        if output.is_json() {
            output.document(&restored)?;
        } else {
            output.text(&render::backup::restored(&restored, &way_in, self.keep_tokens))?;
        }
        if !restored.problems.is_empty() {
            output.note(&render::backup::problems(&restored.problems, restored.problems_left_out));
        }
        Ok(Exit::Ok)
    }

    async fn in_home(&self, home: &Home, output: &Output) -> Result<Restored> {
        start::check_home(home)?;
        let staging = Staging::make(home)?;
        let beside = staging.home.clone();
        start::make_folders(&beside, &beside.data())?;
        let restored = {
            output.note("starting postgres");
            let started = start_database(&beside).await;
            let postgres = started
                .map_err(|error| Failure::error(Exit::Config, format!("cannot make the database: {error:#}")))?;
            write_password(&beside, &postgres)?;
            let url = postgres.url_without_password(DATABASE);
            let place = Place::of(&beside, url, Some(beside.database_password()));
            let restored = self.fill(&place, &beside.receipt_key(), output).await;
            // Its files must be at rest before their folder is renamed.
            let stopped = tokio::task::spawn_blocking(move || postgres.stop()).await;
            let restored = restored?;
            stopped.context("the thread that stops the database broke off")?.context("cannot stop postgres")?;
            restored
        };
        staging.place()?;
        Ok(restored)
    }

    async fn fill(&self, place: &Place, receipt_key: &Path, output: &Output) -> Result<Restored> {
        let absolute =
            |path: &Path| std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()));
        let mut args: Vec<OsString> = vec!["restore".into(), "--archive".into(), absolute(&self.file)?.into()];
        args.extend(["--receipt-key".into(), absolute(receipt_key)?.into()]);
        if self.keep_tokens {
            args.push("--keep-tokens".into());
        }
        args.extend(place.options()?);
        match work::run(args, &place.database_url, output).await? {
            Event::Restored(restored) => Ok(restored),
            _ => Err(Failure::error(Exit::Internal, "tandem-server did not say what became of the restoration")),
        }
    }
}
