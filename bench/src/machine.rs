//! The machine that is measured on, and the load of other programs.

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gb: f64,
    pub(crate) kernel: String,
    pub(crate) tandem: &'static str,
    /// "release" or "dev"; only figures of a release build are worth quoting.
    pub(crate) build: &'static str,
}

impl Machine {
    pub(crate) fn read() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's version")?;
        Ok(Self {
            processor: field(&processors, "model name").unwrap_or("unknown processor").to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gb: (kilobytes(&memory, "MemTotal").unwrap_or(0.0) / 1e6).round(),
            kernel: kernel.trim().to_owned(),
            tandem: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "dev" } else { "release" },
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processor, cores, memory_gb, kernel, tandem, build } = self;
        write!(f, "{processor}, {cores} cores, {memory_gb:.0} GB, Linux {kernel}; tandem {tandem} ({build} build)")
    }
}

/// The value of the first `name: value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':')).map(str::trim)
}

/// Cores that other programs keep busy, measured over one second of waiting.
pub(crate) fn cores_taken_by_others() -> Result<f64> {
    let before = Times::read()?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(Times::read()?.busy_cores_since(before, std::thread::available_parallelism()?.get()))
}

/// Clock ticks of all cores together since boot.
#[derive(Clone, Copy)]
struct Times {
    idle: u64,
    total: u64,
}

impl Times {
    fn read() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        Self::parse(&text).context("/proc/stat has no line of all cores")
    }

    /// "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; guest time is part of user time.
    fn parse(text: &str) -> Option<Self> {
        let fields = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = fields.split_whitespace().take(8).map_while(|tick| tick.parse().ok()).collect();
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self { idle, total: ticks.iter().sum() })
    }

    fn busy_cores_since(self, before: Self, cores: usize) -> f64 {
        let total = self.total.saturating_sub(before.total).max(1) as f64;
        let idle = self.idle.saturating_sub(before.idle) as f64;
        cores as f64 * (1.0 - (idle / total).min(1.0))
    }
}

/// Resident memory of a process now; `process` is its id or "self".
pub(crate) fn resident_bytes(process: impl Display) -> Result<f64> {
    status_bytes(process, "VmRSS")
}

/// Peak resident memory of a process so far.
pub(crate) fn peak_bytes(process: impl Display) -> Result<f64> {
    status_bytes(process, "VmHWM")
}

fn status_bytes(process: impl Display, name: &str) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}: has the process ended?"))?;
    kilobytes(&text, name).map(|kilobytes| kilobytes * 1024.0).with_context(|| format!("{path} has no {name}"))
}

/// From a line such as "VmRSS: 1234 kB"; a kB of /proc is 1024 bytes.
fn kilobytes(text: &str, name: &str) -> Option<f64> {
    field(text, name)?.trim_end_matches(" kB").parse().ok()
}

/// Runs `work` with this thread, and all processes that it starts, on the first `count` of its cores, so that both sides
/// use the same ones.
pub(crate) fn on_cores<T>(count: u32, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let all = sched_getaffinity(None).context("reading the allowed cores")?;
    let mut few = CpuSet::new();
    for core in (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core)).take(count as usize) {
        few.set(core);
    }
    sched_setaffinity(None, &few).context("restricting the bench to few cores")?;
    let result = work();
    sched_setaffinity(None, &all).context("returning to all cores")?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_cores_are_those_neither_idle_nor_waiting_for_a_disk() {
        let before = Times::parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3").unwrap();
        let after = Times::parse("cpu  150 0 100 800 150 0 0 0 90 0\n").unwrap();
        // 200 ticks passed on two cores, 150 of them idle.
        assert_eq!(after.busy_cores_since(before, 2), 0.5);
        assert!(Times::parse("intr 1 2 3").is_none());
    }

    #[test]
    fn fields_are_found_whatever_the_padding() {
        assert_eq!(field("a: 1\nmodel name\t: Xeon\n", "model name"), Some("Xeon"));
        assert_eq!(field("a: 1\n", "b"), None);
    }

    #[test]
    fn resident_memory_is_at_most_its_peak() {
        let held = resident_bytes(std::process::id()).unwrap();
        assert!(held > 1e5 && peak_bytes("self").unwrap() >= held);
    }

    #[test]
    fn all_cores_are_allowed_again() {
        let before = sched_getaffinity(None).unwrap();
        let inside = on_cores(1, || Ok(sched_getaffinity(None)?.count())).unwrap();
        assert_eq!(inside, 1);
        assert!(sched_getaffinity(None).unwrap() == before);
    }
}
