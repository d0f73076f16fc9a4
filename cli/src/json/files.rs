//! What was written to disk: `results --plot`, `fetch` and `data get`.

use serde::Serialize;

use super::job::Job;

#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) jobs: Vec<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plot: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Fetched {
    pub(crate) files: Vec<FetchedFile>,
}

#[derive(Serialize)]
pub(crate) struct FetchedFile {
    pub(crate) path: String,
    pub(crate) job: String,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

#[derive(Serialize)]
pub(crate) struct Dataset {
    pub(crate) dataset: String,
    pub(crate) folder: String,
    /// It was there before.
    pub(crate) present: bool,
}
