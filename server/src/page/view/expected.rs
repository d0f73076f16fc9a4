//! When a job that waits is expected to begin.

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::{about::about, place::Start};
use uuid::Uuid;

use crate::sharing::outlook::Line;

/// In words: `about 17:40 UTC`, and how long until then; nothing for a job of which nobody can say.
pub(super) fn start(ahead: Option<&Line>, job: Uuid, now: DateTime<Utc>) -> Option<String> {
    Some(words(ahead?.expected.get(&job)?.start?, now))
}

fn words(Start { at, late, .. }: Start, now: DateTime<Utc>) -> String {
    if at - now < TimeDelta::minutes(1) {
        return "within a minute".to_owned();
    }
    let (at, late) = (about(at, now), about(late, now));
    if at == late { format!("about {at}") } else { format!("about {at}, perhaps {late}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_told_to_five_minutes() {
        let now: DateTime<Utc> = "2026-11-30T17:01:00Z".parse().unwrap();
        let start = |minutes, late| {
            let after = |minutes| now + TimeDelta::minutes(minutes);
            words(Start { at: after(minutes), early: now, late: after(late) }, now)
        };
        assert_eq!(start(0, 30), "within a minute");
        assert_eq!(start(12, 12), "about 17:15 UTC");
        assert_eq!(start(12, 45), "about 17:15 UTC, perhaps 17:50 UTC");
        assert_eq!(start(60 * 24, 60 * 24), "about Dec 1, 17:05 UTC");
    }
}
