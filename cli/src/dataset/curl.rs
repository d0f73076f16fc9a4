//! Downloads one file by curl, going on where an earlier download ended.

use std::{
    io,
    path::Path,
    process::{Output as Ended, Stdio},
};

use anyhow::{Error, Result};
use tokio::process::Command;

use crate::{
    exit::{Exit, Failure},
    files::remove,
    output::{Output, can_draw},
};

/// curl's exit codes that are handled.
const CANNOT_CREATE: i32 = 23;
const NO_RANGES: i32 = 33;
/// HTTP's "range not satisfiable": the part is as long as the file, or longer.
const NO_SUCH_RANGE: &[u8] = b"416";

/// Downloads `url` to `part`, or the rest of it if a part is there.
pub(super) async fn download(url: &str, part: &Path, output: &Output) -> Result<()> {
    let resumes = part.metadata().is_ok_and(|part| part.len() > 0);
    output.note(&format!("{} {url}", if resumes { "going on with" } else { "downloading" }));
    let ended = curl(url, part).await?;
    if ended.status.success() {
        return Ok(());
    }
    if resumes && (ended.status.code() == Some(NO_RANGES) || ended.stdout == NO_SUCH_RANGE) {
        output.note("the server does not go on with what is there: from the start");
        remove(part)?;
        let ended = curl(url, part).await?;
        return if ended.status.success() { Ok(()) } else { Err(refusal(url, part, &ended)) };
    }
    Err(refusal(url, part, &ended))
}

async fn curl(url: &str, part: &Path) -> Result<Ended> {
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--show-error", "--connect-timeout", "20", "--speed-time", "60"]);
    curl.args(["--proto", "=http,https", "--continue-at", "-", "--output"]).arg(part);
    curl.args(["--write-out", "%{http_code}"]);
    // A bar in a terminal; elsewhere only errors are shown.
    let terminal = can_draw();
    curl.arg(if terminal { "--progress-bar" } else { "--silent" }).arg("--").arg(url);
    curl.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    curl.stderr(if terminal { Stdio::inherit() } else { Stdio::piped() });
    let child = curl.spawn().map_err(|error| not_installed("curl", &error))?;
    child.wait_with_output().await.map_err(|error| not_installed("curl", &error))
}

fn refusal(url: &str, part: &Path, ended: &Ended) -> Error {
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.trim().trim_start_matches("curl: ");
    let why = if said.is_empty() { format!("curl ended with {}", ended.status) } else { said.replace('\n', "; ") };
    if ended.status.code() == Some(CANNOT_CREATE) {
        return Failure::error(Exit::CannotCreate, format!("cannot write {}: {why}", part.display()));
    }
    let message = format!(
        "cannot download {url}: {why}; the same command goes on with what is there. Without a network, bring the archive \
         from a machine that has one, and name it with --from FILE"
    );
    Failure::error(Exit::Temporary, message)
}

/// The error of a program that cannot be started.
pub(super) fn not_installed(program: &str, error: &io::Error) -> Error {
    let message = format!("cannot run {program}: {error}; install it (Debian: apt install {program})");
    Failure::error(Exit::NotFound, message)
}
