//! What an experiment has come to, beside the paper's own figures: one page that needs nothing else, or Markdown. Pure, from what the
//! coordinator said (`facts`).
//!
//! `paper` has the paper's figures. `tables`, `figure2` and `layers` are its parts, each there where jobs are for it; `results`, `training`,
//! `checks`, `cost`, `protocol`, `jobs` and `missing` are of any experiment. `document` is what they make, `html` and `markdown` write it out.

mod cells;
mod checks;
mod cost;
pub(crate) mod document;
pub(crate) mod facts;
mod figure2;
pub(crate) mod html;
mod jobs;
mod layers;
pub(crate) mod markdown;
mod missing;
mod paper;
mod protocol;
mod results;
mod tables;
mod training;

use anyhow::Result;
use tandem_proto::v1::Job;

use crate::{render::units, time::utc};
use document::Document;
use facts::{Facts, View, states};
use figure2::Attacks;
use missing::Lack;
use tables::{By, PaperTable};

/// A report, and what it lacks.
pub(crate) struct Report {
    pub(crate) document: Document,
    pub(crate) lacks: Vec<Lack>,
}

/// # Errors
/// None that is known: the drawing library says that it may fail.
pub(crate) fn report(facts: &Facts) -> Result<Report> {
    let view = View::new(facts);
    let tables: Vec<(By, PaperTable<'_>)> =
        [By::Labels, By::Lambda].into_iter().filter_map(|by| Some((by, PaperTable::of(&view, by)?))).collect();
    let attacks = Attacks::of(&view);
    let lacks = missing::lacks(&view, &tables, attacks.as_ref());
    let mut document = Document { title: title(facts), facts: head(facts), ..Document::default() };
    document.add(missing::section(&lacks));
    for (_, table) in &tables {
        document.add(table.section(&view));
    }
    if let Some(attacks) = &attacks {
        document.add(attacks.section(&view)?);
    }
    layers::section(&view).into_iter().for_each(|section| document.add(section));
    document.add(results::section(&view));
    document.add(training::section(&view)?);
    document.add(checks::section(&view));
    document.add(protocol::section(&view));
    document.add(cost::section(&view));
    document.add(jobs::section(&view));
    Ok(Report { document, lacks })
}

fn title(facts: &Facts) -> String {
    facts.jobs.first().map_or_else(|| facts.target.clone(), |job| job.experiment_name.clone())
}

fn head(facts: &Facts) -> Vec<(String, String)> {
    let Some(first) = facts.jobs.first() else { return Vec::new() };
    let all: Vec<&Job> = facts.jobs.iter().collect();
    let submitted = facts.jobs.iter().filter_map(|job| utc(&job.created_at)).max();
    let finished = facts.jobs.iter().filter_map(|job| utc(&job.finished_at)).max();
    let moment = |at: Option<_>| at.map(units::moment).unwrap_or_default();
    let mut head = vec![
        ("experiment", format!("{} ({})", first.experiment_name, first.experiment_id)),
        ("owner", first.owner.clone()),
        ("jobs", format!("{}: {}", all.len(), states(&all))),
        ("newest job submitted", moment(submitted)),
        ("last job ended", moment(finished)),
        ("report made", format!("{} by tandem {}", units::moment(facts.now), env!("CARGO_PKG_VERSION"))),
    ];
    head.retain(|(_, value)| !value.is_empty());
    head.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
