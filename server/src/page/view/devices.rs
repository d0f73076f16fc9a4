//! The box: each device, who has it, what for and until when.

use std::time::Duration;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::about::about;
use tandem_proto::v1;
use uuid::Uuid;

use super::{
    super::{
        block::{Block, Part, html},
        text::Text,
        units,
    },
    device_history::last_hour,
    drawn::{Drawn, Rights},
    state::{self, State},
};
use crate::{
    convert::facts_from_json,
    error::Result,
    query::status::{Status, status},
    sharing::policy,
    store::{Conn, unsigned, workers::WorkerRow},
};

const NOT_KNOWN: &str = "–";

#[derive(Template)]
#[template(path = "box_summary.html")]
struct Summary<'a> {
    devices: usize,
    free: usize,
    busy: usize,
    other: usize,
    status: &'a Status,
    leader: Text,
}

#[derive(Template)]
#[template(path = "box_devices.html")]
struct Devices {
    has_hosts: bool,
    measured: bool,
    is_empty: bool,
}

#[derive(Template)]
#[template(path = "box_device.html")]
struct Device {
    id: Uuid,
    name: Text,
    host: Text,
    has_hosts: bool,
    measured: bool,
    kind: Text,
    state: State,
    owner: Text,
    job: Option<(Uuid, Text)>,
    since: String,
    left: String,
    until: String,
    facts: Option<Facts>,
    history: String,
    /// Why it gets no jobs.
    trouble: Text,
    releasable: bool,
    /// May be taken by whoever looks, or given back.
    holdable: bool,
    held: bool,
    drainable: bool,
    drained: bool,
}

/// What is not known is a dash.
struct Facts {
    load: String,
    memory: String,
    /// `None` where it, or of how much, is not known.
    memory_percent: Option<u64>,
    temperature: String,
    power: String,
    foreign: u32,
    /// Why some of it is not known, or what is odd.
    remark: Text,
}

pub(super) async fn draw(conn: &mut Conn, rights: &Rights, now: DateTime<Utc>) -> Result<Drawn> {
    let status = status(conn).await?;
    let workers: Vec<(Uuid, i32)> = status.workers.iter().map(|worker| (worker.id, worker.cores)).collect();
    let hours = last_hour(conn, &workers, now).await?;
    let has_hosts = status.workers.iter().any(|worker| worker.host != status.workers[0].host);
    let measured = status.workers.iter().any(|worker| worker.facts.is_some());
    let may_hold = may_hold(conn, &status.workers, rights).await?;
    let mut rows = Vec::with_capacity(status.workers.len());
    for worker in &status.workers {
        let history = hours.get(&worker.id).map(Vec::as_slice).unwrap_or_default();
        rows.push(row(worker, (has_hosts, measured), history, (rights, may_hold), now));
    }
    let count = |word: &str| rows.iter().filter(|row| row.state.word == word).count();
    let (free, busy) = (count("free"), count("busy"));
    let leader = Text::line(&status.leader);
    let summary = Summary { devices: rows.len(), free, busy, other: rows.len() - free - busy, status: &status, leader };
    let part = |row: &Device| Ok(Part { id: row.id.to_string(), html: html(row)? });
    let parts = rows.iter().map(part).collect::<Result<Vec<_>>>()?;
    let table = Devices { has_hosts, measured, is_empty: parts.is_empty() };
    Ok(Drawn {
        title: Text::line("Box"),
        heading: Text::line("Box"),
        blocks: vec![Block::whole(&summary)?, Block::around(&table, parts)?],
    })
}

/// Whether who looks may take one more device for itself.
async fn may_hold(conn: &mut Conn, workers: &[WorkerRow], rights: &Rights) -> Result<bool> {
    if !rights.may("hold", None) || rights.admin() {
        return Ok(rights.admin());
    }
    let (_, house) = policy::current(conn).await?;
    let held = workers.iter().filter(|worker| worker.held_until.is_some() && worker.held_by == rights.name).count();
    // How long it may be is said when it is asked for.
    Ok(house.limits_of(&rights.name).may_hold(&rights.name, Duration::ZERO, held as u64).is_ok())
}

