//! Options that name a database, for commands that work as its owner.

use std::path::PathBuf;

use crate::private_file::{self, PrivateFileError};

/// Whose owner does what no coordinator may.
#[derive(Clone, Debug, clap::Args)]
pub struct Database {
    /// Postgres: postgres://USER@HOST:PORT/DATABASE, as for the server.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// File with the database's password.
    #[arg(long, env = "TANDEM_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) database_password_file: Option<PathBuf>,
}

impl Database {
    pub(crate) fn password(&self) -> Result<Option<String>, PrivateFileError> {
        self.database_password_file.as_deref().map(private_file::password).transpose()
    }
}
