//! `tandem show`: everything about one job, or one experiment with its jobs.

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{Job, ListRequest, MetricsRequest, ShowRequest, ShowResponse};

use crate::{
    client::Client,
    complete,
    exit::Exit,
    output::Output,
    render::{
        show::{self, Beside},
        sparks, units,
    },
    time,
};

/// Letters of an id that stands for a name.
const ID: usize = 8;
const MOST_JOBS: u32 = 1000;
const MOST_CURVES: usize = 12;

/// Show one job (attempts, events, artifacts) or one experiment (its jobs)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem show quickstart
  tandem show 0199a1b2 --json | jq '.events'")]
pub(crate) struct Show {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
}

impl Show {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = ShowRequest { target: self.target.clone() };
        let tried = format!("show `{}`", self.target);
        let shown = client.ask(&tried, async |on| on.jobs().show(request.clone()).await).await?;
        if output.is_json() {
            output.document(&shown)?;
        } else {
            let beside = Beside { inputs: inputs(client, &shown).await, curves: curves(client, &shown).await };
            output.text(&show::page(&shown, &beside, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}

/// Names of what a job starts from. What cannot be asked is named by its id: the page is of use without.
async fn inputs(client: &Client, shown: &ShowResponse) -> Vec<String> {
    let [job] = shown.jobs.as_slice() else { return Vec::new() };
    if job.depends_on.is_empty() {
        return Vec::new();
    }
    let request = ListRequest { limit: MOST_JOBS, experiment: job.experiment_id.clone(), ..ListRequest::default() };
    let jobs = match client.try_each(async |on| on.jobs().list(request.clone()).await).await {
        Ok(answer) => answer.jobs,
        Err(_) => Vec::new(),
    };
    let name = |id: &String| match jobs.iter().find(|job| job.id == *id) {
        Some(job) => job.name.clone(),
        None => units::short_id(id, ID).to_owned(),
    };
    job.depends_on.iter().map(name).collect()
}

/// Of one job its curves; of an experiment the losses of what runs or did not come to its end.
async fn curves(client: &Client, shown: &ShowResponse) -> String {
    let wanted: Vec<&Job> = match shown.jobs.as_slice() {
        [job] => vec![job],
        jobs => jobs.iter().filter(|job| sparks::are_wanted(job)).take(MOST_CURVES).collect(),
    };
    let is_one = shown.jobs.len() == 1;
    let mut text = String::new();
    for job in wanted {
        let names = if is_one { sparks::names() } else { vec!["loss".to_owned()] };
        let request =
            MetricsRequest { target: job.id.clone(), names, points: sparks::WIDE as u32, ..MetricsRequest::default() };
        let answer = client.try_each(async |on| on.results().metrics(request.clone()).await).await;
        let Ok(answer) = answer else { break };
        let name = |series: &_| if is_one { sparks::metric(series) } else { job.name.clone() };
        text.push_str(&sparks::lines(&answer.series, name));
    }
    text
}
