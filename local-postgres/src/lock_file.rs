//! What a running database server says about itself: `postmaster.pid` in its data folder.

/// `postmaster.pid`, read as pg_ctl reads it: process id in line 1, start time in line 3, status in line 8.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LockFile {
    pub(crate) pid: Option<u32>,
    started_at: Option<u64>,
    ready: bool,
}

impl LockFile {
    pub(crate) fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Self {
            pid: lines.first().and_then(|line| line.parse().ok()),
            started_at: lines.get(2).and_then(|line| line.parse().ok()),
            ready: lines.get(7) == Some(&"ready"),
        }
    }

    /// Process ids repeat, above all in containers, so a file from before the start does not count. Two seconds are
    /// for the coarse clock, as in pg_ctl.
    pub(crate) fn is_ready(&self, pid: u32, since: u64) -> bool {
        self.ready && self.pid == Some(pid) && self.started_at.is_some_and(|at| at + 2 >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "4711\n/home/x/data\n1700000000\n5433\n\n127.0.0.1\n  123  456\nready   \n";

    #[test]
    fn only_the_lock_file_of_this_start_counts() {
        let lock = LockFile::parse(READY);
        assert!(lock.is_ready(4711, 1_700_000_001));
        assert!(!lock.is_ready(4712, 1_700_000_001));
        assert!(!lock.is_ready(4711, 1_700_000_600));
        assert!(!LockFile::parse(&READY.replace("ready   ", "starting")).is_ready(4711, 1_700_000_000));
        assert_eq!(LockFile::parse(""), LockFile::default());
    }
}
