//! `tandem logs`: what the ranks wrote.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use tandem_proto::v1::{LogLine, LogsRequest};
use tonic::Status;

use crate::{
    client::{Client, in_time},
    exit::Exit,
    output::Output,
    patience::Patience,
    printable,
    render::units,
    time::utc,
};

/// Print what the ranks of a job or experiment wrote
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem logs quickstart --tail 50
  tandem logs 0199a1b2 -f")]
pub(crate) struct Logs {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
    /// Go on printing until the jobs have ended
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines; 0 is all
    #[arg(long, default_value_t = 0, value_name = "N")]
    tail: u32,
}

impl Logs {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let tried = format!("print the logs of `{}`", self.target);
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        let mut patience = Patience::default();
        let mut printed = Printed::default();
        loop {
            let again = async {
                match self.print(client, &mut patience, &mut printed, output).await? {
                    Some(status) => patience.wait(client, &tried, status).await.map(|()| true),
                    None => Ok(false),
                }
            };
            tokio::select! {
                again = again => if !again? {
                    if printed.is_empty() {
                        output.note(&format!("no rank of `{}` has written anything", self.target));
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
        patience: &mut Patience,
        printed: &mut Printed,
        output: &Output,
    ) -> Result<Option<Status>> {
        // A stream that goes on after another needs all lines, since only this side knows which it has.
        let tail = if printed.is_empty() { self.tail } else { 0 };
        printed.hides_older = self.tail > 0 && !printed.is_empty();
        let request = LogsRequest { target: self.target.clone(), follow: self.follow, tail };
        let mut lines = match in_time(client.services().jobs().logs(request)).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Some(status)),
        };
        patience.opened();
        loop {
            let line = match lines.message().await {
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

/// How far the log of each rank is printed.
#[derive(Debug, Default)]
struct Printed {
    last: HashMap<(String, u32, u32), u64>,
    first_at: Option<DateTime<Utc>>,
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
