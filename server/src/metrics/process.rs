//! This process, by the names that Prometheus's own clients use.

use prometheus_client::{
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// The kernel counts in hundredths of a second on every Linux that there is.
const TICKS: f64 = 100.0;

/// What cannot be read is left out.
pub(super) fn register(registry: &mut Registry) {
    if let Some(cpu) = cpu_seconds() {
        registry.register("process_cpu_seconds", "Processor time of this process", ConstCounter::new(cpu));
    }
    if let Some(bytes) = resident_bytes() {
        registry.register("process_resident_memory_bytes", "Memory of this process", ConstGauge::new(bytes));
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let open = i64::try_from(files.count()).unwrap_or(i64::MAX);
        registry.register("process_open_fds", "Open files of this process", ConstGauge::new(open));
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold spaces: state, ppid, .. and as 12th and 13th utime and stime.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / TICKS)
}

fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_this_process_uses() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
        let before = cpu_seconds().unwrap();
        let mut sum = 0u64;
        while cpu_seconds().unwrap() <= before {
            sum = (0..1_000_000u64).fold(sum, |sum, one| sum.wrapping_mul(31).wrapping_add(one));
        }
        assert!(sum != 1);
    }
}
