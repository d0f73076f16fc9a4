//! The rows of the three tables: devices, what runs, what waits.

use chrono::{DateTime, Utc};
use tandem_proto::v1::{Job, Worker};

use super::{
    grid::{Column, Grid, cell, column, number},
    state::{Pane, State, full_name},
};
use crate::{
    render::{job, state as words, status, table::Tone, units},
    time::utc,
};

/// Letters of a bar.
const BAR: usize = 12;

const DEVICES: [Column; 12] = [
    column("DEVICE", 8, 0),
    column("HOST", 6, 10),
    column("KIND", 12, 9),
    column("STATE", 0, 0),
    number("LOAD", 5),
    number("MEMORY", 7),
    number("TEMP", 6),
    number("POWER", 8),
    column("OF", 6, 2),
    column("JOB", 14, 1),
    number("LEFT", 3),
    column("WHY NOT", 16, 4),
];
const RUNNING: [Column; 9] = [
    column("RUNNING", 18, 0),
    column("OF", 6, 3),
    column("ON", 6, 6),
    column("", 0, 5),
    number("DONE", 1),
    column("DOES", 10, 7),
    number("LOSS", 4),
    number("IMAGES/S", 8),
    number("LEFT", 2),
];
const WAITING: [Column; 6] = [
    number("#", 3),
    column("WAITING", 16, 0),
    column("OF", 6, 2),
    number("PRIO", 4),
    number("SINCE", 5),
    column("WHY", 20, 1),
];

pub(crate) fn grid(state: &State, pane: Pane, now: DateTime<Utc>) -> Grid<'static> {
    let (columns, rows, none): (&[Column], _, _) = match pane {
        Pane::Devices => {
            (&DEVICES, state.devices().iter().map(|worker| device(state, worker, now)).collect(), "no devices")
        }
        Pane::Running => {
            (&RUNNING, state.running().iter().map(|job| running(state, job, now)).collect(), "nothing runs")
        }
        Pane::Waiting => {
            let place = |job: &Job| state.news.waiting.iter().position(|other| other.id == job.id).unwrap_or(0) + 1;
            let rows = state.waiting().iter().map(|job| waiting(place(job), job, now)).collect();
            (&WAITING, rows, "nothing waits")
        }
    };
    let none = if state.filter.is_empty() { none } else { "nothing matches the filter" };
    Grid { columns, rows, none, chosen: state.row(pane), has_focus: state.pane == pane }
}

fn device(state: &State, worker: &Worker, now: DateTime<Utc>) -> Vec<(String, Tone)> {
    let workers = &state.news.status.workers;
    let host = if workers.iter().all(|other| other.host == worker.host) { "" } else { &worker.host };
    let total = worker.device.as_ref().map_or(0, |device| device.memory_bytes);
    // What is not known is no 0.
    let known = |figure: Option<u32>, unit: &str| figure.map(|figure| format!("{figure} {unit}")).unwrap_or_default();
    let [load, memory, heat, power] = match &worker.facts {
        Some(facts) => [
            known(facts.utilization_percent, "%"),
            facts.memory_used_bytes.map(|used| memory(used, total)).unwrap_or_default(),
            known(facts.temperature_celsius, "°C"),
            known(facts.power_watts, "W"),
        ],
        None => Default::default(),
    };
    let text = words::worker_cell(worker.state());
    vec![
        cell(&worker.name, Tone::Plain),
        cell(host, Tone::Faint),
        cell(worker.device.as_ref().map(status::device).unwrap_or_default(), Tone::Faint),
        (text.text().to_owned(), text.tone()),
        cell(load, Tone::Plain),
        cell(memory, Tone::Plain),
        cell(heat, Tone::Plain),
        cell(power, Tone::Plain),
        cell(&worker.owner, Tone::Plain),
        cell(status::job(worker), Tone::Plain),
        cell(left(worker, now), Tone::Plain),
        cell(status::trouble(worker), Tone::Bad),
    ]
}

/// How long its job still takes, or, of one without, how long nobody is given it: in a narrow terminal that is all that is said.
fn left(worker: &Worker, now: DateTime<Utc>) -> String {
    let of_job = status::left(worker);
    match status::nobody_until(worker) {
        Some(until) if of_job.is_empty() && worker.job_id.is_empty() => {
            // To the minute, as such a time is given.
            match (until - now).num_minutes().max(0) {
                minutes @ 0..60 => format!("{minutes} min"),
                _ => units::duration((until - now).as_seconds_f64()),
            }
        }
        _ => of_job,
    }
}

fn running(state: &State, job: &Job, now: DateTime<Utc>) -> Vec<(String, Tone)> {
    let workers = state.news.status.workers.iter().filter(|worker| worker.job_id == job.id);
    let on: Vec<&str> = workers.map(|worker| worker.name.as_str()).collect();
    let progress = job.progress.clone().unwrap_or_default();
    let share = if progress.steps > 0 { progress.step as f64 / progress.steps as f64 } else { 0.0 };
    let (bar, done) = match progress.steps {
        0 => (String::new(), String::new()),
        _ => (bar(share), format!("{:.0} %", 100.0 * share)),
    };
    let loss = job::value(&progress.metrics, "loss").map(|loss| units::figure("loss", loss)).unwrap_or_default();
    let speed = progress.images_per_second;
    let speed = if speed > 0.0 { units::count(speed.round() as u64) } else { String::new() };
    let for_how_long = || job::seconds(job, now).map(|seconds| format!("{} so far", units::duration(seconds)));
    let left = match progress.seconds_left {
        left if left > 0.0 => units::duration(left),
        _ => for_how_long().unwrap_or_default(),
    };
    // Something holds up its verification.
    let does = if job.reason.is_empty() { &progress.phase } else { &job.reason };
    vec![
        cell(full_name(job), Tone::Plain),
        cell(&job.owner, Tone::Plain),
        cell(on.join(", "), Tone::Faint),
        cell(bar, Tone::Active),
        cell(done, Tone::Active),
        cell(does, Tone::Faint),
        cell(loss, Tone::Plain),
        cell(speed, Tone::Plain),
        cell(left, Tone::Plain),
    ]
}

fn waiting(place: usize, job: &Job, now: DateTime<Utc>) -> Vec<(String, Tone)> {
    let priority = if job.priority == 0 { String::new() } else { job.priority.to_string() };
    vec![
        cell(place.to_string(), Tone::Faint),
        cell(full_name(job), Tone::Plain),
        cell(&job.owner, Tone::Plain),
        cell(priority, Tone::Plain),
        cell(utc(&job.created_at).map(|at| units::age(at, now)).unwrap_or_default(), Tone::Plain),
        cell(&job.reason, Tone::Faint),
    ]
}

/// `8.1/11.0 GiB`.
fn memory(used: u64, total: u64) -> String {
    if total == 0 {
        return units::bytes(used);
    }
    let (used, total) = (units::bytes(used), units::bytes(total));
    match (used.split_once(' '), total.split_once(' ')) {
        (Some((number, unit)), Some((_, of))) if unit == of => format!("{number}/{total}"),
        _ => format!("{used}/{total}"),
    }
}

fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{}{}", "━".repeat(full), "─".repeat(BAR - full))
}
