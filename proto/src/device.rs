//! Figures and processes of a device, to the wire and back. What comes from there is bounded and can be, or is not known.

use tandem_domain::device::{Process, Reading, TEXT_MAX};

use crate::{
    convert::{optional_moment, timestamp},
    v1,
};

impl From<Reading> for v1::DeviceFigures {
    fn from(reading: Reading) -> Self {
        Self {
            utilization_percent: reading.utilization_percent,
            memory_used_bytes: reading.memory_used,
            memory_total_bytes: reading.memory_total,
            temperature_celsius: reading.temperature_celsius,
            power_watts: reading.power_watts,
            sm_clock_mhz: reading.sm_clock_mhz,
            sm_clock_max_mhz: reading.sm_clock_max_mhz,
            memory_clock_mhz: reading.memory_clock_mhz,
            memory_clock_max_mhz: reading.memory_clock_max_mhz,
            throttle: reading.throttle,
            pcie_received_per_second: reading.pcie_received_per_second,
            pcie_sent_per_second: reading.pcie_sent_per_second,
            pcie_generation: reading.pcie_generation,
            pcie_width: reading.pcie_width,
            load: reading.load,
            state_free_bytes: reading.state_free,
            store_free_bytes: reading.store_free,
        }
    }
}

impl From<v1::DeviceFigures> for Reading {
    fn from(figures: v1::DeviceFigures) -> Self {
        let reading = Self {
            utilization_percent: figures.utilization_percent,
            memory_used: figures.memory_used_bytes,
            memory_total: figures.memory_total_bytes,
            temperature_celsius: figures.temperature_celsius,
            power_watts: figures.power_watts,
            sm_clock_mhz: figures.sm_clock_mhz,
            sm_clock_max_mhz: figures.sm_clock_max_mhz,
            memory_clock_mhz: figures.memory_clock_mhz,
            memory_clock_max_mhz: figures.memory_clock_max_mhz,
            throttle: figures.throttle,
            pcie_received_per_second: figures.pcie_received_per_second,
            pcie_sent_per_second: figures.pcie_sent_per_second,
            pcie_generation: figures.pcie_generation,
            pcie_width: figures.pcie_width,
            load: figures.load,
            state_free: figures.state_free_bytes,
            store_free: figures.store_free_bytes,
        };
        reading.checked()
    }
}

impl From<&Process> for v1::DeviceProcess {
    fn from(process: &Process) -> Self {
        Self {
            pid: process.pid,
            user: process.user.clone(),
            name: process.name.clone(),
            memory_bytes: process.memory,
            since: process.since.map(timestamp),
            ours: process.is_ours,
        }
    }
}

impl From<v1::DeviceProcess> for Process {
    fn from(wire: v1::DeviceProcess) -> Self {
        let short = |mut text: String| {
            text.truncate(text.floor_char_boundary(TEXT_MAX));
            text
        };
        Self {
            pid: wire.pid,
            user: short(wire.user),
            name: short(wire.name),
            memory: wire.memory_bytes,
            since: optional_moment("since", wire.since).unwrap_or_default(),
            is_ours: wire.ours,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn figures_and_processes_survive_the_wire() {
        let figures = v1::DeviceFigures {
            utilization_percent: Some(1),
            memory_used_bytes: Some(2),
            memory_total_bytes: Some(3),
            temperature_celsius: Some(4),
            power_watts: Some(5),
            sm_clock_mhz: Some(6),
            sm_clock_max_mhz: Some(7),
            memory_clock_mhz: Some(8),
            memory_clock_max_mhz: Some(9),
            throttle: Some(0x44),
            pcie_received_per_second: Some(11),
            pcie_sent_per_second: Some(12),
            pcie_generation: Some(3),
            pcie_width: Some(16),
            load: Some(15.5),
            state_free_bytes: Some(16),
            store_free_bytes: Some(17),
        };
        assert_eq!(v1::DeviceFigures::from(Reading::from(figures)), figures);
        let since = DateTime::from_timestamp(1_700_000_000, 0);
        let (user, name) = ("ann".to_owned(), "python".to_owned());
        let process = Process { pid: 4711, user, name, memory: Some(1), since, is_ours: true };
        assert_eq!(Process::from(v1::DeviceProcess::from(&process)), process);
    }

    #[test]
    fn what_a_worker_sends_is_bounded() {
        let figures =
            v1::DeviceFigures { temperature_celsius: Some(u32::MAX), load: Some(f64::INFINITY), ..Default::default() };
        assert_eq!(Reading::from(figures), Reading::default());
        let long = v1::DeviceProcess { user: "é".repeat(1000), name: "x".repeat(1 << 20), ..Default::default() };
        let process = Process::from(long);
        assert!(process.user.len() <= TEXT_MAX && process.name.len() == TEXT_MAX);
    }
}
