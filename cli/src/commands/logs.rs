//! `tandem logs`: what the ranks wrote.

use std::{collections::HashMap, pin::pin, time::Duration};

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{LogLine, LogsRequest};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::{
    client::{Client, in_time},
    complete,
    exit::Exit,
    newest::or_newest,
    output::Output,
    patience::Patience,
    printable,
    render::units,
    time::utc,
};

/// Who follows what says nothing may believe that it hangs.
const SAY_AFTER: Duration = Duration::from_secs(5);

/// Print what the ranks of a job or experiment wrote
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem logs -f                   of what you submitted last
  tandem logs quickstart --tail 50
  tandem logs 0199a1b2 -f")]
pub(crate) struct Logs {
    /// Job or experiment: an id, its first characters, or an experiment's name [default: your newest experiment]
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: Option<String>,
    /// Go on printing until the jobs have ended
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines; 0 is all
    #[arg(long, default_value_t = 0, value_name = "N")]
    tail: u32,
}

impl Logs {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let target = or_newest(self.target.clone(), client, output).await?;
        let tried = format!("print the logs of `{target}`");
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        let mut patience = Patience::default();
        let mut printed = Printed::default();
        loop {
            let again = async {
                match self.print(client, &target, &mut patience, &mut printed, output).await? {
                    Some(status) => patience.wait(client, &tried, status).await.map(|()| true),
                    None => Ok(false),
                }
            };
            tokio::select! {
                again = again => if !again? {
                    if printed.is_empty() {
                        output.note(&format!("no rank of `{target}` has written anything"));
                    }
                    return Ok(Exit::Ok);
                },
                _ = &mut interrupt => return Ok(Exit::Interrupted),
            }
        }
    }

    /// One stream of lines, without those that were printed. `Some`: it broke.
    async fn print(
        &self,
        client: &Client,
        target: &str,
        patience: &mut Patience,
        printed: &mut Printed,
        output: &Output,
    ) -> Result<Option<Status>> {
        // A stream that goes on after another needs all lines, since only this side knows which it has.
        let tail = if printed.is_empty() { self.tail } else { 0 };
        printed.hides_older = self.tail > 0 && !printed.is_empty();
        let request = LogsRequest { target: target.to_owned(), follow: self.follow, tail };
        let mut lines = match in_time(client.services().jobs().logs(request)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Some(status)),
        };
        patience.opened();
        loop {
            let line = match self.next(&mut lines, target, printed, output).await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(status) => return Ok(Some(status)),
            };
            patience.received();
            if !printed.is_new(&line) {
                continue;
            }
            if output.is_json() {
                output.document(&line)?;
            } else {
                output.text(&text(&line))?;
            }
        }
    }
}

impl Logs {
    /// Who follows a job that has not written yet is told so once, and what else tells of it.
    async fn next(
        &self,
        lines: &mut Streaming<LogLine>,
        target: &str,
        printed: &mut Printed,
        output: &Output,
    ) -> Result<Option<LogLine>, Status> {
        let mut next = pin!(lines.message());
        if self.follow && printed.is_empty() && !printed.said_quiet {
            match timeout(SAY_AFTER, next.as_mut()).await {
                Ok(line) => return line,
                Err(_) => output.note(&format!("no lines so far; what it does: tandem watch {target}")),
            }
            printed.said_quiet = true;
        }
        next.await
    }
}

/// How far the log of each rank is printed.
#[derive(Debug, Default)]
struct Printed {
    last: HashMap<(String, u32, u32), u64>,
    first_at: Option<DateTime<Utc>>,
    said_quiet: bool,
    /// A reader of the last lines wants none from before the first of them, of any rank.
    hides_older: bool,
}

impl Printed {
    fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Whether the line is one that was not printed; from then on it counts as printed.
    fn is_new(&mut self, line: &LogLine) -> bool {
        let at = utc(&line.at);
        if self.is_empty() {
            self.first_at = at;
        }
        let rank = (line.job_name.clone(), line.attempt, line.rank);
        let is_new = match self.last.get(&rank) {
            // A coordinator of an earlier version numbers no lines.
            Some(last) => line.sequence == 0 || line.sequence > *last,
            None => !self.hides_older || at >= self.first_at,
        };
        if is_new {
            self.last.insert(rank, line.sequence);
        }
        is_new
    }
}

/// `2026-11-23 14:20:05 UTC encoder 1.0 | step 120`: attempt 1, rank 0.
fn text(line: &LogLine) -> String {
    let at = utc(&line.at).map(units::moment).unwrap_or_default();
    let (name, said) = (printable::line(&line.job_name), printable::line(line.line.trim_end()));
    format!("{at} {name} {}.{} | {said}", line.attempt, line.rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rank: u32, sequence: u64) -> LogLine {
        LogLine { rank, sequence, ..LogLine::default() }
    }

    #[test]
    fn a_second_stream_goes_on_where_the_first_broke() {
        let mut printed = Printed::default();
        assert!([line(0, 7), line(1, 3), line(0, 8)].iter().all(|line| printed.is_new(line)));
        let again: Vec<bool> = [line(0, 7), line(0, 8), line(1, 3), line(0, 9), line(1, 4)]
            .iter()
            .map(|one| printed.is_new(one))
            .collect();
        assert_eq!(again, [false, false, false, true, true]);
    }

    #[test]
    fn a_line_forges_no_other() {
        let line = LogLine { line: "a\r\nencoder 1.0 | \u{1b}[2Jforged\n".to_owned(), ..LogLine::default() };
        let text = text(&line);
        assert!(!text.contains(['\n', '\r', '\u{1b}']) && text.ends_with("forged"), "{text:?}");
    }
}
