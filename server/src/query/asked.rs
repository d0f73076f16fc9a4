//! Questions about jobs, in SQL's own words for conditions.

mod cursor;
mod question;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use tandem_domain::ask::{self, Column, Condition, Known, Name, Op, Value};
use uuid::Uuid;

pub(crate) use question::{Question, Saved};

use cursor::{Behind, behind, other_question, written};

use crate::{
    error::{Error, Result},
    store::{
        Conn,
        asked::{self, AskedRow, Cell, GroupRow, Order, Place, Search},
        facts, jobs,
        targets::Target,
    },
    target,
};

/// Rows if the asker names no number, and the most of one answer.
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 10_000;
/// Jobs are counted so far.
const COUNTED_MAX: i64 = 10_000;
/// A total that takes longer is not worth it.
const COUNT_LIMIT: Duration = Duration::from_millis(40);
const COLUMNS_MAX: usize = 60;
const KEYS_MAX: usize = 6;
/// Names that are looked through for what there is.
const NAMES_MAX: i64 = 500;
/// Groups behind the first ones.
const SKIPPED_MAX: i64 = 100_000;

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heading {
    pub(crate) name: String,
    pub(crate) kind: Holds,
    /// `s` or empty.
    pub(crate) unit: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Text,
    Whole,
    Number,
    Time,
    /// What the parameter is in each job.
    Any,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) headings: Vec<Heading>,
    pub(crate) rows: Vec<AnswerRow>,
    pub(crate) next: Option<String>,
    /// `None` where it took too long, or on a later page.
    pub(crate) total: Option<Total>,
    /// Jobs that cannot be found yet: they are older than the table that is asked.
    pub(crate) not_indexed: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) count: i64,
    /// Else there are more.
    pub(crate) is_exact: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AnswerRow {
    /// The job and its experiment; of a group none.
    pub(crate) job: Option<(Uuid, Uuid)>,
    pub(crate) cells: Vec<Cell>,
}

/// What there is to ask by just now, and what was asked in these words.
struct Read {
    results: Vec<String>,
    curves: Vec<String>,
    search: Search,
    order: Order,
    behind: Option<Behind>,
    not_indexed: i64,
}

impl Read {
    async fn new(conn: &mut Conn, own: &str, question: &Question) -> Result<Self> {
        let now = jobs::now(conn).await?;
        let (results, curves) = asked::names(conn, NAMES_MAX).await?;
        let known = Known { results: &results, curves: &curves };
        let search = search(conn, own, question, known, now).await?;
        let order = order(question, known)?;
        let behind = behind(question)?;
        let filled = facts::filled(conn).await?;
        let not_indexed = facts::missing(conn, filled, COUNTED_MAX).await?;
        Ok(Self { results, curves, search, order, behind, not_indexed })
    }

    fn known(&self) -> Known<'_> {
        Known { results: &self.results, curves: &self.curves }
    }

    /// How many there are in all, of which these were shown; only with the first page.
    async fn total(&self, conn: &mut Conn, shown: usize, is_last: bool) -> Result<Option<Total>> {
        if self.behind.is_some() {
            return Ok(None);
        }
        if is_last {
            return Ok(Some(Total { count: i64::try_from(shown).unwrap_or(0), is_exact: true }));
        }
        let counted = asked::count_within(conn, &self.search, &self.order, COUNTED_MAX + 1, COUNT_LIMIT).await?;
        Ok(counted.map(|count| Total { count: count.min(COUNTED_MAX), is_exact: count <= COUNTED_MAX }))
    }

    /// Behind which job the page begins.
    fn after(&self) -> Result<Option<&Place>> {
        match &self.behind {
            Some(Behind::Job(place)) if asked::fits(&self.order, place) => Ok(Some(place)),
            Some(_) => Err(other_question()),
            None => Ok(None),
        }
    }

    /// The jobs of a page, and whether there are more.
    async fn page(&self, conn: &mut Conn, limit: u32) -> Result<(Vec<Place>, bool)> {
        let mut picked = asked::pick(conn, &self.search, &self.order, self.after()?, i64::from(limit) + 1).await?;
        let more = picked.len() > limit as usize;
        picked.truncate(limit as usize);
        Ok((picked, more))
    }
}

/// Answers a question of `own`.
///
/// # Errors
/// `Invalid` with the place of a mistake, `NotFound` for an unknown target.
pub(crate) async fn ask(conn: &mut Conn, own: &str, question: &Question) -> Result<Answer> {
    let read = Read::new(conn, own, question).await?;
    let limit = limit(question);
    let mut tx = conn.begin().await?;
    asked::prepare(&mut tx).await?;
    let mut answer = match question.by.is_empty() {
        true => jobs_of(&mut tx, question, &read, limit).await?,
        false => groups_of(&mut tx, question, &read, limit).await?,
    };
    tx.commit().await?;
    if question.by.is_empty() {
        answer.total = read.total(conn, answer.rows.len(), answer.next.is_none()).await?;
    }
    Ok(Answer { not_indexed: read.not_indexed, ..answer })
}

