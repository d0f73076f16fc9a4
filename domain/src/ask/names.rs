//! The closed list of names that can be asked by.

use std::{collections::BTreeSet, fmt};

use serde_json::Value as Json;

use crate::{plan, words::hint};

/// What is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    /// A point in time: a date, RFC 3339, or a span before now.
    Time,
    /// Seconds, or a span (`2h`).
    Span,
    /// What the parameter is: text, a number or a flag.
    Any,
}

macro_rules! columns {
    ($($column:ident $name:literal $kind:ident $about:literal)*) => {
        /// What is kept of each job in a column of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column { $(#[doc = $about] $column,)* }

        impl Column {
            pub const ALL: &[Self] = &[$(Self::$column,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$column => $name,)* }
            }

            pub fn kind(self) -> Kind {
                match self { $(Self::$column => Kind::$kind,)* }
            }

            /// For people, one line.
            pub fn about(self) -> &'static str {
                match self { $(Self::$column => $about,)* }
            }
        }
    };
}

columns! {
    Job "job" Text "Its name in the experiment that brought it."
    Experiment "experiment" Text "Name of the experiment that brought it."
    Owner "owner" Text "Who submitted that."
    Stage "stage" Text "Contrastive, supervised, linear, finetune or attack."
    State "state" Text "Blocked, queued, paused, running, succeeded, failed or cancelled."
    Dataset "dataset" Text "As in the file."
    Images "dataset_sha256" Text "Checksum of its training images, where that was known at submit."
    Encoder "encoder" Text "Its network, or that of what it starts from."
    Optimizer "optimizer" Text "Its own: sgd, lars or adam."
    Attack "attack" Text "Which attack."
    Norm "norm" Text "In which an attack looks for near images."
    Device "device" Text "Kind of the devices that the last attempt ran on."
    Figure "figure" Text "Name of its main figure."
    Tag "tag" Text "On it or on an experiment that has it; compared one by one, so that <> and NOT mean: none of them is so."
    LabelFraction "label_fraction" Number "Share of the labels; of an attack that of the classifier under it."
    Epochs "epochs" Number "Its own."
    BatchSize "batch_size" Number "Its own."
    Seed "seed" Number "Its own."
    Temperature "temperature" Number "Of the contrastive loss, its own or of what it starts from."
    Lr "lr" Number "Its own peak learning rate."
    WeightDecay "weight_decay" Number "Its own."
    Lambda "lambda" Number "Weight of the input-gradient penalty, its own or of what it starts from."
    Value "value" Number "Its main figure, whichever that is."
    Accuracy "accuracy" Number "Test accuracy of a supervised, linear or finetune job."
    Knn "knn_accuracy" Number "Of a contrastive job, at its end."
    Robust "robust_accuracy" Number "Of an attack, at the largest radius."
    Created "created" Time "When it was submitted."
    Started "started" Time "When its first attempt was given to workers."
    Finished "finished" Time "When it ended."
    Age "age" Span "How long ago it was submitted."
    DeviceSeconds "device_seconds" Span "Time of all its attempts, times their devices."
}

impl Column {
    /// Whether it is stored as a whole number.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Epochs | Self::BatchSize | Self::Seed)
    }
}

/// Which value of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// The largest, or the smallest of what is better smaller.
    Best,
    Last,
    Min,
    Max,
}

impl Curve {
    pub const ALL: [(&'static str, Self); 4] =
        [("best", Self::Best), ("last", Self::Last), ("min", Self::Min), ("max", Self::Max)];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, curve)| *curve == self).map_or("", |(word, _)| word)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    Column(Column),
    /// A final result.
    Result(String),
    /// A parameter by its dotted name.
    Param(String),
    Curve(Curve, String),
}

impl Name {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Column(column) => column.kind(),
            Self::Result(_) | Self::Curve(..) => Kind::Number,
            Self::Param(_) => Kind::Any,
        }
    }

    /// Whether the smaller is the better of it.
    pub fn is_smaller_better(&self) -> bool {
        match self {
            Self::Result(name) | Self::Curve(_, name) => is_smaller_better(name),
            Self::Column(column) => matches!(column.kind(), Kind::Span),
            Self::Param(_) => false,
        }
    }
}

/// As it is written in a condition.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(column) => f.write_str(column.name()),
            Self::Result(name) | Self::Param(name) => f.write_str(name),
            Self::Curve(which, name) => write!(f, "{}({name})", which.word()),
        }
    }
}

