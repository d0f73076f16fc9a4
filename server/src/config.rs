//! The server's options: flags, or the environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use tandem_domain::{
    access::PersonRole,
    datasets::parse_size,
    timing::{DEFAULT, Timing},
};

use crate::{spans, telling::options::TellingArgs};

/// The coordinator: keeps experiments in Postgres, gives their jobs to workers, answers questions.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tandem-server",
    version,
    after_help = "\
Exit codes: 0 stopped as asked; 2 wrong flags; 69 database not reachable; 70 failed while running;
71 cannot listen; 73 cannot use the store folder or write a file; 75 others are at the certificates;
78 not allowed or not fitting (schema version, address beyond loopback without TLS, access to the
database, a certificate that has ended, a key that others can read).

Example: tandem-server --database-url postgres://tandem@localhost/tandem --store /srv/tandem/store"
)]
pub struct Args {
    /// Postgres: postgres://USER:PASSWORD@HOST:PORT/DATABASE. Its schema is created or brought up to date.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// File with the database's password, in place of one in --database-url; nobody else may read it.
    #[arg(long, env = "TANDEM_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,

    /// Address for clients and workers; port 0 is any free one (see --announce).
    #[arg(long, env = "TANDEM_LISTEN", default_value = "127.0.0.1:7077", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// Folder for checkpoints and artifacts; workers must see it under the same path.
    #[arg(long, env = "TANDEM_STORE", value_name = "FOLDER")]
    pub store: PathBuf,

    /// How much of data sets each person may keep in the store (`tandem data put`): 500MB, 20GB, 1TiB.
    #[arg(long, env = "TANDEM_DATA_LIMIT", default_value = "20GB", value_name = "SIZE", value_parser = parse_size)]
    pub data_limit: u64,

    /// Write {"address": "http://..."} here when ready to serve; with "socket" and "fingerprint" where these are.
    #[arg(long, value_name = "FILE")]
    pub announce: Option<PathBuf>,

    /// Speak TLS, with certificates from this folder of this coordinator alone; what is not there is made. Needed beyond
    /// loopback, or --tls-cert.
    #[arg(long, env = "TANDEM_TLS_DIR", value_name = "FOLDER", conflicts_with_all = ["tls_cert", "tls_key"])]
    pub tls_dir: Option<PathBuf>,

    /// Speak TLS, with this certificate (PEM, with its chain). A new one in its place is taken without a restart.
    #[arg(long, env = "TANDEM_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert.
    #[arg(long, env = "TANDEM_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// The key that signs receipts of results; made at the first start, and copied to every further coordinator of the house.
    /// Without it: receipt.key in --tls-dir, else in ~/.local/state/tandem.
    #[arg(long, env = "TANDEM_RECEIPT_KEY", value_name = "FILE")]
    pub receipt_key: Option<PathBuf>,

    /// Have the key in --receipt-key sign from now on, where the house's former one is lost. What that has signed stays.
    #[arg(long)]
    pub new_receipt_key: bool,

    /// Listen on a Unix socket as well, where the kernel says which account of this box calls.
    #[arg(long, env = "TANDEM_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// What an account of this box may do over the socket that is linked to no person: reader, submitter, admin or none.
    #[arg(long, env = "TANDEM_LOGIN_ROLE", default_value = "none", value_name = "ROLE", value_parser = login_role)]
    pub login_role: std::option::Option<PersonRole>,

    /// Name of this coordinator where several run; without it, its host and process id.
    #[arg(long, env = "TANDEM_SERVER_NAME")]
    pub name: Option<String>,

    /// Timeouts of the whole cluster: `default`, or `fast` for a quiet machine of its own (a death is seen in 3 s).
    #[arg(long, env = "TANDEM_TIMING", default_value = DEFAULT.name, value_name = "PROFILE", value_parser = profile)]
    pub timing: Timing,

    #[arg(long, env = "TANDEM_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Send spans of requests and transactions to a collector, by OTLP over gRPC.
    #[arg(long, env = "TANDEM_OTLP", value_name = "http://HOST:PORT", value_parser = spans::endpoint)]
    pub otlp: Option<String>,

    #[command(flatten)]
    pub telling: TellingArgs,
}

/// Format of the log on stderr; RUST_LOG selects what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

fn profile(name: &str) -> Result<Timing, String> {
    let names = || Timing::PROFILES.map(|profile| profile.name).join(", ");
    Timing::named(name).ok_or_else(|| format!("no profile of that name; expected one of {}", names()))
}

fn login_role(word: &str) -> Result<Option<PersonRole>, String> {
    if word == "none" {
        return Ok(None);
    }
    word.parse().map(Some).map_err(|error: String| format!("{error} or none"))
}

impl Args {
    /// Of this coordinator, among several.
    pub fn display_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let host = if host.trim().is_empty() { "server" } else { host.trim() };
            format!("{host}:{}", std::process::id())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Args::command().debug_assert();
    }

    fn parse(more: &[&str]) -> Result<Args, String> {
        let needed = ["tandem-server", "--database-url", "postgres://x", "--store", "/s"];
        Args::try_parse_from(needed.iter().chain(more)).map_err(|error| error.to_string())
    }

    #[test]
    fn loopback_without_tls_is_the_default_and_an_account_may_do_nothing() {
        let args = parse(&[]).unwrap();
        assert!(args.listen.ip().is_loopback() && args.tls_dir.is_none() && args.tls_cert.is_none());
        assert_eq!(args.login_role, None);
    }

    #[test]
    fn options_that_belong_together_come_together_and_others_exclude_each_other() {
        assert!(parse(&["--tls-cert=c", "--tls-key=k"]).is_ok());
        for alone in ["--tls-cert=c", "--tls-key=k"] {
            assert!(parse(&[alone]).unwrap_err().contains("--tls-"), "{alone}");
        }
        assert!(parse(&["--tls-dir=d", "--tls-cert=c", "--tls-key=k"]).unwrap_err().contains("cannot be used with"));
        assert_eq!(parse(&["--login-role=submitter"]).unwrap().login_role, Some(PersonRole::Submitter));
        assert!(parse(&["--mail=smtp://x"]).unwrap_err().contains("--mail-from"));
        assert!(
            parse(&["--allow-webhooks-to=10.0.0.0/8,ntfy.lab"])
                .is_ok_and(|args| args.telling.allow_webhooks_to.len() == 2)
        );
        assert!(parse(&["--login-role=root"]).unwrap_err().contains("reader, submitter, admin or none"));
    }
}
