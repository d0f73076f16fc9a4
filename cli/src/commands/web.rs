//! `tandem web`: opens the page in a browser, logged in.

use std::{
    env, fs,
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use nix::unistd::getuid;
use serde::Serialize;
use tandem_durable::Mode;
use tandem_proto::v1::{WebCodeRequest, WebCodeResponse, WebCodeStateRequest};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

use uuid::Uuid;

use crate::{
    client::Client,
    config, core_files,
    exit::{Exit, Failure},
    output::Output,
};

/// What its file's name begins with.
const PREFIX: &str = "tandem-web-";
/// Older than any code that is good.
const STALE: Duration = Duration::from_secs(600);
/// So often it is asked whether the code was used.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Open the page of the coordinator in a browser, logged in
///
/// A file that only you can read sends the browser there, which asks whether it is to be logged in: once, and within a minute. The file is
/// removed when that has happened.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem web
  tandem web --no-browser        only say which file to open
  tandem web --dir ~/Downloads   for a browser that may not read hidden folders")]
pub(crate) struct Web {
    /// Say which file to open, and open no browser
    #[arg(long)]
    no_browser: bool,
    /// Where to put the file for a minute [default: a folder of your own]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct WebJson<'a> {
    address: &'a str,
    file: String,
    used: bool,
}

/// Removed when it is dropped, whatever happened.
struct WayIn(PathBuf);

impl Drop for WayIn {
    fn drop(&mut self) {
        // It is good for a minute at most; what cannot be removed opens nothing then.
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes what commands that were killed have left behind: files of this name, of this account, that nobody else could read and
/// whose codes are good no more.
fn sweep(folder: &Path) {
    let is_ours = |name: &str| {
        let id = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(".html"));
        id.is_some_and(|id| id.parse::<Uuid>().is_ok())
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Not of what a link leads to.
        let Ok(known) = entry.path().symlink_metadata() else { continue };
        let is_old = known.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > STALE);
        let is_private = known.is_file() && known.mode() & 0o077 == 0 && known.uid() == getuid().as_raw();
        if is_old && is_private && entry.file_name().to_str().is_some_and(is_ours) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Listens from now on; resolves when somebody asks this command to end, which then removes its file.
fn asked_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

impl Web {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        core_files::forbid();
        let folder = folder(self.dir.as_deref())?;
        sweep(&folder);
        let asked_to_end = asked_to_end()?;
        let tried = "ask for a code that logs a browser in";
        // One that is asked for twice is used once; the other is forgotten in a minute.
        let code = client.ask(tried, async |on| on.people().web_code(WebCodeRequest {}).await).await?;
        let address = address(client.server(), &code);
        let file = WayIn(folder.join(format!("{PREFIX}{}.html", safe(&code.id))));
        let written = tandem_durable::replace(&file.0, page(&address, &code.code).as_bytes(), Mode::Private);
        written.map_err(|error| {
            Failure::error(
                Exit::CannotCreate,
                format!("cannot write {}: {error}; --dir names another folder", file.0.display()),
            )
        })?;
        if let (true, Some(house)) = (address.starts_with("https://"), &client.target().house) {
            output.note(&format!(
                "the browser does not know the certificate of {address} and asks once; its root has the fingerprint {}",
                house.fingerprint()
            ));
        }
        let opened = !self.no_browser && open(&file.0);
        if !opened {
            output.note(&format!("within a minute, open in a browser on this machine: {}", file.0.display()));
        }
        let used = tokio::select! {
            used = is_used(client, &code) => used?,
            // The file is removed then, too.
            () = asked_to_end => return Ok(Exit::Interrupted),
        };
        if output.is_json() {
            output.document(&WebJson { address: &address, file: file.0.display().to_string(), used })?;
        } else if used {
            output.note(&format!("a browser is logged in at {address}"));
        } else {
            output.note(&format!(
                "no browser used the code within a minute; it is good no more. A browser that may not read {} can with --dir; or \
                 log in at {address} with a token",
                folder.display()
            ));
        }
        Ok(if used { Exit::Ok } else { Exit::Temporary })
    }
}

/// Whether the code was used before it ends.
async fn is_used(client: &Client, code: &WebCodeResponse) -> Result<bool> {
    let end = Instant::now() + Duration::from_secs(u64::from(code.expires_in_seconds.min(600)));
    while Instant::now() < end {
        let request = WebCodeStateRequest { id: code.id.clone() };
        let tried = "ask whether the browser is logged in";
        if client.ask(tried, async |on| on.people().web_code_state(request.clone()).await).await?.used {
            return Ok(true);
        }
        sleep(ASK_EVERY).await;
    }
    Ok(false)
}

/// Where the browser goes: the same way as this command, unless that is a socket.
fn address(server: &str, code: &WebCodeResponse) -> String {
    let address = if server.starts_with("http") { server } else { &code.address };
    address.trim_end_matches('/').to_owned()
}

/// A folder that others cannot look into.
fn folder(chosen: Option<&Path>) -> Result<PathBuf> {
    let cannot = |folder: &Path, error: std::io::Error| {
        Failure::error(Exit::CannotCreate, format!("cannot use the folder {}: {error}", folder.display()))
    };
    if let Some(folder) = chosen {
        return folder.canonicalize().map_err(|error| cannot(folder, error));
    }
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    let folder = match runtime {
        Some(folder) => folder.join("tandem"),
        None => config::needed_dir()?.join("web"),
    };
    match fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(cannot(&folder, error)),
        _ => Ok(folder),
    }
}

/// An id of the coordinator becomes a part of a path.
fn safe(id: &str) -> String {
    id.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-').take(40).collect()
}

/// A form that sends itself; without a script its button does.
fn page(address: &str, code: &str) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let (address, code) = (escaped(address), escaped(code));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>Tandem</title></head><body>\n<form method=\"post\" action=\"{address}/login\">\
         <input type=\"hidden\" name=\"code\" value=\"{code}\"><button>Log in at {address}</button></form>\n\
         <script>document.forms[0].submit()</script></body></html>\n"
    )
}

