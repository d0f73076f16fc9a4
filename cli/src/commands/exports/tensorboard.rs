//! `tandem export tensorboard`: an event file for each job.

use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::json;
use tandem_proto::v1::{Job, Series};

use super::{
    super::fetch::wanted::folder,
    jobs::{curves, jobs},
};
use crate::{
    client::Client,
    complete,
    exit::Exit,
    exports::{run::Clock, tfevents::Events},
    files::{self, NewFile},
    output::Output,
};

/// Write the curves of each job as an event file of TensorBoard, in a folder of its own
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tandem export tensorboard table1 --out runs && tensorboard --logdir runs

Final figures that are no curve stand at the last step. Points have steps: their
times are spread evenly from a job's start to its end.")]
pub(super) struct Tensorboard {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// Folder to write into: a folder for each job below it
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

impl Tensorboard {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let (mut written, mut without) = (Vec::new(), 0);
        for job in jobs(client, &self.target, output).await? {
            let curves = curves(client, &job).await?;
            if curves.is_empty() && job.results.is_empty() {
                without += 1;
                continue;
            }
            let path = place(&self.out, &job)?;
            write(&path, &job, &curves, self.force)?;
            written.push((job.name, path));
        }
        if output.is_json() {
            let files = written.iter().map(|(job, path)| json!({ "job": job, "file": path.display().to_string() }));
            output.document(&json!({ "files": files.collect::<Vec<_>>(), "without_figures": without }))?;
        } else {
            output.text(&format!("{} jobs: tensorboard --logdir {}", written.len(), self.out.display()))?;
        }
        if without > 0 {
            output.note(&format!("{without} jobs have no figures yet and no file"));
        }
        Ok(Exit::Ok)
    }
}

/// The same job has the same file, so that what runs is written anew in its place.
fn place(out: &Path, job: &Job) -> Result<PathBuf> {
    let short: String = job.id.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    Ok(folder(out, job)?.join(format!("events.out.tfevents.{}.tandem.{short}", Clock::of(job, &[]).began as i64)))
}

fn write(path: &Path, job: &Job, curves: &[Series], force: bool) -> Result<()> {
    files::check_free(path, force)?;
    if let Some(folder) = path.parent() {
        files::make_dir(folder)?;
    }
    let clock = Clock::of(job, curves);
    let mut file = NewFile::create(path)?;
    let fill = |file: &mut NewFile| -> std::io::Result<()> {
        let mut events = Events::begin(BufWriter::new(file.writer()), clock.began)?;
        for curve in curves {
            for (step, value) in curve.steps.iter().zip(&curve.values) {
                events.scalar(clock.at(*step), *step, &curve.name, *value)?;
            }
        }
        for result in job.results.iter().filter(|result| !curves.iter().any(|curve| curve.name == result.name)) {
            events.scalar(clock.at(clock.last), clock.last, &result.name, result.value)?;
        }
        events.finish()
    };
    fill(&mut file).with_context(|| format!("cannot write {}", path.display()))?;
    file.finish(force)
}
