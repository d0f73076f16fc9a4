//! The figures of one look at a device. What is `None` is not known: the device does not say, or says what cannot be.

use serde::{Deserialize, Serialize};

use super::throttle;

/// More than any device has: see [`Reading::checked`].
const MEMORY_MAX: u64 = 16 << 40;
const CELSIUS_MAX: u32 = 130;
pub(super) const WATTS_MAX: u32 = 5_000;
const MEGAHERTZ_MAX: u32 = 20_000;
const PCIE_GENERATIONS: std::ops::RangeInclusive<u32> = 1..=8;
const PCIE_WIDTHS: [u32; 6] = [1, 2, 4, 8, 16, 32];
const PCIE_BYTES_PER_SECOND_MAX: u64 = 1 << 40;
const LOAD_MAX: f64 = 100_000.0;
const DISK_MAX: u64 = 1 << 60;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Reading {
    pub utilization_percent: Option<u32>,
    /// Of a CPU slot: of its machine.
    pub memory_used: Option<u64>,
    pub memory_total: Option<u64>,
    pub temperature_celsius: Option<u32>,
    /// The mean since the look before where the card counts its energy, else that of the moment.
    pub power_watts: Option<u32>,
    pub sm_clock_mhz: Option<u32>,
    pub sm_clock_max_mhz: Option<u32>,
    pub memory_clock_mhz: Option<u32>,
    pub memory_clock_max_mhz: Option<u32>,
    /// Bits, as NVML has them: see [`throttle::words`].
    pub throttle: Option<u64>,
    pub pcie_received_per_second: Option<u64>,
    pub pcie_sent_per_second: Option<u64>,
    pub pcie_generation: Option<u32>,
    pub pcie_width: Option<u32>,
    /// Of a CPU slot: processes that run or would run, in the last minute.
    pub load: Option<f64>,
    /// Free bytes where the worker keeps its state, and in the store.
    pub state_free: Option<u64>,
    pub store_free: Option<u64>,
}

impl Reading {
    /// Without what cannot be: a driver that is broken says such things.
    #[must_use]
    pub fn checked(self) -> Self {
        let memory_total = self.memory_total.filter(|total| (1..=MEMORY_MAX).contains(total));
        let clock = |clock: Option<u32>| clock.filter(|clock| *clock <= MEGAHERTZ_MAX);
        let rate = |rate: Option<u64>| rate.filter(|rate| *rate <= PCIE_BYTES_PER_SECOND_MAX);
        let disk = |free: Option<u64>| free.filter(|free| *free <= DISK_MAX);
        Self {
            utilization_percent: self.utilization_percent.filter(|percent| *percent <= 100),
            memory_used: self.memory_used.filter(|used| *used <= memory_total.unwrap_or(MEMORY_MAX)),
            memory_total,
            temperature_celsius: self.temperature_celsius.filter(|celsius| *celsius <= CELSIUS_MAX),
            power_watts: self.power_watts.filter(|watts| *watts <= WATTS_MAX),
            sm_clock_mhz: clock(self.sm_clock_mhz),
            sm_clock_max_mhz: clock(self.sm_clock_max_mhz),
            memory_clock_mhz: clock(self.memory_clock_mhz),
            memory_clock_max_mhz: clock(self.memory_clock_max_mhz),
            throttle: self.throttle.and_then(throttle::known),
            pcie_received_per_second: rate(self.pcie_received_per_second),
            pcie_sent_per_second: rate(self.pcie_sent_per_second),
            pcie_generation: self.pcie_generation.filter(|generation| PCIE_GENERATIONS.contains(generation)),
            pcie_width: self.pcie_width.filter(|width| PCIE_WIDTHS.contains(width)),
            load: self.load.filter(|load| (0.0..=LOAD_MAX).contains(load)),
            state_free: disk(self.state_free),
            store_free: disk(self.store_free),
        }
    }

