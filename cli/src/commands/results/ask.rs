//! `tandem results --where ..`: jobs in any state by a condition, sorted or in groups.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::{AskDirection, AskRequest, AskResponse};

use crate::{client::Client, exit::Exit, json, output::Output, render::asked, time};

#[derive(Args, Clone, Debug)]
pub(super) struct Asked {
    /// Only jobs that this holds of, in SQL's words, in any state: "stage = 'linear' and accuracy > 0.6 and age < '30d'"
    #[arg(
        long = "where",
        value_name = "CONDITION",
        default_value = "",
        hide_default_value = true,
        conflicts_with_all = ["stage", "table", "plot"]
    )]
    condition: String,
    /// A line for jobs that share these, with best, mean and spread of the figure that --best names
    #[arg(long, value_delimiter = ',', value_name = "NAME", conflicts_with_all = ["table", "plot", "columns"])]
    by: Vec<String>,
    /// What to show of each job
    #[arg(long, value_delimiter = ',', value_name = "NAME", conflicts_with_all = ["table", "plot"])]
    columns: Vec<String>,
    /// Only your own jobs
    #[arg(long, conflicts_with_all = ["owner", "table", "plot"])]
    mine: bool,
    /// Only jobs of this person
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true, conflicts_with_all = ["table", "plot"])]
    owner: String,
    /// Only jobs submitted since: 2026-06-01, or 30d for the last thirty days
    #[arg(long, value_name = "WHEN", default_value = "", hide_default_value = true, conflicts_with_all = ["table", "plot"])]
    since: String,
    /// Go on where an answer ended, as it says
    #[arg(long, value_name = "CURSOR", default_value = "", hide_default_value = true, conflicts_with_all = ["table", "plot"])]
    cursor: String,
}

impl Asked {
    /// Whether one of these is given.
    pub(super) fn is_meant(&self) -> bool {
        let texts = [&self.condition, &self.owner, &self.since, &self.cursor];
        self.mine || !self.by.is_empty() || !self.columns.is_empty() || texts.iter().any(|text| !text.is_empty())
    }

    pub(super) async fn run(self, client: &Client, output: &Output, rest: &Rest<'_>) -> Result<Exit> {
        let condition = match rest.stage {
            "" => self.condition,
            stage => format!("stage = '{}'", stage.replace('\'', "''")),
        };
        let request = AskRequest {
            r#where: condition,
            target: rest.target.to_owned(),
            owner: self.owner,
            mine: self.mine,
            since: self.since,
            order: rest.best.to_owned(),
            direction: if rest.ascending { AskDirection::Ascending.into() } else { AskDirection::Unspecified.into() },
            by: self.by,
            columns: self.columns,
            limit: rest.limit,
            cursor: self.cursor,
        };
        let answer = client.ask("ask for results", async |on| on.results().ask(request.clone()).await).await?;
        if output.is_json() {
            output.document(&json::Asked::from(&answer))?;
        } else if answer.rows.is_empty() {
            output.note("no job is so");
        } else {
            output.text(&asked::table(&answer, output.style(), time::now()))?;
        }
        if let Some(more) = more(&answer) {
            output.note(&more);
        }
        if answer.not_indexed > 0 {
            let count = answer.not_indexed;
            let s = if count == 1 { "" } else { "s" };
            output.note(&format!(
                "{count} older job{s} cannot be found yet: the coordinator is still going through them"
            ));
        }
        Ok(Exit::Ok)
    }
}

/// What `tandem results` takes in any case.
pub(super) struct Rest<'a> {
    pub(super) target: &'a str,
    pub(super) stage: &'a str,
    pub(super) best: &'a str,
    pub(super) ascending: bool,
    pub(super) limit: u32,
}

/// How many are left, and how they are seen.
fn more(answer: &AskResponse) -> Option<String> {
    let cursor = &answer.next_cursor;
    if cursor.is_empty() {
        return None;
    }
    let left = match answer.total {
        Some(total) if answer.more_than_total => format!("more than {total} in all"),
        Some(total) => format!("{} more", total.saturating_sub(answer.rows.len() as u64)),
        None => "more".to_owned(),
    };
    Some(format!("{left}: the same with --cursor {cursor}"))
}
