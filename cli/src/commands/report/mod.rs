//! `tandem report`: what an experiment has come to, as one page.

mod gather;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    files, json,
    output::Output,
    report::{html, markdown, report},
};

/// Write a report of an experiment: the paper's tables and Figure 2 beside ours, results, curves, checks, cost, what is missing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem report table1                      writes table1.html
  tandem report table1 --out results.md
  tandem report 0199a1b2 --out - --format md

The page needs no script and nothing from elsewhere; it may be sent as it is.
It says what is missing and which command would fill it.")]
pub(crate) struct Report {
    /// Experiment (or one job of it): an id, its first characters, or its name
    #[arg(value_name = "EXPERIMENT", add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// Where to write it; `-` is stdout [default: the experiment's name with .html or .md]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A page, or Markdown without figures [default: by the ending of --out, else html]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Form>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    // No doc comments on the values: clap would spread its help over three times the lines.
    Html,
    Md,
}

impl Form {
    fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Md => "md",
        }
    }

    fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        [(Self::Html, "html"), (Self::Html, "htm"), (Self::Md, "md"), (Self::Md, "markdown")]
            .into_iter()
            .find(|(_, known)| *known == ending)
            .map(|(form, _)| form)
    }
}

impl Report {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let is_stdout = self.out.as_deref() == Some(Path::new("-"));
        let form = self.form(is_stdout)?;
        if is_stdout && output.is_json() {
            let message = "--json says what was written: name a file with --out";
            return Err(Failure::error(Exit::Usage, message));
        }
        if let Some(path) = self.out.as_ref().filter(|_| !is_stdout) {
            files::check_free(path, self.force)?;
        }
        let facts = gather::facts(client, &self.target, output).await?;
        let found = report(&facts)?;
        let text = match form {
            Form::Html => html::page(&found.document)?,
            Form::Md => markdown::text(&found.document)?,
        };
        if is_stdout {
            output.raw(text.as_bytes())?;
            return Ok(Exit::Ok);
        }
        let path = match self.out {
            Some(path) => path,
            None => named(&found.document.title, form)?,
        };
        files::check_free(&path, self.force)?;
        files::write(&path, text.as_bytes(), self.force)?;
        let file = path.display().to_string();
        if output.is_json() {
            let lacks = found.lacks.iter().map(|(said, command)| json::Lack { said, command }).collect();
            output.document(&json::Reported {
                file,
                experiment: &found.document.title,
                jobs: facts.jobs.len(),
                lacks,
            })?;
            return Ok(Exit::Ok);
        }
        output.text(&format!("the report is in {file}"))?;
        for (said, command) in &found.lacks {
            let command = if command.is_empty() { String::new() } else { format!(": {command}") };
            output.note(&format!("missing: {}{command}", said.trim_end_matches('.')));
        }
        Ok(Exit::Ok)
    }

    fn form(&self, is_stdout: bool) -> Result<Form> {
        let by_ending = self.out.as_deref().filter(|_| !is_stdout).map(|path| (path, Form::of(path)));
        match (self.format, by_ending) {
            (Some(form), _) => Ok(form),
            (None, Some((_, Some(form)))) => Ok(form),
            (None, Some((path, None))) => {
                let message = format!(
                    "cannot write a report into {}: its name ends neither in .html nor in .md; --format says what it is",
                    path.display()
                );
                Err(Failure::error(Exit::Usage, message))
            }
            (None, None) => Ok(Form::Html),
        }
    }
}

/// A file in this folder, called as the experiment is, whose name came from the coordinator.
fn named(experiment: &str, form: Form) -> Result<PathBuf> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    if experiment.is_empty() || experiment.starts_with('.') || !experiment.chars().all(is_plain) {
        let message = "the experiment's name is no name of a file: say where to write with --out";
        return Err(Failure::error(Exit::Usage, message));
    }
    Ok(PathBuf::from(format!("{experiment}.{}", form.ending())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_others_leads_to_no_other_folder() {
        assert_eq!(named("table1-cpu", Form::Md).unwrap(), Path::new("table1-cpu.md"));
        for wrong in ["", "..", "../a", "/a", ".a", "a b", "a\u{1b}"] {
            assert!(named(wrong, Form::Html).is_err(), "{wrong:?}");
        }
    }
}
