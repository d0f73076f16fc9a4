//! An experiment: the graph of its jobs, how far they are, and the file that was submitted.

use std::collections::HashMap;

use askama::Template;
use chrono::{DateTime, Utc};
use tandem_draw::{
    Look,
    graph::{self, Node},
};
use uuid::Uuid;

use super::{
    super::{
        block::{Block, Part, html},
        text::Text,
        units,
    },
    drawn::{Drawn, Rights, absent},
    results::figures,
    state::{self, State},
};
use crate::{
    error::Result,
    query::show::show_found,
    store::{Conn, experiments as rows, overview::JobRow, targets::Target},
};

/// Jobs in the table; all are in the graph.
const ROWS: usize = 300;

#[derive(Template)]
#[template(path = "experiment_head.html")]
struct Head {
    id: Uuid,
    owner: Text,
    submitted: String,
    state: State,
    jobs: usize,
    done: usize,
    may_change: bool,
}

#[derive(Template)]
#[template(path = "experiment_graph.html")]
struct Graph {
    /// SVG of our own, which escapes what stands in it.
    svg: String,
}

#[derive(Template)]
#[template(path = "experiment_jobs.html")]
struct Jobs {
    left_out: usize,
}

#[derive(Template)]
#[template(path = "experiment_job.html")]
struct Job {
    id: Uuid,
    name: Text,
    stage: Text,
    state: State,
    percent: Option<u64>,
    left: String,
    reason: Text,
    figures: Vec<(Text, String)>,
}

#[derive(Template)]
#[template(path = "experiment_file.html")]
struct File {
    name: Text,
    toml: Text,
}

pub(super) async fn draw(conn: &mut Conn, id: Uuid, rights: &Rights, _now: DateTime<Utc>) -> Result<Drawn> {
    rows::get(conn, id).await?.ok_or_else(|| absent("experiment"))?;
    let shown = show_found(conn, Target::Experiment(id), "this experiment").await?;
    let jobs = &shown.jobs;
    let count = |label: &str| i64::try_from(jobs.iter().filter(|job| job.state == label).count()).unwrap_or(0);
    let (waiting, running) = (count("queued") + count("blocked") + count("paused"), count("running"));
    let head = Head {
        id,
        owner: Text::line(&shown.experiment.owner),
        submitted: units::moment(shown.experiment.created_at),
        state: state::of_experiment(waiting, running, count("failed"), count("cancelled")),
        jobs: jobs.len(),
        done: jobs.iter().filter(|job| job.finished_at.is_some()).count(),
        may_change: rights.change && waiting + running > 0,
    };
    let part = |job: &JobRow| {
        let one = in_words(job);
        Ok(Part { id: one.id.to_string(), html: html(&one)? })
    };
    let parts = jobs.iter().take(ROWS).map(part).collect::<Result<Vec<_>>>()?;
    let name = Text::line(&shown.experiment.name);
    let file = File { name: Text::line(&shown.experiment.file_name), toml: Text::lines(&shown.experiment.toml) };
    Ok(Drawn {
        title: name.clone(),
        heading: name,
        blocks: vec![
            Block::whole(&head)?,
            Block::whole(&Graph { svg: graph_of(&shown.experiment.name, jobs) })?,
            Block::around(&Jobs { left_out: jobs.len().saturating_sub(ROWS) }, parts)?,
            Block::whole(&file)?,
        ],
    })
}

fn in_words(job: &JobRow) -> Job {
    let runs = job.state == "running";
    Job {
        id: job.id,
        name: Text::line(&job.name),
        stage: Text::line(&job.stage),
        state: state::of_job(&job.state),
        percent: share(job).filter(|_| runs).map(|share| (100.0 * share) as u64),
        left: job.seconds_left.filter(|left| runs && *left > 0.0).map(units::coarse).unwrap_or_default(),
        reason: Text::line(&job.reason),
        figures: figures(job, ""),
    }
}

fn share(job: &JobRow) -> Option<f64> {
    let (step, steps) = (job.step?, job.steps?);
    (steps > 0).then(|| (step as f64 / steps as f64).clamp(0.0, 1.0))
}

fn graph_of(name: &str, jobs: &[JobRow]) -> String {
    let places: HashMap<Uuid, usize> = jobs.iter().enumerate().map(|(place, job)| (job.id, place)).collect();
    let node = |job: &JobRow| Node {
        label: Text::line(&job.name).to_string(),
        group: job.name.split('[').next().unwrap_or_default().to_owned(),
        state: match job.state.as_str() {
            "queued" => graph::State::Queued,
            "running" => graph::State::Running,
            "succeeded" => graph::State::Succeeded,
            "failed" => graph::State::Failed,
            "cancelled" => graph::State::Cancelled,
            _ => graph::State::Blocked,
        },
        done: share(job).filter(|_| job.state == "running"),
        note: String::new(),
        link: Some(format!("/jobs/{}", job.id)),
    };
    let nodes: Vec<Node> = jobs.iter().map(node).collect();
    let edges: Vec<(usize, usize)> = jobs
        .iter()
        .enumerate()
        .flat_map(|(place, job)| {
            job.depends_on.iter().filter_map(|from| places.get(from).copied()).map(move |from| (from, place))
        })
        .collect();
    graph::svg(&format!("jobs of {name}"), &nodes, &edges, Look::Page)
}
