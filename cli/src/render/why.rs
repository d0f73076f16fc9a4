//! Why jobs wait, in sentences, and who has which share.

use chrono::{DateTime, Utc};
use tandem_proto::v1::{JobState, Share, Start, Why, WhyResponse};

use super::{
    state,
    table::{Rows, Style},
    units,
};
use crate::{printable::line, time::utc};

pub(crate) fn page(answer: &WhyResponse, style: Style, now: DateTime<Utc>) -> String {
    let jobs: Vec<String> = answer.jobs.iter().map(|why| one(why, now)).collect();
    let waits = answer.jobs.iter().any(|why| why.place > 0);
    let shares = if waits && answer.shares.len() > 1 { shares(answer, style) } else { String::new() };
    format!("{}{shares}", jobs.join("\n"))
}

fn one(why: &Why, now: DateTime<Utc>) -> String {
    let Some(job) = &why.job else { return String::new() };
    let mut text = format!("{}/{} is {}", line(&job.experiment_name), line(&job.name), state::job(job.state()));
    if why.place > 0 {
        text.push_str(&format!(", {} of {} in line", why.place, why.line));
    }
    text.push('\n');
    if !why.reason.is_empty() {
        text.push_str(&format!("  {}\n", line(&why.reason)));
    }
    match (&why.start, job.state()) {
        (Some(start), _) => text.push_str(&format!("  expected to start {}\n", expected(start, now))),
        (None, JobState::Queued) => text
            .push_str("  nobody can say when it starts: of no device that it may have is it known when it is free\n"),
        _ => {}
    }
    if !why.before.is_empty() {
        let hidden = (why.place as usize).saturating_sub(1 + why.before.len());
        let more = if hidden > 0 { format!(" (and {hidden} more before these)") } else { String::new() };
        text.push_str(&format!("  before it{more}:\n"));
        for before in &why.before {
            text.push_str(&format!("    {} of {}: {}\n", line(&before.name), line(&before.owner), line(&before.why)));
        }
    }
    text
}

/// `in about 25 min (20 to 40 min), at 2026-11-30 14:05:10 UTC`.
pub(crate) fn expected(start: &Start, now: DateTime<Utc>) -> String {
    let (Some(at), Some(early), Some(late)) = (utc(&start.at), utc(&start.early), utc(&start.late)) else {
        return "at a time that is not known".to_owned();
    };
    let from_now = |moment: DateTime<Utc>| units::duration((moment - now).as_seconds_f64().max(0.0));
    if (at - now).as_seconds_f64() < 60.0 {
        return format!("within a minute (or in {})", from_now(late));
    }
    format!("in about {} ({} to {}), at {}", from_now(at), from_now(early), from_now(late), units::moment(at))
}

fn shares(answer: &WhyResponse, style: Style) -> String {
    let mut rows = Rows::new(style, &["PERSON", "COUNTS", "WEIGHT", "THIS WEEK", "RUNS ON", "IN LINE"]);
    for Share { person, device_hours, weight, running_devices, in_line, device_hours_this_week } in &answer.shares {
        rows.row([
            (&*line(person)).into(),
            format!("{device_hours:.1} h").into(),
            format!("{weight}").into(),
            format!("{device_hours_this_week:.1} h").into(),
            running_devices.to_string().into(),
            in_line.to_string().into(),
        ]);
    }
    for column in 1..6 {
        rows.right(column);
    }
    let policy = match answer.policy_version {
        0 => "no policy is set".to_owned(),
        version => format!("policy {version}"),
    };
    format!(
        "\n{rows}\nwho has the least device-hours that count goes first, by weight ({policy}; tandem policy show)\n"
    )
}
