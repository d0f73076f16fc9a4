//! Reads the experiment file: every job's table with its own sweep, each variant checked. The graph comes later.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, hint};
use super::parallelism::{Parallelism, WrittenParallelism};
use super::read::{Reader, check_keys, integer, join, optional};
use super::sweep::{self, Axis, Suffix};
use super::unused;
use super::{conflict, defaults};
use crate::spec::{Attack, Contrastive, Dataset, Finetune, Linear, Stage, Supervised};

const TOP: &[&str] = &["name", "dataset", "seed", "priority", "workers", "shards", "threads", "jobs"];
/// Keys of a job of any stage, in addition to its stage's.
const COMMON: &[&str] = &["stage", "from", "where", "sweep", "seed", "workers", "shards", "threads"];
const STAGES: &[&str] = &["contrastive", "supervised", "linear", "finetune", "attack"];
const NAME_LENGTH: usize = 64;
/// Largest priority, up and down.
const PRIORITY_MAX: i32 = 100;

pub(super) struct File<'a> {
    pub name: String,
    pub dataset: Dataset,
    pub seed: u64,
    pub priority: i32,
    /// In the order of the file.
    pub jobs: Vec<JobTable<'a>>,
}

pub(super) struct JobTable<'a> {
    pub name: String,
    pub span: Range<usize>,
    /// The word after `stage =`.
    pub stage: &'static str,
    /// Names of the jobs that it starts from, which are alternatives.
    pub from: Vec<Spanned<String>>,
    /// `where`: the selected variants of those.
    pub filters: Vec<Axis<'a>>,
    /// Its own sweep, expanded; a single entry without one.
    pub variants: Vec<Variant>,
}

/// One point of a job's own sweep.
pub(super) struct Variant {
    pub suffix: Suffix,
    pub stage: Stage,
    /// `None`: the seed of its input, or the experiment's.
    pub seed: Option<u64>,
    pub parallelism: Parallelism,
}

pub(super) fn read<'a>(root: &'a Spanned<DeTable<'a>>) -> Result<File<'a>, Fault> {
    let top = root.get_ref();
    check_keys("", top, TOP)?;
    let name = required(root, "name")?;
    let name_text: String = name.clone().read()?;
    check_name(&name_text).map_err(|message| name.fault(message))?;
    let dataset = required(root, "dataset")?.read()?;
    let seed = optional("", top, "seed")?.unwrap_or(1);
    let priority = match Reader::key("", top, "priority") {
        Some(reader) => {
            let number = integer(reader.value()).and_then(|number| i32::try_from(number).ok());
            let number = number.ok_or_else(|| reader.expected("a whole number"))?;
            checked_priority(number).map_err(|message| reader.fault(message))?
        }
        None => 0,
    };
    let parallelism = WrittenParallelism::read("", top)?;

    let jobs = required(root, "jobs")?;
    let tables = jobs.value().as_table().ok_or_else(|| jobs.expected("tables [jobs.NAME]"))?;
    let mut entries: Vec<_> = tables.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    if entries.is_empty() {
        return Err(jobs.fault("the experiment has no job; write at least one table [jobs.NAME]"));
    }
    if entries.len() > sweep::MOST_JOBS {
        return Err(sweep::too_many(entries[sweep::MOST_JOBS].0.span(), "jobs"));
    }
    let mut made = 0;
    let jobs = entries
        .into_iter()
        .map(|(key, table)| {
            let name = key.get_ref().as_ref();
            check_name(name).map_err(|message| Fault::new(key.span(), join("jobs", name), message))?;
            read_job(name, table, &dataset, seed, parallelism, &mut made)
        })
        .collect::<Result<_, _>>()?;
    Ok(File { name: name_text, dataset, seed, priority, jobs })
}

/// `made`: the variants so far, each of which becomes a job at least. Counted before they are read.
fn read_job<'a>(
    name: &str,
    job: &'a Spanned<DeValue<'a>>,
    dataset: &Dataset,
    seed: u64,
    experiment: WrittenParallelism,
    made: &mut usize,
) -> Result<JobTable<'a>, Fault> {
    let table = join("jobs", name);
    let Some(values) = job.get_ref().as_table() else {
        return Err(Fault::new(job.span(), &table, format!("`{table}` must be a table: [{table}]")));
    };
    let stage = read_stage_name(&table, job, values)?;
    let filters = sub_table(&table, values, "where")?.map(sweep::axes).unwrap_or_default();
    let axes = sub_table(&table, values, "sweep")?.map(sweep::axes).unwrap_or_default();
    *made = axes.iter().fold(1, |count: usize, axis| count.saturating_mul(axis.values.len())).saturating_add(*made);
    if *made > sweep::MOST_JOBS {
        return Err(sweep::too_many(job.span(), &table));
    }

    let read_variant = |(suffix, job): (Suffix, Spanned<DeValue<'_>>)| {
        let mut stage = read_stage(stage, Reader::table(&table, &job, COMMON))?;
        let values = job.get_ref().as_table().ok_or_else(|| Fault::new(job.span(), &table, "not a table"))?;
        let parallelism = WrittenParallelism::read(&table, values)?.or(experiment, &stage);
        match conflict::find(&stage, parallelism, dataset, values) {
            None => {
                defaults::fill(&mut stage, seed, values);
                Ok(Variant { suffix, stage, seed: optional(&table, values, "seed")?, parallelism })
            }
            Some((key, message)) => {
                let span = conflict::locate(values, key).unwrap_or(job.span());
                Err(Fault::new(span, join(&table, key), message))
            }
        }
    };
    // `from`, `where` and `sweep` are read once, not copied into every variant.
    let mut parameters = values.clone();
    for key in ["from", "where", "sweep"] {
        parameters.remove(key);
    }
    let parameters = Spanned::new(job.span(), DeValue::Table(parameters));
    let variants = sweep::variants(&table, &parameters, &axes)?
        .map(|variant| variant.and_then(read_variant))
        .collect::<Result<Vec<Variant>, _>>()?;
    let written = |key: &str| conflict::locate(values, key).is_some();
    if let Some((key, message)) = unused::find(variants.iter().map(|variant| &variant.stage), written) {
        let span = conflict::locate(values, key).unwrap_or(job.span());
        return Err(Fault::new(span, join(&table, key), message));
    }
    let from = read_from(&table, values)?;
    Ok(JobTable { name: name.to_owned(), span: job.span(), stage, from, filters, variants })
}

