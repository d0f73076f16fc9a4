//! All jobs of a report: where each figure comes from.

use tandem_proto::v1::Job;

use super::{
    cost,
    document::{Block, Cell, Section, Table},
    facts::View,
};
use crate::{
    render::{job, state, units},
    time::utc,
};

pub(crate) fn section(view: &View<'_>) -> Section {
    if view.facts.jobs.is_empty() {
        return Section::default();
    }
    let row = |job: &Job| -> Vec<Cell> {
        let mut devices: Vec<String> =
            view.facts.devices.get(&job.id).into_iter().flatten().map(cost::device).collect();
        devices.sort();
        devices.dedup();
        let took = job::seconds(job, view.facts.now).map_or_else(|| "-".to_owned(), units::duration);
        let finished = utc(&job.finished_at).map_or_else(|| "-".to_owned(), units::moment);
        vec![
            Cell::with(job.name.clone(), job::note(job)),
            view.id(job).into(),
            job.stage.clone().into(),
            state::job(job.state()).into(),
            finished.into(),
            if devices.is_empty() { "-".to_owned() } else { devices.join(", ") }.into(),
            job.attempts.to_string().into(),
            took.into(),
            cost::of_job(view, job).energy().into(),
        ]
    };
    let heads = ["job", "id", "stage", "state", "finished", "device", "attempts", "from start to end", "energy"]
        .map(str::to_owned)
        .to_vec();
    let caption =
        "`tandem show ID` has all of a job, `tandem receipt ID` what produced its result, `tandem fetch ID` its files."
            .to_owned();
    let table = Table { caption, heads, rows: view.facts.jobs.iter().map(row).collect(), numbers_from: 6 };
    Section::new("Jobs", vec![Block::Table(table)])
}
