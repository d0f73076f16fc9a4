//! From what is kept and what goes to the messages of the wire.

use tandem_domain::policy::HousePolicy;
use tandem_proto::{convert::timestamp, v1};

use crate::{
    convert::submission,
    keeping::{clean::Step, delete::Deleted, labels::Labelled},
    store::{
        labels::{Labels, Note},
        stored::LargeJob,
        targets::Target,
        unsigned,
    },
};

pub(crate) fn note(note: Note) -> v1::Note {
    v1::Note { text: note.text, who: note.who, at: Some(timestamp(note.at)) }
}

pub(crate) fn labelled(changed: Vec<Labelled>) -> v1::LabelResponse {
    let one = |Labelled { target, name, labels: Labels { tags, note: text } }: Labelled| {
        let (id, is_job) = match target {
            Target::Job(id) => (id, true),
            Target::Experiment(id) => (id, false),
        };
        v1::Labelled { id: id.to_string(), name, is_job, tags, note: text.map(note) }
    };
    v1::LabelResponse { changed: changed.into_iter().map(one).collect() }
}

pub(crate) fn deleted(deleted: Deleted, dry_run: bool) -> v1::DeleteResponse {
    let Deleted { targets, experiments, jobs } = deleted;
    let gone: Vec<v1::GoneJob> = (jobs.gone.into_iter())
        .map(|job| v1::GoneJob {
            job_id: job.id.to_string(),
            name: job.name,
            files: unsigned(job.files),
            bytes: unsigned(job.bytes),
            cancelled: jobs.cancelled.contains(&job.id),
        })
        .collect();
    let stays = jobs.stays.into_iter();
    v1::DeleteResponse {
        dry_run,
        targets: targets.iter().map(ToString::to_string).collect(),
        experiments: experiments.into_iter().map(submission).collect(),
        files: gone.iter().map(|job| job.files).sum(),
        bytes: gone.iter().map(|job| job.bytes).sum(),
        gone,
        stays: stays.map(|job| v1::StayingJob { job_id: job.job.to_string(), name: job.name, why: job.why }).collect(),
    }
}

pub(crate) fn cleaned(step: Step) -> v1::CleanResponse {
    let stays = step.cleaned.stays.into_iter();
    let cleaned = v1::Cleaned {
        what: step.what.to_owned(),
        objects: step.cleaned.objects,
        items: step.cleaned.items,
        bytes: step.cleaned.bytes,
        stays: stays.map(|(why, count)| v1::Stays { why: why.words().to_owned(), count }).collect(),
    };
    v1::CleanResponse {
        kinds: vec![cleaned],
        after: step.next.map(|cursor| cursor.to_string()).unwrap_or_default(),
        policy_version: unsigned(step.policy_version),
    }
}

pub(crate) fn stored(
    people: Vec<(String, i64)>,
    house: &HousePolicy,
    largest: Vec<LargeJob>,
    removing: i64,
) -> v1::StoredResponse {
    let person = |(person, bytes): (String, i64)| v1::StoredBy {
        limit_bytes: house.limits_of(&person).stored_bytes(),
        person,
        bytes: unsigned(bytes),
    };
    let job = |job: LargeJob| v1::StoredJob {
        job_id: job.id.to_string(),
        experiment_id: job.experiment_id.to_string(),
        experiment: job.experiment,
        name: job.name,
        artifact_bytes: unsigned(job.artifacts),
        checkpoint_bytes: unsigned(job.checkpoints),
        tags: job.tags,
    };
    v1::StoredResponse {
        people: people.into_iter().map(person).collect(),
        largest: largest.into_iter().map(job).collect(),
        removing_bytes: unsigned(removing),
    }
}
