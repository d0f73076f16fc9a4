//! What `--json` prints: a contract with scripts, which `tests/cli/golden/` holds byte for byte.
//!
//! Messages of the coordinator print themselves (`proto/build.rs` says how). Here is the rest: what surrounds them, and
//! what is not on the wire. Absent values are left out, times are RFC 3339 in UTC, states are the words that people see.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tandem_proto::v1::{
    AskCell, AskDirection, AskResponse, Dataset, Job, PlannedJob, SaveViewResponse, StatusResponse, StoredDataset,
    Token, View, WhoAmIResponse,
};

use crate::{
    render::{
        people::ContextRow,
        pivot::{Pivot, summary},
    },
    time,
};

/// `submit`: what was stored, or with `--dry-run` what would be.
#[derive(Serialize)]
pub(crate) struct Submitted<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) experiment_id: &'a str,
    pub(crate) experiment: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) jobs: &'a [PlannedJob],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) notes: &'a [String],
}

/// `submit --wait`: the jobs as they ended.
#[derive(Serialize)]
pub(crate) struct Finished<'a> {
    pub(crate) experiment_id: &'a str,
    pub(crate) experiment: &'a str,
    pub(crate) jobs: &'a [Job],
}

/// `results`, and the file that was drawn.
#[derive(Serialize)]
pub(crate) struct ResultsJson<'a> {
    pub(crate) jobs: &'a [Job],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plot: Option<String>,
}

/// `view list`, and what `view rm` has removed.
#[derive(Serialize)]
pub(crate) struct Views<'a> {
    views: Vec<SavedView<'a>>,
}

/// `view save`.
#[derive(Serialize)]
pub(crate) struct Saved<'a> {
    #[serde(flatten)]
    view: Option<SavedView<'a>>,
    replaced: bool,
}

#[derive(Serialize)]
struct SavedView<'a> {
    owner: &'a str,
    name: &'a str,
    r#where: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    target: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    of_owner: &'a str,
    mine: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    since: &'a str,
    by: &'a [String],
    columns: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    best: &'a str,
    ascending: bool,
    made_at: Option<DateTime<Utc>>,
}

impl<'a> SavedView<'a> {
    fn of(view: &'a View) -> Option<Self> {
        let question = view.question.as_ref()?;
        Some(Self {
            owner: &view.owner,
            name: &view.name,
            r#where: &question.r#where,
            target: &question.target,
            of_owner: &question.owner,
            mine: question.mine,
            since: &question.since,
            by: &question.by,
            columns: &question.columns,
            best: &question.order,
            ascending: question.direction() == AskDirection::Ascending,
            made_at: time::utc(&view.made_at),
        })
    }
}

impl<'a> From<&'a [View]> for Views<'a> {
    fn from(views: &'a [View]) -> Self {
        Self { views: views.iter().filter_map(SavedView::of).collect() }
    }
}

impl<'a> From<&'a SaveViewResponse> for Saved<'a> {
    fn from(answer: &'a SaveViewResponse) -> Self {
        Self { view: answer.view.as_ref().and_then(SavedView::of), replaced: answer.replaced }
    }
}

/// `results --where`: values by the names of their columns, in their order; absent ones are null.
#[derive(Serialize)]
pub(crate) struct Asked<'a> {
    columns: Vec<AskedColumn<'a>>,
    rows: Vec<AskedRow<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    next_cursor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more_than_total: bool,
    not_indexed: u64,
}

#[derive(Serialize)]
struct AskedColumn<'a> {
    name: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
}

#[derive(Serialize)]
struct AskedRow<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    job_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    experiment_id: &'a str,
    values: serde_json::Map<String, serde_json::Value>,
}

impl<'a> From<&'a AskResponse> for Asked<'a> {
    fn from(answer: &'a AskResponse) -> Self {
        let columns = answer.columns.iter().map(|column| AskedColumn {
            name: &column.name,
            kind: &column.kind,
            unit: &column.unit,
        });
        let rows = answer.rows.iter().map(|row| {
            let cells = answer.columns.iter().zip(&row.cells);
            let values = cells.map(|(column, cell)| (column.name.clone(), asked_value(cell))).collect();
            AskedRow { job_id: &row.job_id, experiment_id: &row.experiment_id, values }
        });
        Self {
            columns: columns.collect(),
            rows: rows.collect(),
            next_cursor: &answer.next_cursor,
            total: answer.total,
            more_than_total: answer.more_than_total,
            not_indexed: answer.not_indexed,
        }
    }
}

fn asked_value(cell: &AskCell) -> serde_json::Value {
    use tandem_proto::v1::ask_cell::Value;
    match &cell.value {
        None => serde_json::Value::Null,
        Some(Value::Text(text)) => text.as_str().into(),
        Some(Value::Whole(whole)) => (*whole).into(),
        Some(Value::Number(number)) => (*number).into(),
        Some(Value::Flag(flag)) => (*flag).into(),
        Some(Value::Time(at)) => time::utc(&Some(*at)).map_or(serde_json::Value::Null, |at| at.to_rfc3339().into()),
    }
}

/// `status`, and which coordinator answered.
#[derive(Serialize)]
pub(crate) struct StatusJson<'a> {
    pub(crate) server: &'a str,
    #[serde(flatten)]
    pub(crate) status: &'a StatusResponse,
}

/// `whoami`, and which coordinator answered.
#[derive(Serialize)]
pub(crate) struct WhoAmIJson<'a> {
    pub(crate) server: &'a str,
    #[serde(flatten)]
    pub(crate) who: &'a WhoAmIResponse,
}

