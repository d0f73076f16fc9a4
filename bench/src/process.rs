//! What processes cost, and who started whom, from /proc.

use std::fs;

use anyhow::{Context, Result};

/// User and system time of all threads of a process.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    Ok(stat(process)?.own)
}

/// Of a process and all that it started, those that have ended (and were waited for) included.
pub(crate) fn cpu_seconds_of_tree(process: u32) -> Result<f64> {
    let mut seconds = 0.0;
    let mut todo = vec![process];
    while let Some(process) = todo.pop() {
        // One that ends meanwhile is in its parent's account the next time.
        if let Ok(stat) = stat(process) {
            seconds += stat.own + stat.ended_children;
        }
        todo.extend(children(process)?);
    }
    Ok(seconds)
}

/// Those that it started and that live.
pub(crate) fn children(process: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").context("reading /proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if stat(id).is_ok_and(|stat| stat.parent == process) {
            children.push(id);
        }
    }
    Ok(children)
}

#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    /// Seconds of CPU.
    own: f64,
    ended_children: f64,
}

fn stat(process: u32) -> Result<Stat> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}: has the process ended?"))?;
    parse(&text, rustix::param::clock_ticks_per_second() as f64).with_context(|| format!("{path} says {text:?}"))
}

/// Fields 4 and 14 to 17 of proc_pid_stat(5), counted from behind the name, which may hold spaces and parentheses.
fn parse(stat: &str, ticks_a_second: f64) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |field: usize| Some(fields.get(field)?.parse::<u64>().ok()? as f64 / ticks_a_second);
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: seconds(11)? + seconds(12)?,
        ended_children: seconds(13)? + seconds(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 500 0 0 0 7 5 20 30 20 0 4 0 1000 1 2";
        assert_eq!(parse(stat, 10.0), Some(Stat { parent: 1, own: 1.2, ended_children: 5.0 }));
        assert_eq!(parse("42 (x) S 1", 10.0), None);
    }

    #[test]
    fn a_child_is_found_and_what_it_cost_stays_when_it_has_ended() {
        let us = std::process::id();
        let mut command = std::process::Command::new("sh");
        // Works, then waits to be told that it may end.
        command.args(["-c", "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; echo; read x; :"]);
        let piped = std::process::Stdio::piped;
        let mut child = command.stdin(piped()).stdout(piped()).spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        assert!(children(us).unwrap().contains(&child.id()));
        let cost = cpu_seconds(child.id()).unwrap();
        let own = cpu_seconds(us).unwrap();
        assert!(cost > 0.0 && cpu_seconds_of_tree(us).unwrap() >= own + cost);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!children(us).unwrap().contains(&child.id()));
        assert!(cpu_seconds_of_tree(us).unwrap() >= own + cost);
    }
}
