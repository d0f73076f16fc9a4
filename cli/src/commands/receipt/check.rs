//! `tandem receipt check`: whether a receipt, and the files beside it, are what was signed. Needs no coordinator.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use sha2::{Digest, Sha256};
use tandem_domain::receipt::{Envelope, KEY_FILE, PublicKey, Statement, contradictions, verifies};

use crate::{
    exit::{Exit, Failure},
    json,
    output::Output,
    printable::line,
};

/// Longer than any receipt.
const LONGEST: u64 = 16 << 20;

/// Check a receipt and the files beside it: signature, every SHA-256, and that it does not contradict itself
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem receipt check weights/encoder/receipt.json
  tandem receipt check receipt.json --key house.pub --files weights/encoder

Without --key it takes house.pub beside the receipt: whoever altered both is
then not found. Files that are not there are said to be so; it is no failure.
Exit code 74: something is not what was signed.")]
pub(super) struct Check {
    /// The receipt
    file: PathBuf,
    /// The house's public key, as `tandem receipt key` writes it
    #[arg(long, value_name = "PUB")]
    key: Option<PathBuf>,
    /// Where the files are that it is about [default: beside it]
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
}

/// What was found.
struct Found {
    job: String,
    key_id: String,
    files: Vec<json::CheckedFile>,
    wrong: Vec<String>,
}

impl Check {
    pub(super) fn run(self, output: &Output) -> Result<Exit> {
        let beside = self.file.parent().unwrap_or(Path::new("")).to_owned();
        let key_file = self.key.clone().unwrap_or_else(|| beside.join(KEY_FILE));
        let key = read(&key_file).map_err(|error| match &self.key {
            None if !key_file.exists() => Failure::error(
                Exit::NotFound,
                format!("there is no {KEY_FILE} beside the receipt: name the house's key by --key (`tandem receipt key` writes it)"),
            ),
            _ => error,
        })?;
        let keys = PublicKey::all_from_pem(&String::from_utf8_lossy(&key))
            .map_err(|error| damaged(&key_file, &error.to_string()))?;
        let found = look(&self.file, &keys, &key_file, self.files.as_deref().unwrap_or(&beside))?;
        say(output, &self.file, &found)?;
        if found.wrong.is_empty() {
            return Ok(Exit::Ok);
        }
        let wrong: Vec<String> = found.wrong.iter().map(|wrong| format!("  {}", line(wrong))).collect();
        Err(damaged(&self.file, &format!("not what was signed:\n{}", wrong.join("\n"))))
    }
}

fn look(file: &Path, keys: &[PublicKey], key_file: &Path, folder: &Path) -> Result<Found> {
    let envelope = Envelope::parse(&read(file)?).map_err(|error| damaged(file, &error.to_string()))?;
    let (payload, signature, key_id) = envelope.open().map_err(|error| damaged(file, &error.to_string()))?;
    let mut wrong = Vec::new();
    // A house that was restored signs by another key than its former receipts are signed by.
    let named = keys.iter().find(|key| key.id() == key_id).or(keys.first());
    let key = named.ok_or_else(|| damaged(key_file, "it holds no key"))?;
    if key_id != key.id() {
        wrong.push(format!(
            "it names the key {}, and {} is {}: another house's, an earlier key of this one, or the name was altered",
            beginning(key_id),
            key_file.display(),
            beginning(&key.id())
        ));
    }
    let is_signed = verifies(key, &payload, &signature);
    if !is_signed {
        wrong.push(
            "its signature does not match: the statement, or the signature, is not what this key signed".to_owned(),
        );
    }
    let statement = match Statement::parse(&payload) {
        Ok(statement) => statement,
        Err(error) => return Err(damaged(file, &format!("{}; {error}", wrong.join("; ")))),
    };
    wrong.extend(contradictions(&statement));
    let mut files = Vec::new();
    for artifact in &statement.predicate.artifacts {
        let (path, name) = (folder.join(plain(&artifact.name, file)?), artifact.name.clone());
        let state = match sha256_of(&path) {
            Ok(Some(found)) if found == artifact.sha256.to_ascii_lowercase() => "whole",
            Ok(Some(found)) => {
                let (found, signed) = (beginning(&found), beginning(&artifact.sha256));
                wrong.push(format!("{}: its SHA-256 is {found}, and {signed} was signed", path.display()));
                "altered"
            }
            Ok(None) => "not here",
            Err(error) => {
                return Err(Failure::error(Exit::NotFound, format!("cannot read {}: {error}", path.display())));
            }
        };
        files.push(json::CheckedFile { name, state });
    }
    let job = &statement.predicate.job;
    Ok(Found { job: format!("{}/{}", job.experiment, job.name), key_id: key.id(), files, wrong })
}

fn say(output: &Output, file: &Path, found: &Found) -> Result<()> {
    if output.is_json() {
        return output.document(&json::CheckedReceipt {
            file: &file.display().to_string(),
            job: &found.job,
            key: &found.key_id,
            files: &found.files,
            wrong: &found.wrong,
        });
    }
    let mut text = String::new();
    for checked in &found.files {
        text.push_str(&format!("{:<9} {}\n", checked.state, line(&checked.name)));
    }
    if found.wrong.is_empty() {
        text.push_str(&format!("{} is in order, signed by {}\n", line(&found.job), found.key_id));
    }
    output.text(&text)
}

/// A name in a receipt must not lead out of the folder.
fn plain<'n>(name: &'n str, file: &Path) -> Result<&'n Path> {
    match name.contains(['/', '\0']) || matches!(name, "" | "." | "..") {
        true => Err(damaged(file, &format!("it names a file `{}`, which is refused", name.escape_debug()))),
        false => Ok(Path::new(name)),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let failed = |error: io::Error| Failure::error(Exit::NotFound, format!("cannot read {}: {error}", file.display()));
    let length = fs::metadata(file).map_err(failed)?.len();
    if length > LONGEST {
        return Err(damaged(file, &format!("it has {length} bytes, more than any receipt or key")));
    }
    fs::read(file).map_err(failed)
}

/// `None` if there is no such file.
fn sha256_of(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut digest = Sha256::new();
    io::copy(&mut file, &mut digest)?;
    Ok(Some(hex::encode(digest.finalize())))
}

/// Enough of a checksum to tell it from another.
fn beginning(digits: &str) -> String {
    format!("{}..", digits.chars().take(12).collect::<String>())
}

fn damaged(file: &Path, why: &str) -> anyhow::Error {
    Failure::error(Exit::Damaged, format!("{}: {why}", file.display()))
}
