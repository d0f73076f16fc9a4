//! Processes that use a device, and whose they are.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::datasets::size;

/// The most that are told of one device.
pub const PROCESSES_MAX: usize = 32;
/// The longest name of a process or of an account that is told, in bytes.
pub const TEXT_MAX: usize = 64;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Process {
    pub pid: u32,
    /// The account's name; empty where it is not known.
    pub user: String,
    /// What it is called; empty where that is not known.
    pub name: String,
    pub memory: Option<u64>,
    pub since: Option<DateTime<Utc>>,
    /// A rank of a worker.
    pub is_ours: bool,
}

/// A process, its parent, the parent's parent, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    pub pid: u32,
    /// As it calls itself, without its folder.
    pub name: String,
    pub uid: u32,
}

/// Whether a process is a rank: of this worker, by its pid, or of another one on this machine, that works under the same account.
/// `line` begins with the process itself.
pub fn is_ours(line: &[Ancestor], rank: Option<u32>, own_uid: u32) -> bool {
    // A name alone proves nothing: everybody may call a program so.
    line.iter().any(|process| Some(process.pid) == rank || process.name == "tandem-worker" && process.uid == own_uid)
}

/// What makes a process another than one with the same pid before it.
type Key = (u32, Option<DateTime<Utc>>);

/// Foreign processes that were not there before. `known` are those of the look before, and is what it becomes.
pub fn appeared<'p>(known: &mut BTreeSet<Key>, processes: &'p [Process]) -> Vec<&'p Process> {
    let foreign: Vec<&Process> = processes.iter().filter(|process| !process.is_ours).collect();
    let key = |process: &Process| (process.pid, process.since);
    let new = foreign.iter().copied().filter(|process| !known.contains(&key(process))).collect();
    // Those that have gone are kept: one that NVML does not list once is not told again. Pids are few.
    known.extend(foreign.iter().map(|process| key(process)));
    new
}

/// `ann: python (pid 4711, 3.2 GiB)`.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &'static str, known: &'_ str| if known.is_empty() { text.to_owned() } else { known.to_owned() };
        write!(f, "{}: {} (pid {}", or("somebody", &self.user), or("a process", &self.name), self.pid)?;
        match self.memory {
            Some(memory) => write!(f, ", {})", size(memory)),
            None => f.write_str(")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> Process {
        let (user, name) = ("ann".to_owned(), "python".to_owned());
        Process { pid, user, name, memory: Some(3 << 30), since: None, is_ours: false }
    }

    #[test]
    fn a_rank_is_known_by_its_worker_and_not_by_a_name_alone() {
        let of = |pid, name: &str, uid| Ancestor { pid, name: name.to_owned(), uid };
        let line = [of(30, "python", 1000), of(20, "sh", 1000), of(10, "tandem-worker", 1000), of(1, "init", 0)];
        assert!(is_ours(&line, None, 1000), "of another worker");
        assert!(!is_ours(&line, None, 1001), "somebody calls a program of theirs so");
        assert!(is_ours(&line, Some(30), 1001) && is_ours(&line, Some(20), 1001), "this worker's rank, or its child");
        assert!(!is_ours(&line, Some(31), 1001) && !is_ours(&[], Some(31), 1001));
    }

    #[test]
    fn each_process_appears_once() {
        let mut known = BTreeSet::new();
        let ours = Process { is_ours: true, ..process(1) };
        assert_eq!(appeared(&mut known, &[process(7), ours.clone()]), [&process(7)]);
        assert!(appeared(&mut known, &[process(7), ours.clone()]).is_empty());
        assert!(appeared(&mut known, &[]).is_empty() && appeared(&mut known, &[process(7)]).is_empty());
        // The same number, and another process.
        let later = Process { since: DateTime::from_timestamp(1_700_000_000, 0), ..process(7) };
        assert_eq!(appeared(&mut known, &[process(7), later.clone()]), [&later]);
    }

    #[test]
    fn a_process_is_named_as_far_as_it_is_known() {
        assert_eq!(process(4711).to_string(), "ann: python (pid 4711, 3.0 GiB)");
        let nobody = Process { user: String::new(), name: String::new(), memory: None, ..process(4711) };
        assert_eq!(nobody.to_string(), "somebody: a process (pid 4711)");
    }
}
