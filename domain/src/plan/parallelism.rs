//! How a job is spread over workers and cores, as written and with its defaults.

use toml::de::DeTable;

use super::fault::{Fault, Faults};
use super::read::{Reader, integer, optional};
use crate::spec::{Stage, Workers};

/// How a job is spread over workers and cores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parallelism {
    pub workers: Workers,
    pub shards: u32,
    pub threads: u32,
}

/// The same as written; a missing value has a default that depends on the others.
#[derive(Clone, Copy, Default)]
pub(super) struct WrittenParallelism {
    workers: Option<Workers>,
    shards: Option<u32>,
    threads: Option<u32>,
}

impl WrittenParallelism {
    /// `None` if one of them cannot be read.
    pub(super) fn read(table: &str, values: &DeTable<'_>, faults: &mut Faults) -> Option<Self> {
        let workers = Reader::key(table, values, "workers").map(read_workers).transpose();
        let workers = faults.keep(workers);
        let shards = faults.keep(optional(table, values, "shards"));
        let threads = faults.keep(optional(table, values, "threads"));
        Some(Self { workers: workers?, shards: shards?, threads: threads? })
    }

    /// The job's own values, else the experiment's, else the defaults. A linear job takes workers and shards from its
    /// own table only, because its L-BFGS on stored features does not gain from a gang.
    pub(super) fn or(self, experiment: Self, stage: &Stage) -> Parallelism {
        let spread = if matches!(stage, Stage::Linear(_)) { Self::default() } else { experiment };
        let workers = self.workers.or(spread.workers).unwrap_or(Workers { min: 1, max: 1 });
        Parallelism {
            workers,
            shards: self.shards.or(spread.shards).unwrap_or(workers.max),
            threads: self.threads.or(experiment.threads).unwrap_or(1),
        }
    }
}

/// `workers = 4`, or `workers = "1..4"`: both ends included.
fn read_workers(reader: Reader<'_>) -> Result<Workers, Fault> {
    let expected = || reader.expected("a whole number from 1 to 64, or a range of them such as \"1..4\"");
    let in_range = |number: &u32| (1..=64).contains(number);
    if let Some(number) = integer(reader.value()) {
        let number = u32::try_from(number).ok().filter(in_range).ok_or_else(expected)?;
        return Ok(Workers { min: number, max: number });
    }
    let (min, max) = reader.value().as_str().and_then(|text| text.split_once("..")).ok_or_else(expected)?;
    let number = |text: &str| text.trim().parse().ok().filter(in_range).ok_or_else(expected);
    let workers = Workers { min: number(min)?, max: number(max)? };
    if workers.min > workers.max { Err(expected()) } else { Ok(workers) }
}
