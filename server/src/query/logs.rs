//! The log lines of ranks, once or followed.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::Result,
    notifier::Notifier,
    query::follow::{next_change, until_gone},
    store::{
        Store,
        logs::{self, LogRow, RankLog},
        small,
    },
    target::all_ended,
};

/// The most lines that are read together of one rank, and about the most of all ranks.
const PAGE_OF_RANK: i64 = 500;
const PAGE: i64 = 20_000;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) jobs: Vec<Uuid>,
    pub(crate) follow: bool,
    /// About this many of the last lines; `None` means all.
    pub(crate) tail: Option<u32>,
}

/// Sends lines in order of time, each line of a rank once; with `follow`, until the jobs have ended.
pub(crate) async fn logs(
    store: Store,
    notifier: Arc<Notifier>,
    request: Request,
    sender: mpsc::Sender<Result<LogRow>>,
    closing: CancellationToken,
) {
    until_gone(&sender, &closing, follow(&store, &notifier, &request, &sender)).await;
}

async fn follow(
    store: &Store,
    notifier: &Notifier,
    request: &Request,
    sender: &mpsc::Sender<Result<LogRow>>,
) -> Result<()> {
    let mut changes = notifier.subscribe();
    let mut cursors: HashMap<RankLog, i64> = match request.tail {
        Some(lines) => {
            logs::tail(&mut *store.reader().await?, &request.jobs, i64::from(lines)).await?.into_iter().collect()
        }
        None => HashMap::new(),
    };
    loop {
        // Read before the lines: the last line of a job that has ended by now is stored.
        let ended = !request.follow || all_ended(&mut *store.reader().await?, &request.jobs).await?;
        let ranks = logs::count_ranks(&mut *store.reader().await?, &request.jobs).await?;
        let per_rank = (PAGE / ranks.max(1)).clamp(20, PAGE_OF_RANK);
        loop {
            let known: Vec<(RankLog, i64)> = cursors.iter().map(|(log, sequence)| (*log, *sequence)).collect();
            let rows = logs::after(&mut *store.reader().await?, &request.jobs, &known, per_rank).await?;
            if rows.is_empty() {
                break;
            }
            for row in next_in_time(&rows, usize::try_from(per_rank).unwrap_or(usize::MAX)) {
                cursors.insert(RankLog { attempt: row.attempt_id, rank: small(row.rank) }, row.sequence);
                if sender.send(Ok(row)).await.is_err() {
                    return Ok(());
                }
            }
        }
        if ended {
            return Ok(());
        }
        next_change(&mut changes).await;
    }
}

/// The lines that come next in time. `rows` has the next lines of each rank, one rank after the other: `per_rank` of
/// those that have more. No line is sent that one of these might precede.
///
/// The lines of a rank stay in their order, even if the clock of its machine was set back.
fn next_in_time(rows: &[LogRow], per_rank: usize) -> Vec<LogRow> {
    let mut timed: Vec<(DateTime<Utc>, LogRow)> = Vec::with_capacity(rows.len());
    let mut horizon = DateTime::<Utc>::MAX_UTC;
    for lines in rows.chunk_by(|a, b| (a.attempt_id, a.rank) == (b.attempt_id, b.rank)) {
        let mut time = DateTime::<Utc>::MIN_UTC;
        for line in lines {
            time = time.max(line.at);
            timed.push((time, line.clone()));
        }
        if lines.len() >= per_rank {
            horizon = horizon.min(time);
        }
    }
    timed.retain(|(time, _)| *time <= horizon);
    timed.sort_by_key(|(time, _)| *time);
    timed.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rank: i32, seconds: &[i64]) -> Vec<LogRow> {
        let line = |(sequence, seconds): (i64, &i64)| LogRow {
            attempt_id: Uuid::nil(),
            attempt: 1,
            rank,
            sequence,
            at: DateTime::from_timestamp(*seconds, 0).unwrap(),
            line: format!("{rank}.{sequence}"),
            job_name: String::new(),
        };
        (1..).zip(seconds).map(line).collect()
    }

    fn order(ranks: &[Vec<LogRow>], per_rank: usize) -> Vec<String> {
        next_in_time(&ranks.concat(), per_rank).into_iter().map(|line| line.line).collect()
    }

    #[test]
    fn no_line_goes_before_one_that_is_on_the_next_page() {
        // Rank 0 may have more lines after its third, of second 3.
        let ranks = [lines(0, &[1, 2, 3]), lines(1, &[2, 9])];
        assert_eq!(order(&ranks, 3), ["0.1", "0.2", "1.1", "0.3"]);
        assert_eq!(order(&ranks, 4), ["0.1", "0.2", "1.1", "0.3", "1.2"]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_reorder_a_rank() {
        assert_eq!(order(&[lines(0, &[5, 2, 6]), lines(1, &[3, 5])], 9), ["1.1", "0.1", "0.2", "1.2", "0.3"]);
    }
}
