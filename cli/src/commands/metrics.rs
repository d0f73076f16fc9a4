//! `tandem metrics`: curves as numbers.

pub(super) mod source;

use anyhow::{Error, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::Series;
use tandem_tables::{Format, Table, wire};

use source::Source;

use super::export::{Destination, Export};
use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    output::Output,
    render::history,
};

/// Show the curves of a job as numbers, in whatever state it is: which there are, or the points of some
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem metrics quickstart/encoder            its curves: how long, last, best
  tandem metrics quickstart/encoder loss       as CSV: job, metric, step, value
  tandem metrics quickstart loss --points 500  of each job; its extremes stay
  tandem metrics quickstart/encoder loss knn_accuracy --out curves.parquet")]
pub(crate) struct Metrics {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// Names of curves, whose points are shown; without one, it is told which curves there are
    names: Vec<String>,
    #[command(flatten)]
    export: Export,
    /// Replace the file if it is there
    #[arg(long, requires = "file")]
    force: bool,
    /// At most so many points of each curve: the smallest and the largest of each group of neighbours, at their own steps
    #[arg(long, value_name = "N", requires = "names", value_parser = clap::value_parser!(u32).range(4..))]
    points: Option<u32>,
}

impl Metrics {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let format = self.format(output)?;
        let destination = format.map(|_| self.export.begin(self.force)).transpose()?;
        let source = Source { client, target: &self.target };
        let curves = source.overview(&self.names).await?;
        let missing: Vec<&str> = self.names.iter().map(String::as_str).filter(|name| !is_in(&curves, name)).collect();
        let known = if missing.is_empty() { Vec::new() } else { source.overview(&[]).await? };
        self.check(&curves, &missing, &known)?;
        let Some((format, destination)) = format.zip(destination) else {
            output.text(&history::table(&curves, output.style()))?;
            return Ok(Exit::Ok);
        };
        let rows = if self.names.is_empty() {
            Rows::Overview(&curves)
        } else if let Some(points) = self.points {
            Rows::Thinned(source.thinned(&self.names, points).await?)
        } else {
            Rows::Whole(&source, &curves)
        };
        rows.write(format, destination).await?;
        if let Some(path) = self.export.file() {
            output.note(&format!("the curves are in {}", path.display()));
        }
        Ok(Exit::Ok)
    }

    /// `None` for a table that people read.
    fn format(&self, output: &Output) -> Result<Option<Format>> {
        let default = || match () {
            () if output.is_json() => Some(Format::Json),
            () if self.names.is_empty() => None,
            () => Some(Format::Csv),
        };
        Ok(self.export.format("curves")?.or_else(default))
    }

    /// Each curve that is asked for must be there: a misspelt one is not left out in silence.
    fn check(&self, curves: &[Series], missing: &[&str], known: &[Series]) -> Result<()> {
        if !curves.is_empty() && missing.is_empty() {
            return Ok(());
        }
        let mut names: Vec<&str> = known.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let message = match (missing, names.as_slice()) {
            ([], _) | (_, []) => format!("`{}` has no curves yet", self.target),
            (missing, names) => {
                let (missing, names) = (missing.join("`, `"), names.join(", "));
                format!("`{}` has no curve `{missing}`; it has {names}", self.target)
            }
        };
        Err(Failure::error(Exit::NotFound, message))
    }
}

fn is_in(curves: &[Series], name: &str) -> bool {
    curves.iter().any(|curve| curve.name == name)
}

/// What is written.
enum Rows<'a> {
    Overview(&'a [Series]),
    Thinned(Vec<Series>),
    /// Of these curves all points, which are asked for part by part.
    Whole(&'a Source<'a>, &'a [Series]),
}

impl Rows<'_> {
    async fn write(self, format: Format, mut to: Destination) -> Result<()> {
        let headings = match &self {
            Self::Overview(_) => wire::overview(&[]),
            Self::Thinned(_) | Self::Whole(..) => wire::points(&[]),
        };
        let mut sheet = to.sheet(format, &headings.map_err(Error::new)?.headings())?;
        let mut write = |table: Result<Table, tandem_tables::Error>| sheet.write(table.map_err(Error::new)?);
        match self {
            Self::Overview(curves) => write(wire::overview(curves))?,
            Self::Thinned(curves) => write(wire::points(&curves))?,
            Self::Whole(source, curves) => {
                for curve in curves {
                    let mut from = Some(0);
                    while let Some(step) = from {
                        let part = source.stretch(curve, step).await?;
                        write(wire::points(&part.series))?;
                        from = part.next;
                    }
                }
            }
        }
        sheet.finish()?;
        to.finish()
    }
}
