//! What processes cost, from /proc.

use std::fs;

use anyhow::{Context, Result};
use tandem_harness::{Coordinator, descendants};

/// Seconds of CPU that a coordinator and its database have used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoordinatorCpu {
    pub(crate) coordinator: f64,
    /// Of Postgres with all its backends.
    pub(crate) postgres: f64,
}

impl CoordinatorCpu {
    pub(crate) fn of(coordinator: &Coordinator) -> Result<Self> {
        let postgres = cpu_seconds_of_tree(coordinator.postgres_pid())?;
        Ok(Self { coordinator: cpu_seconds(coordinator.pid())?, postgres })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { coordinator: self.coordinator - before.coordinator, postgres: self.postgres - before.postgres }
    }

    pub(crate) fn total(self) -> f64 {
        self.coordinator + self.postgres
    }
}

/// User and system time of all threads of a process.
pub(crate) fn cpu_seconds(process: i32) -> Result<f64> {
    Ok(stat(process)?.own)
}

/// Of a process and its descendants, with those that have ended and were waited for.
fn cpu_seconds_of_tree(process: i32) -> Result<f64> {
    let root = stat(process)?;
    // One that ends meanwhile is counted with its parent the next time.
    let below = descendants(process).into_iter().filter_map(|process| stat(process).ok());
    Ok(std::iter::once(root).chain(below).map(|stat| stat.own + stat.ended_children).sum())
}

#[derive(Debug, PartialEq)]
struct Stat {
    /// Seconds of CPU, as the next one.
    own: f64,
    ended_children: f64,
}

fn stat(process: i32) -> Result<Stat> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}: has the process ended?"))?;
    parse(&text, rustix::param::clock_ticks_per_second() as f64).with_context(|| format!("{path} says {text:?}"))
}

/// Fields 14 to 17 of proc_pid_stat(5), counted from behind the name, which may hold spaces and parentheses.
fn parse(stat: &str, ticks_a_second: f64) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |field: usize| Some(fields.get(field)?.parse::<u64>().ok()? as f64 / ticks_a_second);
    Some(Stat { own: seconds(11)? + seconds(12)?, ended_children: seconds(13)? + seconds(14)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 500 0 0 0 7 5 20 30 20 0 4 0 1000 1 2";
        assert_eq!(parse(stat, 10.0), Some(Stat { own: 1.2, ended_children: 5.0 }));
        assert_eq!(parse("42 (x) S 1", 10.0), None);
    }

    #[test]
    fn the_cost_of_a_child_stays_when_it_has_ended() {
        let us = std::process::id().cast_signed();
        let mut command = std::process::Command::new("sh");
        // Works, then waits until its stdin is closed.
        command.args(["-c", "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; echo; read x; :"]);
        let piped = std::process::Stdio::piped;
        let mut child = command.stdin(piped()).stdout(piped()).spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let cost = cpu_seconds(child.id().cast_signed()).unwrap();
        let own = cpu_seconds(us).unwrap();
        assert!(cost > 0.0 && cpu_seconds_of_tree(us).unwrap() >= own + cost);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(cpu_seconds_of_tree(us).unwrap() >= own + cost);
    }
}
