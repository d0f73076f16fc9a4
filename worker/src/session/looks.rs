//! What follows from a look at the device: the coordinator is told, and the job of guests beside its rank.

use std::time::Instant;

use tandem_domain::device::{Process, xid_of_hardware};
use tandem_proto::v1::{NoteEvent, rank_event, worker_message};

use super::state::Session;

/// Guests and errors of its device that one attempt is told of.
const NOTES_MAX: usize = 50;

impl Session {
    /// The device was looked at: the coordinator is told, and the job of processes that have appeared beside its rank.
    pub(super) fn on_sample(&mut self, now: Instant) {
        let (appeared, xids) = (self.sampling.appeared(), self.sampling.xids());
        if let Some(attempt) = self.attempt.as_mut().filter(|attempt| !attempt.has_ended()) {
            let notes = appeared.iter().map(|process| guest(process, &self.name));
            let notes: Vec<_> = notes.chain(xids.into_iter().map(|xid| xid_error(xid, &self.name))).collect();
            if self.noted.0 != attempt.id() {
                self.noted = (attempt.id().to_owned(), 0);
            }
            // Somebody who starts one program after the other fills no history.
            for note in notes.into_iter().take(NOTES_MAX.saturating_sub(self.noted.1)) {
                self.noted.1 += 1;
                attempt.push(now, note);
            }
        }
        self.tell_samples(now);
    }

    /// Tells the coordinator what the device is like, once that is known.
    pub(super) fn tell_samples(&mut self, now: Instant) {
        if self.link.is_up()
            && let Some(samples) = self.sampling.message(now)
        {
            self.link.send(worker_message::Message::Samples(samples));
        }
    }
}

/// What a job is told of a process that has appeared beside its rank.
fn guest(process: &Process, worker: &str) -> rank_event::Event {
    let since = process.since.map(|since| format!(", since {} UTC", since.format("%H:%M:%S"))).unwrap_or_default();
    let message = format!("{worker} is used by others beside this job: {process}{since}");
    rank_event::Event::Note(NoteEvent { kind: "foreign process".to_owned(), message })
}

/// What a job is told of an error of its device, which may be its own fault.
fn xid_error(xid: u64, worker: &str) -> rank_event::Event {
    let of_hardware = xid_of_hardware(xid).map(|words| format!(": {words}")).unwrap_or_default();
    let message = format!("the driver tells of Xid {xid} on {worker}{of_hardware}");
    rank_event::Event::Note(NoteEvent { kind: "xid".to_owned(), message })
}
