//! `tandem results`: what was measured, as a table and as curves.

pub(crate) mod artifacts;
mod attacks;
pub(crate) mod best;
mod best_name;
mod draw;
mod embedding;
mod nothing;
mod picture;
pub(crate) mod training;

use std::path::PathBuf;

use anyhow::{Error, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_domain::ask::Column;
use tandem_draw::plot::Range;
use tandem_proto::v1::{Job, QueryRequest, QueryResponse};
use tandem_tables::Format;

use draw::{Figure, once};
use picture::Picture;

use super::{
    asked::{Question, Shown, Which, say_more},
    export::{Destination, Export},
};
use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    json,
    output::Output,
    render::{curves::Convention, job, older, pivot, results},
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
  tandem results --where \"stage = 'linear' and label_fraction = 0.01\" \\
    --by encoder --best accuracy --since 2026-06-01
  tandem results --mine --where \"best(knn_accuracy) > 0.8 and state = 'running'\"
  tandem results --tag camera-ready --best accuracy
  tandem results --where \"encoder = 'resnet18'\" --out results.parquet
                                                for pandas, polars, DuckDB
  tandem results table1 --table                 test accuracy by labels, model
  tandem results table1 --table --format latex  the same for a paper
  tandem results table2 --table tikhonov.lambda
  tandem results figure2 --plot figure2.svg     % misclassified by radius
  tandem results figure2 --plot best.svg --convention best
                                                by any of the attacks
  tandem results table1 --table --plot table1.pdf
                                                as bars, with the seeds' spread
  tandem results quickstart --plot loss.png     loss and accuracy by step, also
                                                of what runs or has failed
  tandem results mine yours --plot both.svg     two experiments in one figure
  tandem results quickstart --plot knn.svg --metric knn_accuracy
  tandem results quickstart --plot zoom.svg --log --range loss=4..6
  tandem results quickstart --embedding plane.svg
                                                of jobs with `pictures = 8`")]
pub(crate) struct Results {
    /// Jobs or experiments: ids, their first characters, or experiments' names; all if left out
    #[arg(value_name = "TARGET", add = ArgValueCompleter::new(complete::targets))]
    targets: Vec<String>,
    /// Sort by this result, largest first
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    best: String,
    /// With --best: smallest first
    #[arg(long, requires = "best")]
    ascending: bool,
    /// Only jobs of this stage
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "condition")]
    stage: String,
    /// At most this many jobs [default: 20; 1000 with --table or --plot; all with --format]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// A table of test accuracies: kinds of model by a swept key (if left out: the label fraction, else lambda)
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["best", "condition", "mine", "owner", "since", "tag", "cursor", "view", "by", "columns"])]
    table: Option<String>,
    /// Draw the curves of the listed jobs into a file, SVG, PNG or PDF by its ending: of attacks, % misclassified against radius;
    /// with --table, bars
    #[arg(long, value_name = "FILE", group = "file",
        conflicts_with_all = ["condition", "mine", "owner", "since", "tag", "cursor", "view", "by", "columns", "format"])]
    plot: Option<PathBuf>,
    /// Draw what contrastive jobs with `pictures` have learnt, as points in a plane, into a file: SVG, PNG or PDF by its ending
    #[arg(long, value_name = "FILE", group = "file",
        conflicts_with_all = ["table", "condition", "mine", "owner", "since", "tag", "cursor", "view", "by", "columns", "format"])]
    embedding: Option<PathBuf>,
    /// What to draw of training jobs; one panel each [default: loss, kNN and validation accuracy]
    #[arg(long, requires = "plot", value_delimiter = ',', value_name = "NAME")]
    metric: Vec<String>,
    /// Which images the curves of attacks count: all, as the paper only those that fell, or all by the best of the attacks
    /// on each classifier
    #[arg(long, requires = "plot", value_enum, default_value = "all")]
    convention: Convention,
    /// Draw losses by powers of ten
    #[arg(long, requires = "plot")]
    log: bool,
    /// Draw this part of the vertical axes, or of that of one metric
    #[arg(long, requires = "plot", value_name = "[METRIC=]LOW..HIGH", value_parser = range)]
    range: Vec<Range>,
    /// A line for each seed, instead of their mean and its band
    #[arg(long, requires = "plot")]
    each_seed: bool,
    /// Replace the file if it is there
    #[arg(long, requires = "file")]
    force: bool,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    export: Export,
}