/// Jobs by their ids, for who shows more of them than columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) next: Option<String>,
    pub(crate) total: Option<Total>,
    pub(crate) not_indexed: i64,
}

/// The ids of the jobs that a question of `own` asks for, in their order.
///
/// # Errors
/// As [`ask()`].
pub(crate) async fn find(conn: &mut Conn, own: &str, question: &Question) -> Result<Found> {
    let read = Read::new(conn, own, question).await?;
    let mut tx = conn.begin().await?;
    asked::prepare(&mut tx).await?;
    let (picked, more) = read.page(&mut tx, limit(question)).await?;
    tx.commit().await?;
    let ids: Vec<Uuid> = picked.iter().map(|place| place.job).collect();
    let next = picked.into_iter().last().filter(|_| more).map(|last| written(question, Behind::Job(last)));
    let total = read.total(conn, ids.len(), !more).await?;
    Ok(Found { ids, next, total, not_indexed: read.not_indexed })
}

fn limit(question: &Question) -> u32 {
    if question.limit == 0 { LIMIT_DEFAULT } else { question.limit.min(LIMIT_MAX) }
}

async fn search(
    conn: &mut Conn,
    own: &str,
    question: &Question,
    known: Known<'_>,
    now: DateTime<Utc>,
) -> Result<Search> {
    let mut search = Search::default();
    if !question.condition.trim().is_empty() {
        let read = ask::condition(&question.condition, known, now);
        search.conditions.push(read.map_err(|fault| Error::Invalid(format!("where: {fault}")))?);
    }
    if !question.also.trim().is_empty() {
        let read = ask::condition(&question.also, known, now);
        let view = &question.view;
        search.conditions.push(read.map_err(|fault| Error::Invalid(format!("the view `{view}`: {fault}")))?);
    }
    let compared = |column, op, value| Condition::Compare { name: Name::Column(column), op, value };
    if !question.states.is_empty() {
        let values = question.states.iter().map(|state| Value::Text(state.label().to_owned())).collect();
        search.conditions.push(Condition::OneOf { name: Name::Column(Column::State), values, negated: false });
    }
    let owner = if question.mine { own } else { &question.owner };
    if !owner.is_empty() {
        search.conditions.push(compared(Column::Owner, Op::Equal, Value::Text(owner.to_owned())));
    }
    if !question.tag.is_empty() {
        search.conditions.push(compared(Column::Tag, Op::Equal, Value::Text(question.tag.clone())));
        search.names_a_tag = true;
    }
    if !question.since.trim().is_empty() {
        let since = ask::moment(&question.since, now).map_err(|why| Error::Invalid(format!("since: {why}")))?;
        search.conditions.push(compared(Column::Created, Op::AtLeast, Value::Time(since)));
    }
    if !question.target.trim().is_empty() {
        match target::resolve(conn, &question.target, own).await? {
            Target::Job(job) => search.job = Some(job),
            Target::Experiment(experiment) => search.experiment = Some(experiment),
        }
    }
    Ok(search)
}

fn named(field: &str, text: &str, known: Known<'_>) -> Result<Name> {
    ask::name(text, known).map_err(|fault| Error::Invalid(format!("{field}: {fault}")))
}

fn order(question: &Question, known: Known<'_>) -> Result<Order> {
    if question.order.trim().is_empty() {
        return Ok(Order { name: Name::Column(Column::Created), ascending: question.ascending.unwrap_or(false) });
    }
    let name = named("order", question.order.trim(), known)?;
    let ascending = question.ascending.unwrap_or_else(|| name.is_smaller_better());
    Ok(match name {
        // The older, the earlier.
        Name::Column(Column::Age) => Order { name: Name::Column(Column::Created), ascending: !ascending },
        name => Order { name, ascending },
    })
}

