//! Changes to an experiment file for one submit, `KEY=VALUE`: the text stays as it is written otherwise.

use std::str::FromStr;

use anyhow::{Error, Result};
use tandem_domain::plan::{TOP, stage_schema};
use toml_edit::{DocumentMut, InlineTable, Item, Key, TableLike, Value};

use crate::exit::{Exit, Failure};

/// Keys at the top of the file that a job may have for itself, with which a change at the top would be without effect.
const OWN: [&str; 4] = ["seed", "workers", "shards", "threads"];

/// One `KEY=VALUE`.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    /// As written, for messages.
    key: String,
    path: Vec<String>,
    value: Value,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as optimizer.lr=0.1")?;
        let path =
            Key::parse(key.trim()).map_err(|_| format!("`{key}` is no key: expected one such as optimizer.lr"))?;
        let path = path.iter().map(|part| part.get().to_owned()).collect();
        Ok(Self { key: key.trim().to_owned(), path, value: read_value(value.trim())? })
    }
}

/// A value of TOML, or a word without quotes, which a shell would have taken away.
fn read_value(text: &str) -> Result<Value, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match Value::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) if text.parse::<f64>().is_ok() => {
            Err(format!("`{text}` is no number of TOML, which has digits on both sides of a point"))
        }
        Err(_) if text.starts_with(char::is_alphanumeric) && text.chars().all(is_word) => Ok(Value::from(text)),
        Err(_) => Err(format!(
            "`{text}` is no value: expected a number, true, a word, [a, list] or a string, whose quotes stand within those of \
             the shell: 'KEY=\"two words\"'"
        )),
    }
}

/// The text with these values in place of its own, and what has changed, for people. A mistake in the text itself is left for
/// the coordinator to tell.
pub(crate) fn apply(text: &str, name: Option<&str>, assignments: &[Assignment]) -> Result<(String, Vec<String>)> {
    let unchanged = || Ok((text.to_owned(), Vec::new()));
    if name.is_none() && assignments.is_empty() {
        return unchanged();
    }
    let Ok(mut file) = text.parse::<DocumentMut>() else { return unchanged() };
    let mut changes = Vec::new();
    if let Some(name) = name {
        changes.push(set_top(&mut file, &["name".to_owned()], &Value::from(name)).map_err(refused)?);
    }
    for (i, assignment) in assignments.iter().enumerate() {
        let place = place(&file, &assignment.path).and_then(|place| {
            let twice = assignments[..i].iter().any(|earlier| earlier.key == assignment.key);
            if twice { Err("it is given twice".to_owned()) } else { Ok(place) }
        });
        let change = place.and_then(|place| match place {
            Place::Top => set_top(&mut file, &assignment.path, &assignment.value),
            Place::Job(job, from) => in_job(&mut file, &job, &assignment.path[from..], &assignment.value),
        });
        changes.push(change.map_err(|why| refused(format!("--set {}: {why}", assignment.key)))?);
    }
    Ok((file.to_string(), changes))
}

/// Whose key it is.
enum Place {
    Top,
    /// The job's name, and where in the path its key begins.
    Job(String, usize),
}

fn refused(message: String) -> Error {
    Failure::error(Exit::Usage, message)
}

fn place(file: &DocumentMut, path: &[String]) -> Result<Place, String> {
    let first = path[0].as_str();
    let jobs = jobs(file);
    let named = |name: &str| jobs.iter().any(|job| job == name);
    if first == "jobs" && path.len() > 2 {
        return if named(&path[1]) { Ok(Place::Job(path[1].clone(), 2)) } else { Err(unknown(&path[1], &jobs)) };
    }
    if path.len() > 1 && named(first) {
        return Ok(Place::Job(first.to_owned(), 1));
    }
    if path.len() == 1 && first != "jobs" && TOP.contains(&first) {
        let own = jobs.iter().find(|job| OWN.contains(&first) && writes(file, job, path));
        return match own {
            Some(job) => Err(format!("job `{job}` has a {first} of its own; write --set {job}.{first}=..")),
            None => Ok(Place::Top),
        };
    }
    whose(file, &jobs, path).map(|job| Place::Job(job, 0))
}

fn set_top(file: &mut DocumentMut, path: &[String], value: &Value) -> Result<String, String> {
    let old = shown(file.as_table(), path);
    set(file.as_table_mut(), path, value)?;
    Ok(change(&path.join("."), value, old.as_deref(), None))
}

/// `encoder.optimizer.lr = 0.1 (was 0.3)`.
fn change(key: &str, value: &Value, old: Option<&str>, swept: Option<&str>) -> String {
    let was = match (old, swept) {
        (_, Some(swept)) => format!("was swept: {swept}"),
        (Some(old), None) => format!("was {old}"),
        (None, None) => "was not written".to_owned(),
    };
    format!("{key} = {} ({was})", value.to_string().trim())
}