fn read_stage_name(table: &str, job: &Spanned<DeValue<'_>>, values: &DeTable<'_>) -> Result<&'static str, Fault> {
    let Some(reader) = Reader::key(table, values, "stage") else {
        // A key that is nearly `stage` is reported as misspelt; without the stage no other key can be checked.
        let near = values.keys().find(|key| strsim::osa_distance(key.get_ref(), "stage") <= 2);
        return Err(match near {
            Some(key) => {
                let message = format!("unknown key `{}` in [{table}]; did you mean `stage`?", key.get_ref());
                Fault::new(key.span(), join(table, key.get_ref()), message)
            }
            None => {
                let message = format!("missing key `stage` in [{table}]; expected one of {}", STAGES.join(", "));
                Fault::new(job.span(), join(table, "stage"), message)
            }
        });
    };
    let word: String = reader.clone().read()?;
    STAGES.iter().find(|stage| **stage == word).copied().ok_or_else(|| {
        reader.fault(format!("unknown stage {word:?} in [{table}]{}", hint(&word, STAGES.iter().copied())))
    })
}

fn read_stage(stage: &str, job: Reader<'_>) -> Result<Stage, Fault> {
    Ok(match stage {
        "contrastive" => Stage::Contrastive(job.read::<Contrastive>()?),
        "supervised" => Stage::Supervised(job.read::<Supervised>()?),
        "linear" => Stage::Linear(job.read::<Linear>()?),
        "finetune" => Stage::Finetune(job.read::<Finetune>()?),
        _ => Stage::Attack(job.read::<Attack>()?),
    })
}

fn read_from(table: &str, values: &DeTable<'_>) -> Result<Vec<Spanned<String>>, Fault> {
    let Some(reader) = Reader::key(table, values, "from") else { return Ok(Vec::new()) };
    let expected = || reader.expected("the name of a job, or a list of names");
    let name = |value: &Spanned<DeValue<'_>>| {
        value.get_ref().as_str().map(|name| Spanned::new(value.span(), name.to_owned())).ok_or_else(expected)
    };
    let names: Vec<_> = match reader.value() {
        DeValue::Array(values) => values.iter().map(name).collect::<Result<_, _>>()?,
        _ => values.get("from").map(name).transpose()?.into_iter().collect(),
    };
    if names.len() > sweep::MOST_JOBS {
        return Err(reader.fault(format!("`from` names {} jobs; expected at most {}", names.len(), sweep::MOST_JOBS)));
    }
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            let message = format!("`{}` stands twice in `from`", name.get_ref());
            return Err(Fault::new(name.span(), join(table, "from"), message));
        }
    }
    Ok(names)
}

/// A priority within its bounds.
///
/// # Errors
/// The message names the bounds.
pub fn checked_priority(priority: i32) -> Result<i32, String> {
    if (-PRIORITY_MAX..=PRIORITY_MAX).contains(&priority) {
        return Ok(priority);
    }
    Err(format!("`priority` = {priority}: expected a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}"))
}

fn check_name(name: &str) -> Result<(), String> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if (1..=NAME_LENGTH).contains(&name.len()) && name.chars().all(valid) {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_LENGTH).collect();
    Err(format!("{shown:?} is no valid name: expected 1 to {NAME_LENGTH} of a-z, 0-9, `-` and `_`"))
}

fn required<'a>(root: &'a Spanned<DeTable<'a>>, key: &str) -> Result<Reader<'a>, Fault> {
    Reader::key("", root.get_ref(), key).ok_or_else(|| {
        let what = match key {
            "name" => "a name for the experiment",
            "dataset" => "cifar10, cifar100, shapes or folder:NAME",
            _ => "at least one table [jobs.NAME]",
        };
        Fault::new(0..0, key, format!("missing key `{key}` at the top of the file; expected {what}"))
    })
}

fn sub_table<'a>(table: &str, values: &'a DeTable<'a>, key: &str) -> Result<Option<&'a DeTable<'a>>, Fault> {
    let Some(value) = values.get(key) else { return Ok(None) };
    let fault = || Fault::new(value.span(), join(table, key), format!("`{key}` must be a table: [{table}.{key}]"));
    value.get_ref().as_table().map(Some).ok_or_else(fault)
}