fn row(
    worker: &WorkerRow,
    (has_hosts, measured): (bool, bool),
    history: &[f64],
    (rights, may_hold): (&Rights, bool),
    now: DateTime<Utc>,
) -> Device {
    let (state, trouble) = state_of(worker);
    let busy = worker.job_id.is_some();
    let left = worker.seconds_left.filter(|left| busy && *left > 0.0 && *left < 1e7);
    Device {
        id: worker.id,
        name: Text::line(&worker.name),
        host: Text::line(&worker.host),
        has_hosts,
        measured,
        kind: Text::line(&kind(worker)),
        owner: Text::line(worker.owner.as_deref().unwrap_or_default()),
        job: worker.job_id.map(|id| (id, job(worker))),
        since: worker.busy_since.filter(|_| busy).map(|at| units::age(at, now)).unwrap_or_default(),
        left: left.map(units::coarse).unwrap_or_default(),
        until: left.map(|left| about(now + TimeDelta::seconds(left as i64), now)).unwrap_or_default(),
        facts: worker.facts.as_ref().map(|facts| facts_of(&facts_from_json(facts), unsigned(worker.memory_bytes))),
        history: if history.is_empty() {
            String::new()
        } else {
            tandem_draw::spark::svg(history, (96, 20), &format!("load of {} in the last hour", worker.name))
        },
        releasable: rights.may("release", None) && state.word == "quarantined",
        holdable: may_hold && worker.held_until.is_none(),
        held: worker.held_until.is_some() && rights.may("unhold", Some(&worker.held_by)),
        drainable: rights.may("drain", None) && worker.drained_at.is_none(),
        drained: rights.may("undrain", None) && worker.drained_at.is_some(),
        trouble: Text::line(&trouble),
        state,
    }
}

fn state_of(worker: &WorkerRow) -> (State, String) {
    match (worker.state.as_str(), worker.job_id) {
        ("ready", None) if !worker.unfit.is_empty() => (state::unfit(), worker.unfit.clone()),
        ("ready", None) if worker.quarantined_until.is_some() => {
            (state::quarantined(), worker.quarantine_reason.clone())
        }
        ("ready", None) if worker.drained_at.is_some() => {
            (state::drained(), withheld(&worker.drained_by, &worker.drain_reason))
        }
        ("ready", None) if worker.held_until.is_some() => {
            (state::held(), withheld(&worker.held_by, &worker.hold_reason))
        }
        ("ready", None) if !worker.withheld.is_empty() => (state::in_use(), worker.withheld.clone()),
        ("ready", None) => (state::free(), String::new()),
        // What has been asked for begins when this job ends.
        ("ready", Some(_)) if worker.drained_at.is_some() => {
            (state::busy(), format!("then drained: {}", withheld(&worker.drained_by, &worker.drain_reason)))
        }
        ("ready", Some(_)) if worker.held_until.is_some() => {
            (state::busy(), format!("then held: {}", withheld(&worker.held_by, &worker.hold_reason)))
        }
        ("ready", Some(_)) => (state::busy(), String::new()),
        ("draining", _) => (state::draining(), String::new()),
        _ => (state::lost(), "it was not heard of for a while".to_owned()),
    }
}

/// By whom, and what for.
fn withheld(by: &str, reason: &str) -> String {
    if reason.is_empty() { format!("by {by}") } else { format!("by {by}: {reason}") }
}

/// Without the maker's name, which stands in all of them.
fn kind(worker: &WorkerRow) -> String {
    let name = worker.device_name.trim_start_matches("NVIDIA ");
    match worker.device_kind.as_str() {
        "cuda" => format!("cuda:{} {name}", worker.device_index),
        kind if name.is_empty() => kind.to_owned(),
        _ => name.to_owned(),
    }
}

/// `quickstart/encoder`, and the rank where there are several.
fn job(worker: &WorkerRow) -> Text {
    let rank = worker.rank.filter(|rank| *rank > 0).map(|rank| format!(" · rank {rank}")).unwrap_or_default();
    let (experiment, job) = (worker.experiment.as_deref().unwrap_or("?"), worker.job_name.as_deref().unwrap_or("?"));
    Text::line(&format!("{experiment}/{job}{rank}"))
}

fn facts_of(facts: &v1::DeviceFacts, total: u64) -> Facts {
    let or_dash = |figure: Option<u32>| figure.map_or_else(|| NOT_KNOWN.to_owned(), |figure| figure.to_string());
    let used = facts.memory_used_bytes;
    Facts {
        load: facts.utilization_percent.map_or_else(|| NOT_KNOWN.to_owned(), |load| format!("{load} %")),
        memory: match (used, total) {
            (None, _) => NOT_KNOWN.to_owned(),
            (Some(used), 0) => units::bytes(used),
            (Some(used), total) => format!("{} of {}", units::bytes(used), units::bytes(total)),
        },
        memory_percent: used
            .filter(|_| total > 0)
            .map(|used| (used.min(total) as f64 / total as f64 * 100.0).round() as u64),
        temperature: or_dash(facts.temperature_celsius),
        power: or_dash(facts.power_watts),
        foreign: facts.foreign_processes.unwrap_or(0),
        remark: Text::line(&facts.remark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_card_does_not_say_of_itself_is_no_zero() {
        let said =
            serde_json::json!({ "utilization_percent": 900, "memory_used_bytes": 1_u64 << 40, "power_watts": 0 });
        let facts = facts_of(&facts_from_json(&said), 1 << 30);
        assert_eq!((facts.load.as_str(), facts.memory_percent, facts.temperature.as_str()), ("–", Some(100), "–"));
        assert_eq!(facts.power, "0", "that is known");
        let nothing = facts_of(&v1::DeviceFacts::default(), 1 << 30);
        assert_eq!((nothing.memory.as_str(), nothing.memory_percent), ("–", None));
    }
}
