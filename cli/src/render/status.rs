//! The workers, and what they do.

use chrono::{DateTime, TimeDelta, Utc};
use tandem_proto::v1::{Device, DeviceFacts, StatusResponse, Worker, WorkerState};

use super::{
    datasets, state,
    table::{Rows, Style},
    units,
};
use crate::{printable::line, time::utc};

const SILENT: TimeDelta = TimeDelta::seconds(15);

pub(crate) fn page(status: &StatusResponse, style: Style, now: DateTime<Utc>) -> String {
    let summary = summary(status, now);
    if status.workers.is_empty() {
        return format!(
            "no workers are connected: `tandem up` starts some, or `tandem-worker run` on another host\n{summary}"
        );
    }
    let table = workers(&status.workers, style, now);
    let data = datasets::table(&status.workers, style).map(|table| format!("\n{table}")).unwrap_or_default();
    let (unfit, problems) = (unfit(&status.workers), datasets::problems(&status.workers));
    let silent = silent(&status.workers, now);
    format!(
        "{table}{data}\n{summary}{}{}{unfit}{}{problems}{silent}",
        quarantines(&status.workers),
        withheld(&status.workers, now),
        remarks(&status.workers)
    )
}

/// Why workers get no jobs until somebody mends something.
fn unfit(workers: &[Worker]) -> String {
    let why = |worker: &Worker| match worker.state() {
        WorkerState::Unfit => worker.unfit.clone(),
        // Beside the job that it has: it gets none after it.
        WorkerState::InUse | WorkerState::Busy => worker.withheld.clone(),
        _ => String::new(),
    };
    let unfit = workers.iter().map(|worker| (worker, why(worker))).filter(|(_, why)| !why.is_empty());
    unfit.map(|(worker, why)| format!("\n{} gets no jobs: {}", line(&worker.name), line(&why))).collect()
}

/// What is odd about what cards say of themselves.
fn remarks(workers: &[Worker]) -> String {
    let of = |worker: &Worker| {
        let remark = worker.facts.as_ref().map(|facts| facts.remark.as_str()).filter(|remark| !remark.is_empty())?;
        Some(format!("\n{}: {}", line(&worker.name), line(remark)))
    };
    workers.iter().filter_map(of).collect()
}

/// Why a worker gets no jobs now, in a few words, or what is odd about its card; empty if neither.
pub(crate) fn trouble(worker: &Worker) -> String {
    match worker.state() {
        WorkerState::Unfit => worker.unfit.clone(),
        _ if worker.quarantine_reason.is_empty() => not_given_out(worker),
        _ => match utc(&worker.quarantined_until) {
            Some(until) => format!("until {}: {}", until.format("%H:%M UTC"), worker.quarantine_reason),
            None => worker.quarantine_reason.clone(),
        },
    }
}

/// Until when nobody is given a worker, as far as that is known.
pub(crate) fn nobody_until(worker: &Worker) -> Option<DateTime<Utc>> {
    let held = worker.hold.as_ref().filter(|_| worker.drain.is_none()).and_then(|hold| utc(&hold.until));
    if worker.quarantine_reason.is_empty() { held } else { utc(&worker.quarantined_until).max(held) }
}

/// By whose wish, or use, a worker gets nothing new.
fn not_given_out(worker: &Worker) -> String {
    let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match (&worker.drain, &worker.hold) {
        (Some(drain), _) => format!("drained by {}{}", drain.by, because(&drain.reason)),
        // First until when: the rest may be cut off.
        (None, Some(hold)) => {
            let until = utc(&hold.until).map(|until| format!("until {}, ", until.format("%H:%M UTC")));
            format!("{}held by {}{}", until.unwrap_or_default(), hold.by, because(&hold.reason))
        }
        (None, None) if worker.withheld.is_empty() => {
            worker.facts.as_ref().map(|facts| facts.remark.clone()).unwrap_or_default()
        }
        (None, None) => worker.withheld.clone(),
    }
}

/// Why quarantined workers get no jobs, and what to do about it.
fn quarantines(workers: &[Worker]) -> String {
    let why = workers.iter().filter(|worker| !worker.quarantine_reason.is_empty()).map(|worker| {
        let until = utc(&worker.quarantined_until).map(units::moment).unwrap_or_default();
        format!(
            "\n{name} gets no jobs until {until}: {reason}; once that is mended: tandem release {name}",
            name = line(&worker.name),
            reason = line(&worker.quarantine_reason)
        )
    });
    why.collect()
}

/// Who has taken devices for itself, or wants them to get nothing new, and until when.
fn withheld(workers: &[Worker], now: DateTime<Utc>) -> String {
    let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {}", line(reason)) };
    let mut text = String::new();
    for worker in workers {
        let name = line(&worker.name);
        if let Some(hold) = &worker.hold {
            let until = utc(&hold.until).map_or_else(String::new, |until| {
                format!(" until {} ({} more)", units::moment(until), units::duration((until - now).as_seconds_f64()))
            });
            text.push_str(&format!("\n{name} is held by {}{until}{}", line(&hold.by), because(&hold.reason)));
        }
        if let Some(drain) = &worker.drain {
            text.push_str(&format!(
                "\n{name} is drained by {}{}; again: tandem undrain {name}",
                line(&drain.by),
                because(&drain.reason)
            ));
        }
    }
    text
}

