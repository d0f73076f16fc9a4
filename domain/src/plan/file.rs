//! Reads the experiment file: every job's table with its own sweep, each variant checked. The graph comes later.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::bounds;
use super::fault::{Fault, Faults};
use super::parallelism::WrittenParallelism;
use super::read::{Reader, integer, join, locate, optional, unknown_key, unknown_keys};
use super::stage::COMMON;
use super::sweep::{self, Axis};
use super::unused;
use super::variant::{Reading, Shared, Variant};
use crate::spec::Dataset;
use crate::words::{hint, hint_of_value, is_near};

/// Keys at the top of the file.
pub const TOP: &[&str] = &["name", "dataset", "seed", "priority", "workers", "shards", "threads", "jobs"];
/// The words after `stage =`.
pub const STAGES: &[&str] = &["contrastive", "supervised", "linear", "finetune", "attack"];

/// Whether there is such a stage.
///
/// # Errors
/// Where there is none, with the nearest.
pub fn check_stage(stage: &str) -> Result<(), String> {
    if STAGES.contains(&stage) {
        return Ok(());
    }
    Err(format!("no stage is called `{stage}`{}", hint_of_value(stage, STAGES)))
}
pub(super) const NAME_LENGTH: usize = 64;
/// Largest priority, up and down.
pub(super) const PRIORITY_MAX: i32 = 100;
/// Of what runs a job anew to prove it: below all that anybody may ask for.
pub const PRIORITY_OF_PROOFS: i32 = -PRIORITY_MAX - 1;

pub(super) struct File<'a> {
    pub name: String,
    pub dataset: Dataset,
    pub seed: u64,
    pub priority: i32,
    /// In the order of the file.
    pub jobs: Vec<JobTable<'a>>,
    /// Whether all jobs of the file are among them.
    pub complete: bool,
}

pub(super) struct JobTable<'a> {
    pub name: String,
    pub span: Range<usize>,
    /// The word after `stage =`.
    pub stage: &'static str,
    /// Names of the jobs that it starts from, which are alternatives.
    pub from: Vec<Spanned<String>>,
    /// It has a key that is nearly `from`: that one is told, not that `from` is missing.
    pub is_from_misspelt: bool,
    /// `where`: the selected variants of those.
    pub filters: Vec<Axis<'a>>,
    /// Its own sweep, expanded; a single entry without one.
    pub variants: Vec<Variant>,
}

/// What can be read of the file; only without faults it is what the file says.
pub(super) fn read<'a>(root: &'a Spanned<DeTable<'a>>, faults: &mut Faults) -> File<'a> {
    let top = root.get_ref();
    for key in unknown_keys(top, TOP) {
        if faults.is_full() {
            break;
        }
        let mut fault = unknown_key("", key, TOP);
        if is_of_a_job(&fault.key) {
            fault.message = format!("`{}` is a key of a job: it belongs in [jobs.NAME]", fault.key);
        }
        faults.push(fault);
    }
    let name = faults.keep(required(root, "name").and_then(read_name)).unwrap_or_default();
    // Of a folder nothing is known that a job could contradict.
    let dataset = required(root, "dataset").and_then(Reader::read);
    let dataset = faults.keep(dataset).unwrap_or_else(|| Dataset::Folder(String::new()));
    let seed = faults.keep(optional("", top, "seed")).flatten().unwrap_or(1);
    let priority = faults.keep(Reader::key("", top, "priority").map(read_priority).transpose()).flatten();
    let parallelism = WrittenParallelism::read("", top, faults);
    let shared = Shared { dataset, seed, parallelism };
    let tables = faults.keep(required(root, "jobs").and_then(read_tables)).unwrap_or_default();
    let (mut made, mut jobs, mut complete) = (0, Vec::new(), !tables.is_empty());
    for (key, table) in tables {
        if faults.is_full() {
            break;
        }
        let name = key.get_ref().as_ref();
        let checked = check_name(name).map_err(|message| Fault::new(key.span(), join("jobs", name), message));
        faults.keep(checked);
        let job = read_job(name, table, &shared, &mut made, faults);
        let job = faults.keep(job);
        complete &= job.is_some();
        jobs.extend(job);
    }
    let Shared { dataset, seed, .. } = shared;
    File { name, dataset, seed, priority: priority.unwrap_or(0), jobs, complete }
}