fn columns(question: &Question, known: Known<'_>, order: &Order) -> Result<Vec<Name>> {
    if question.columns.len() > COLUMNS_MAX {
        let count = question.columns.len();
        return Err(Error::Invalid(format!("columns: {count} of them; expected at most {COLUMNS_MAX}")));
    }
    if !question.columns.is_empty() {
        return question.columns.iter().map(|column| named("columns", column.trim(), known)).collect();
    }
    let shown = [
        Column::Experiment,
        Column::Job,
        Column::Owner,
        Column::Stage,
        Column::State,
        Column::Encoder,
        Column::LabelFraction,
        Column::Seed,
        Column::Figure,
        Column::Value,
        Column::Created,
        Column::Finished,
    ];
    let mut columns: Vec<Name> = shown.into_iter().map(Name::Column).collect();
    // What it is sorted by is shown, too.
    let shown_as_value = matches!(order.name, Name::Column(Column::Accuracy | Column::Knn | Column::Robust));
    if !columns.contains(&order.name) && !shown_as_value {
        columns.push(order.name.clone());
    }
    Ok(columns)
}

async fn jobs_of(conn: &mut Conn, question: &Question, read: &Read, limit: u32) -> Result<Answer> {
    let columns = &columns(question, read.known(), &read.order)?;
    let (mut picked, more) = read.page(conn, limit).await?;
    let rows = if picked.is_empty() { Vec::new() } else { asked::details(conn, &picked, columns).await? };
    let next = picked.pop().filter(|_| more).map(|last| written(question, Behind::Job(last)));
    let row = |row: AskedRow| AnswerRow { job: Some((row.job, row.experiment)), cells: row.cells };
    Ok(Answer {
        headings: columns.iter().map(heading).collect(),
        rows: rows.into_iter().map(row).collect(),
        next,
        total: None,
        not_indexed: 0,
    })
}

async fn groups_of(conn: &mut Conn, question: &Question, read: &Read, limit: u32) -> Result<Answer> {
    let known = read.known();
    let skip = match &read.behind {
        Some(Behind::Job(_)) => return Err(other_question()),
        Some(Behind::Groups(skip)) => (*skip).clamp(0, SKIPPED_MAX),
        None => 0,
    };
    if question.by.len() > KEYS_MAX {
        return Err(Error::Invalid(format!("by: {} keys; expected at most {KEYS_MAX}", question.by.len())));
    }
    if !question.columns.is_empty() {
        return Err(Error::Invalid("columns: of groups the columns are their keys and figures".to_owned()));
    }
    let mut keys = question.by.iter().map(|key| named("by", key.trim(), known)).collect::<Result<Vec<_>>>()?;
    let figure = if question.order.trim().is_empty() {
        // Main figures of different kinds are no mean of anything.
        if !keys.contains(&Name::Column(Column::Figure)) {
            keys.insert(0, Name::Column(Column::Figure));
        }
        Order { name: Name::Column(Column::Value), ascending: question.ascending.unwrap_or(false) }
    } else {
        let figure = named("order", question.order.trim(), known)?;
        if matches!(figure.kind(), ask::Kind::Text | ask::Kind::Time) {
            return Err(Error::Invalid(format!("order: `{figure}` has no mean; name a figure, such as accuracy")));
        }
        let ascending = question.ascending.unwrap_or_else(|| figure.is_smaller_better());
        Order { name: figure, ascending }
    };
    let mut rows = asked::groups(conn, &read.search, &keys, &figure, skip, i64::from(limit) + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = more.then(|| written(question, Behind::Groups(skip + i64::from(limit))));
    let mut headings: Vec<Heading> = keys.iter().map(heading).collect();
    let of = heading(&figure.name);
    for (word, kind) in [("best", Holds::Number), ("mean", Holds::Number), ("spread", Holds::Number)] {
        headings.push(Heading { name: format!("{word} {}", of.name), kind, unit: of.unit });
    }
    for word in ["measured", "seeds", "jobs"] {
        headings.push(Heading { name: word.to_owned(), kind: Holds::Whole, unit: "" });
    }
    let row = |row: GroupRow| {
        let number = |value: Option<f64>| value.map_or(Cell::Missing, Cell::Number);
        let figures = [number(row.best), number(row.mean), number(row.spread)];
        let counts = [row.measured, row.seeds, row.count].map(Cell::Whole);
        AnswerRow { job: None, cells: row.keys.into_iter().chain(figures).chain(counts).collect() }
    };
    Ok(Answer { headings, rows: rows.into_iter().map(row).collect(), next, total: None, not_indexed: 0 })
}

fn heading(name: &Name) -> Heading {
    let whole = matches!(name, Name::Column(column) if column.is_whole());
    let kind = match name.kind() {
        _ if whole => Holds::Whole,
        ask::Kind::Text => Holds::Text,
        ask::Kind::Number | ask::Kind::Span => Holds::Number,
        ask::Kind::Time => Holds::Time,
        ask::Kind::Any => Holds::Any,
    };
    let is_seconds =
        name.kind() == ask::Kind::Span || matches!(name, Name::Result(result) if result.ends_with("seconds"));
    Heading { name: name.to_string(), kind, unit: if is_seconds { "s" } else { "" } }
}
