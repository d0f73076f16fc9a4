//! `tandem-worker run`: flags and environment, checked before anything starts.

use std::{net::IpAddr, num::NonZero, path::PathBuf, time::Duration};

use clap::Args;
use tandem_collective::PortRange;
use tandem_domain::{
    access::name::{check_worker, for_worker},
    timing,
};

use crate::{access::Access, device::DeviceName};

/// Hold one device and train on it what the coordinator assigns.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: a worker on the first GPU of this host
  tandem-worker run --join-file ~/gpu-0.join --device cuda:0 --data /srv/data --state ~/gpu-0

The join file says where the coordinators are, and has the worker's token. Who has a context of them makes it with
`tandem token new gpu-0 --role worker --join --out gpu-0.join`, and any host with `tandem join URL FINGERPRINT --out FILE`.
SIGTERM or Ctrl-C: the rank writes a checkpoint, then the worker leaves.
A second one ends both at once.
Logs go to stderr; RUST_LOG=debug says more.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) access: Access,
    /// Name that people see and type, of this worker alone [default: HOST-DEVICE].
    #[arg(long, env = "TANDEM_WORKER_NAME", value_parser = worker_name)]
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
    /// Ports on which ranks listen for each other, to open in a firewall: 29500-29531 [default: any free ones]. The workers
    /// of a host may share them, and need two each. NCCL takes others: SECURITY.md.
    #[arg(long, env = "TANDEM_MEET_PORTS", value_name = "FIRST-LAST")]
    pub(crate) meet_ports: Option<PortRange>,
    /// How long a rank goes on while no coordinator can be reached (90s, 30m, 24h); then it writes a checkpoint and stops.
    #[arg(long, env = "TANDEM_AWAY_GRACE", value_name = "TIME", default_value_t = timing::AWAY_GRACE.into())]
    pub(crate) away_grace: humantime::Duration,
    /// How often the device is looked at, from 200ms to 1m: its memory, load, temperature, and who else uses it.
    #[arg(long, env = "TANDEM_SAMPLE_EVERY", value_name = "TIME", default_value_t = timing::SAMPLE.into(), value_parser = sample_every)]
    pub(crate) sample_every: humantime::Duration,
    /// A library to ask in place of the driver's NVML; tests play other machines by it.
    #[arg(long, env = "TANDEM_NVML", value_name = "FILE")]
    pub(crate) nvml: Option<PathBuf>,
}

fn worker_name(text: &str) -> Result<String, String> {
    check_worker(text).map(|()| text.to_owned())
}

fn sample_every(text: &str) -> Result<humantime::Duration, String> {
    let every: humantime::Duration = text.parse().map_err(|error: humantime::DurationError| error.to_string())?;
    let bounds = Duration::from_millis(200)..=Duration::from_secs(60);
    if bounds.contains(&*every) { Ok(every) } else { Err("expected 200ms to 1m".to_owned()) }
}

impl RunArgs {
    pub(crate) fn name(&self) -> String {
        let of_host = || for_worker(&format!("{}-{}", host_name(), self.device.to_string().replace(':', "-")));
        self.name.clone().unwrap_or_else(of_host)
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
    fn the_disconnect_grace_is_given_in_words() {
        assert_eq!(*args(&[]).away_grace, timing::AWAY_GRACE);
        assert_eq!(*args(&["--away-grace", "90s"]).away_grace, std::time::Duration::from_secs(90));
        let wrong = Command::try_parse_from(["run", "--data", "/data", "--state", "/state", "--away-grace", "long"]);
        assert!(wrong.err().is_some_and(|error| error.to_string().contains("--away-grace")));
    }

    #[test]
    fn a_device_is_not_looked_at_all_the_time() {
        assert_eq!(*args(&[]).sample_every, timing::SAMPLE);
        assert_eq!(*args(&["--sample-every", "200ms"]).sample_every, Duration::from_millis(200));
        for wrong in ["1ms", "2m", "often"] {
            let all = ["run", "--data", "/data", "--state", "/state", "--sample-every", wrong];
            let error = Command::try_parse_from(all).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("--sample-every"), "{wrong}: {error}");
        }
    }

    #[test]
    fn ports_are_given_as_a_range() {
        assert_eq!(args(&[]).meet_ports, None);
        assert_eq!(args(&["--meet-ports", "29500-29531"]).meet_ports.map(PortRange::count), Some(32));
        let wrong = ["run", "--data", "/data", "--state", "/state", "--meet-ports", "29531-29500"];
        let error = Command::try_parse_from(wrong).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("--meet-ports") && error.contains("write 29500-29531"), "{error}");
    }

    #[test]
    fn a_worker_is_named_after_its_host_and_device() {
        assert!(args(&[]).name().ends_with("-cpu"));
        assert_eq!(args(&["--name", "left"]).name(), "left");
        for wrong in ["", "a b", "gpu\u{202e}0", "\u{1b}[2J"] {
            let all = ["run", "--data", "/data", "--state", "/state", "--name", wrong];
            let error = Command::try_parse_from(all).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("--name") && error.contains("no name for a worker"), "{wrong:?}: {error}");
        }
    }
}
