//! One job after sweeps are expanded: the unit that is stored, scheduled and trained.

use serde::{Deserialize, Serialize};

use super::stage::Stage;
use crate::words::is_near;

/// Images of the synthetic set to train on, and to test on.
pub const SHAPES_TRAIN: u32 = 10_000;
/// See [`SHAPES_TRAIN`].
pub const SHAPES_TEST: u32 = 2_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Dataset {
    Cifar10,
    Cifar100,
    /// Synthetic images, generated from the seed: ten classes that differ in shape and texture.
    Shapes,
    /// `folder:NAME`: one sub-folder per class under `train/` and `test/`, in the data folder or put into the store.
    Folder(String),
}

/// How many images a data set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageCounts {
    pub train: u64,
    pub test: u64,
    pub classes: u64,
}

impl Dataset {
    /// Names of those that are no folder.
    pub const OFFICIAL: [&str; 3] = ["cifar10", "cifar100", "shapes"];

    /// `None` for a folder: whoever has read it knows.
    pub fn counts(&self) -> Option<ImageCounts> {
        let (train, test, classes) = match self {
            Self::Cifar10 => (50_000, 10_000, 10),
            Self::Cifar100 => (50_000, 10_000, 100),
            Self::Shapes => (SHAPES_TRAIN.into(), SHAPES_TEST.into(), 10),
            Self::Folder(_) => return None,
        };
        Some(ImageCounts { train, test, classes })
    }
}

impl TryFrom<String> for Dataset {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "cifar10" => Ok(Self::Cifar10),
            "cifar100" => Ok(Self::Cifar100),
            "shapes" => Ok(Self::Shapes),
            other => match other.strip_prefix("folder:") {
                // The name becomes a path below the data folder and must not lead out of it.
                Some(name)
                    if !name.is_empty()
                        && !name.starts_with('.')
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) =>
                {
                    Ok(Self::Folder(name.to_owned()))
                }
                Some(name) => Err(format!(
                    "`{name}` is no name of a data set's folder: expected letters a-z and A-Z, digits, `-`, `_` and `.`, and no \
                     `.` in front; a link with such a name may lead to it"
                )),
                None => {
                    let near = Self::OFFICIAL.into_iter().find(|known| is_near(other, known));
                    let near = near
                        .map_or_else(|| ": expected".to_owned(), |known| format!("; did you mean `{known}`? Expected"));
                    Err(format!("unknown dataset `{other}`{near} cifar10, cifar100, shapes or folder:NAME"))
                }
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

impl Workers {
    /// The world sizes in this range that give every rank the same number of shards, smallest first.
    pub fn world_sizes(self, shards: u32) -> impl DoubleEndedIterator<Item = u32> {
        (self.min.max(1)..=self.max.min(shards)).filter(move |size| shards.is_multiple_of(*size))
    }
}

/// As written in an experiment file: `2`, or `1..4`.
impl std::fmt::Display for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}..{}", self.min, self.max) }
    }
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
    /// Logical parts of a batch. Results depend on shards, not on ranks.
    pub shards: u32,
    /// CPU threads of one shard; results are equal bit for bit only with equal threads.
    pub threads: u32,
    /// Expanded names of the jobs whose results this one starts from (the encoder of a linear job).
    pub inputs: Vec<String>,
    pub stage: Stage,
}
