//! The paper's Figure 2 beside ours: the share of misclassified images against the distance by which they may be moved.

use anyhow::Result;
use tandem_draw::{
    Look,
    radius::{self, Curve},
};
use tandem_proto::v1::Job;

use super::{
    cells,
    document::{Block, Cell, Figure, Section, Table},
    facts::{Runs, View},
    paper,
};
use crate::render::{
    curves::{self, Convention},
    job_specs::describe,
    spread,
};

/// Attacks of the figure.
const ATTACKS: [&str; 2] = ["plb", "pgd"];
/// Radii that are the same but for how they were written.
const NEAR: f64 = 1e-9;

/// Attacks on one model, by their configuration.
pub(crate) struct Attacks<'a> {
    runs: Vec<Runs<'a>>,
}

/// A curve of the figure that no job is for.
pub(crate) fn gaps(view: &View<'_>, attacks: &Attacks<'_>) -> Vec<String> {
    let has = |model: &str| attacks.runs.iter().any(|runs| view.specs.model(runs.jobs[0]) == model);
    ["supervised", "contrastive"]
        .into_iter()
        .filter(|model| !has(model))
        .map(|model| format!("no {model} model"))
        .collect()
}

fn is_of_figure(view: &View<'_>, job: &Job) -> bool {
    let own = |key: &str| view.specs.own(job, key).unwrap_or_default();
    job.stage == "attack" && ATTACKS.contains(&own("attack").as_str()) && own("norm") == "l2"
}

impl<'a> Attacks<'a> {
    /// `None` if there is no attack of the figure.
    pub(crate) fn of(view: &View<'a>) -> Option<Self> {
        let runs = view.runs(|job| is_of_figure(view, job));
        (!runs.is_empty()).then_some(Self { runs })
    }

    /// # Errors
    /// None that is known: the drawing library says that it may fail.
    pub(crate) fn section(&self, view: &View<'_>) -> Result<Section> {
        let mut blocks = Vec::new();
        let ours = curves(view, |job| is_of_figure(view, job), Convention::All)?;
        if !ours.is_empty() {
            let title = "% of all images misclassified";
            let theirs = paper::PLB.map(|one| Curve {
                panel: "the paper's PLB (l2)".to_owned(),
                norm: "l2".to_owned(),
                label: format!("{}, λ = {}", one.model, one.lambda),
                model: one.model.to_owned(),
                points: paper::RADII.into_iter().zip(one.figures).collect(),
            });
            let all: Vec<Curve> = theirs.into_iter().chain(ours).collect();
            let svg = radius::svg(title, Convention::All.axis(), &all, Look::Page)?;
            let caption = format!(
                "Share of all test images that are misclassified if they may be moved by so much. The paper's: computed from {}; ours: \
                 means over seeds, with a band of a standard deviation.",
                paper::DISTANCES
            );
            blocks.push(Block::Figure(Figure { caption, svg }));
        }
        if !view.facts.best.is_empty() {
            let svg = radius::svg("The best of the attacks", Convention::Best.axis(), &view.facts.best, Look::Page)?;
            let caption =
                "For each image the smallest distance that any of our attacks on the same classifier found.".to_owned();
            blocks.push(Block::Figure(Figure { caption, svg }));
        }
        blocks.push(Block::Table(self.by_radius(view)));
        blocks.push(Block::Table(self.medians(view)));
        blocks.push(Block::List(paper::OF_FIGURE_2.iter().map(|note| (*note).to_owned()).collect()));
        Ok(Section::new("Figure 2: robustness", blocks))
    }

    fn title(view: &View<'_>, runs: &Runs<'_>) -> String {
        let job = runs.jobs[0];
        let attack = view.specs.own(job, "attack").unwrap_or_default().to_uppercase();
        let lambda = view.specs.value(job, "tikhonov.lambda").unwrap_or_else(|| "0".to_owned());
        format!("{attack}, {}, {}", view.specs.model(job), describe("tikhonov.lambda", &lambda))
    }

