//! The paper's Tables 1 and 2 beside ours, where there are jobs for them: test accuracy by share of the labels, and by lambda.

use tandem_proto::v1::Job;

use super::{
    cells,
    document::{Block, Cell, Section, Table},
    facts::{Runs, View},
    paper,
};

/// What a table is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Labels,
    Lambda,
}

impl By {
    fn models(self) -> &'static [&'static str] {
        match self {
            Self::Labels => &paper::MODELS,
            Self::Lambda => &paper::MODELS[..2],
        }
    }

    /// The paper's rows: value, and percent by model.
    fn printed(self) -> Vec<(f64, &'static [f64])> {
        match self {
            Self::Labels => paper::TABLE_1.iter().map(|(value, percent)| (*value, percent.as_slice())).collect(),
            Self::Lambda => paper::TABLE_2.iter().map(|(value, percent)| (*value, percent.as_slice())).collect(),
        }
    }

    /// Whether a job has a place in the table: that of the labels is without penalty, that by lambda has all labels.
    fn has(self, view: &View<'_>, job: &Job) -> bool {
        let is_classifier = ["supervised", "linear", "finetune"].contains(&job.stage.as_str());
        if !is_classifier || view.is_layerwise(job) || !self.models().contains(&view.specs.model(job).as_str()) {
            return false;
        }
        let (fraction, lambda) = (fraction(view, job), view.number(job, "tikhonov.lambda"));
        match self {
            Self::Labels => lambda == 0.0,
            Self::Lambda => lambda > 0.0 && fraction == 1.0,
        }
    }

    fn of(self, view: &View<'_>, job: &Job) -> f64 {
        match self {
            Self::Labels => fraction(view, job),
            Self::Lambda => view.number(job, "tikhonov.lambda"),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Labels => "Table 1: test accuracy by share of the labels",
            Self::Lambda => "Table 2: test accuracy by strength of the penalty",
        }
    }
}

/// All labels where a job says nothing.
fn fraction(view: &View<'_>, job: &Job) -> f64 {
    view.specs.own(job, "label_fraction").and_then(|text| text.parse().ok()).unwrap_or(1.0)
}

/// A row and column of the paper's table that no job is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gap {
    pub(crate) model: &'static str,
    pub(crate) row: String,
}

/// One of the two tables as it is here.
pub(crate) struct PaperTable<'a> {
    by: By,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    /// Of the key.
    value: f64,
    /// The paper's percent by model, if it has the row.
    paper: Option<&'static [f64]>,
    /// By model.
    runs: Vec<Vec<Runs<'a>>>,
}

impl<'a> PaperTable<'a> {
    /// `None` if the jobs are not of this table: no share of the labels but all, no penalty.
    pub(crate) fn of(view: &View<'a>, by: By) -> Option<Self> {
        let here: Vec<&Job> = view.facts.jobs.iter().filter(|job| by.has(view, job)).collect();
        let is_it = match by {
            By::Labels => here.iter().any(|job| by.of(view, job) < 1.0),
            By::Lambda => !here.is_empty(),
        };
        if !is_it {
            return None;
        }
        let printed = by.printed();
        let mut values: Vec<f64> = printed.iter().map(|(value, _)| *value).collect();
        values.extend(here.iter().map(|job| by.of(view, job)));
        values.sort_by(|a, b| if by == By::Labels { b.total_cmp(a) } else { a.total_cmp(b) });
        values.dedup();
        let row = |value: f64| {
            let of_model = |model: &&str| {
                view.runs(|job| by.has(view, job) && by.of(view, job) == value && view.specs.model(job) == **model)
            };
            let paper = printed.iter().find(|(known, _)| *known == value).map(|(_, percent)| *percent);
            Row { value, paper, runs: by.models().iter().map(of_model).collect() }
        };
        Some(Self { by, rows: values.into_iter().map(row).collect() })
    }

    fn row_title(&self, value: f64) -> String {
        match self.by {
            By::Labels => format!("{} %", (1e6 * value).round() / 1e4),
            By::Lambda => format!("λ = {value}"),
        }
    }

    /// What the paper has and no job is for.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for Row { value, runs, .. } in self.rows.iter().filter(|row| row.paper.is_some()) {
            let empty = self.by.models().iter().zip(runs).filter(|(_, runs)| runs.is_empty());
            gaps.extend(empty.map(|(model, _)| Gap { model, row: self.row_title(*value) }));
        }
        gaps
    }

    pub(crate) fn section(&self, view: &View<'_>) -> Section {
        let side = if self.by == By::Labels { "labels" } else { "penalty" };
        let mut heads = vec![side.to_owned()];
        heads.extend(self.by.models().iter().flat_map(|model| [format!("{model}, paper"), format!("{model}, ours")]));
        let row = |Row { value, paper, runs }: &Row<'_>| {
            let mut row: Vec<Cell> = vec![self.row_title(*value).into()];
            for (place, runs) in runs.iter().enumerate() {
                let printed = paper.and_then(|paper| paper.get(place));
                row.push(printed.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.2} %")).into());
                row.push(cells::measured(view, runs, "test_accuracy"));
            }
            row
        };
        let caption = format!(
            "Test accuracy: of the paper on CIFAR-10, as printed, of one run; ours as mean ± standard deviation of the seeds (n), with \
             the 95 % confidence interval by Student's t, and the jobs. Source: {}.",
            paper::SOURCE
        );
        let table = Table { caption, heads, rows: self.rows.iter().map(row).collect(), numbers_from: 1 };
        let of_all = paper::OF_TABLES.iter().copied();
        let own: &[&str] = if self.by == By::Labels { &paper::OF_TABLE_1 } else { &paper::OF_TABLE_2 };
        let mut notes: Vec<String> = of_all.chain(own.iter().copied()).map(str::to_owned).collect();
        notes.extend(other_data(view, self.by));
        Section::new(self.by.title(), vec![Block::Table(table), Block::List(notes)])
    }
}

/// The paper's figures are of other images.
fn other_data(view: &View<'_>, by: By) -> Option<String> {
    let here = view.facts.jobs.iter().filter(|job| by.has(view, job));
    let mut names: Vec<String> = here.filter_map(|job| view.specs.own(job, "dataset")).collect();
    names.retain(|name| name != "cifar10");
    names.sort();
    names.dedup();
    (!names.is_empty())
        .then(|| format!("Ours is on {}, not on CIFAR-10: the columns cannot be compared.", names.join(", ")))
}

#[cfg(test)]
mod tests;
