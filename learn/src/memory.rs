//! Who holds the memory that did not suffice. Only where nothing but the job can be the cause is the job at fault.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use tandem_collective::DeviceMemory;

/// What others hold of an otherwise empty device or host, as a part of all: the system, a display, a database.
const OTHERS_AT_MOST: u64 = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// This job, on an otherwise empty device.
    Job,
    /// Something else; in words, with what to do.
    Others(String),
    /// The figures do not say.
    Unknown,
}

/// The memory of a CUDA device. Between two ranks of one job on one device each is another to the other.
pub(crate) fn on_device(memory: Option<DeviceMemory>) -> Holder {
    let Some(DeviceMemory { total, free, own }) = memory else { return Holder::Unknown };
    let others = total.saturating_sub(free).saturating_sub(own);
    if others > total / OTHERS_AT_MOST {
        return Holder::Others(format!(
            "other processes hold {} of its {}; `nvidia-smi` names them",
            gib(others),
            gib(total)
        ));
    }
    Holder::Job
}

/// The memory of this host, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostMemory {
    total: u64,
    /// What a new process could get.
    available: u64,
    /// Of this process: now, and at most so far.
    own: u64,
    own_peak: u64,
    /// What this process may have at most, if that is less than the host has (`ulimit -v`).
    limit: Option<u64>,
}

impl HostMemory {
    /// `None` where the kernel does not say. What the failed run has freed meanwhile counts as available, and no longer as
    /// its own, so that the share of others is the same as at the moment of the failure.
    pub(crate) fn read() -> Option<Self> {
        let (host, own) = (fs::read_to_string("/proc/meminfo").ok()?, fs::read_to_string("/proc/self/status").ok()?);
        let limit =
            [Resource::RLIMIT_AS, Resource::RLIMIT_DATA].into_iter().filter_map(|kind| Some(getrlimit(kind).ok()?.0));
        let total = field(&host, "MemTotal:")?;
        Some(Self {
            total,
            available: field(&host, "MemAvailable:")?,
            own: field(&own, "VmRSS:")?,
            own_peak: field(&own, "VmHWM:")?,
            limit: limit.min().filter(|limit| *limit < total),
        })
    }
}

/// The memory of a host, where `tried` bytes could not be had in one piece.
pub(crate) fn on_host(memory: Option<HostMemory>, tried: Option<u64>) -> Holder {
    let Some(HostMemory { total, available, own, own_peak, limit }) = memory else { return Holder::Unknown };
    if tried.is_some_and(|tried| tried > total) {
        return Holder::Job;
    }
    if let Some(limit) = limit {
        return Holder::Others(format!(
            "the worker may use no more than {} of this host's {} (`ulimit -v`); raise the limit and restart it",
            gib(limit),
            gib(total)
        ));
    }
    let others = total.saturating_sub(available).saturating_sub(own);
    if others > total / OTHERS_AT_MOST {
        return Holder::Others(format!(
            "other processes hold {} of this host's {}; `top` names them",
            gib(others),
            gib(total)
        ));
    }
    match tried {
        Some(tried) if own_peak + tried >= total - others => Holder::Job,
        _ => Holder::Unknown,
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// A field of a file of the kernel, "MemTotal:   24602292 kB", in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_device_is_empty_but_for_the_job_or_it_is_not() {
        let device = |free, own| on_device(Some(DeviceMemory { total: 80 * GIB, free: free * GIB, own: own * GIB }));
        assert_eq!(device(1, 78), Holder::Job);
        let Holder::Others(why) = device(1, 39) else { panic!("40 GiB are not the job's") };
        assert!(why.contains("40.0 GiB of its 80.0 GiB"), "{why}");
        assert_eq!(on_device(None), Holder::Unknown);
    }

    #[test]
    fn a_host_is_empty_but_for_the_job_or_it_is_not() {
        let host = HostMemory { total: 64 * GIB, available: 62 * GIB, own: GIB, own_peak: 60 * GIB, limit: None };
        assert_eq!(on_host(Some(host), Some(10 * GIB)), Holder::Job);
        assert_eq!(on_host(Some(host), Some(GIB)), Holder::Unknown, "there was room for it");
        assert_eq!(on_host(Some(host), None), Holder::Unknown);
        let shared = HostMemory { available: 30 * GIB, ..host };
        assert!(matches!(on_host(Some(shared), Some(40 * GIB)), Holder::Others(why) if why.contains("33.0 GiB")));
        let limited = HostMemory { limit: Some(GIB), ..host };
        assert!(matches!(on_host(Some(limited), Some(10 * GIB)), Holder::Others(why) if why.contains("ulimit")));
        // More than any limit and any neighbour could explain.
        assert_eq!(on_host(Some(limited), Some(65 * GIB)), Holder::Job);
    }

    #[test]
    fn this_host_can_be_read() {
        let host = HostMemory::read().unwrap();
        assert!(host.own > 0 && host.own <= host.own_peak && host.available < host.total, "{host:?}");
    }
}