fn workers(workers: &[Worker], style: Style, now: DateTime<Utc>) -> String {
    let measured = workers.iter().any(|worker| worker.facts.is_some());
    // Columns that would say the same in each row, or nothing, are room for those that people look for.
    let has_hosts = workers.iter().any(|worker| worker.host != workers[0].host);
    let mut headers = vec!["WORKER", "DEVICE", "STATE", "OF", "JOB", "FOR", "LEFT"];
    if has_hosts {
        headers.insert(1, "HOST");
    }
    if measured {
        headers.extend(["LOAD", "MEMORY", "TEMP", "POWER", "OTHERS"]);
    }
    let mut rows = Rows::new(style, &headers);
    for worker in workers {
        let mut cells = vec![
            worker.name.as_str().into(),
            worker.device.as_ref().map(device).unwrap_or_default().into(),
            state::worker_cell(worker.state()),
            worker.owner.as_str().into(),
            job(worker).into(),
            utc(&worker.busy_since).map(|at| units::age(at, now)).unwrap_or_default().into(),
            left(worker).into(),
        ];
        if has_hosts {
            cells.insert(1, worker.host.as_str().into());
        }
        if measured {
            let total = worker.device.as_ref().map_or(0, |device| device.memory_bytes);
            cells.extend(facts(worker.facts.as_ref(), total).map(Into::into));
        }
        rows.row(cells);
    }
    let ranks =
        [("POWER", 9), ("OTHERS", 8), ("TEMP", 7), ("HOST", 6), ("DEVICE", 5), ("FOR", 4), ("MEMORY", 3), ("LOAD", 2)];
    rows.less_needed(&ranks);
    rows.to_string()
}

/// `quickstart/encoder`, and the rank where there are several.
pub(crate) fn job(worker: &Worker) -> String {
    if worker.job_name.is_empty() {
        return String::new();
    }
    let experiment = if worker.experiment.is_empty() { String::new() } else { format!("{}/", worker.experiment) };
    let rank = if worker.rank > 0 { format!(" (rank {})", worker.rank) } else { String::new() };
    format!("{experiment}{}{rank}", worker.job_name)
}

pub(crate) fn left(worker: &Worker) -> String {
    if worker.seconds_left > 0.0 { units::duration(worker.seconds_left) } else { String::new() }
}

/// Workers that have not been heard of for a while; those that are connected are, every second or two.
fn silent(workers: &[Worker], now: DateTime<Utc>) -> String {
    let silent = workers.iter().filter_map(|worker| {
        let seen = utc(&worker.last_seen)?;
        (now - seen > SILENT).then(|| format!("\n{} was heard of {} ago", line(&worker.name), units::age(seen, now)))
    });
    silent.collect()
}

pub(crate) fn device(device: &Device) -> String {
    match device.kind.as_str() {
        "cuda" => format!("cuda:{} {}", device.index, device.name),
        kind if device.name.is_empty() => kind.to_owned(),
        kind => format!("{kind} {}", device.name),
    }
}

fn facts(facts: Option<&DeviceFacts>, memory: u64) -> [String; 5] {
    // What is not known is no 0.
    let known = |figure: Option<u32>, unit: &str| figure.map(|figure| format!("{figure}{unit}"));
    let facts = facts.cloned().unwrap_or_default();
    let used = facts.memory_used_bytes.map(units::bytes);
    [
        known(facts.utilization_percent, " %"),
        used.map(|used| if memory > 0 { format!("{used} of {}", units::bytes(memory)) } else { used }),
        known(facts.temperature_celsius, " °C"),
        known(facts.power_watts, " W"),
        known(facts.foreign_processes, ""),
    ]
    .map(|figure| figure.unwrap_or_else(|| "-".to_owned()))
}

