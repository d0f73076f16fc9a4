//! The library, loaded as a worker loads NVML: by the names of its functions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(unsafe_code, reason = "the library reads the name of its file from the environment")]

use std::{env, path::PathBuf};

use nvml_wrapper::{
    Nvml,
    bitmasks::{device::ThrottleReasons, event::EventTypes},
    enum_wrappers::device::{Clock, EccCounter, MemoryError, PcieUtilCounter, TemperatureSensor},
    enums::{device::UsedGpuMemory, event::XidError},
    error::NvmlError,
};
use tandem_fake_nvml::{
    BOX_FILE,
    boxes::{Card, FakeBox, Process},
};

/// Cargo puts it beside the tests.
fn library() -> PathBuf {
    let own = env::current_exe().unwrap();
    own.parent().unwrap().join("libtandem_fake_nvml.so")
}

/// One test, as the environment is the process's.
#[test]
fn a_box_is_what_its_file_says_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("box.json");
    // SAFETY: no other thread runs yet.
    unsafe { env::set_var(BOX_FILE, &file) };
    let library = library();
    let load = || Nvml::builder().lib_path(library.as_os_str()).init();
    assert!(matches!(load(), Err(NvmlError::DriverNotLoaded)), "there is no file yet");

    let busy = Card {
        memory_used: 9 << 30,
        throttle: Some(0x48),
        processes: vec![Process { pid: 4711, memory: Some(3 << 30) }, Process { pid: 4712, memory: None }],
        ecc_errors: Some(2),
        xids: vec![13],
        ..Card::default()
    };
    let mut known = FakeBox { cards: vec![Card::default(), busy], ..FakeBox::default() };
    known.write(&file).unwrap();
    let nvml = load().unwrap();
    assert_eq!((nvml.device_count().unwrap(), nvml.sys_driver_version().unwrap()), (2, "535.183.01".to_owned()));
    let card = nvml.device_by_index(1).unwrap();
    assert!(matches!(nvml.device_by_index(2), Err(NvmlError::InvalidArg)));
    assert_eq!(card.name().unwrap(), "NVIDIA GeForce GTX 1080 Ti");
    let memory = card.memory_info().unwrap();
    assert_eq!((memory.total, memory.used), (11 << 30, 9 << 30));
    assert_eq!(card.temperature(TemperatureSensor::Gpu).unwrap(), 34);
    assert!(matches!(card.total_energy_consumption(), Err(NvmlError::NotSupported)), "none of its kind counts");
    assert_eq!(card.utilization_rates().unwrap().gpu, 0);
    assert_eq!((card.clock_info(Clock::SM).unwrap(), card.max_clock_info(Clock::Memory).unwrap()), (139, 5505));
    let slowed = ThrottleReasons::HW_SLOWDOWN | ThrottleReasons::HW_THERMAL_SLOWDOWN;
    assert_eq!(card.current_throttle_reasons().unwrap(), slowed);
    assert_eq!(card.pcie_throughput(PcieUtilCounter::Receive).unwrap(), 0);
    assert_eq!((card.current_pcie_link_gen().unwrap(), card.max_pcie_link_width().unwrap()), (1, 16));
    assert_eq!(card.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).unwrap(), 2);
    assert_eq!(card.cuda_compute_capability().unwrap().major, 6);
    let processes = card.running_compute_processes().unwrap();
    let told: Vec<_> = processes.iter().map(|process| (process.pid, process.used_gpu_memory.clone())).collect();
    assert_eq!(told, [(4711, UsedGpuMemory::Used(3 << 30)), (4712, UsedGpuMemory::Unavailable)]);
    assert!(card.running_graphics_processes().unwrap().is_empty());

    let events = card.register_events(EventTypes::CRITICAL_XID_ERROR, nvml.create_event_set().unwrap()).unwrap();
    assert_eq!(events.wait(5_000).unwrap().event_data, Some(XidError::Value(13)), "from the start");
    assert!(matches!(events.wait(30), Err(NvmlError::Timeout)));
    let later = card.register_events(EventTypes::CRITICAL_XID_ERROR, nvml.create_event_set().unwrap()).unwrap();
    assert!(matches!(later.wait(30), Err(NvmlError::Timeout)), "it was told");
    known.cards[1].xids = vec![13, 79];
    known.write(&file).unwrap();
    assert_eq!(events.wait(5_000).unwrap().event_data, Some(XidError::Value(79)));
    assert!(matches!(events.wait(30), Err(NvmlError::Timeout)), "once");

    known.cards[1].temperature = None;
    known.write(&file).unwrap();
    assert!(matches!(card.temperature(TemperatureSensor::Gpu), Err(NvmlError::NotSupported)));
    known.cards[1].error = Some(15);
    known.write(&file).unwrap();
    assert!(matches!(card.power_usage(), Err(NvmlError::GpuLost)));
    assert!(nvml.device_by_index(0).unwrap().power_usage().is_ok(), "the other card is there");
    known.error = Some(999);
    known.write(&file).unwrap();
    assert!(matches!(nvml.device_count(), Err(NvmlError::Unknown)));
}
