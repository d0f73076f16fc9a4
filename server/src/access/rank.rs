//! Whether a process is a rank's: it runs under the worker's account, and is to ask for nothing by the socket.
//!
//! This keeps a mistake, or code that a data file smuggled into a library, from speaking as that account. It is no wall: who
//! runs any code as an account can leave its worker behind.

use std::{fs, path::Path};

const WORKER: &str = "tandem-worker";
/// Deeper than a process of a rank lies below its worker.
const DEPTH: usize = 32;

/// Whether the process, or one that it descends from, is a worker.
pub(super) fn is_of_worker(pid: i32) -> bool {
    descends_from(pid, WORKER, |pid| {
        let folder = Path::new("/proc").join(pid.to_string());
        parse(&fs::read_to_string(folder.join("stat")).ok()?)
    })
}

fn descends_from(pid: i32, name: &str, read: impl Fn(i32) -> Option<(String, i32)>) -> bool {
    let mut pid = pid;
    for _ in 0..DEPTH {
        let Some((program, parent)) = read(pid) else { return false };
        if program == name {
            return true;
        }
        if parent <= 1 {
            return false;
        }
        pid = parent;
    }
    false
}

/// Program and parent out of `/proc/PID/stat`: `7 (a name (with) anything) S 1 ..`.
fn parse(stat: &str) -> Option<(String, i32)> {
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, program) = before.split_once('(')?;
    let parent = after.split(' ').nth(1)?.parse().ok()?;
    Some((program.to_owned(), parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_started_is_found_and_others_are_not() {
        let processes = |pid| match pid {
            40 => Some(("python".to_owned(), 30)),
            30 => Some(("tandem-worker".to_owned(), 20)),
            20 => Some(("tandem".to_owned(), 1)),
            50 => Some(("loop".to_owned(), 50)),
            _ => None,
        };
        assert!(descends_from(40, WORKER, processes) && descends_from(30, WORKER, processes));
        assert!(!descends_from(20, WORKER, processes) && !descends_from(50, WORKER, processes));
        assert!(!descends_from(60, WORKER, processes));
    }

    #[test]
    fn a_program_may_be_called_anything() {
        assert_eq!(parse("7 (a) b (c) S 3 7 7 0"), Some(("a) b (c".to_owned(), 3)));
        assert_eq!(parse("nonsense"), None);
        assert!(!is_of_worker(i32::try_from(std::process::id()).unwrap()));
    }
}