fn summary(status: &StatusResponse, now: DateTime<Utc>) -> String {
    let mut summary = format!(
        "{} running, {} queued, {} blocked{}; coordinator {}",
        status.running,
        status.queued,
        status.blocked,
        if status.paused > 0 { format!(", {} paused", status.paused) } else { String::new() },
        line(&status.server_version)
    );
    if let Some(at) = utc(&status.server_started_at) {
        summary.push_str(&format!(", up for {}", units::age(at, now)));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_gpu_says_what_it_does() {
        let gpu = Device {
            kind: "cuda".to_owned(),
            index: 1,
            name: "GeForce GTX 1080 Ti".to_owned(),
            memory_bytes: 11 << 30,
            ..Device::default()
        };
        let worker = Worker {
            name: "gpu-1".to_owned(),
            state: WorkerState::Busy.into(),
            device: Some(gpu),
            job_name: "encoder".to_owned(),
            rank: 1,
            experiment: "quick".to_owned(),
            owner: "ann".to_owned(),
            seconds_left: 95.0,
            facts: Some(DeviceFacts {
                utilization_percent: Some(97),
                memory_used_bytes: Some(9 << 30),
                temperature_celsius: Some(71),
                power_watts: Some(240),
                foreign_processes: Some(1),
                ..Default::default()
            }),
            ..Worker::default()
        };
        let status = StatusResponse {
            workers: vec![worker],
            running: 1,
            server_version: "0.1.0".to_owned(),
            ..StatusResponse::default()
        };
        let text = page(&status, Style::default(), DateTime::UNIX_EPOCH);
        for part in [
            "cuda:1 GeForce GTX 1080 Ti",
            "busy",
            "ann",
            "quick/encoder (rank 1)",
            "1 min 35 s",
            "97 %",
            "9.0 GiB of 11.0 GiB",
            "71 °C",
            "1 running, 0 queued",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn who_was_not_heard_of_for_long_is_named_and_hosts_only_where_there_are_several() {
        let seen = |name: &str, host: &str, seconds| Worker {
            name: name.to_owned(),
            host: host.to_owned(),
            state: WorkerState::Idle.into(),
            last_seen: Some(tandem_proto::convert::Timestamp { seconds, nanos: 0 }),
            ..Worker::default()
        };
        let now = DateTime::from_timestamp(1000, 0).unwrap();
        let page = |workers| page(&StatusResponse { workers, ..StatusResponse::default() }, Style::default(), now);
        let one = page(vec![seen("a", "box", 999), seen("b", "box", 900)]);
        assert!(one.contains("\nb was heard of 1 min ago") && !one.contains("a was heard"), "{one}");
        assert!(!one.contains("HOST") && !one.contains("box"), "{one}");
        assert!(page(vec![seen("a", "box", 999), seen("b", "other", 999)]).contains("HOST"));
    }

    #[test]
    fn a_quarantined_worker_says_why_and_what_to_do() {
        let worker = Worker {
            name: "gpu-2".to_owned(),
            state: WorkerState::Quarantined.into(),
            quarantine_reason: "3 different jobs were lost on it".to_owned(),
            ..Worker::default()
        };
        let status = StatusResponse { workers: vec![worker], ..StatusResponse::default() };
        let text = page(&status, Style::default(), DateTime::UNIX_EPOCH);
        assert!(text.contains("quarantined") && text.contains("3 different jobs"), "{text}");
        assert!(text.ends_with("tandem release gpu-2"), "{text}");
    }

    #[test]
    fn a_device_in_use_says_by_whom() {
        let worker = Worker {
            name: "gpu-1".to_owned(),
            state: WorkerState::InUse.into(),
            withheld: "in use by ann: python (pid 4711, 3.2 GiB)".to_owned(),
            ..Worker::default()
        };
        let status = StatusResponse { workers: vec![worker], ..StatusResponse::default() };
        let text = page(&status, Style::default(), DateTime::UNIX_EPOCH);
        assert!(text.contains("gpu-1           in use"), "{text}");
        assert!(text.ends_with("gpu-1 gets no jobs: in use by ann: python (pid 4711, 3.2 GiB)"), "{text}");
    }

    #[test]
    fn what_a_card_does_not_say_is_no_zero_and_what_it_says_wrongly_is_told() {
        let remark = "its driver says what cannot be of its load".to_owned();
        let worker = Worker {
            name: "gpu-1".to_owned(),
            state: WorkerState::Idle.into(),
            device: Some(Device { kind: "cuda".to_owned(), memory_bytes: 11 << 30, ..Device::default() }),
            facts: Some(DeviceFacts { power_watts: Some(0), remark: remark.clone(), ..DeviceFacts::default() }),
            ..Worker::default()
        };
        assert_eq!(trouble(&worker), remark);
        let status = StatusResponse { workers: vec![worker], ..StatusResponse::default() };
        let text = page(&status, Style::default(), DateTime::UNIX_EPOCH);
        assert!(!text.contains("0 %") && !text.contains("0 °C") && !text.contains("0 B of"), "{text}");
        assert!(text.contains(" 0 W") && text.ends_with(&format!("gpu-1: {remark}")), "{text}");
    }

    #[test]
    fn a_worker_forges_no_line() {
        let forged = "gpu-2\nall is well\u{1b}[2J".to_owned();
        let worker = |state: WorkerState| Worker {
            name: forged.clone(),
            state: state.into(),
            unfit: forged.clone(),
            withheld: forged.clone(),
            quarantine_reason: forged.clone(),
            ..Worker::default()
        };
        let workers = vec![worker(WorkerState::Unfit), worker(WorkerState::InUse), worker(WorkerState::Quarantined)];
        let status = StatusResponse { workers, server_version: forged.clone(), ..StatusResponse::default() };
        let text = page(&status, Style::default(), DateTime::UNIX_EPOCH);
        assert!(!text.contains("\nall is well") && !text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn an_empty_cluster_says_how_to_fill_it() {
        assert!(page(&StatusResponse::default(), Style::default(), DateTime::UNIX_EPOCH).contains("`tandem up`"));
    }
}
