//! The command line: to serve, or something short that needs neither a port nor a database.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Subcommand};

use crate::{
    config::Args,
    listen::tls::{self, Names, TlsError},
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
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl CommandError {
    /// The exit code, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tls(error) => error.exit_code(),
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
        }
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
