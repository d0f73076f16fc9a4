//! `tandem data put`: one's own images, for all workers.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::Args;
use tandem_domain::{access::PersonRole, datasets::check_name};
use tandem_proto::v1::{ListDataRequest, PutBegin, PutDone, WhoAmIRequest};

use crate::{
    client::Client,
    exit::{Exit, Failure},
    image_folder::{ImageFolder, pack},
    json,
    output::Output,
    render::units,
    upload,
};

/// Put your own images where all workers see them, as `folder:NAME`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem data put cats images/cats    a folder with train/CLASS/ and test/CLASS/
  tandem data put cats cats.tar.gz    or an archive of one: tar, tar.gz, Zip
  tandem submit file.toml --set dataset=folder:cats

Every image is read before anything is sent.
What was interrupted goes on with the same command.
The images stay as they are; jobs see them in 32x32.")]
pub(super) struct Put {
    /// What experiment files call it: letters, digits, `.`, `-` and `_`
    #[arg(value_parser = name)]
    name: String,
    /// The folder, or an archive that holds it
    #[arg(value_name = "FOLDER|ARCHIVE")]
    images: PathBuf,
}

fn name(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("folder:").unwrap_or(text);
    check_name(name).map(|()| name.to_owned())
}

impl Put {
    pub(super) async fn run(self, connect: impl AsyncFnOnce() -> Result<Client>, output: &Output) -> Result<Exit> {
        let work = async {
            let client = connect().await?;
            self.may_be_put(&client).await?;
            self.put(&client, output).await
        };
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => {
                output.note("interrupted; the same command goes on where this one ended");
                Ok(Exit::Interrupted)
            }
        }
    }

    /// Whoever may not put it need not wait until all images are read.
    async fn may_be_put(&self, client: &Client) -> Result<()> {
        let tried = format!("put `folder:{}`", self.name);
        let who = client.ask(&tried, async |on| on.people().who_am_i(WhoAmIRequest {}).await).await?;
        let not = |exit, why: &str| Err(Failure::error(exit, format!("cannot {tried}: {why}")));
        if who.role == PersonRole::Reader.word() {
            return not(Exit::NotAllowed, &format!("{} may only read; an admin changes that", who.name));
        }
        let known = client.ask(&tried, async |on| on.data().list(ListDataRequest {}).await).await?.datasets;
        match known.into_iter().find(|known| known.name == self.name) {
            // The same images may be put again by anybody: that is only known when they are read.
            Some(known) if !known.stored && known.owner != who.name => {
                not(Exit::NotAllowed, &format!("{} is putting a data set of that name; choose another", known.owner))
            }
            _ => Ok(()),
        }
    }

    async fn put(&self, client: &Client, output: &Output) -> Result<Exit> {
        let Self { name, images } = self;
        let folder = ImageFolder::find(images).await?;
        let (listing, checked) = folder.check(name).await?;
        let notes: Vec<String> = [listing.left_out.clone(), checked.squeezed].into_iter().flatten().collect();
        notes.iter().for_each(|note| output.note(note));
        let (packing, sha256) = pack(listing, name).await?;
        let begin = PutBegin { name: name.clone(), sha256, bytes: packing.bytes() };
        let PutDone { dataset, present } = upload::put(client, Arc::new(packing), &begin).await?;
        let Some(stored) = dataset else {
            return Err(Failure::error(Exit::Internal, "the coordinator did not say what it has stored"));
        };
        if output.is_json() {
            let put = json::PutDataset { stored: &stored, images: &checked.facts.sha256, present, notes: &notes };
            output.document(&put)?;
            return Ok(Exit::Ok);
        }
        let is = if present { "is in the store already" } else { "is in the store" };
        let whose = if present { format!(", put by {}", stored.owner) } else { String::new() };
        output.text(&format!(
            "folder:{name} {is}{whose}: {} images to train on and {} to test on, in {} {}; {}, checksum {}",
            units::count(stored.train),
            units::count(stored.test),
            units::count(stored.classes),
            if stored.classes == 1 { "class" } else { "classes" },
            units::bytes(stored.bytes),
            &checked.facts.sha256[..8],
        ))?;
        Ok(Exit::Ok)
    }
}
