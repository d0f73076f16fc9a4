//! What a coordinator costs that has two workers and nothing to do.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::Run;
use crate::local::LocalBox;
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::stats::Summary;

const WINDOW: Duration = Duration::from_secs(20);
const WINDOWS: usize = 5;
/// Start-up's own work (migrations, prepared statements) is over by then.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
    let local = LocalBox::start(&run.bin_dir)?;
    let server = local.server()?;
    std::thread::sleep(SETTLE);
    let (mut percents, mut megabytes) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        let (before, start) = (cpu_seconds(server)?, Instant::now());
        std::thread::sleep(WINDOW);
        percents.push(100.0 * (cpu_seconds(server)? - before) / start.elapsed().as_secs_f64());
        megabytes.push(machine::resident_bytes(server)? / 1e6);
    }
    let row = |name: &str, what: &str, goal, unit, values: &[f64]| -> Result<Row> {
        Ok(Row {
            name: name.into(),
            what: what.into(),
            goal: Goal::Below(goal),
            unit,
            value: Summary::of(values).context("nothing was measured")?,
            void: None,
            note: format!("two workers connected, windows of {} s", WINDOW.as_secs()),
            raw: json!(values),
        })
    };
    Ok(vec![
        row("idle/cpu", "Idle coordinator: share of a core", 1.0, Unit::Percent, &percents)?,
        row("idle/memory", "Idle coordinator: resident memory", 60.0, Unit::Megabytes, &megabytes)?,
    ])
}

/// User and system time of all threads of a process.
fn cpu_seconds(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}: has the coordinator ended?"))?;
    let ticks = cpu_ticks(&text).with_context(|| format!("{path} says {text:?}"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Fields 14 and 15 of proc_pid_stat(5), counted from behind the name, which may hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 500 0 0 0 7 5 0 0 20 0 4 0 1000 1 2";
        assert_eq!(cpu_ticks(stat), Some(12));
        assert_eq!(cpu_ticks("42 (x) S 1"), None);
    }
}