    /// In percent at the radii of the paper's curves, from the tables that the attacks have left.
    fn by_radius(&self, view: &View<'_>) -> Table {
        let mut rows = Vec::new();
        for runs in &self.runs {
            let job = runs.jobs[0];
            let (model, lambda) = (view.specs.model(job), view.number(job, "tikhonov.lambda"));
            let is_plb = view.specs.own(job, "attack").as_deref() == Some("plb");
            let printed = paper::PLB.iter().find(|one| is_plb && one.model == model && one.lambda == lambda);
            if let Some(printed) = printed {
                let percents = printed.figures.iter().map(|percent| format!("{percent:.1} %").into());
                let title = Cell::with(Self::title(view, runs), "paper, one run");
                rows.push(std::iter::once(title).chain(percents).collect());
            }
            let measured: Vec<Vec<(f64, f64)>> =
                runs.jobs.iter().filter_map(|job| read(view, job, Convention::All)).collect();
            let ids = view.ids(&runs.jobs);
            let note = format!("ours, n = {}, {}: {ids}", measured.len(), runs.name);
            let mut row = vec![Cell::with(Self::title(view, runs), note)];
            row.extend(paper::RADII.iter().map(|radius| at(&measured, *radius)));
            rows.push(row);
        }
        let mut heads = vec!["attack and model".to_owned()];
        heads.extend(paper::RADII.iter().map(|radius| format!("{radius}")));
        let caption = "% of all test images misclassified within an l2 distance. Mean ± standard deviation of the seeds; - where our \
                       grid of radii has no such one."
            .to_owned();
        Table { caption, heads, rows, numbers_from: 1 }
    }

    fn medians(&self, view: &View<'_>) -> Table {
        let row = |runs: &Runs<'_>| {
            let job = runs.jobs[0];
            let (model, lambda) = (view.specs.model(job), view.number(job, "tikhonov.lambda"));
            let attack = ATTACKS.iter().position(|attack| view.specs.own(job, "attack").as_deref() == Some(attack));
            let printed = paper::MEDIANS.iter().find(|one| one.model == model && one.lambda == lambda);
            let printed = printed.zip(attack).map(|(one, attack)| format!("{}", one.figures[attack]));
            let ours = |name: &str| cells::measured(view, std::slice::from_ref(runs), name);
            vec![
                Self::title(view, runs).into(),
                printed.unwrap_or_else(|| "-".to_owned()).into(),
                ours("median_distance_paper"),
                ours("median_distance"),
                ours("clean_error"),
            ]
        };
        let heads = [
            "attack and model",
            "paper, of those that fell",
            "ours, of those that fell",
            "ours, of all images",
            "ours, clean error",
        ];
        let caption = "Median l2 distance to a misclassified image. Of all images: a clean error counts as 0, a failed attack as infinite, \
                       and a median that is infinite is none."
            .to_owned();
        Table {
            caption,
            heads: heads.map(str::to_owned).to_vec(),
            rows: self.runs.iter().map(row).collect(),
            numbers_from: 1,
        }
    }
}

fn read(view: &View<'_>, job: &Job, convention: Convention) -> Option<Vec<(f64, f64)>> {
    curves::read(view.facts.curves.get(&job.id)?, convention).ok()
}

/// The attacks' own curves of these jobs.
fn curves(view: &View<'_>, wanted: impl Fn(&Job) -> bool, convention: Convention) -> Result<Vec<Curve>> {
    let mut found = Vec::new();
    for runs in view.runs(wanted) {
        for job in &runs.jobs {
            let Some(points) = read(view, job, convention) else { continue };
            let own = |key: &str| view.specs.own(job, key).unwrap_or_default();
            let norm = own("norm");
            found.push(Curve {
                panel: format!("ours: {} ({norm})", own("attack").to_uppercase()),
                norm,
                label: label(view, &runs),
                model: view.specs.model(job),
                points,
            });
        }
    }
    Ok(found)
}

/// The model and its penalty; where several configurations are of these, by their names.
fn label(view: &View<'_>, runs: &Runs<'_>) -> String {
    let title = Attacks::title(view, runs);
    let others = view.runs(|job| is_of_figure(view, job));
    let is_shared = others.iter().any(|other| other.name != runs.name && Attacks::title(view, other) == title);
    let short = title.split_once(", ").map_or(title.as_str(), |(_, model)| model).to_owned();
    if is_shared { runs.name.clone() } else { short }
}

fn at(runs: &[Vec<(f64, f64)>], radius: f64) -> Cell {
    let values = runs.iter().filter_map(|points| points.iter().find(|point| (point.0 - radius).abs() < NEAR));
    let values: Vec<f64> = values.map(|point| point.1 / 100.0).collect();
    tandem_domain::statistics::summary(&values)
        .map_or_else(|| "-".into(), |summary| spread::mean("misclassified_at_", &summary).into())
}
