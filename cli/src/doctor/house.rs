//! The coordinator: whether it answers, of which version it is, what its clock says, and how its workers are.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tandem_proto::v1::{StatusRequest, StatusResponse, WorkerState};

use super::check::Check;
use crate::{client::Client, printable::line, time};

const HOUSE: &str = "coordinator";
const CLOCK: &str = "clock";
/// Times are told by the second.
const CLOCK_OFF: TimeDelta = TimeDelta::seconds(3);

/// Asks the coordinator, if there is one to ask.
pub(crate) async fn look(client: anyhow::Result<Client>) -> Vec<Check> {
    let client = match client {
        Ok(client) => client,
        Err(why) => return vec![silent(&format!("{why:#}"))],
    };
    let before = time::now();
    let answer = match client.services().fleet().status(StatusRequest {}).await {
        Ok(answer) => answer,
        Err(status) => return vec![silent(&format!("{}: {}", client.server(), status.message()))],
    };
    let date = answer.metadata().get("date").and_then(|date| date.to_str().ok());
    let theirs = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map(|date| date.to_utc());
    let mut checks = of_status(client.server(), answer.get_ref());
    checks.extend(theirs.map(|theirs| of_clock(before, theirs, time::now())));
    checks
}

/// It did not answer in time.
pub(crate) fn slow(limit: Duration) -> Vec<Check> {
    vec![silent(&format!("no word within {} s", limit.as_secs()))]
}

fn silent(why: &str) -> Check {
    let advice = "`tandem up` starts one here; `tandem join` makes one of elsewhere known. What runs goes on without";
    Check::warn(HOUSE, format!("none answers: {}", line(why)), advice)
}

fn of_status(server: &str, status: &StatusResponse) -> Vec<Check> {
    let own = env!("CARGO_PKG_VERSION");
    let version = line(&status.server_version);
    let found = format!("{server} answers, version {version}");
    let mut checks = vec![if status.leader.is_empty() {
        Check::bad(HOUSE, format!("{found}, and none schedules"), "its log says why; jobs wait meanwhile")
    } else if status.server_version != own {
        Check::warn(HOUSE, format!("{found}; this is {own}"), "use the same version on both ends")
    } else {
        Check::ok(HOUSE, found)
    }];
    for worker in &status.workers {
        let (name, state) = (line(&worker.name), worker.state());
        let what = format!("worker {name}");
        if !worker.unfit.is_empty() {
            checks.push(Check::bad(
                what,
                format!("gets no jobs: {}", line(&worker.unfit)),
                "what it lacks is in that line",
            ));
        } else if state == WorkerState::Quarantined {
            let advice = format!("look at what was lost there, then: tandem release {name}");
            checks.push(Check::warn(what, format!("in quarantine: {}", line(&worker.quarantine_reason)), advice));
        } else if state == WorkerState::Lost {
            let advice = "see whether its machine and its program run; its log is on that machine";
            checks.push(Check::warn(what, "is lost: it sends no heartbeats", advice));
        }
    }
    checks
}

/// Between `before` and `after`, by this clock, the coordinator's said `theirs`, without the part of a second.
fn of_clock(before: DateTime<Utc>, theirs: DateTime<Utc>, after: DateTime<Utc>) -> Check {
    let off = if theirs > after {
        theirs - after
    } else if theirs + TimeDelta::seconds(1) < before {
        before - theirs
    } else {
        TimeDelta::zero()
    };
    if off <= CLOCK_OFF {
        return Check::ok(CLOCK, "goes with the coordinator's");
    }
    let way = if theirs > after { "behind" } else { "ahead of" };
    Check::warn(
        CLOCK,
        format!("{} s {way} the coordinator's", off.num_seconds()),
        "`timedatectl set-ntp true` sets it; Tandem's own leases do not depend on it, but certificates, tokens and times in logs do",
    )
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Worker;

    use super::{super::check::Grade, *};

    #[test]
    fn a_clock_is_off_by_what_no_delay_explains() {
        let at = |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap();
        assert_eq!(of_clock(at(0), at(0), at(1)).grade, Grade::Ok);
        assert_eq!(of_clock(at(0), at(20), at(30)).grade, Grade::Ok, "it answered slowly");
        assert!(of_clock(at(0), at(60), at(1)).found.starts_with("59 s behind"));
        assert!(of_clock(at(60), at(0), at(61)).found.starts_with("60 s ahead"));
    }

    #[test]
    fn workers_that_get_no_jobs_are_named_with_what_to_do() {
        let worker = |name: &str, state: WorkerState, unfit: &str| Worker {
            name: name.to_owned(),
            state: state.into(),
            unfit: unfit.to_owned(),
            ..Worker::default()
        };
        let status = StatusResponse {
            leader: "a".to_owned(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            workers: vec![
                worker("a", WorkerState::Idle, ""),
                worker("b\u{1b}", WorkerState::Quarantined, ""),
                worker("c", WorkerState::Lost, ""),
                worker("d", WorkerState::Idle, "sees another store"),
            ],
            ..StatusResponse::default()
        };
        let checks = of_status("http://x", &status);
        let grades: Vec<Grade> = checks.iter().map(|check| check.grade).collect();
        assert_eq!(grades, [Grade::Ok, Grade::Warn, Grade::Warn, Grade::Bad]);
        assert!(checks[1].advice.ends_with("tandem release b\u{fffd}"), "{checks:?}");
        let nobody = of_status("http://x", &StatusResponse { leader: String::new(), ..status });
        assert!(nobody[0].found.contains("none schedules"));
    }
}
