//! `tandem receipt key`: what receipts verify with.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::ReceiptKeysRequest;

use crate::{
    client::Client,
    exit::{Exit, Failure},
    files,
    output::Output,
    printable::{line, page},
};

/// The public key of this house, in PEM: keep it where nobody who writes receipts can change it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem receipt key --out house.pub
  tandem receipt check weights/encoder/receipt.json --key house.pub
  tandem receipt key --json | jq -r '.keys[].id'")]
pub(super) struct Key {
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

impl Key {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        if let Some(out) = &self.out {
            files::check_free(out, self.force)?;
        }
        let tried = "ask for the key of receipts";
        let answer = client.ask(tried, async |on| on.results().receipt_keys(ReceiptKeysRequest {}).await).await?;
        let Some(newest) = answer.keys.first() else {
            return Err(Failure::error(
                Exit::NotFound,
                "this house has no key for receipts: no coordinator of it has made one; the log of one says why",
            ));
        };
        if let Some(out) = &self.out {
            // Receipts of before are signed by former keys. The newest first, as others read no more than one.
            let all: String = answer.keys.iter().map(|key| key.pem.as_str()).collect();
            files::write(out, all.as_bytes(), self.force)?;
            output.note(&format!("wrote the key {} to {}", line(&newest.id), out.display()));
        } else if output.is_json() {
            output.document(&answer)?;
        } else {
            output.text(&page(&newest.pem, false))?;
        }
        for former in answer.keys.iter().skip(1) {
            let has = if self.out.is_some() { "the file" } else { "--json" };
            output.note(&format!("receipts of before are signed by {}: {has} has it", line(&former.id)));
        }
        Ok(Exit::Ok)
    }
}
