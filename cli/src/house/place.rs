//! Where a house's database and store are: a running `tandem up`, the folder of one that is stopped, or what options say.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use tandem_local_postgres::LocalPostgres;

use crate::{
    exit::{Exit, Failure},
    home::{Home, path_or_nothing},
    output::Output,
    up::{
        database::{DATABASE, start_database, write_password},
        lock::{self, Lock},
        state::UpState,
    },
};

/// Options that say which house is meant.
#[derive(Debug, Args)]
pub(crate) struct HouseArgs {
    /// The folder of `tandem up` [default: /var/lib/tandem as root, else ~/.local/share/tandem]
    #[arg(long, env = "TANDEM_HOME", value_name = "DIR", value_parser = path_or_nothing())]
    pub(crate) dir: Option<PathBuf>,
    /// Of a house without `tandem up`: postgres://USER@HOST:PORT/DATABASE, whose owner USER is
    #[arg(long, value_name = "URL", requires = "store")]
    pub(crate) database_url: Option<String>,
    /// File with the database's password, of mode 600
    #[arg(long, value_name = "FILE", requires = "database_url")]
    pub(crate) database_password_file: Option<PathBuf>,
    /// Of a house without `tandem up`: the folder that its coordinators have as --store
    #[arg(long, value_name = "FOLDER", requires = "database_url")]
    pub(crate) store: Option<PathBuf>,
}

/// A house whose database answers. What was started for it ends when this is dropped.
pub(crate) struct Place {
    pub(crate) database_url: String,
    password_file: Option<PathBuf>,
    pub(crate) store: PathBuf,
    // The database ends before somebody else may start it.
    _postgres: Option<LocalPostgres>,
    _lock: Option<Lock>,
}

impl Place {
    pub(crate) fn given(args: &HouseArgs) -> Option<Self> {
        let (database_url, store) = (args.database_url.clone()?, args.store.clone()?);
        let password_file = args.database_password_file.clone();
        Some(Self { database_url, password_file, store, _postgres: None, _lock: None })
    }

    /// Of a home; the database of one that is stopped is started.
    pub(crate) async fn of_home(home: &Home, output: &Output) -> Result<Self> {
        let dir = home.root().display();
        if let Some(pid) = lock::holder(home)? {
            let state = UpState::read(home)?.filter(|state| state.pid == pid && !state.database_url.is_empty());
            let state = state.ok_or_else(|| {
                Failure::error(Exit::Temporary, format!("tandem in {dir} starts or stops at this moment; try again"))
            })?;
            let password_file = state.database_password_file.clone();
            return Ok(Self::of(home, state.database_url, password_file));
        }
        if !home.postgres().join("data").is_dir() {
            return Err(Failure::error(
                Exit::NotFound,
                format!("found no house in {dir}: --dir names its folder, or --database-url and --store its parts"),
            ));
        }
        let lock = Lock::take(home)?;
        output.note("starting postgres, as this house is stopped");
        let started = start_database(home).await;
        let postgres =
            started.map_err(|error| Failure::error(Exit::Config, format!("cannot start the database: {error:#}")))?;
        write_password(home, &postgres)?;
        let place = Self::of(home, postgres.url_without_password(DATABASE), Some(home.database_password()));
        Ok(Self { _postgres: Some(postgres), _lock: Some(lock), ..place })
    }

    pub(crate) fn of(home: &Home, database_url: String, password_file: Option<PathBuf>) -> Self {
        Self { database_url, password_file, store: home.store(), _postgres: None, _lock: None }
    }

    /// For `tandem-server`.
    pub(crate) fn options(&self) -> Result<Vec<OsString>> {
        let absolute =
            |path: &PathBuf| std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()));
        let mut options: Vec<OsString> = vec!["--store".into(), absolute(&self.store)?.into()];
        if let Some(file) = &self.password_file {
            options.extend(["--database-password-file".into(), absolute(file)?.into()]);
        }
        Ok(options)
    }
}
