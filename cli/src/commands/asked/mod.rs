//! Questions about jobs in SQL's own words: `--where ..` and what goes with it, of `tandem results` and `tandem list`.

mod pages;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{AskDirection, AskRequest, AskResponse};
use tandem_tables::{Format, wire};

use super::export::Destination;
use crate::{client::Client, complete, exit::Exit, json, output::Output, render::asked, time};

/// Which jobs.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Filter {
    /// Only jobs that this holds of, in SQL's words, in any state: "stage = 'linear' and accuracy > 0.6 and age < '30d'"
    #[arg(long = "where", value_name = "CONDITION", default_value = "", hide_default_value = true)]
    pub(super) condition: String,
    /// Only one's own
    #[arg(long, conflicts_with = "owner")]
    pub(super) mine: bool,
    /// Only those of this person
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) owner: String,
    /// Only those submitted since: 2026-06-01, or 30d for the last thirty days
    #[arg(long, value_name = "WHEN", default_value = "", hide_default_value = true)]
    pub(super) since: String,
    /// Only what has this tag, or is of an experiment that has it, archived or not
    #[arg(long, value_name = "WORD", default_value = "", hide_default_value = true)]
    pub(super) tag: String,
}

/// Which jobs, of a question that may have been saved or asked before.
#[derive(Args, Clone, Debug)]
pub(super) struct Which {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// As a view says that was saved, yours or OWNER/NAME; what is said beside it goes before
    #[arg(long, value_name = "VIEW", default_value = "", hide_default_value = true, add = ArgValueCompleter::new(complete::views))]
    pub(super) view: String,
    /// Go on where an answer ended, as it says
    #[arg(long, value_name = "CURSOR", default_value = "", hide_default_value = true)]
    pub(super) cursor: String,
}

impl Which {
    /// Without a view, from the first page on.
    pub(super) fn of(filter: Filter) -> Self {
        Self { filter, view: String::new(), cursor: String::new() }
    }

    /// Whether one of these is given.
    pub(super) fn is_meant(&self) -> bool {
        let Filter { condition, mine, owner, since, tag } = &self.filter;
        *mine || [condition, owner, since, tag, &self.view, &self.cursor].iter().any(|text| !text.is_empty())
    }
}

/// What is shown of them.
#[derive(Args, Clone, Debug)]
pub(super) struct Shown {
    /// A line for jobs that share these, with best, mean and spread of the figure that --best names
    #[arg(long, value_delimiter = ',', value_name = "NAME", conflicts_with = "columns")]
    by: Vec<String>,
    /// What to show of each job
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    columns: Vec<String>,
}

impl Shown {
    pub(super) fn is_meant(&self) -> bool {
        !self.by.is_empty() || !self.columns.is_empty()
    }
}

/// A question with all that goes with it.
pub(super) struct Question<'a> {
    pub(super) which: &'a Which,
    pub(super) shown: &'a Shown,
    pub(super) target: &'a str,
    pub(super) stage: &'a str,
    pub(super) best: &'a str,
    pub(super) ascending: bool,
}

impl Question<'_> {
    pub(super) fn request(&self, limit: u32) -> AskRequest {
        let Which { filter: Filter { condition, mine, owner, since, tag }, view, cursor } = self.which;
        // A person who names a stage writes no condition beside it.
        let condition = match self.stage {
            "" => condition.clone(),
            stage => format!("stage = '{}'", stage.replace('\'', "''")),
        };
        let direction = if self.ascending { AskDirection::Ascending } else { AskDirection::Unspecified };
        AskRequest {
            r#where: condition,
            target: self.target.to_owned(),
            owner: owner.clone(),
            mine: *mine,
            since: since.clone(),
            tag: tag.clone(),
            order: self.best.to_owned(),
            direction: direction.into(),
            by: self.shown.by.clone(),
            columns: self.shown.columns.clone(),
            limit,
            cursor: cursor.clone(),
            view: view.clone(),
        }
    }

    /// A page of the answer, for people.
    pub(super) async fn show(&self, client: &Client, output: &Output, limit: u32) -> Result<Exit> {
        let answer = pages::page(client, &self.request(limit)).await?;
        if output.is_json() {
            output.document(&json::Asked::from(&answer))?;
        } else if answer.rows.is_empty() {
            output.note("no job is so");
        } else {
            output.text(&asked::table(&answer, !self.shown.columns.is_empty(), output.style(), time::now()))?;
        }
        say_rest(output, &Rest::of(&answer));
        Ok(Exit::Ok)
    }

    /// The whole answer, or `limit` rows of it, for another program.
    pub(super) async fn export(
        &self,
        client: &Client,
        output: &Output,
        (format, to): (Format, Destination),
        limit: Option<u32>,
    ) -> Result<Exit> {
        let answer = pages::all(client, self.request(0), limit.unwrap_or(pages::MOST)).await?;
        let place = to.place().map(|path| format!("{} rows are in {}", answer.rows.len(), path.display()));
        to.write(format, wire::answers(&answer)?)?;
        if let Some(place) = place {
            output.note(&place);
        }
        say_rest(output, &Rest::of(&answer));
        Ok(Exit::Ok)
    }
}

/// What an answer leaves out.
pub(super) struct Rest<'a> {
    pub(super) cursor: &'a str,
    pub(super) shown: usize,
    pub(super) total: Option<u64>,
    pub(super) more_than_total: bool,
    pub(super) not_indexed: u64,
}

impl<'a> Rest<'a> {
    fn of(answer: &'a AskResponse) -> Self {
        let AskResponse { next_cursor, rows, total, more_than_total, not_indexed, .. } = answer;
        let (total, more_than_total, not_indexed) = (*total, *more_than_total, *not_indexed);
        Self { cursor: next_cursor, shown: rows.len(), total, more_than_total, not_indexed }
    }

    /// How many are left, and how they are seen.
    fn more(&self) -> Option<String> {
        if self.cursor.is_empty() {
            return None;
        }
        let left = match self.total {
            Some(total) if self.more_than_total => format!("more than {total} in all"),
            Some(total) => format!("{} more", total.saturating_sub(self.shown as u64)),
            None => "more".to_owned(),
        };
        Some(format!("{left}: the same with --cursor {}", self.cursor))
    }
}

/// Says on stderr what is left out, and how it is seen.
pub(super) fn say_rest(output: &Output, rest: &Rest<'_>) {
    if let Some(more) = rest.more() {
        output.note(&more);
    }
    if rest.not_indexed > 0 {
        let count = rest.not_indexed;
        let s = if count == 1 { "" } else { "s" };
        output.note(&format!("{count} older job{s} cannot be found yet: the coordinator is still going through them"));
    }
}

/// Says on stderr that a list without a cursor is not all.
pub(super) fn say_more(output: &Output, shown: usize) {
    output.note(&format!(
        "there are more than these {shown}; --limit shows more of them, and --where, --mine or --since fewer"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_counted() {
        let more =
            |cursor, total, more_than_total| Rest { cursor, shown: 20, total, more_than_total, not_indexed: 0 }.more();
        assert_eq!(more("", Some(20), false), None);
        assert_eq!(more("c", Some(51), false).unwrap(), "31 more: the same with --cursor c");
        assert_eq!(more("c", Some(10_000), true).unwrap(), "more than 10000 in all: the same with --cursor c");
        assert_eq!(more("c", None, false).unwrap(), "more: the same with --cursor c");
    }
}
