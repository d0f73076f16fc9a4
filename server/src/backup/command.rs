//! What a backup and a restoration are started by, and what is said at the end.

use std::{path::PathBuf, pin::pin, time::Duration};

use tandem_archive::{Event, Problem, Restored, Taken};
use tandem_domain::policy::span;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use super::{failed::Failed, restore::Restore, say::Say, take, work::Work};
use crate::{database_args::Database, store::schema::open_as_it_is};

/// As a shell has it of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
const PROBLEMS_SHOWN: usize = 20;
/// What writes or reads gets so long to see that it is to stop.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, clap::Args)]
pub struct BackupArgs {
    #[command(flatten)]
    database: Database,
    /// Folder of checkpoints and artifacts, as the server has it.
    #[arg(long, env = "TANDEM_STORE", value_name = "FOLDER")]
    store: PathBuf,
    /// File to write, of mode 600.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The longest that the database may be read: for so long it keeps what is changed meanwhile.
    #[arg(long, default_value = "30m", value_name = "TIME", value_parser = span::parse)]
    snapshot_limit: Duration,
    /// Tell what goes on as JSON lines, for a program.
    #[arg(long, hide = true)]
    events: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    database: Database,
    /// Archive of `tandem backup`.
    #[arg(long, value_name = "FILE")]
    archive: PathBuf,
    /// New folder for checkpoints and artifacts.
    #[arg(long, env = "TANDEM_STORE", value_name = "FOLDER")]
    store: PathBuf,
    /// The key that will sign receipts: made, unless it is there. Receipts of before verify with the house's former public keys.
    #[arg(long, env = "TANDEM_RECEIPT_KEY", value_name = "FILE")]
    receipt_key: PathBuf,
    /// Leave the tokens of people good; those of workers and of browsers never are.
    #[arg(long)]
    keep_tokens: bool,
    /// Tell what goes on as JSON lines, for a program.
    #[arg(long, hide = true)]
    events: bool,
}

impl BackupArgs {
    pub(crate) fn run(self) -> Result<String, Failed> {
        let say = Say::new(self.events);
        let work = Work::new(absolute(&self.out)?);
        let taken = until_signal(&say, || work.stop(), async {
            let store = open_as_it_is(&self.database.database_url, self.database.password()?.as_deref()).await?;
            let taken = take::take(&store, &self.store, &work, self.snapshot_limit, &say).await;
            store.close().await;
            taken
        })?;
        if say.is_for_program() {
            say.event(&Event::Taken(taken));
            return Ok(String::new());
        }
        let words = taken_in_words(&taken);
        if taken.problems.is_empty() { Ok(words) } else { Err(Failed::damaged(words)) }
    }
}

impl RestoreArgs {
    pub(crate) fn run(self) -> Result<String, Failed> {
        let say = Say::new(self.events);
        let (store, key) = (absolute(&self.store)?, absolute(&self.receipt_key)?);
        let Database { database_url, .. } = self.database.clone();
        let password = self.database.password()?;
        let restore = Restore::new(self.archive, database_url, password, store, key, self.keep_tokens);
        let restored = until_signal(&say, || restore.stop(), restore.run(&say))?;
        if say.is_for_program() {
            say.event(&Event::Restored(restored));
            return Ok(String::new());
        }
        Ok(restored_in_words(&restored))
    }
}

fn absolute(path: &std::path::Path) -> Result<PathBuf, Failed> {
    std::path::absolute(path).map_err(|error| Failed::refused(format!("cannot use {}: {error}", path.display())))
}

/// Works until it is done or a signal comes; `stop` has what waits for disks end.
fn until_signal<T>(say: &Say, stop: impl Fn(), work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let failed = |error: std::io::Error| Failed { message: format!("cannot start: {error}"), exit: 71 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let done = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut work = pin!(work);
        tokio::select! {
            done = &mut work => return done,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // It says in the database that it is over, if that answers.
        stop();
        let _ = timeout(ENDS_WITHIN, work).await;
        Err(interrupted())
    });
    if done.is_err() {
        stop();
    }
    runtime.shutdown_timeout(ENDS_WITHIN);
    if let (Err(error), true) = (&done, say.is_for_program()) {
        say.event(&Event::Failed { message: error.message.clone(), exit: error.exit });
    }
    done
}

fn interrupted() -> Failed {
    Failed { message: "stopped before it was done; what there is of it is of no use".to_owned(), exit: INTERRUPTED }
}

fn taken_in_words(taken: &Taken) -> String {
    let Taken { file, house, rows, files, bytes, problems, problems_left_out, .. } = taken;
    let words = format!("{file}: {rows} rows and {files} files of the house {house}, {bytes} bytes");
    with_problems(words, problems, *problems_left_out)
}

fn restored_in_words(restored: &Restored) -> String {
    let Restored { house, rows, files, ended, revoked, problems, problems_left_out, .. } = restored;
    let words = format!(
        "restored {rows} rows and {files} files as the house {house}; {ended} attempts ended, whose jobs go on from their checkpoints; \
         {revoked} tokens revoked. `tandem-server admin-line` is the way in"
    );
    with_problems(words, problems, *problems_left_out)
}

fn with_problems(mut words: String, problems: &[Problem], left_out: u64) -> String {
    for Problem { path, why } in problems.iter().take(PROBLEMS_SHOWN) {
        words.push_str(&format!("\nnot whole: {path}: {why}"));
    }
    let more = problems.len().saturating_sub(PROBLEMS_SHOWN) as u64 + left_out;
    if more > 0 {
        words.push_str(&format!("\nand {more} more; the archive's manifest.json names them"));
    }
    words
}