/// `fetch`.
#[derive(Serialize)]
pub(crate) struct Fetched<'a> {
    pub(crate) files: Vec<FetchedFile>,
    /// Jobs that have made no file yet, or never will.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<Missing<'a>>,
}

#[derive(Serialize)]
pub(crate) struct Missing<'a> {
    pub(crate) job: &'a str,
    pub(crate) state: &'a str,
}

#[derive(Serialize)]
pub(crate) struct FetchedFile {
    pub(crate) path: String,
    pub(crate) job: String,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Not fetched: the very file was there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_there: bool,
}

/// `receipt check`.
#[derive(Serialize)]
pub(crate) struct CheckedReceipt<'a> {
    pub(crate) file: &'a str,
    pub(crate) job: &'a str,
    /// Id of the key that it was checked with.
    pub(crate) key: &'a str,
    pub(crate) files: &'a [CheckedFile],
    /// What is not as it was signed, in words; empty if all is in order.
    pub(crate) wrong: &'a [String],
}

#[derive(Serialize)]
pub(crate) struct CheckedFile {
    pub(crate) name: String,
    /// "whole", "altered" or "not here".
    pub(crate) state: &'static str,
}

/// `verify --wait` and `reproduce --wait`.
#[derive(Serialize)]
pub(crate) struct Compared<'a> {
    /// The job that ran the other anew, and that one.
    pub(crate) job: &'a str,
    pub(crate) of: &'a str,
    pub(crate) holds: bool,
    pub(crate) verdict: &'a str,
    pub(crate) equal: usize,
    pub(crate) unequal: &'a [String],
    /// In what the kinds of devices differ.
    pub(crate) kinds: &'a [String],
}

/// `report`: what was written, and what it lacks.
#[derive(Serialize)]
pub(crate) struct Reported<'a> {
    pub(crate) file: String,
    pub(crate) experiment: &'a str,
    pub(crate) jobs: usize,
    pub(crate) lacks: Vec<Lack<'a>>,
}

#[derive(Serialize)]
pub(crate) struct Lack<'a> {
    pub(crate) said: &'a str,
    /// What would fill it; empty where no command does.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) command: &'a str,
}

/// `init`.
#[derive(Serialize)]
pub(crate) struct Written {
    pub(crate) file: String,
}

/// `data list`: a data set for each kind of images, and for each reason why it cannot be used.
#[derive(Serialize)]
pub(crate) struct Datasets<'a> {
    pub(crate) datasets: Vec<SeenDataset<'a>>,
    /// Those that people have put into the store, those included that arrive.
    pub(crate) stored: &'a [StoredDataset],
}

#[derive(Serialize)]
pub(crate) struct SeenDataset<'a> {
    #[serde(flatten)]
    pub(crate) dataset: &'a Dataset,
    /// Names of the workers that see it so.
    pub(crate) on: Vec<&'a str>,
}

/// `data put`.
#[derive(Serialize)]
pub(crate) struct PutDataset<'a> {
    #[serde(flatten)]
    pub(crate) stored: &'a StoredDataset,
    /// Checksum of the images, as the workers tell it.
    pub(crate) images: &'a str,
    /// It was there before.
    pub(crate) present: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) notes: &'a [String],
}

/// `data remove`.
#[derive(Serialize)]
pub(crate) struct RemovedDataset<'a> {
    pub(crate) removed: &'a StoredDataset,
}

/// `data get`.
#[derive(Serialize)]
pub(crate) struct GotDataset {
    pub(crate) dataset: String,
    pub(crate) folder: String,
    /// It was there before.
    pub(crate) present: bool,
}

/// `join`: where, and as whom.
#[derive(Serialize)]
pub(crate) struct Joined<'a> {
    pub(crate) context: &'a str,
    pub(crate) servers: Vec<String>,
    pub(crate) name: &'a str,
    pub(crate) role: &'a str,
}

/// `context list`.
#[derive(Serialize)]
pub(crate) struct Contexts<'a> {
    pub(crate) contexts: &'a [ContextRow],
}

/// `token new`: the token itself, or the file that it is in.
#[derive(Serialize)]
pub(crate) struct NewToken<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a Token>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
}

/// `token revoke`.
#[derive(Serialize)]
pub(crate) struct Revoked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a Token>,
}

/// `results --table`: the table as data; each cell names the jobs that it stands for.
#[derive(Serialize)]
pub(crate) struct Table<'a> {
    /// The swept key that the rows are by.
    key: &'a str,
    columns: &'a [String],
    rows: Vec<TableRow>,
}

#[derive(Serialize)]
struct TableRow {
    /// Of the key: a number where it is one.
    value: serde_json::Value,
    /// One for each column; null where no job is.
    cells: Vec<Option<Cell>>,
}

#[derive(Serialize)]
struct Cell {
    test_accuracy: f64,
    /// Standard deviation, where several jobs share the cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<f64>,
    jobs: Vec<String>,
}

impl<'a> From<&'a Pivot> for Table<'a> {
    fn from(pivot: &'a Pivot) -> Self {
        let rows = pivot.rows.iter().map(|row| TableRow {
            value: row.value.parse::<f64>().map_or_else(|_| row.value.clone().into(), Into::into),
            cells: row
                .cells
                .iter()
                .map(|cell| {
                    let summary = summary(cell)?;
                    let jobs = cell.iter().map(|one| one.job.clone()).collect();
                    Some(Cell { test_accuracy: summary.mean, spread: summary.sd, jobs })
                })
                .collect(),
        });
        Self { key: &pivot.key, columns: &pivot.columns, rows: rows.collect() }
    }
}
