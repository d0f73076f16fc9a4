//! The command line: to serve, or something short that needs neither a port nor a database.

use std::{ffi::OsString, path::PathBuf};

use chrono::NaiveDate;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Subcommand};

use crate::{
    admin_line::admin_line,
    audit_drop::audit_drop,
    backup::{
        command::{BackupArgs, RestoreArgs},
        failed::Failed,
    },
    config::Args,
    database_args::Database,
    listen::tls::{self, Names, TlsError},
    private_file::PrivateFileError,
    sql_reader,
    store::{
        Store,
        schema::{self, OpenError},
    },
};

/// What the process is started for.
#[derive(Clone, Debug)]
pub enum Invocation {
    Serve(Box<Args>),
    Command(Command),
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Print the fingerprint that `tandem join` compares.
    Fingerprint {
        /// Folder of the coordinator's certificates.
        #[arg(long, env = "TANDEM_TLS_DIR", value_name = "FOLDER")]
        tls_dir: PathBuf,
    },
    /// Make the --tls-dir of a further coordinator: with its own key, and without the house's.
    Issue {
        /// Folder with the house's ca.pem and ca.key.
        #[arg(long, env = "TANDEM_TLS_DIR", value_name = "FOLDER")]
        tls_dir: PathBuf,
        /// Folder to make; move it to the further coordinator.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Names and addresses of that coordinator's host.
        #[arg(long = "name", value_name = "HOST", required = true, num_args = 1..)]
        names: Vec<String>,
    },
    /// Write a token of an admin to a file: good for an hour, and exchanged once, by `tandem join .. --token-file FILE`.
    AdminLine {
        #[command(flatten)]
        database: Database,
        /// File to write, of mode 600.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Drop the months of the audit before this one; that they were dropped stands in it.
    AuditDrop {
        #[command(flatten)]
        database: Database,
        /// The first month to keep.
        #[arg(long, value_name = "YYYY-MM", value_parser = month)]
        before: NaiveDate,
    },
    /// Make a role of Postgres that reads experiments, jobs and figures by SQL, and nothing that is secret.
    SqlReader {
        /// What to call it: a to z, 0 to 9, dots, dashes and underscores.
        name: String,
        #[command(flatten)]
        database: Database,
        /// Service file of libpq to write, with its password, of mode 600. Again: a new password.
        #[arg(long, value_name = "FILE", required_unless_present = "remove")]
        out: Option<PathBuf>,
        /// Take it away, and cut off who is connected as it.
        #[arg(long, conflicts_with = "out")]
        remove: bool,
    },
    /// Write database and store into one file, while the house runs. `tandem backup` is the way to it.
    Backup(BackupArgs),
    /// Make a house of such a file, in an empty database and an empty folder. `tandem restore` is the way to it.
    Restore(RestoreArgs),
}

fn month(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").map_err(|_| "expected a month, as 2026-11".to_owned())
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Password(#[from] PrivateFileError),
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error(transparent)]
    House(#[from] Failed),
    #[error("cannot do it: {0}")]
    Refused(String),
}

impl CommandError {
    /// The exit code, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tls(error) => error.exit_code(),
            Self::Database(error) if error.is_unavailable() => 69,
            Self::House(error) => error.exit,
            Self::Password(_) | Self::Database(_) => 78,
            Self::Refused(_) => 70,
        }
    }
}

impl Invocation {
    /// Of this process. Ends it where the command line is wrong, or asks for help.
    pub fn parse() -> Self {
        Self::from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Without a command, it serves as it always has.
    fn from(line: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let command = Args::command().subcommand_negates_reqs(true).args_conflicts_with_subcommands(true);
        let matches = Command::augment_subcommands(command).subcommand_required(false).try_get_matches_from(line)?;
        Self::of(&matches).map_err(|error| error.format(&mut Args::command()))
    }

    fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(_) => Command::from_arg_matches(matches).map(Self::Command),
            None => Args::from_arg_matches(matches).map(|args| Self::Serve(Box::new(args))),
        }
    }
}

impl Command {
    /// Does it; what it prints.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub fn run(self) -> Result<String, CommandError> {
        match self {
            Self::Fingerprint { tls_dir } => Ok(tls::fingerprint_in(&tls_dir)?),
            Self::Issue { tls_dir, out, names } => Ok(tls::issue(&tls_dir, &out, &Names::of(&names)?)?),
            Self::AdminLine { database, out } => database.with(async |store| {
                admin_line(store, &out).await?;
                let file = out.display();
                Ok(format!("{file} is good for an hour, once: tandem join URL FINGERPRINT --token-file {file}"))
            }),
            Self::SqlReader { name, database, out, remove: _ } => {
                let url = database.database_url.clone();
                database.with(async |store| match &out {
                    Some(out) => sql_reader::make(store, &name, &url, out).await,
                    None => sql_reader::remove(store, &name).await,
                })
            }
            Self::Backup(backup) => Ok(backup.run()?),
            Self::Restore(restore) => Ok(restore.run()?),
            Self::AuditDrop { database, before } => database.with(async |store| {
                let months = audit_drop(store, before).await?;
                Ok(format!("dropped {months} month{} of the audit", if months == 1 { "" } else { "s" }))
            }),
        }
    }
}

impl Database {
    fn with(self, work: impl AsyncFnOnce(&Store) -> crate::error::Result<String>) -> Result<String, CommandError> {
        let password = self.password()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CommandError::Refused(error.to_string()))?;
        runtime.block_on(async {
            let store = schema::open(&self.database_url, password.as_deref()).await?;
            let done = work(&store).await.map_err(|error| CommandError::Refused(error.to_string()));
            store.close().await;
            done
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Invocation, String> {
        Invocation::from(["tandem-server"].iter().chain(line)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_needs_nothing_of_the_server_and_the_server_needs_no_command() {
        let serve = parse(&["--database-url", "postgres://x", "--store", "/s"]).unwrap();
        assert!(matches!(serve, Invocation::Serve(args) if args.database_url == "postgres://x"));
        assert!(parse(&["--store", "/s"]).unwrap_err().contains("--database-url"));
        let fingerprint = parse(&["fingerprint", "--tls-dir", "/t"]).unwrap();
        assert!(matches!(fingerprint, Invocation::Command(Command::Fingerprint { .. })));
        let issue = parse(&["issue", "--tls-dir=/t", "--out=/o", "--name", "a", "b", "--name", "c"]).unwrap();
        assert!(matches!(issue, Invocation::Command(Command::Issue { names, .. }) if names == ["a", "b", "c"]));
        assert!(parse(&["issue", "--tls-dir=/t", "--out=/o"]).unwrap_err().contains("--name"));
        assert!(parse(&["--store", "/s", "fingerprint", "--tls-dir=/t"]).is_err());
        let help = parse(&["--help"]).unwrap_err();
        assert!(help.contains("fingerprint") && help.contains("--login-role"), "{help}");
    }
}
