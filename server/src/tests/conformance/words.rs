//! The words of a script, as the server has them.

use std::fmt::Write as _;

use tandem_proto::v1::{CheckpointEvent, MetricEvent, PhaseEvent, ResultEvent, rank_event};
use tandem_sim::conformance::{
    Scenario,
    operation::{Event, NewJob, Worker},
};
use uuid::Uuid;

use crate::{store::workers::Registration, tests::registration};

/// A file with these jobs, called by their numbers. A stage is what a job may start from its inputs with.
pub(super) fn file(all: &[NewJob], jobs: &[usize]) -> String {
    let priority = all[jobs[0]].priority;
    let mut toml = format!("name = \"script\"\ndataset = \"shapes\"\npriority = {priority}\n");
    for &number in jobs {
        let (min, max) = all[number].workers;
        let what = match (all[number].inputs, depth(all, number)) {
            ([], _) => "stage = \"contrastive\"\nencoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64".to_owned(),
            ([input], 1) => format!("stage = \"linear\"\nfrom = \"j{input}\""),
            ([input], 2) => format!(
                "stage = \"attack\"\nfrom = \"j{input}\"\nattack = \"pgd\"\nnorm = \"l2\"\nsteps = 2\nimages = 64\nradii = [0.1]"
            ),
            (inputs, _) => panic!("no stage starts from {inputs:?}"),
        };
        write!(toml, "[jobs.j{number}]\nseed = {number}\n{what}\nworkers = \"{min}..{max}\"\nshards = {max}\n")
            .unwrap();
    }
    toml
}

fn depth(all: &[NewJob], number: usize) -> usize {
    all[number].inputs.iter().map(|&input| depth(all, input) + 1).max().unwrap_or(0)
}

pub(super) fn registrations(scenario: &Scenario) -> Vec<Registration> {
    let registration = |(number, worker): (u32, &Worker)| Registration {
        name: format!("w{number}"),
        host: worker.host.to_owned(),
        device_kind: worker.kind.to_owned(),
        device_uuid: format!("device{}", worker.device),
        ..registration(Uuid::new_v4(), number)
    };
    (0..).zip(&scenario.workers).map(registration).collect()
}

pub(super) fn rank_event(event: Event) -> rank_event::Event {
    let phase = |name: &str| rank_event::Event::Phase(PhaseEvent { name: name.to_owned(), first_step: 0 });
    match event {
        Event::Started => phase("started"),
        Event::Training => phase("training"),
        Event::Metric { step } => {
            rank_event::Event::Metric(MetricEvent { name: "loss".to_owned(), step: step.into(), value: 0.0 })
        }
        Event::Checkpoint { step, hash } => rank_event::Event::Checkpoint(CheckpointEvent {
            step: step.into(),
            path: format!("checkpoints/{step}"),
            sha256: hash.to_string(),
            bytes: 1,
            state_sha256: String::new(),
        }),
        Event::Result(hash) => rank_event::Event::Result(ResultEvent { name: "loss".to_owned(), value: hash as f64 }),
    }
}
