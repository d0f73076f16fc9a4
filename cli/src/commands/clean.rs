//! `tandem clean`: what the policy removes by age, now.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::{CleanRequest, CleanResponse};

use crate::{client::Client, exit::Exit, output::Output, render::cleaned};

/// How long a dry run looks; in a house with a long past it counts no further.
const LOOK: Duration = Duration::from_secs(60);

/// Remove what the policy does not keep; the house does so once a day by itself (admins)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem clean --dry-run     what would go, how much, and why the rest stays
  tandem clean

What goes by age is said in the policy, which says nothing by default:
  [retention]
  checkpoints_after = \"14d\"  # of jobs that have ended
  points_after = \"90d\"       # curves are thinned ...
  points = 1000              # ... to so many points each
  archive_after = \"180d\"     # experiments go out of the lists
  delete_after = \"730d\"      # experiments go, with all that is in them
  keep_best = 1              # of each stage of an experiment: checkpoints and
  keep_last = 1              # curves of the best, and of the last, stay
  keep_younger = \"7d\"        # nothing goes of what has ended since
What has a tag stays, whatever its age: tandem tag.")]
pub(crate) struct Clean {
    /// Say what would go, and change nothing (everybody)
    #[arg(long)]
    dry_run: bool,
}

impl Clean {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let (tried, began) = (if self.dry_run { "look for what goes" } else { "clean" }, Instant::now());
        let mut all = CleanResponse::default();
        loop {
            let request = CleanRequest { after: all.after.clone() };
            let step = client.ask(tried, async |on| match self.dry_run {
                true => on.keeping().would_clean(request.clone()).await,
                false => on.keeping().clean(request.clone()).await,
            });
            cleaned::add(&mut all, step.await?);
            if all.after.is_empty() || self.dry_run && began.elapsed() > LOOK {
                break;
            }
        }
        if output.is_json() {
            output.document(&all)?;
        } else {
            output.text(&cleaned::page(&all, output.style()))?;
        }
        if !all.after.is_empty() {
            output.note(&format!("there is more: counted is what was looked at in {} s", LOOK.as_secs()));
        } else if cleaned::is_nothing(&all) {
            output.note("nothing goes by age; what would, the policy says: tandem clean --help");
        }
        Ok(Exit::Ok)
    }
}