    /// What the driver said that [`checked`](Self::checked) takes for not known, in words; empty for a driver that can be believed.
    pub fn doubt(&self) -> String {
        let checked = self.checked();
        let lies: Vec<&str> = [
            ("load", self.utilization_percent.is_some() && checked.utilization_percent.is_none()),
            ("memory in use", self.memory_used.is_some() && checked.memory_used.is_none()),
            ("memory", self.memory_total.is_some() && checked.memory_total.is_none()),
            ("temperature", self.temperature_celsius.is_some() && checked.temperature_celsius.is_none()),
            ("power", self.power_watts.is_some() && checked.power_watts.is_none()),
            ("clocks", self.clocks().into_iter().zip(checked.clocks()).any(|(said, kept)| said != kept)),
            ("throttling", self.throttle.is_some() && checked.throttle.is_none()),
            ("PCIe", self.pcie() != checked.pcie()),
        ]
        .into_iter()
        .filter_map(|(what, is_lie)| is_lie.then_some(what))
        .collect();
        if lies.is_empty() {
            return String::new();
        }
        format!("its driver says what cannot be of its {}; that is taken for not known", lies.join(", "))
    }

    fn clocks(&self) -> [Option<u32>; 4] {
        [self.sm_clock_mhz, self.sm_clock_max_mhz, self.memory_clock_mhz, self.memory_clock_max_mhz]
    }

    fn pcie(&self) -> (Option<u32>, Option<u32>, [Option<u64>; 2]) {
        (self.pcie_generation, self.pcie_width, [self.pcie_received_per_second, self.pcie_sent_per_second])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_not_known() {
        let lies = Reading {
            utilization_percent: Some(101),
            memory_used: Some(u64::MAX),
            memory_total: Some(11 << 30),
            temperature_celsius: Some(u32::MAX),
            power_watts: Some(4_294_967),
            sm_clock_mhz: Some(u32::MAX),
            sm_clock_max_mhz: Some(MEGAHERTZ_MAX + 1),
            memory_clock_mhz: Some(4_000_000_000),
            memory_clock_max_mhz: Some(u32::MAX),
            throttle: Some(u64::MAX),
            pcie_received_per_second: Some(u64::from(u32::MAX) * 1000),
            pcie_sent_per_second: Some(u64::MAX),
            pcie_generation: Some(99),
            pcie_width: Some(77),
            load: Some(f64::NAN),
            state_free: Some(u64::MAX),
            store_free: Some(u64::MAX),
        };
        assert_eq!(lies.checked(), Reading { memory_total: Some(11 << 30), ..Reading::default() });
        assert_eq!(
            lies.doubt(),
            "its driver says what cannot be of its load, memory in use, temperature, power, clocks, throttling, PCIe; that is \
             taken for not known"
        );
        let all_lies = Reading { memory_total: Some(0), memory_used: Some(MEMORY_MAX + 1), load: Some(-1.0), ..lies };
        assert_eq!(all_lies.checked(), Reading::default());
    }

    #[test]
    fn what_can_be_is_kept() {
        let hot = Reading {
            utilization_percent: Some(100),
            memory_used: Some(11 << 30),
            memory_total: Some(11 << 30),
            temperature_celsius: Some(104),
            power_watts: Some(700),
            sm_clock_mhz: Some(0),
            sm_clock_max_mhz: Some(2_100),
            memory_clock_mhz: Some(10_501),
            memory_clock_max_mhz: Some(10_501),
            throttle: Some(0x48),
            pcie_received_per_second: Some(60 << 30),
            pcie_sent_per_second: Some(0),
            pcie_generation: Some(5),
            pcie_width: Some(16),
            load: Some(63.5),
            state_free: Some(0),
            store_free: Some(40 << 40),
        };
        assert_eq!(hot.checked(), hot);
        assert_eq!((hot.doubt(), Reading::default().doubt()), (String::new(), String::new()), "not said is no lie");
    }
}
