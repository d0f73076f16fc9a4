//! `tandem-worker run`: flags and environment, checked before anything starts.

use std::{net::IpAddr, num::NonZero, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use tandem_domain::timing;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Endpoint, Uri},
};

use crate::device::DeviceName;

/// Hold one device and train on it what the coordinator assigns.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: a worker on the first GPU of this host
  tandem-worker run --server http://box:7077,http://spare:7077 --device cuda:0 --data /srv/data --state ~/gpu-0

SIGTERM or Ctrl-C: the rank writes a checkpoint, then the worker leaves.
A second one ends both at once.
Logs go to stderr; RUST_LOG=debug says more.")]
pub(crate) struct RunArgs {
    /// The coordinator's address; several, separated by commas, are tried in turn.
    #[arg(
        long = "server",
        env = "TANDEM_SERVER",
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7077"
    )]
    servers: Vec<String>,
    /// Worker token, where the coordinator asks for one.
    #[arg(long, env = "TANDEM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Name that people see [default: HOST-DEVICE].
    #[arg(long, env = "TANDEM_WORKER_NAME")]
    name: Option<String>,
    /// cpu or cuda:N, N counting as in nvidia-smi.
    #[arg(long, env = "TANDEM_DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceName,
    /// CPU cores that this worker says it has [default: all]. What a rank uses is in the job's spec.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<u32>>,
    /// Folder with the datasets.
    #[arg(long, env = "TANDEM_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Folder of this worker alone: its id, and what is not reported yet; kept over restarts.
    #[arg(long, env = "TANDEM_WORKER_STATE", value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Address on which the ranks of a gang meet [default: the one that this host reaches the coordinator from].
    #[arg(long, env = "TANDEM_MEET_ON", value_name = "ADDRESS")]
    pub(crate) meet_on: Option<IpAddr>,
    /// How long a rank goes on while no coordinator can be reached (90s, 30m, 24h); then it writes a checkpoint and stops.
    #[arg(long, env = "TANDEM_AWAY_GRACE", value_name = "TIME", default_value_t = timing::AWAY_GRACE.into())]
    pub(crate) away_grace: humantime::Duration,
}

/// Hidden from ranks: they must not be able to reach the coordinator.
pub(crate) const SECRET_ENVIRONMENT: &[&str] = &["TANDEM_SERVER", "TANDEM_TOKEN"];

impl RunArgs {
    /// The coordinators, in the order in which to try them.
    pub(crate) fn endpoints(&self) -> anyhow::Result<Vec<Endpoint>> {
        self.servers.iter().map(|server| endpoint(server)).collect()
    }

    pub(crate) fn token(&self) -> anyhow::Result<Option<MetadataValue<Ascii>>> {
        let Some(token) = &self.token else { return Ok(None) };
        // The error must not repeat the token: it goes into a log.
        let header = format!("Bearer {token}").parse().map_err(|_| {
            anyhow::anyhow!("the token holds characters that no token has: copy it again, without line ends")
        })?;
        Ok(Some(header))
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}-{}", host_name(), self.device.to_string().replace(':', "-")))
    }
}

fn endpoint(server: &str) -> anyhow::Result<Endpoint> {
    let wrong = || format!("--server `{server}` is no address of a coordinator; expected http://HOST:PORT");
    let uri: Uri = server.trim().parse().with_context(wrong)?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(_)) => Ok(Endpoint::from(uri)),
        (Some("https"), _) => bail!("{}; this version has no TLS yet", wrong()),
        _ => bail!(wrong()),
    }
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }

    fn args(more: &[&str]) -> RunArgs {
        let base = ["run", "--data", "/data", "--state", "/state", "--device", "cpu"];
        Command::try_parse_from(base.iter().chain(more)).unwrap().run
    }

    #[test]
    fn a_wrong_address_is_refused_before_anything_starts() {
        for wrong in ["localhost:7077", "/tmp/socket", "https://box:7077", "ftp://box", ""] {
            let error = args(&["--server", wrong]).endpoints().err().map(|error| format!("{error:#}")).unwrap();
            assert!(error.contains("--server") && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn several_addresses_are_checked_alike() {
        let two = args(&["--server", "http://127.0.0.1:7077, http://box:7078"]);
        let addresses: Vec<_> = two.endpoints().unwrap().iter().map(|at| at.uri().to_string()).collect();
        assert_eq!(addresses, ["http://127.0.0.1:7077/", "http://box:7078/"]);
        let error = args(&["--server", "http://box:7077,box:7078"]).endpoints().unwrap_err().to_string();
        assert!(error.contains("`box:7078`"), "{error}");
        assert!(args(&["--server", "http://box:7077,"]).endpoints().is_err());
    }

    #[test]
    fn the_disconnect_grace_is_given_in_words() {
        assert_eq!(*args(&[]).away_grace, timing::AWAY_GRACE);
        assert_eq!(*args(&["--away-grace", "90s"]).away_grace, std::time::Duration::from_secs(90));
        let wrong = Command::try_parse_from(["run", "--data", "/data", "--state", "/state", "--away-grace", "long"]);
        assert!(wrong.err().is_some_and(|error| error.to_string().contains("--away-grace")));
    }

    #[test]
    fn a_bad_token_is_not_repeated() {
        let error = args(&["--token", "top\nsecret"]).token().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_worker_is_named_after_its_host_and_device() {
        assert!(args(&[]).name().ends_with("-cpu"));
        assert_eq!(args(&["--name", "left"]).name(), "left");
    }
}
