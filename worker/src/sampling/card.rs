//! One look at a card through NVML.

use nvml_wrapper::{
    Device,
    enum_wrappers::device::{Clock, EccCounter, MemoryError, PcieUtilCounter, TemperatureSensor},
    enums::device::UsedGpuMemory,
    error::NvmlError,
    struct_wrappers::device::ProcessInfo,
};
use tandem_domain::device::{PROCESSES_MAX, Process, Reading};

use super::{look::Look, owner::Owners};
use crate::nvml::Card;

/// The largest number of a process: the kernel gives out no greater one.
const PID_MAX: u32 = 1 << 22;

/// What became of the calls so far.
#[derive(Default)]
struct Calls {
    has_answered: bool,
    is_lost: bool,
    problem: Option<String>,
}

impl Calls {
    /// What a call answered. A card that is lost is asked no more: each call may take seconds then.
    fn ask<T>(&mut self, call: impl FnOnce() -> Result<T, NvmlError>) -> Option<T> {
        if self.is_lost {
            return None;
        }
        match call() {
            Ok(answer) => {
                self.has_answered = true;
                return Some(answer);
            }
            Err(NvmlError::GpuLost | NvmlError::ResetRequired) => self.is_lost = true,
            // Of a card that does not say this, or a driver that knows no such question.
            Err(NvmlError::NotSupported | NvmlError::FunctionNotFound | NvmlError::FailedToLoadSymbol(_)) => {}
            Err(error) => _ = self.problem.get_or_insert_with(|| error.to_string()),
        }
        None
    }
}

pub(super) fn look(card: &Card, owners: &Owners) -> Look {
    let mut calls = Calls::default();
    let mut look = Look::default();
    if let Some(device) = calls.ask(|| card.nvml.device_by_index(card.index)) {
        // That the card has a number says nothing of it.
        calls.has_answered = false;
        let said = reading(&device, &mut calls);
        (look.reading, look.doubt) = (said.checked(), said.doubt());
        look.energy = calls.ask(|| device.total_energy_consumption());
        look.memory_errors = calls.ask(|| device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile));
        let found = processes(&device, &mut calls, owners, look.reading.memory_total);
        look.lists_processes = found.is_some();
        look.processes = found.unwrap_or_default();
    }
    look.is_lost = calls.is_lost;
    look.problem = calls.problem.filter(|_| !calls.has_answered && !calls.is_lost);
    look
}

fn reading(device: &Device<'_>, calls: &mut Calls) -> Reading {
    let memory = calls.ask(|| device.memory_info());
    // In KiB per second, over 20 ms.
    let mut pcie = |counter| calls.ask(|| device.pcie_throughput(counter)).map(|rate| u64::from(rate) << 10);
    let (received, sent) = (pcie(PcieUtilCounter::Receive), pcie(PcieUtilCounter::Send));
    Reading {
        utilization_percent: calls.ask(|| device.utilization_rates()).map(|rates| rates.gpu),
        memory_used: memory.as_ref().map(|memory| memory.used),
        memory_total: memory.as_ref().map(|memory| memory.total),
        temperature_celsius: calls.ask(|| device.temperature(TemperatureSensor::Gpu)),
        power_watts: calls.ask(|| device.power_usage()).map(|milliwatts| milliwatts / 1000),
        sm_clock_mhz: calls.ask(|| device.clock_info(Clock::SM)),
        sm_clock_max_mhz: calls.ask(|| device.max_clock_info(Clock::SM)),
        memory_clock_mhz: calls.ask(|| device.clock_info(Clock::Memory)),
        memory_clock_max_mhz: calls.ask(|| device.max_clock_info(Clock::Memory)),
        throttle: calls.ask(|| device.current_throttle_reasons()).map(|reasons| reasons.bits()),
        pcie_received_per_second: received,
        pcie_sent_per_second: sent,
        pcie_generation: calls.ask(|| device.current_pcie_link_gen()),
        pcie_width: calls.ask(|| device.current_pcie_link_width()),
        ..Reading::default()
    }
}

/// Those that use most come first; `None` if the driver lists none of either kind. One that computes and draws is listed twice.
fn processes(device: &Device<'_>, calls: &mut Calls, owners: &Owners, total: Option<u64>) -> Option<Vec<Process>> {
    let computing = calls.ask(|| device.running_compute_processes());
    let drawing = calls.ask(|| device.running_graphics_processes());
    if computing.is_none() && drawing.is_none() {
        return None;
    }
    let mut found: Vec<(u32, Option<u64>)> = Vec::new();
    for ProcessInfo { pid, used_gpu_memory, .. } in [computing, drawing].into_iter().flatten().flatten() {
        let memory = match used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes).filter(|bytes| total.is_none_or(|total| *bytes <= total)),
            UsedGpuMemory::Unavailable => None,
        };
        if (1..=PID_MAX).contains(&pid) && !found.iter().any(|(known, _)| *known == pid) {
            found.push((pid, memory));
        }
    }
    found.sort_by_key(|(pid, memory)| (std::cmp::Reverse(*memory), *pid));
    found.truncate(PROCESSES_MAX);
    Some(found.into_iter().map(|(pid, memory)| owners.process(pid, memory)).collect())
}
