//! The server's options: flags, or the environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use tandem_domain::timing::{DEFAULT, Timing};

/// The coordinator: keeps experiments in Postgres, gives their jobs to workers, answers questions.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tandem-server",
    version,
    after_help = "\
Exit codes: 0 stopped as asked; 2 wrong flags; 69 database not reachable; 70 failed while running;
71 cannot listen; 73 cannot use the store folder or write the announce file; 78 not allowed or not
fitting (schema version, address beyond loopback, access to the database).

Example: tandem-server --database-url postgres://tandem@localhost/tandem --store /srv/tandem/store"
)]
pub struct Args {
    /// Postgres: postgres://USER:PASSWORD@HOST:PORT/DATABASE. Its schema is created or brought up to date.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Address for clients and workers; port 0 is any free one (see --announce).
    #[arg(long, env = "TANDEM_LISTEN", default_value = "127.0.0.1:7077", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// Folder for checkpoints and artifacts; workers must see it under the same path.
    #[arg(long, env = "TANDEM_STORE", value_name = "FOLDER")]
    pub store: PathBuf,

    /// Write {"address": "http://..."} here when ready to serve.
    #[arg(long, value_name = "FILE")]
    pub announce: Option<PathBuf>,

    /// Listen beyond loopback although there are neither tokens nor TLS yet: whoever reaches the port may do
    /// everything.
    #[arg(long)]
    pub insecure: bool,

    /// Name of this coordinator where several run; without it, its host and process id.
    #[arg(long, env = "TANDEM_SERVER_NAME")]
    pub name: Option<String>,

    /// Timeouts of the whole cluster: `default`, or `fast` for a quiet machine of its own (a death is seen in 3 s).
    #[arg(long, env = "TANDEM_TIMING", default_value = DEFAULT.name, value_name = "PROFILE", value_parser = profile)]
    pub timing: Timing,

    #[arg(long, env = "TANDEM_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
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

impl Args {
    pub(crate) fn display_name(&self) -> String {
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

    #[test]
    fn loopback_is_the_default() {
        let args = Args::parse_from(["tandem-server", "--database-url", "postgres://x", "--store", "/s"]);
        assert!(args.listen.ip().is_loopback() && !args.insecure);
    }
}
