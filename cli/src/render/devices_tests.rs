use chrono::TimeDelta;
use tandem_proto::{
    convert::timestamp,
    v1::{Device, DeviceProcess, WorkerState},
};

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A card that has trained for half of the last hour.
fn card(name: &str) -> DeviceReport {
    let from = now() - TimeDelta::hours(1);
    let point = |minute: i64| DevicePoint {
        at: Some(timestamp(from + TimeDelta::minutes(minute))),
        utilization_percent: Some(if minute < 30 { 0.0 } else { 98.0 }),
        memory_used_bytes: Some(if minute < 30 { 12 << 20 } else { 9 << 30 }),
        temperature_celsius: Some(if minute < 30 { 34 } else { 79 }),
        power_watts: Some(240.0),
        sm_clock_mhz: Some(1700.0),
        load: None,
        throttled: false,
    };
    let device = Device {
        kind: "cuda".to_owned(),
        index: 1,
        name: "NVIDIA GeForce GTX 1080 Ti".to_owned(),
        memory_bytes: 11 << 30,
        driver: "535.1".to_owned(),
        ..Device::default()
    };
    DeviceReport {
        worker: name.to_owned(),
        host: "box".to_owned(),
        state: WorkerState::Busy.into(),
        device: Some(device),
        at: Some(timestamp(now() - TimeDelta::seconds(3))),
        now: Some(DeviceFigures {
            utilization_percent: Some(98),
            memory_used_bytes: Some(9 << 30),
            memory_total_bytes: Some(11 << 30),
            temperature_celsius: Some(79),
            power_watts: Some(240),
            sm_clock_mhz: Some(1759),
            sm_clock_max_mhz: Some(1911),
            pcie_generation: Some(3),
            pcie_width: Some(16),
            pcie_received_per_second: Some(210 << 20),
            state_free_bytes: Some(12 << 30),
            ..DeviceFigures::default()
        }),
        from: Some(timestamp(from)),
        until: Some(timestamp(now())),
        points: (0..60).map(point).collect(),
        ..DeviceReport::default()
    }
}

fn shown(devices: Vec<DeviceReport>, by_name: bool) -> String {
    let answer = DevicesResponse { devices, ..DevicesResponse::default() };
    page(&answer, by_name, Style::default(), now())
}

#[test]
fn a_table_of_devices_fits_eighty_columns() {
    let in_use = DeviceReport {
        state: WorkerState::InUse.into(),
        withheld: "in use by ann: python (pid 4711, 3.2 GiB)".to_owned(),
        throttled: vec!["too hot".to_owned()],
        ..card("workstation-1")
    };
    let silent = DeviceReport {
        now: None,
        at: None,
        points: Vec::new(),
        late: "its driver has not answered".to_owned(),
        ..card("gpu-2")
    };
    let text = shown(vec![card("gpu-0"), in_use, silent], false);
    assert!(text.lines().take(4).all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("gpu-0          busy    98 %  ▁▁▁▁▁▁██████  9.0/11.0 GiB  79 °C  240 W"), "{text}");
    assert!(text.contains("\nworkstation-1 gets no jobs: in use by ann: python (pid 4711, 3.2 GiB)"), "{text}");
    assert!(text.contains("\nworkstation-1 runs slower than it could: too hot"), "{text}");
    assert!(text.contains("\ngpu-2: how it is now is not known: its driver has not answered"), "{text}");
}

#[test]
fn a_house_of_processors_has_no_columns_of_cards() {
    let mut slot = card("cpu-0");
    slot.device.as_mut().unwrap().kind = "cpu".to_owned();
    let text = shown(vec![slot], false);
    assert!(!text.contains("TEMP") && !text.contains("POWER") && text.contains("MEMORY"), "{text}");
    assert!(text.contains("98 % (host)") && text.contains("9.0/11.0 GiB (host)"), "whose load that is: {text}");
    assert!(!shown(vec![card("gpu-0")], false).contains("(host)"));
    assert_eq!(place_of(now(), now(), now()), 0.0);
}

#[test]
fn one_device_is_shown_in_full() {
    let process = DeviceProcess {
        pid: 4711,
        user: "ann".to_owned(),
        name: "python".to_owned(),
        memory_bytes: Some(3 << 30),
        since: Some(timestamp(now())),
        ours: false,
    };
    let text = shown(vec![DeviceReport { processes: vec![process], ..card("gpu-0") }], true);
    for part in [
        "device     cuda:1 NVIDIA GeForce GTX 1080 Ti, driver 535.1 on box",
        "looked at  3 s ago",
        "clock      sm 1759 of 1911 MHz",
        "pcie       gen 3 x16, in 210.0 MiB/s",
        "disk       12.0 GiB free for its state",
        "  temp    79 °C              ▃▃▃",
        "4711  ann  python   3.0 GiB  11-14 22:13:20  not ours",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_job_shows_the_devices_that_it_had() {
    let of_job = DeviceReport { attempt: 2, rank: 1, ..card("gpu-0") };
    let before = DeviceReport { attempt: 1, points: Vec::new(), ..of_job.clone() };
    let answer = |devices| DevicesResponse { devices, job_id: "x".to_owned(), job_name: "encoder".to_owned() };
    let text = page(&answer(vec![before, of_job]), false, Style::default(), now());
    assert!(
        text.starts_with("attempt 1, rank 1 on gpu-0, from 11-14 21:13 UTC for 1 h 00 min\n  nothing is known"),
        "{text}"
    );
    assert!(text.contains("\nattempt 2, rank 1") && text.contains("  memory  9.0 GiB"), "{text}");
    assert!(page(&answer(Vec::new()), false, Style::default(), now()).contains("no device yet"));
}

#[test]
fn a_worker_or_a_process_forges_no_line() {
    let forged = "x\nall is well\u{1b}[2J".to_owned();
    let process = DeviceProcess { name: forged.clone(), user: forged.clone(), ..DeviceProcess::default() };
    let device = DeviceReport {
        withheld: forged.clone(),
        quarantine_reason: forged.clone(),
        late: forged.clone(),
        throttled: vec![forged.clone()],
        processes: vec![process],
        ..card(&forged)
    };
    for by_name in [true, false] {
        let text = shown(vec![device.clone()], by_name);
        assert!(!text.contains("\nall is well") && !text.contains('\u{1b}'), "{text:?}");
    }
}
