//! `tandem results`: what was measured, as a table and as curves.

mod artifacts;
mod ask;
mod best;
mod best_name;
mod draw;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{Job, QueryRequest};

use ask::{Asked, Rest};
use draw::Figure;

use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    files, json,
    output::Output,
    render::{curves::Convention, older, pivot, results},
    time,
};

/// Default length of a list.
const LISTED: u32 = 20;
/// Default number of jobs of a table or plot, which is about whole experiments.
const WHOLE: u32 = 1000;

/// Show results of finished jobs: a list, the best of them, a table as the paper's, or curves
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem results
  tandem results --best test_accuracy --limit 5
  tandem results --where "stage = 'linear' and label_fraction = 0.01" \
    --by encoder --best accuracy --since 2026-06-01
  tandem results --where "best(knn_accuracy) > 0.8 and state = 'running'" --mine
  tandem results table1 --table                 test accuracy by labels, model
  tandem results table2 --table tikhonov.lambda
  tandem results figure2 --plot figure2.svg     % misclassified by radius
  tandem results figure2 --plot best.svg --convention best
                                                by any of the attacks
  tandem results quickstart --plot loss.svg     loss and accuracy by step
  tandem results quickstart --plot knn.svg --metric knn_accuracy")]
pub(crate) struct Results {
    /// Job or experiment: an id, its first characters, or an experiment's name; all if left out
    #[arg(default_value = "", hide_default_value = true, add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// Sort by this result, largest first
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    best: String,
    /// With --best: smallest first
    #[arg(long, requires = "best")]
    ascending: bool,
    /// Only jobs of this stage
    #[arg(long, default_value = "", hide_default_value = true)]
    stage: String,
    /// At most this many jobs [default: 20; 1000 with --table or --plot]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// A table of test accuracies: kinds of model by a swept key (if left out: the label fraction, else lambda)
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["best", "plot"])]
    table: Option<String>,
    /// Draw the curves of the listed jobs into an SVG file; of attacks, % misclassified against radius
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// What to draw of training jobs; one panel each [default: loss, kNN and validation accuracy]
    #[arg(long, requires = "plot", value_delimiter = ',', value_name = "NAME")]
    metric: Vec<String>,
    /// Which images the curves of attacks count: all, as the paper only those that fell, or all by the best of the attacks
    /// on each classifier
    #[arg(long, requires = "plot", value_enum, default_value = "all")]
    convention: Convention,
    /// Replace the file if it is there
    #[arg(long, requires = "plot")]
    force: bool,
    #[command(flatten)]
    asked: Asked,
}

impl Results {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        if let Some(path) = &self.plot {
            check_is_svg(path)?;
            files::check_free(path, self.force)?;
        }
        if self.asked.is_meant() {
            let (stage, best, ascending) = (self.stage.as_str(), self.best.as_str(), self.ascending);
            let rest = Rest { target: &self.target, stage, best, ascending, limit: self.limit.unwrap_or(LISTED) };
            return self.asked.clone().run(client, output, &rest).await;
        }
        let whole = self.table.is_some() || self.plot.is_some();
        let request = QueryRequest {
            target: self.target.clone(),
            stage: self.stage.clone(),
            best: self.best.clone(),
            ascending: self.ascending,
            limit: self.limit.unwrap_or(if whole { WHOLE } else { LISTED }),
        };
        let answer = client.ask("ask for results", async |on| on.results().query(request.clone()).await).await?;
        let jobs = answer.jobs;
        if !self.best.is_empty() {
            best_name::check(&self.best, &jobs)?;
        }
        // What runs or has failed has no results, but curves.
        if let Some(older) = answer.older.filter(|_| jobs.is_empty() && self.plot.is_none()) {
            let hint = older::hint("results", &older);
            return Err(Failure::error(Exit::NotFound, format!("`{}` has no results yet{hint}", self.target)));
        }
        if let Some(key) = &self.table {
            return table(&jobs, key, output);
        }
        if let Some(path) = &self.plot {
            let figure = Figure {
                path,
                force: self.force,
                target: &self.target,
                stage: &self.stage,
                metrics: &self.metric,
                convention: self.convention,
            };
            figure.write(client, &jobs, output).await?;
        }
        if output.is_json() {
            let plot = self.plot.as_ref().map(|path| path.display().to_string());
            output.document(&json::ResultsJson { jobs: &jobs, plot })?;
        } else if jobs.is_empty() {
            output.note("no results yet");
        } else {
            let extra = Some(self.best.as_str()).filter(|name| !name.is_empty());
            output.text(&results::table(&jobs, extra, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}

/// A picture under another name would open nowhere.
fn check_is_svg(path: &Path) -> Result<()> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("svg") | None => Ok(()),
        Some(other) => {
            let converted = path.with_extension("svg").display().to_string();
            let message = format!(
                "cannot draw into {}: curves are drawn as SVG, not as .{other}; write {converted} and convert it, \
                 such as with rsvg-convert or inkscape",
                path.display()
            );
            Err(Failure::error(Exit::Usage, message))
        }
    }
}

fn table(jobs: &[Job], key: &str, output: &Output) -> Result<Exit> {
    let pivot = pivot::pivot(jobs, Some(key).filter(|key| !key.is_empty()))?;
    if output.is_json() {
        output.document(&json::Table::from(&pivot))?;
    } else {
        output.text(&pivot.table(output.style()))?;
    }
    Ok(Exit::Ok)
}
