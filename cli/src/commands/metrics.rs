//! `tandem metrics`: curves as numbers.

mod source;

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::{Error, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::Series;
use tandem_tables::{Format, Table, Writer};

use source::Source;

use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure, PipeClosed},
    files::{self, NewFile},
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
    /// csv, json, md, latex or parquet [default: by the ending of --out, else csv; a table of the curves that there are]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "out")]
    force: bool,
    /// At most so many points of each curve: the smallest and the largest of each group of neighbours, at their own steps
    #[arg(long, value_name = "N", requires = "names", value_parser = clap::value_parser!(u32).range(4..))]
    points: Option<u32>,
}

/// Where a table goes.
enum Destination {
    Stdout(io::Stdout),
    File(NewFile, PathBuf),
}

impl Metrics {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let format = self.format(output)?;
        let destination = self.destination(format)?;
        let source = Source { client, target: &self.target };
        let curves = source.overview(&self.names).await?;
        let missing: Vec<&str> = self.names.iter().map(String::as_str).filter(|name| !is_in(&curves, name)).collect();
        let known = if missing.is_empty() { Vec::new() } else { source.overview(&[]).await? };
        self.check(&curves, &missing, &known)?;
        let Some(format) = format else {
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
        self.write(rows, format, destination).await?;
        if let Some(path) = &self.out {
            output.note(&format!("the curves are in {}", path.display()));
        }
        Ok(Exit::Ok)
    }

    /// `None` for a table that people read.
    fn format(&self, output: &Output) -> Result<Option<Format>> {
        let by_ending = match &self.out {
            Some(path) if self.format.is_none() => {
                let format = Format::of(path).ok_or_else(|| {
                    let endings = Format::ALL.map(Format::ending).join(", .");
                    let message = format!(
                        "cannot write curves into {}: its name ends with none of .{endings}; --format says what it is",
                        path.display()
                    );
                    Failure::error(Exit::Usage, message)
                })?;
                Some(format)
            }
            _ => None,
        };
        let default = || match () {
            () if output.is_json() => Some(Format::Json),
            () if self.names.is_empty() => None,
            () => Some(Format::Csv),
        };
        let format = self.format.or(by_ending).or_else(default);
        let is_screen = self.out.is_none() && io::stdout().is_terminal();
        if let Some(format) = format.filter(|format| is_screen && !format.is_text()) {
            let message = format!("{} is nothing for a terminal: name a file with --out", format.name());
            return Err(Failure::error(Exit::Usage, message));
        }
        Ok(format)
    }

    /// A file is made before anything is asked for: what cannot be written is said at once.
    fn destination(&self, format: Option<Format>) -> Result<Destination> {
        let Some(path) = self.out.as_ref().filter(|_| format.is_some()) else {
            return Ok(Destination::Stdout(io::stdout()));
        };
        files::check_free(path, self.force)?;
        files::remove_leftovers(path);
        Ok(Destination::File(NewFile::create(path)?, path.clone()))
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

    async fn write(&self, rows: Rows<'_>, format: Format, destination: Destination) -> Result<()> {
        match destination {
            Destination::Stdout(stdout) => {
                rows.write(format, stdout, &|error| match error {
                    tandem_tables::Error::Io(error) if error.kind() == ErrorKind::BrokenPipe => PipeClosed.into(),
                    error => Error::new(error).context("cannot write to stdout"),
                })
                .await
            }
            Destination::File(mut file, path) => {
                let failed = |error| match error {
                    tandem_tables::Error::Io(error) => files::cannot("write", &path, &error),
                    error => Error::new(error).context(format!("cannot write {}", path.display())),
                };
                rows.write(format, file.writer(), &failed).await?;
                file.finish(self.force)
            }
        }
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
    async fn write<W: Write + Send>(
        self,
        format: Format,
        to: W,
        failed: &(dyn Fn(tandem_tables::Error) -> Error + '_),
    ) -> Result<()> {
        let headings = match &self {
            Self::Overview(_) => history::overview(&[]),
            Self::Thinned(_) | Self::Whole(..) => history::points(&[]),
        };
        let headings = headings.map_err(failed)?.headings();
        let mut writer = Writer::new(to, format, &headings).map_err(failed)?;
        let mut write =
            |table: Result<Table, tandem_tables::Error>| table.and_then(|rows| writer.write(rows)).map_err(failed);
        match self {
            Self::Overview(curves) => write(history::overview(curves))?,
            Self::Thinned(curves) => write(history::points(&curves))?,
            Self::Whole(source, curves) => {
                for curve in curves {
                    let mut from = Some(0);
                    while let Some(step) = from {
                        let part = source.stretch(curve, step).await?;
                        write(history::points(&part.series))?;
                        from = part.next;
                    }
                }
            }
        }
        writer.finish().map_err(failed)?;
        Ok(())
    }
}
