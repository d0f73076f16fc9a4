//! One job after sweeps are expanded: the unit that is stored, scheduled and trained.

use serde::{Deserialize, Serialize};

use super::Stage;

/// Images a job trains on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Dataset {
    Cifar10,
    Cifar100,
    /// Synthetic images, seeded, made on the spot: ten classes told apart by shape and texture.
    Shapes,
    /// `folder:NAME`: one sub-folder per class under `train/` and `test/` in the data folder.
    Folder(String),
}

impl TryFrom<String> for Dataset {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "cifar10" => Ok(Self::Cifar10),
            "cifar100" => Ok(Self::Cifar100),
            "shapes" => Ok(Self::Shapes),
            other => match other.strip_prefix("folder:") {
                // The name becomes a path below the data folder: nothing that could climb out of it.
                Some(name) if !name.is_empty() && !name.starts_with('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) => {
                    Ok(Self::Folder(name.to_owned()))
                }
                _ => Err(format!("unknown dataset `{other}`: expected cifar10, cifar100, shapes or folder:NAME")),
            },
        }
    }
}

impl From<Dataset> for String {
    fn from(dataset: Dataset) -> String {
        dataset.to_string()
    }
}

impl std::fmt::Display for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cifar10 => f.write_str("cifar10"),
            Self::Cifar100 => f.write_str("cifar100"),
            Self::Shapes => f.write_str("shapes"),
            Self::Folder(name) => write!(f, "folder:{name}"),
        }
    }
}

/// How many ranks a job wants; `min == max` unless written as a range (`"1..4"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workers {
    pub min: u32,
    pub max: u32,
}

/// One node of the job graph. Its JSON form is what Postgres stores and what a rank receives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Unique within the experiment: the table's name, plus `[key=value]` for each swept key.
    pub name: String,
    pub dataset: Dataset,
    pub seed: u64,
    pub workers: Workers,
    /// Logical parts of a batch. Results depend on shards, never on ranks.
    pub shards: u32,
    /// CPU threads that one shard computes with; part of what makes runs equal bit for bit.
    pub threads: u32,
    /// Expanded names of the jobs whose results this one starts from (the encoder of a linear job).
    pub inputs: Vec<String>,
    pub stage: Stage,
}
