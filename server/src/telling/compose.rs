//! Messages, out of what the store says of an event; and who is told.

use chrono::{DateTime, SecondsFormat, Utc};
use tandem_domain::telling::words::{Best, Experiment, Job, Message, ended, name, reason, span};

use crate::store::{
    endings::{Ending, Failed, Waiting},
    happenings::Happening,
    notify_targets::Listener,
    tells::NewTell,
};

/// An event, before it is said who is told.
#[derive(Clone, Debug)]
pub(super) struct Event {
    message: Message,
    /// Whose experiment; `None`: of the house.
    owner: Option<String>,
}

fn at(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn message(id: String, event: &str, moment: DateTime<Utc>, text: String) -> Message {
    let (person, event) = (String::new(), event.to_owned());
    Message { id, event, at: at(moment), person, text, experiment: None, job: None, worker: None }
}

/// An experiment has ended: told again if it goes on and ends once more.
pub(super) fn of_ending(ending: &Ending, best: Option<(String, String, f64)>, failures: Vec<Job>) -> Event {
    let experiment = Experiment {
        id: ending.id.to_string(),
        name: name(&ending.name),
        owner: ending.owner.clone(),
        succeeded: ending.succeeded,
        failed: ending.failed,
        cancelled: ending.cancelled,
        open: 0,
        seconds: (ending.ended_at - ending.created_at).as_seconds_f64(),
        best: best.map(|(job, figure, value)| Best { job: name(&job), name: name(&figure), value }),
        failures,
    };
    let event = if ending.failed + ending.cancelled == 0 { "finished" } else { "failed" };
    let id = format!("ended/{}/{}", ending.id, ending.ended_at.timestamp_micros());
    let message =
        Message { experiment: Some(experiment.clone()), ..message(id, event, ending.ended_at, ended(&experiment)) };
    Event { message, owner: Some(ending.owner.clone()) }
}

pub(super) fn failed_job(id: impl ToString, job: &str, why: &str) -> Job {
    Job { id: id.to_string(), name: name(job), reason: reason(why) }
}

pub(super) fn of_failed(failed: &Failed) -> Event {
    let job = failed_job(failed.id, &failed.name, &failed.reason);
    let experiment = Experiment {
        id: failed.experiment.to_string(),
        name: name(&failed.experiment_name),
        owner: failed.owner.clone(),
        ..Experiment::default()
    };
    let text = format!("{}/{} has failed: {}", experiment.name, job.name, job.reason);
    let id = format!("failed/{}/{}", failed.id, failed.ended_at.timestamp_micros());
    let message = message(id, "job-failed", failed.ended_at, text);
    Event {
        message: Message { job: Some(job), experiment: Some(experiment), ..message },
        owner: Some(failed.owner.clone()),
    }
}

pub(super) fn of_waiting(waiting: &Waiting, now: DateTime<Utc>) -> Event {
    let seconds = (now - waiting.since).as_seconds_f64();
    let experiment = Experiment {
        id: waiting.id.to_string(),
        name: name(&waiting.name),
        owner: waiting.owner.clone(),
        open: waiting.queued,
        ..Experiment::default()
    };
    let why = if waiting.reason.is_empty() { "its turn has not come" } else { &waiting.reason };
    let text = format!("{} has waited for {}: {}", experiment.name, span(seconds), reason(why));
    let id = format!("waits/{}/{}", waiting.id, waiting.since.timestamp_micros());
    let message = Message { experiment: Some(experiment), ..message(id, "waits", now, text) };
    Event { message, owner: Some(waiting.owner.clone()) }
}

pub(super) fn of_worker(happening: &Happening, worker: &str) -> Event {
    let id = format!("device/{}", happening.id);
    let message = message(id, "device-lost", happening.at, reason(&happening.message));
    Event { message: Message { worker: Some(name(worker)), ..message }, owner: None }
}

pub(super) fn of_test(id: &str, now: DateTime<Utc>) -> Event {
    let text = "this is a test: what you see here, you will be told of".to_owned();
    Event { message: message(format!("test/{id}"), "test", now, text), owner: None }
}

impl Event {
    /// The event's id, which is the same for all who are told.
    pub(super) fn id(&self) -> &str {
        &self.message.id
    }

    /// As this target gets it.
    ///
    /// # Errors
    /// A fault of ours: what is not JSON.
    pub(super) fn told(&self, target: &str, person: &str) -> Result<NewTell, serde_json::Error> {
        let message = serde_json::to_value(Message { person: person.to_owned(), ..self.message.clone() })?;
        Ok(NewTell { event: self.message.id.clone(), target: target.to_owned(), message })
    }

    /// Whether this listener wants to be told. `waited`: for how long, of what waits.
    pub(super) fn is_for(&self, listener: &Listener, waited: Option<f64>) -> bool {
        let is_wanted = match self.message.event.as_str() {
            "finished" => listener.wants.finished,
            "failed" => listener.wants.failed,
            "job-failed" => listener.wants.job_failed,
            "waits" => {
                listener.wants.waits.is_some_and(|bound| waited.is_some_and(|waited| waited >= bound.as_secs_f64()))
            }
            "device-lost" => listener.wants.device_lost,
            _ => false,
        };
        is_wanted && self.owner.as_ref().is_none_or(|owner| listener.of_all || *owner == listener.person)
    }
}