/// Whether a key at the top of the file was meant for a job.
fn is_of_a_job(key: &str) -> bool {
    let is_first = |(name, _): &(&str, _)| name.split('.').next() == Some(key);
    ["encoder", "attack", "norm"].contains(&key) || COMMON.contains(&key) || bounds::BOUNDS.iter().any(is_first)
}

fn read_name(reader: Reader<'_>) -> Result<String, Fault> {
    let name: String = reader.clone().read()?;
    check_name(&name).map_err(|message| reader.fault(message))?;
    Ok(name)
}

fn read_priority(reader: Reader<'_>) -> Result<i32, Fault> {
    let number = integer(reader.value()).and_then(|number| i32::try_from(number).ok());
    let number =
        number.ok_or_else(|| reader.expected(format!("a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}")))?;
    checked_priority(number).map_err(|message| reader.fault(message))
}

type Entry<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

/// The tables of the jobs, in the order of the file.
fn read_tables<'a>(jobs: Reader<'a>) -> Result<Vec<Entry<'a>>, Fault> {
    let tables = jobs.value().as_table().ok_or_else(|| jobs.expected("tables [jobs.NAME]"))?;
    let mut entries: Vec<_> = tables.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    if entries.is_empty() {
        return Err(jobs.fault("the experiment has no job; write at least one table [jobs.NAME]"));
    }
    if entries.len() > sweep::MOST_JOBS {
        return Err(sweep::too_many(entries[sweep::MOST_JOBS].0.span(), "jobs"));
    }
    Ok(entries)
}

/// A job's table; an error if not even its place in the graph is known.
///
/// `made`: the variants so far, each of which becomes a job at least. Counted before they are read.
fn read_job<'a>(
    name: &str,
    job: &'a Spanned<DeValue<'a>>,
    shared: &Shared,
    made: &mut usize,
    faults: &mut Faults,
) -> Result<JobTable<'a>, Fault> {
    let table = join("jobs", name);
    let Some(values) = job.get_ref().as_table() else {
        return Err(Fault::new(job.span(), &table, format!("`{table}` must be a table: [{table}]")));
    };
    let stage = match read_stage_name(&table, job, values) {
        Ok(stage) => stage,
        Err(fault) => {
            // A stage that is only misspelt has keys that can be looked at.
            let written = values.get("stage").and_then(|word| word.get_ref().as_str()).unwrap_or_default();
            let Some(near) = STAGES.iter().find(|stage| is_near(written, stage)) else { return Err(fault) };
            faults.push(fault);
            near
        }
    };
    let from = read_from(&table, values)?;
    let filters = faults.keep(sub_table(&table, values, "where")).flatten().map(sweep::axes).unwrap_or_default();
    let axes = faults.keep(sub_table(&table, values, "sweep")).flatten().map(sweep::axes).unwrap_or_default();
    *made = axes.iter().fold(1, |count: usize, axis| count.saturating_mul(axis.values.len())).saturating_add(*made);
    if *made > sweep::MOST_JOBS {
        return Err(sweep::too_many(job.span(), &table));
    }
    let (axes, unread) = sweep::checked(&table, axes, faults);
    let reading = Reading { table: &table, stage, unread: &unread, shared };
    let looked = reading.variants(job, &axes, faults);
    let unsure: Vec<String> = looked.iter().flat_map(|looked| looked.unsure.iter().cloned()).collect();
    let written = |key: &str| locate(values, key).is_some();
    for (key, message) in unused::find(looked.iter().map(|looked| &looked.stage), written, &unsure) {
        let span = locate(values, key).unwrap_or(job.span());
        faults.push(Fault::new(span, join(&table, key), message));
    }
    let variants = looked.into_iter().filter_map(|looked| looked.variant).collect();
    let is_from_misspelt = values.keys().any(|key| strsim::osa_distance(key.get_ref(), "from") == 1);
    Ok(JobTable { name: name.to_owned(), span: job.span(), stage, from, is_from_misspelt, filters, variants })
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
    // One that begins with a dash would be an option wherever it is typed.
    if (1..=NAME_LENGTH).contains(&name.len()) && name.chars().all(valid) && !name.starts_with('-') {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_LENGTH).collect();
    let length = if shown.len() < name.len() { format!(".. ({} bytes)", name.len()) } else { String::new() };
    Err(format!(
        "{shown:?}{length} is no valid name: expected 1 to {NAME_LENGTH} of a-z, 0-9, `-` and `_`, no `-` first"
    ))
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
