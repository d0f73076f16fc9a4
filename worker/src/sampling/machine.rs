//! Load and memory of this machine, from /proc, and free space of its file systems.

use std::{fs, path::Path};

use rustix::fs::statvfs;
use tandem_domain::device::Reading;

use super::look::Look;

/// Ticks of all processors since the boot: those in which something ran, and all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    busy: u64,
    all: u64,
}

/// One look at the machine; `before` are the ticks of the look before, and become those of this one.
pub(super) fn look(before: &mut Option<Ticks>) -> Look {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let ticks = parse_ticks(&read("/proc/stat"));
    let utilization_percent = before.zip(ticks).and_then(|(before, now)| share(before, now));
    *before = ticks;
    let (memory_total, available) = parse_memory(&read("/proc/meminfo"));
    let reading = Reading {
        utilization_percent,
        memory_total,
        memory_used: memory_total.zip(available).map(|(total, available)| total.saturating_sub(available)),
        load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()),
        ..Reading::default()
    };
    Look { reading: reading.checked(), ..Look::default() }
}

/// Bytes that this account may still write there.
pub(super) fn free(folder: &Path) -> Option<u64> {
    let known = statvfs(folder).ok()?;
    known.f_bavail.checked_mul(known.f_frsize)
}

fn parse_ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // User, nice, system, idle, waiting for a disk, interrupts (two), stolen by the host; guests are in the first two.
    let fields: Vec<u64> = line.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let all = fields.iter().fold(0, |sum: u64, field| sum.saturating_add(*field));
    let idle = fields.get(3)?.saturating_add(*fields.get(4)?);
    Some(Ticks { busy: all.saturating_sub(idle), all })
}

/// In percent; `None` if no time has passed, or it went back.
fn share(before: Ticks, now: Ticks) -> Option<u32> {
    let (busy, all) = (now.busy.checked_sub(before.busy)?, now.all.checked_sub(before.all)?);
    u32::try_from(busy.checked_mul(100)?.checked_div(all)?).ok()
}

/// All memory, and what is available.
fn parse_memory(meminfo: &str) -> (Option<u64>, Option<u64>) {
    let of = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    (of("MemTotal"), of("MemAvailable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_what_ran_between_two_looks() {
        let at = |stat: &str| parse_ticks(stat).unwrap();
        let before = at("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4\n");
        assert_eq!(before, Ticks { busy: 150, all: 1000 });
        let now = at("cpu  160 0 65 820 55 0 0 0 0 0\n");
        assert_eq!(share(before, now), Some(75));
        assert_eq!((share(now, before), share(now, now)), (None, None));
        assert_eq!(parse_ticks(""), None);
        assert_eq!(parse_ticks("cpu  1 2 3\n"), None);
    }

    #[test]
    fn memory_is_read_or_not_known() {
        let meminfo = "MemTotal:       24602292 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(parse_memory(meminfo), (Some(24_602_292 << 10), Some(20_000_000 << 10)));
        assert_eq!(parse_memory("MemTotal: lots\n"), (None, None));
    }

    #[test]
    fn this_machine_says_something() {
        let mut ticks = None;
        let first = look(&mut ticks).reading;
        assert!(ticks.is_some() && first.utilization_percent.is_none());
        assert!(first.memory_used < first.memory_total && first.load.is_some(), "{first:?}");
        assert!(free(Path::new("/")).is_some() && free(Path::new("/nowhere")).is_none());
    }
}
