//! `tandem tag` and `tandem note`: words on jobs and experiments.

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_domain::keeping::labels;
use tandem_proto::v1::{LabelResponse, NoteRequest, TagRequest};

use crate::{client::Client, complete, exit::Exit, output::Output};

/// Put tags on a job or an experiment, or take them off
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem tag quickstart camera-ready
  tandem tag quickstart/linear best v2
  tandem tag quickstart camera-ready --remove
  tandem list --tag camera-ready

What has a tag, or is of an experiment that has one, is kept whatever the policy
removes by age. A tag is letters, digits and any of . _ - + : / between them.")]
pub(crate) struct Tag {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// The tags
    #[arg(required = true, value_name = "WORD", value_parser = labels::tag)]
    words: Vec<String>,
    /// Take them off
    #[arg(long)]
    remove: bool,
}

impl Tag {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let tried = format!("tag `{}`", self.target);
        let request = TagRequest { target: self.target, words: self.words, remove: self.remove };
        told(client.ask(&tried, async |on| on.keeping().tag(request.clone()).await).await?, output)
    }
}

/// Put a note on a job or an experiment, in place of the one before
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem note quickstart \"for the camera-ready\"
  tandem note quickstart \"\"                        takes it away

A note is one line of at most 500 letters. `tandem show` says whose it is.")]
pub(crate) struct Note {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// The note; an empty one takes the old one away
    text: String,
}

impl Note {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let tried = format!("put a note on `{}`", self.target);
        let request = NoteRequest { target: self.target, text: self.text };
        told(client.ask(&tried, async |on| on.keeping().note(request.clone()).await).await?, output)
    }
}

fn told(answer: LabelResponse, output: &Output) -> Result<Exit> {
    if output.is_json() {
        output.document(&answer)?;
        return Ok(Exit::Ok);
    }
    for one in &answer.changed {
        let tags = if one.tags.is_empty() { "no tags".to_owned() } else { format!("tags {}", one.tags.join(", ")) };
        let note = one.note.as_ref().map(|note| format!("; note: {}", note.text)).unwrap_or_default();
        output.text(&format!("{}: {tags}{note}", one.name))?;
    }
    Ok(Exit::Ok)
}