impl Results {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let format = self.export.format("results")?;
        let to = format.map(|format| Ok::<_, Error>((format, self.export.begin(self.force)?))).transpose()?;
        let is_asked = self.which.is_meant() || self.shown.is_meant() || self.is_best_of_a_column();
        if is_asked || (to.is_some() && self.table.is_none()) {
            return self.answer(client, output, to).await;
        }
        let path = self.plot.as_ref().or(self.embedding.as_ref());
        let picture = path.map(|path| Picture::create(path, self.force)).transpose()?;
        let (QueryResponse { jobs, older, namesakes }, more) = self.ask(client).await?;
        let (jobs, more) = match (&older, self.targets.as_slice()) {
            // What runs or has failed has no results, but curves.
            (Some(older), [target]) if jobs.is_empty() && picture.is_none() => {
                output.note(&older::instead(target, older));
                let targets = vec![older.id.clone()];
                let (answer, more) = self.ask_of(client, &targets).await?;
                (answer.jobs, more)
            }
            _ => {
                older::others(&self.targets, &namesakes).into_iter().for_each(|note| output.note(&note));
                (jobs, more)
            }
        };
        // Also of a table or a figure: it is not of all that there is.
        if more {
            say_more(output, jobs.len());
        }
        if !self.best.is_empty() {
            best_name::check(&self.best, &jobs)?;
        }
        if let Some(key) = &self.table {
            let pivot = pivot::pivot(&jobs, Some(key.as_str()).filter(|key| !key.is_empty()))?;
            if let Some(picture) = picture {
                draw::write_bars(picture, &jobs, &pivot)?;
                self.note_plot(output);
            }
            return table(&pivot, output, to);
        }
        if self.embedding.is_some() {
            if let Some(picture) = picture {
                embedding::write(picture, client, &jobs, output).await?;
                self.note_plot(output);
            }
        } else if let Some(picture) = picture {
            let figure = Figure {
                targets: &self.targets,
                stage: &self.stage,
                metrics: &self.metric,
                convention: self.convention,
                each: self.each_seed,
                is_log: self.log,
                ranges: &self.range,
            };
            figure.write(picture, client, &jobs, output).await?;
            self.note_plot(output);
        }
        if output.is_json() {
            let plot = path.map(|path| path.display().to_string());
            output.document(&json::ResultsJson { jobs: &jobs, plot })?;
        } else if jobs.is_empty() {
            let all = if self.targets.is_empty() { Vec::new() } else { draw::listed(client, &self.targets).await? };
            output.note(&nothing::said(&all, &self.targets));
        } else {
            let extra = Some(self.best.as_str()).filter(|name| !name.is_empty());
            output.text(&results::table(&jobs, extra, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }

    /// Whether the best are wanted by what jobs are asked by, and no result is called so: `accuracy`, whichever stage measured it.
    fn is_best_of_a_column(&self) -> bool {
        let is_list = self.table.is_none() && self.plot.is_none() && self.embedding.is_none();
        let is_result = self.best == Column::Knn.name();
        is_list && !is_result && Column::ALL.iter().any(|column| column.name() == self.best)
    }

    /// Jobs in any state, as they are asked for by a condition, or for another program.
    async fn answer(&self, client: &Client, output: &Output, to: Option<(Format, Destination)>) -> Result<Exit> {
        let target = match self.targets.as_slice() {
            [] => "",
            [one] => one.as_str(),
            [_, more, ..] => {
                let message =
                    format!("`{more}`: with a condition or a format, expected one job or experiment, or none for all");
                return Err(Failure::error(Exit::Usage, message));
            }
        };
        let (which, shown) = (&self.which, &self.shown);
        let (stage, best, ascending) = (self.stage.as_str(), self.best.as_str(), self.ascending);
        let question = Question { which, shown, target, stage, best, ascending };
        match to {
            Some(to) => question.export(client, output, to, self.limit).await,
            None => question.show(client, output, self.limit.unwrap_or(LISTED)).await,
        }
    }

    fn note_plot(&self, output: &Output) {
        if let Some(path) = self.plot.as_ref().or(self.embedding.as_ref()) {
            output.note(&format!("the figure is in {}", path.display()));
        }
    }

    /// Of all that is named together, in the order that one question has, and whether there are more.
    async fn ask(&self, client: &Client) -> Result<(QueryResponse, bool)> {
        self.ask_of(client, &self.targets).await
    }

    async fn ask_of(&self, client: &Client, targets: &[String]) -> Result<(QueryResponse, bool)> {
        let whole = self.table.is_some() || self.plot.is_some();
        let limit = self.limit.unwrap_or(if whole { WHOLE } else { LISTED });
        let all = [String::new()];
        let targets = if targets.is_empty() { all.as_slice() } else { targets };
        let mut answer = QueryResponse::default();
        for target in targets {
            let request = QueryRequest {
                target: target.clone(),
                stage: self.stage.clone(),
                best: self.best.clone(),
                ascending: self.ascending,
                // One more than is shown tells that there are more.
                limit: limit.saturating_add(1),
            };
            let one = client.ask("ask for results", async |on| on.results().query(request.clone()).await).await?;
            answer.jobs.extend(one.jobs);
            (answer.older, answer.namesakes) = (one.older, one.namesakes);
        }
        if targets.len() > 1 {
            answer.jobs = once(answer.jobs);
            sort(&mut answer.jobs, &self.best, self.ascending);
        }
        let more = answer.jobs.len() > limit as usize;
        answer.jobs.truncate(limit as usize);
        Ok((answer, more))
    }
}

/// As one answer is sorted: by the result, those without it last; else the newest end first.
fn sort(jobs: &mut [Job], best: &str, ascending: bool) {
    let ended = |job: &Job| job.finished_at.as_ref().map(|at| (at.seconds, at.nanos));
    jobs.sort_by_key(|job| std::cmp::Reverse(ended(job)));
    if best.is_empty() {
        return;
    }
    jobs.sort_by(|a, b| match (job::value(&a.results, best), job::value(&b.results, best)) {
        (Some(a), Some(b)) if ascending => a.total_cmp(&b),
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
}

/// `LOW..HIGH`, or `METRIC=LOW..HIGH`.
fn range(text: &str) -> Result<Range, String> {
    let (metric, edges) = text.split_once('=').unwrap_or(("", text));
    let wrong = || format!("`{text}`: expected LOW..HIGH or METRIC=LOW..HIGH, such as 0..1 or loss=4.5..6");
    let (low, high) = edges.split_once("..").ok_or_else(wrong)?;
    let number =
        |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && number.abs() < 1e290);
    let (low, high) = (number(low).ok_or_else(wrong)?, number(high).ok_or_else(wrong)?);
    if low >= high {
        return Err(format!("`{text}`: {low} is not below {high}"));
    }
    Ok(Range { metric: metric.trim().to_owned(), low, high })
}

fn table(pivot: &pivot::Pivot, output: &Output, to: Option<(Format, Destination)>) -> Result<Exit> {
    if let Some((format, to)) = to {
        to.write(format, pivot.data(format)?)?;
    } else if output.is_json() {
        output.document(&json::Table::from(pivot))?;
    } else {
        output.text(&pivot.table(output.style()))?;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Scalar;

    use super::*;

    #[test]
    fn a_range_is_two_numbers() {
        let of = |text| range(text).map(|range| (range.metric, range.low, range.high));
        assert_eq!(of("0..1"), Ok((String::new(), 0.0, 1.0)));
        assert_eq!(of("loss=-4.5..6e1"), Ok(("loss".to_owned(), -4.5, 60.0)));
        assert!(of("2..1").unwrap_err().contains("2 is not below 1"));
        for wrong in ["", "1", "loss=", "loss=1", "a..b", "NaN..1", "0..inf", "1...2"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn several_answers_are_sorted_as_one() {
        let job = |name: &str, value: Option<f64>| Job {
            name: name.to_owned(),
            id: name.to_owned(),
            results: value.map(|value| Scalar { name: "x".to_owned(), value }).into_iter().collect(),
            ..Job::default()
        };
        let mut jobs = once(vec![job("a", None), job("b", Some(1.0)), job("c", Some(2.0)), job("a", None)]);
        let names = |jobs: &[Job]| jobs.iter().map(|job| job.name.clone()).collect::<String>();
        sort(&mut jobs, "x", false);
        assert_eq!(names(&jobs), "cba");
        sort(&mut jobs, "x", true);
        assert_eq!(names(&jobs), "bca");
    }
}
