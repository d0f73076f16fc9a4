//! What is said at a submit of how long its jobs may train.

use std::time::Duration;

use tandem_domain::{
    plan::Plan,
    policy::{HousePolicy, span},
};
use uuid::Uuid;

use super::policy;
use crate::{
    error::Result,
    estimate::Speeds,
    store::{Conn, experiments::Link, jobs, times},
};

/// Jobs that are expected to be stopped before they have ended, as a sentence.
pub(crate) async fn too_slow(
    conn: &mut Conn,
    who: &str,
    asked: Option<Duration>,
    plan: &Plan,
) -> Result<Option<String>> {
    let (_, house) = policy::current(&mut *conn).await?;
    let Some(most) = house.limits_of(who).longest(asked) else { return Ok(None) };
    let mut speeds = Speeds::of_fleet(conn).await?;
    let mut slow: Vec<(&str, f64)> = Vec::new();
    for job in &plan.jobs {
        let seconds = speeds.estimate(conn, job).await?.seconds;
        if seconds > most.as_secs_f64() {
            slow.push((&job.spec.name, seconds));
        }
    }
    let Some((name, seconds)) = slow.first() else { return Ok(None) };
    let others = if slow.len() > 1 { format!(" (and {} more)", slow.len() - 1) } else { String::new() };
    let whose = match asked {
        Some(asked) if asked <= most => "--max-time",
        _ => "max_time of the policy",
    };
    let expected = span::show(Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX));
    Ok(Some(format!(
        "`{name}`{others} is expected to take about {expected}, and is stopped at a checkpoint after {} ({whose})",
        span::show(most)
    )))
}

/// Of jobs that somebody else wants for longer.
pub(crate) async fn go_on_longer(
    conn: &mut Conn,
    shared: &[Uuid],
    links: &[Link],
    asked: Option<Duration>,
    house: &HousePolicy,
) -> Result<Vec<String>> {
    let Some(asked) = asked.filter(|_| !shared.is_empty()) else { return Ok(Vec::new()) };
    let live = jobs::states(conn, shared).await?;
    let times = times::of(conn, shared, house).await?;
    let note = |link: &Link| {
        let ended = live.get(&link.job_id).is_none_or(|state| state.is_ended());
        let longest = times.get(&link.job_id).and_then(|time| time.longest);
        if ended || !shared.contains(&link.job_id) || longest.is_some_and(|longest| longest <= asked) {
            return None;
        }
        let time = longest.map_or("to its end".to_owned(), |longest| format!("for {}", span::show(longest)));
        Some(format!("`{}` trains {time}: it was asked for before, for longer than {}", link.name, span::show(asked)))
    };
    Ok(links.iter().filter_map(note).collect())
}