/// The value of a key as it is written.
fn shown(table: &dyn TableLike, path: &[String]) -> Option<String> {
    (1..=path.len()).find_map(|end| match table.get(&path[..end].join("."))? {
        Item::Value(value) if end == path.len() => Some(value.clone().decorated("", "").to_string()),
        item => shown(item.as_table_like()?, &path[end..]),
    })
}

fn unknown(name: &str, jobs: &[String]) -> String {
    format!("no job is called `{name}`; the file has {}", jobs.join(", "))
}

/// The job that a key without a job's name is of: the only one that writes it, else the only one whose stage knows it.
fn whose(file: &DocumentMut, jobs: &[String], path: &[String]) -> Result<String, String> {
    let writing: Vec<&String> = jobs.iter().filter(|job| writes(file, job, path)).collect();
    let candidates: Vec<&String> = match writing.is_empty() {
        false => writing,
        true => jobs.iter().filter(|job| knows(file, job, path)).collect(),
    };
    match candidates.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(format!(
            "no job of the file has such a key; a key of one is JOB.KEY (the file has {}), others are {}",
            jobs.join(", "),
            TOP.join(", ")
        )),
        several => {
            let keys: Vec<String> = several.iter().map(|job| format!("--set {job}.{}=..", path.join("."))).collect();
            Err(format!("more than one job has it; write {}", keys.join(" or ")))
        }
    }
}

fn jobs(file: &DocumentMut) -> Vec<String> {
    let jobs = file.get("jobs").and_then(Item::as_table_like);
    jobs.map(|jobs| jobs.iter().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default()
}

fn job<'f>(file: &'f DocumentMut, name: &str) -> Option<&'f dyn TableLike> {
    file.get("jobs")?.as_table_like()?.get(name)?.as_table_like()
}

/// Whether a job's table or its sweep has the key.
fn writes(file: &DocumentMut, name: &str, path: &[String]) -> bool {
    let Some(job) = job(file, name) else { return false };
    let sweep = job.get("sweep").and_then(Item::as_table_like);
    has(job, path) || sweep.is_some_and(|sweep| has(sweep, path))
}

fn knows(file: &DocumentMut, name: &str, path: &[String]) -> bool {
    let stage = job(file, name).and_then(|job| job.get("stage")).and_then(Item::as_str);
    let schema = stage.and_then(stage_schema);
    let pointer: String = path.iter().map(|key| format!("/properties/{key}")).collect();
    schema.is_some_and(|schema| schema.pointer(&pointer).is_some())
}

/// `a.b.c` as tables in each other, or with dots in a quoted key.
fn has(table: &dyn TableLike, path: &[String]) -> bool {
    (1..=path.len()).any(|end| match table.get(&path[..end].join(".")) {
        Some(_) if end == path.len() => true,
        Some(item) => item.as_table_like().is_some_and(|inner| has(inner, &path[end..])),
        None => false,
    })
}

/// Sets a key of a job. What was swept is swept no more; what is swept now has no value beside it.
fn in_job(file: &mut DocumentMut, name: &str, path: &[String], value: &Value) -> Result<String, String> {
    let job = file.get_mut("jobs").and_then(Item::as_table_like_mut).and_then(|jobs| jobs.get_mut(name));
    let job = job.and_then(Item::as_table_like_mut).ok_or_else(|| format!("`jobs.{name}` is no table"))?;
    let old = shown(job, path);
    let mut swept = None;
    if path[0] == "sweep" {
        remove(job, &path[1..]);
    } else if let Some(sweep) = job.get_mut("sweep").and_then(Item::as_table_like_mut) {
        swept = shown(sweep, path);
        remove(sweep, path);
        if sweep.is_empty() {
            job.remove("sweep");
        }
    }
    set(job, path, value)?;
    Ok(change(&format!("{name}.{}", path.join(".")), value, old.as_deref(), swept.as_deref()))
}

fn remove(table: &mut dyn TableLike, path: &[String]) {
    for end in 1..=path.len() {
        let key = path[..end].join(".");
        if end == path.len() {
            table.remove(&key);
        } else if let Some(inner) = table.get_mut(&key).and_then(Item::as_table_like_mut) {
            remove(inner, &path[end..]);
            if inner.is_empty() {
                table.remove(&key);
            }
        }
    }
}

fn set(table: &mut dyn TableLike, path: &[String], value: &Value) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    if rest.is_empty() {
        match table.get_mut(first) {
            // What stands behind it, such as a comment, stays.
            Some(Item::Value(old)) => {
                let decor = old.decor().clone();
                *old = value.clone();
                *old.decor_mut() = decor;
            }
            _ => drop(table.insert(first, Item::Value(value.clone()))),
        }
        return Ok(());
    }
    let inner = table.entry(first).or_insert_with(|| Item::Value(InlineTable::new().into()));
    let Some(values) = inner.as_table_like_mut() else { return Err(format!("`{first}` is no table in the file")) };
    let is_new = !has(values, rest);
    set(values, rest, value)?;
    // The spaces around what stood last are no longer right.
    inner.as_inline_table_mut().filter(|_| is_new).into_iter().for_each(InlineTable::fmt);
    Ok(())
}

#[cfg(test)]
mod tests;
