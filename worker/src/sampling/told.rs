//! What the coordinator is told of the device, and what it was told already.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use chrono::{DateTime, Utc};
use tandem_domain::device::{Process, Reading, appeared};
use tandem_proto::v1;

use super::watcher::Newest;

/// Looks that are kept while there is no coordinator: the newest minute.
const KEPT: usize = 12;
/// Processes that are remembered; beyond that all are forgotten, and may be told again.
const KNOWN_MAX: usize = 4_096;
/// Xid errors that wait to be told.
const XIDS_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Told {
    /// Looks that were not sent, the oldest first.
    unsent: VecDeque<(Instant, Reading)>,
    known: BTreeSet<(u32, Option<DateTime<Utc>>)>,
    /// Xid errors that were not told.
    xids: Vec<u64>,
}

impl Told {
    pub(super) fn take(&mut self, newest: &Newest) {
        self.xids.extend(newest.xids.iter().take(XIDS_MAX.saturating_sub(self.xids.len())));
        let Some(at) = newest.at.filter(|_| newest.late.is_empty()) else { return };
        if self.unsent.len() >= KEPT {
            self.unsent.pop_front();
        }
        self.unsent.push_back((at, newest.reading));
    }

    pub(super) fn appeared(&mut self, newest: &Newest) -> Vec<Process> {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        appeared(&mut self.known, &newest.processes).into_iter().cloned().collect()
    }

    pub(super) fn xids(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.xids)
    }

    pub(super) fn message(&mut self, now: Instant, newest: &Newest) -> Option<v1::Samples> {
        newest.at.or((!newest.late.is_empty()).then_some(now))?;
        let age = |at: Instant| u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(u64::MAX);
        let look = |(at, reading): (Instant, Reading)| v1::Look { age_ms: age(at), figures: Some(reading.into()) };
        let ailment = newest.verdict.ailment.as_ref();
        Some(v1::Samples {
            looks: self.unsent.drain(..).map(look).collect(),
            processes: newest.processes.iter().map(Into::into).collect(),
            withheld: newest.verdict.withheld.clone().unwrap_or_default(),
            ailment: ailment.map(|ailment| ailment.reason.clone()).unwrap_or_default(),
            ailment_age_ms: newest.ailing_since.map(age).unwrap_or_default(),
            ailment_lasts: ailment.is_some_and(|ailment| ailment.lasts),
            late: newest.late.clone(),
            doubt: newest.doubt.clone(),
        })
    }
}

/// What is not known is not said.
pub(super) fn facts(newest: &Newest) -> Option<v1::DeviceFacts> {
    let known = newest.is_card && newest.at.is_some();
    let foreign = newest.processes.iter().filter(|process| !process.is_ours).count();
    known.then(|| v1::DeviceFacts {
        utilization_percent: newest.reading.utilization_percent,
        memory_used_bytes: newest.reading.memory_used,
        temperature_celsius: newest.reading.temperature_celsius,
        power_watts: newest.reading.power_watts,
        foreign_processes: newest.lists_processes.then(|| u32::try_from(foreign).unwrap_or(u32::MAX)),
        remark: match newest.late.as_str() {
            "" => newest.doubt.clone(),
            late => format!("how it is now is not known: {late}"),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_domain::device::{Ailment, Verdict};

    use super::*;

    #[test]
    fn looks_are_told_once_and_verdicts_each_time() {
        let mut told = Told::default();
        let start = Instant::now();
        assert_eq!(told.message(start, &Newest::default()), None, "nothing is known yet");
        let mut newest = Newest { at: Some(start), is_card: true, ..Newest::default() };
        newest.verdict = Verdict {
            withheld: Some("in use by ann".to_owned()),
            ailment: Some(Ailment { reason: "hot".to_owned(), since: Duration::ZERO, lasts: false }),
        };
        newest.ailing_since = Some(start);
        told.take(&newest);
        let later = start + Duration::from_secs(3);
        let first = told.message(later, &newest).unwrap();
        assert_eq!((first.looks.len(), first.looks[0].age_ms), (1, 3000));
        assert_eq!(
            (first.withheld.as_str(), first.ailment.as_str(), first.ailment_age_ms),
            ("in use by ann", "hot", 3000)
        );
        let again = told.message(later, &newest).unwrap();
        assert_eq!((again.looks.len(), again.withheld), (0, first.withheld));
    }

    #[test]
    fn what_is_late_is_said_and_no_look_is_made_up() {
        let mut told = Told::default();
        let now = Instant::now();
        let newest = Newest { late: "its driver has not answered".to_owned(), ..Newest::default() };
        told.take(&newest);
        let message = told.message(now, &newest).unwrap();
        assert!(message.looks.is_empty() && message.late.contains("not answered"), "{message:?}");
        assert_eq!(facts(&newest), None);
    }

    #[test]
    fn what_is_not_known_is_no_zero_and_a_heartbeat_says_why() {
        let known = Reading { temperature_celsius: Some(0), ..Reading::default() };
        let newest = Newest {
            at: Some(Instant::now()),
            is_card: true,
            reading: known,
            doubt: "its driver says what cannot be".to_owned(),
            ..Newest::default()
        };
        let expected = v1::DeviceFacts {
            temperature_celsius: Some(0),
            remark: "its driver says what cannot be".to_owned(),
            ..v1::DeviceFacts::default()
        };
        assert_eq!(facts(&newest), Some(expected));
        let listed = Newest { lists_processes: true, ..newest.clone() };
        assert_eq!(facts(&listed).unwrap().foreign_processes, Some(0));
        let late = Newest { late: "its driver has not answered for 15 s".to_owned(), ..newest };
        let said = facts(&late).unwrap().remark;
        assert_eq!(said, "how it is now is not known: its driver has not answered for 15 s");
    }

    #[test]
    fn a_worker_that_is_alone_for_long_keeps_the_newest_looks() {
        let mut told = Told::default();
        let start = Instant::now();
        for second in 0..100 {
            told.take(&Newest { at: Some(start + Duration::from_secs(second)), ..Newest::default() });
        }
        let end = start + Duration::from_secs(99);
        let message = told.message(end, &Newest { at: Some(end), ..Newest::default() }).unwrap();
        assert_eq!(message.looks.len(), KEPT);
        assert_eq!(message.looks.last().map(|look| look.age_ms), Some(0));
    }
}
