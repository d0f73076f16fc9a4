//! The command line.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use tandem_domain::timing::Timing;
use tandem_harness::Binaries;

use crate::fault::FaultKind;

/// Kills, stops and cuts off real processes while they train, and requires the same bits as from an undisturbed run.
///
/// Exit codes: 0 everything held; 1 something did not, or could not be done; 2 wrong usage.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Example: two runs under faults, with the timeouts of a quiet machine
  tandem-chaos --seed 7 --timing fast --runs 2 --json chaos.json

As root, the disks of store and spool are filled too; with libfaketime, clocks are stepped. Skipped faults are named."
)]
pub(crate) struct Args {
    /// Faults, their moments and their victims are drawn from it.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Timeouts of the cluster: default or fast.
    #[arg(long, default_value = "default", value_name = "PROFILE", value_parser = profile)]
    pub(crate) timing: Timing,
    /// Runs under faults, each with faults of its own.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,
    /// Only these kinds of fault (several with commas).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    pub(crate) only: Vec<FaultKind>,
    /// Number of faults in a run [default: each kind once, and a few more deaths of workers].
    #[arg(long, value_name = "N")]
    pub(crate) faults: Option<usize>,
    /// Exceeding a limit of time is an error too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// All figures, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Keep logs and database even if everything holds.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Another coordinator than the one beside this program.
    #[arg(long, value_name = "FILE")]
    server_binary: Option<PathBuf>,
    /// What to break in a coordinator built with `--features broken-for-tests`; the run must then fail.
    #[arg(long = "break", value_name = "WHAT", requires = "server_binary")]
    pub(crate) broken: Option<String>,
}

fn profile(name: &str) -> Result<Timing, String> {
    let names = || Timing::PROFILES.map(|profile| profile.name).join(", ");
    Timing::named(name).ok_or_else(|| format!("no profile of that name; expected one of {}", names()))
}

impl Args {
    /// # Errors
    /// When a program is not there.
    pub(crate) fn binaries(&self) -> Result<Binaries> {
        let mut binaries = Binaries::beside_this_program()?;
        if let Some(server) = &self.server_binary {
            ensure!(server.is_file(), "found no {}", server.display());
            binaries.server = server.clone();
        }
        Ok(binaries)
    }

    /// The command that repeats this one.
    pub(crate) fn again(&self) -> String {
        let mut command = format!("make chaos SEED={} TIMING={}", self.seed, self.timing.name);
        if let Some(broken) = &self.broken {
            command.push_str(&format!(" BREAK={broken}"));
        }
        let mut more = Vec::new();
        if self.runs > 1 {
            more.push(format!("--runs {}", self.runs));
        }
        if !self.only.is_empty() {
            more.push(format!("--only {}", self.only.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",")));
        }
        if let Some(faults) = self.faults {
            more.push(format!("--faults {faults}"));
        }
        if !more.is_empty() {
            command.push_str(&format!(" ARGS='{}'", more.join(" ")));
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_are_consistent_and_a_call_can_be_repeated() {
        Args::command().debug_assert();
        let args = Args::parse_from(["tandem-chaos", "--seed", "9", "--only", "kill-rank,step-clock", "--runs", "2"]);
        assert_eq!(args.again(), "make chaos SEED=9 TIMING=default ARGS='--runs 2 --only kill-rank,step-clock'");
        assert!(Args::try_parse_from(["tandem-chaos", "--break", "fence"]).is_err());
        assert!(Args::try_parse_from(["tandem-chaos", "--timing", "slow"]).is_err());
    }
}