/// Whether the smaller is the better of a result or curve of this name: losses, errors, times.
pub fn is_smaller_better(name: &str) -> bool {
    let says = |word: &str| name.split(['_', '.']).any(|part| part == word);
    ["loss", "error", "seconds", "failed", "penalty", "broken", "misclassified", "bytes"].iter().any(|word| says(word))
}

/// What results and curves there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    pub results: &'a [String],
    pub curves: &'a [String],
}

impl Known<'_> {
    /// A name without brackets: a column, a result, or a parameter.
    pub(super) fn bare(&self, written: &str) -> Result<Name, String> {
        let lower = written.to_ascii_lowercase();
        if let Some(column) = Column::ALL.iter().find(|column| column.name() == lower) {
            return Ok(Name::Column(*column));
        }
        if self.results.iter().any(|result| result == written) {
            return Ok(Name::Result(written.to_owned()));
        }
        if params().contains(written) {
            return Ok(Name::Param(written.to_owned()));
        }
        if self.curves.iter().any(|curve| curve == written) {
            return Err(format!("`{written}` is a curve: write best({written}) or last({written})"));
        }
        let columns = Column::ALL.iter().map(|column| column.name());
        let near = hint(written, columns.clone().chain(self.results.iter().map(String::as_str)));
        // Parameters are too many to be listed, and one of them may be meant all the same.
        let near = if near.ends_with('?') { near } else { near_param(written).unwrap_or(near) };
        let near = if near.is_empty() { hint(written, columns) } else { near };
        Err(format!("there is no `{written}` to ask by{near}{}", self.beside(&near)))
    }

    fn beside(&self, near: &str) -> &'static str {
        if near.ends_with('?') { "" } else { "; also the parameters of a file, such as optimizer.lr, and best(CURVE)" }
    }

    pub(super) fn result(&self, written: &str) -> Result<Name, String> {
        let known = self.results.iter().any(|result| result == written);
        let none = || format!("no job has a result `{written}`{}", listed(written, self.results));
        if known { Ok(Name::Result(written.to_owned())) } else { Err(none()) }
    }

    pub(super) fn curve(&self, which: Curve, written: &str) -> Result<Name, String> {
        let known = self.curves.iter().any(|curve| curve == written);
        let none = || format!("no job has a curve `{written}`{}", listed(written, self.curves));
        if known { Ok(Name::Curve(which, written.to_owned())) } else { Err(none()) }
    }

    pub(super) fn param(written: &str) -> Result<Name, String> {
        if params().contains(written) {
            return Ok(Name::Param(written.to_owned()));
        }
        Err(format!("no stage has a parameter `{written}`{}", near_param(written).unwrap_or_default()))
    }
}

fn listed(written: &str, known: &[String]) -> String {
    if known.is_empty() { "; there are none yet".to_owned() } else { hint(written, known.iter().map(String::as_str)) }
}

/// The nearest parameter, or the one whose last part is what was written.
fn near_param(written: &str) -> Option<String> {
    let own = || params().iter().filter(|name| !plan_stages().any(|stage| name.starts_with(&format!("{stage}."))));
    let whole = own().find(|name| name.rsplit('.').next() == Some(written));
    let near = || own().find(|name| crate::words::is_near(written, name));
    whole.or_else(near).map(|name| format!("; did you mean `{name}`?"))
}

fn plan_stages() -> impl Iterator<Item = &'static str> {
    plan::STAGES.iter().copied()
}

/// Every parameter by its dotted name, those of inputs with their stage in front, as [`crate::facts`] keeps them.
pub fn params() -> &'static BTreeSet<String> {
    static PARAMS: std::sync::LazyLock<BTreeSet<String>> = std::sync::LazyLock::new(|| {
        let mut all: BTreeSet<String> = ["shards", "threads"].map(str::to_owned).into();
        for stage in plan_stages() {
            let mut own = BTreeSet::new();
            collect("", &plan::stage_schema(stage).unwrap_or_default(), &mut own);
            all.extend(own.iter().map(|name| format!("{stage}.{name}")));
            all.extend(own);
        }
        all
    });
    &PARAMS
}

fn collect(prefix: &str, schema: &Json, names: &mut BTreeSet<String>) {
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
        if !prefix.is_empty() {
            names.insert(prefix.to_owned());
        }
        return;
    };
    for (key, inner) in properties {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        collect(&name, inner, names);
    }
}
