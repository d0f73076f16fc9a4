//! What a report lacks, and which command would fill it.

use tandem_proto::v1::{Job, JobState};

use super::{
    document::{Block, Section},
    facts::View,
    figure2::{self, Attacks},
    tables::{By, PaperTable},
};
use crate::render::state::has_ended;

/// Jobs that are named one by one.
const MOST_NAMED: usize = 20;

/// Words and the command, which may be empty.
pub(crate) type Lack = (String, String);

pub(crate) fn section(lacks: &[Lack]) -> Section {
    let block = match lacks {
        [] => Block::Text("Nothing: all jobs of this report have succeeded.".to_owned()),
        lacks => Block::Todo(lacks.to_vec()),
    };
    Section::new("What is missing", vec![block])
}

/// In the order in which one would see to them: what failed, what is under way, what was never submitted.
pub(crate) fn lacks(view: &View<'_>, tables: &[(By, PaperTable<'_>)], attacks: Option<&Attacks<'_>>) -> Vec<Lack> {
    let jobs = &view.facts.jobs;
    let of = |state: JobState| jobs.iter().filter(move |job| job.state() == state).collect::<Vec<&Job>>();
    let mut lacks: Vec<Lack> = Vec::new();
    let failed = of(JobState::Failed);
    for job in failed.iter().take(MOST_NAMED) {
        let id = view.id(job);
        let said = format!("{} failed: {}. `tandem logs {id}` has its log.", job.name, reason(job));
        lacks.push((said, format!("tandem requeue {id}")));
    }
    if failed.len() > MOST_NAMED {
        lacks.push((format!("and {} more failed jobs.", failed.len() - MOST_NAMED), String::new()));
    }
    for job in of(JobState::Cancelled).iter().take(MOST_NAMED) {
        lacks.push((
            format!("{} was cancelled: {}.", job.name, reason(job)),
            format!("tandem requeue {}", view.id(job)),
        ));
    }
    let paused = of(JobState::Paused).len();
    if paused > 0 {
        lacks.push((format!("{paused} paused."), format!("tandem resume {}", view.facts.target)));
    }
    let open = jobs.iter().filter(|job| !has_ended(job.state()) && job.state() != JobState::Paused).count();
    if open > 0 {
        let said = format!("{open} of {} jobs have not ended; the report can be made again then.", jobs.len());
        lacks.push((said, format!("tandem watch {}", view.facts.target)));
    }
    let silent: Vec<&Job> =
        jobs.iter().filter(|job| job.state() == JobState::Succeeded && job.results.is_empty()).collect();
    if !silent.is_empty() {
        lacks.push((
            format!("{} jobs succeeded and have no figures: {}.", silent.len(), view.ids(&silent)),
            String::new(),
        ));
    }
    for (by, table) in tables {
        let gaps = table.gaps();
        if gaps.is_empty() {
            continue;
        }
        let name = if *by == By::Labels { "Table 1" } else { "Table 2" };
        let named: Vec<String> = gaps.iter().map(|gap| format!("{} at {}", gap.model, gap.row)).collect();
        let file = if *by == By::Labels { "table1" } else { "table2" };
        lacks.push((format!("{name} has no job for {}.", named.join(", ")), submit(view, file)));
    }
    if let Some(attacks) = attacks {
        let gaps = figure2::gaps(view, attacks);
        if !gaps.is_empty() {
            lacks.push((format!("Figure 2 has {}.", gaps.join(" and ")), submit(view, "figure2")));
        }
    }
    lacks.extend(seeds(view));
    if view.facts.is_cut {
        let said = format!("Only the first {} jobs are in this report.", jobs.len());
        lacks.push((said, format!("tandem results {} --limit 10000", view.facts.target)));
    }
    lacks.extend(view.facts.problems.iter().map(|problem| (problem.clone(), String::new())));
    lacks
}

/// An example of Tandem's source: jobs that are the same are not run again.
fn submit(view: &View<'_>, file: &str) -> String {
    let variant = if view.has_cards() { "" } else { "-cpu" };
    format!("tandem submit examples/{file}{variant}.toml")
}

/// One seed says nothing about how far another would be off.
fn seeds(view: &View<'_>) -> Option<Lack> {
    let runs = view.runs(|job| job.state() == JobState::Succeeded);
    if runs.is_empty() || runs.iter().any(|runs| runs.jobs.len() > 1) {
        return None;
    }
    // What starts from it has its seeds.
    let root = view.facts.jobs.iter().find(|job| job.depends_on.is_empty())?;
    let name = crate::render::job_specs::base(&root.name);
    let said = "All figures are of one seed each: there is no spread and no interval. A sweep over seeds in the experiment file \
                gives them, for each job that starts from nothing."
        .to_owned();
    Some((said, format!("tandem submit FILE --set {name}.sweep.seed='[1, 2, 3]'")))
}

fn reason(job: &Job) -> String {
    let reason = job.reason.trim_end_matches('.');
    if reason.is_empty() { "no reason is known".to_owned() } else { reason.to_owned() }
}