/// Whether something was started that may show it. Only the path of the file stands in its arguments.
fn open(file: &Path) -> bool {
    let has_screen =
        cfg!(target_os = "macos") || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some());
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    has_screen && command.spawn().is_ok()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::SystemTime};

    use super::*;

    #[test]
    fn the_browser_goes_the_same_way_unless_that_is_a_socket() {
        let code = WebCodeResponse { address: "http://127.0.0.1:7077".to_owned(), ..WebCodeResponse::default() };
        assert_eq!(address("https://box:7077/", &code), "https://box:7077");
        assert_eq!(address("unix:///run/tandem.sock", &code), "http://127.0.0.1:7077");
    }

    #[test]
    fn what_a_killed_command_left_behind_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - 2 * STALE;
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        let put = |name: &str, mode, at| {
            let path = folder.path().join(name);
            fs::write(&path, "a code").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
            path
        };
        let stale = put(&format!("tandem-web-{id}.html"), 0o600, long_ago);
        let kept = [
            put(&format!("tandem-web-{}.html", id.replace('0', "f")), 0o600, SystemTime::now()),
            put(&format!("tandem-web-{}.html", id.replace('1', "f")), 0o644, long_ago),
            put("tandem-web-notes.html", 0o600, long_ago),
            put("other.html", 0o600, long_ago),
        ];
        sweep(folder.path());
        assert!(!stale.exists() && kept.iter().all(|path| path.exists()));
        sweep(Path::new("/nowhere"));
    }

    #[test]
    fn what_the_coordinator_sends_stays_in_its_place() {
        let page = page("https://a\"b<c", "x\"><script>");
        assert_eq!(page.matches("<script>").count(), 1, "{page}");
        assert!(page.contains("action=\"https://a&quot;b&lt;c/login\""), "{page}");
        assert_eq!(safe("../../a-1"), "a-1");
    }
}
