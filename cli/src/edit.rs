//! Changes to an experiment file for one submit, `KEY=VALUE`: the text stays as it is written otherwise.

use std::str::FromStr;

use anyhow::{Error, Result};
use tandem_domain::plan::stage_schema;
use toml_edit::{DocumentMut, InlineTable, Item, Key, TableLike, Value};

use crate::exit::{Exit, Failure};

/// Keys at the top of the file.
const TOP: [&str; 7] = ["name", "dataset", "seed", "priority", "workers", "shards", "threads"];
/// Those of them that a job may have for itself, with which a change at the top would be without effect.
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
        Err(_) if !text.is_empty() && text.chars().all(is_word) => Ok(Value::from(text)),
        Err(_) => Err(format!("`{text}` is no value: expected a number, true, a word, [a, list] or \"a string\"")),
    }
}

/// The text with these values in place of its own. A mistake in the text itself is left for the coordinator to tell.
pub(crate) fn apply(text: &str, name: Option<&str>, assignments: &[Assignment]) -> Result<String> {
    if name.is_none() && assignments.is_empty() {
        return Ok(text.to_owned());
    }
    let Ok(mut file) = text.parse::<DocumentMut>() else { return Ok(text.to_owned()) };
    if let Some(name) = name {
        set(file.as_table_mut(), &["name".to_owned()], &Value::from(name)).map_err(refused)?;
    }
    for assignment in assignments {
        assign(&mut file, assignment).map_err(|why| refused(format!("--set {}: {why}", assignment.key)))?;
    }
    Ok(file.to_string())
}

fn refused(message: String) -> Error {
    Failure::error(Exit::Usage, message)
}

fn assign(file: &mut DocumentMut, Assignment { path, value, .. }: &Assignment) -> Result<(), String> {
    let first = path[0].as_str();
    let jobs = jobs(file);
    let named = |name: &str| jobs.iter().any(|job| job == name);
    if first == "jobs" && path.len() > 2 {
        return if named(&path[1]) { in_job(file, &path[1], &path[2..], value) } else { Err(unknown(&path[1], &jobs)) };
    }
    if path.len() > 1 && named(first) {
        return in_job(file, first, &path[1..], value);
    }
    if path.len() == 1 && TOP.contains(&first) {
        let own = jobs.iter().find(|job| OWN.contains(&first) && writes(file, job, path));
        return match own {
            Some(job) => Err(format!("job `{job}` has a {first} of its own; write --set {job}.{first}=..")),
            None => set(file.as_table_mut(), path, value),
        };
    }
    let job = whose(file, &jobs, path)?;
    in_job(file, &job, path, value)
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
fn in_job(file: &mut DocumentMut, name: &str, path: &[String], value: &Value) -> Result<(), String> {
    let job = file.get_mut("jobs").and_then(Item::as_table_like_mut).and_then(|jobs| jobs.get_mut(name));
    let job = job.and_then(Item::as_table_like_mut).ok_or_else(|| format!("`jobs.{name}` is no table"))?;
    if path[0] == "sweep" {
        remove(job, &path[1..]);
    } else if let Some(sweep) = job.get_mut("sweep").and_then(Item::as_table_like_mut) {
        remove(sweep, path);
        if sweep.is_empty() {
            job.remove("sweep");
        }
    }
    set(job, path, value)
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
mod tests {
    use super::*;
    use crate::exit::classify;

    const FILE: &str = r#"# Ours.
name = "a"
dataset = "shapes"
seed = 1

[jobs.encoder]
stage = "contrastive"
encoder = "resnet18"     # the small one
epochs = 10
optimizer = { lr = 0.3, momentum = 0.9 }
[jobs.encoder.sweep]
tikhonov.lambda = [0.1, 1.0]
"optimizer.weight_decay" = [1e-4, 1e-6]

[jobs.linear]
stage = "linear"
from = "encoder"
sweep.label_fraction = [1.0, 0.1]

[jobs.supervised]
stage = "supervised"
encoder = "resnet18"
"#;

    fn edited(sets: &[&str]) -> Result<String, String> {
        let sets: Vec<Assignment> = sets.iter().map(|set| set.parse().unwrap()).collect();
        apply(FILE, None, &sets).map_err(|error| {
            let (exit, message) = classify(&error);
            assert_eq!(exit, Exit::Usage);
            message.unwrap_or_default()
        })
    }

    /// The lines that one change took away and brought.
    fn changes(set: &str) -> (Vec<String>, Vec<String>) {
        let new = edited(&[set]).unwrap();
        let missing = |from: &str, of: &str| {
            of.lines().filter(|line| !from.lines().any(|other| other == *line)).map(str::to_owned).collect()
        };
        (missing(&new, FILE), missing(FILE, &new))
    }

    #[test]
    fn the_rest_of_the_text_stays() {
        assert_eq!(apply(FILE, None, &[]).unwrap(), FILE);
        let renamed = apply(FILE, Some("b"), &[]).unwrap();
        assert_eq!(renamed, FILE.replace("name = \"a\"", "name = \"b\""));
        for (set, old, new) in [
            ("seed=2", "seed = 1", "seed = 2"),
            ("dataset=folder:my-set", "dataset = \"shapes\"", "dataset = \"folder:my-set\""),
            ("optimizer.lr=0.1", "{ lr = 0.3,", "{ lr = 0.1,"),
            ("encoder.encoder=resnet50", "encoder = \"resnet18\"     # the", "encoder = \"resnet50\"     # the"),
            ("jobs.encoder.epochs=20", "epochs = 10", "epochs = 20"),
        ] {
            assert_eq!(edited(&[set]).unwrap(), FILE.replacen(old, new, 1), "{set}");
        }
        let both = edited(&["seed=2", "epochs=3"]).unwrap();
        assert_eq!(both, FILE.replace("seed = 1\n", "seed = 2\n").replace("epochs = 10", "epochs = 3"));
    }

    #[test]
    fn what_was_swept_has_one_value_and_the_other_way_round() {
        assert_eq!(changes("tikhonov.lambda=5").1, ["tikhonov = { lambda = 5 }"]);
        assert_eq!(changes("tikhonov.lambda=5").0, ["tikhonov.lambda = [0.1, 1.0]"]);
        let (old, new) = changes("optimizer.weight_decay=0");
        assert_eq!(old, ["optimizer = { lr = 0.3, momentum = 0.9 }", "\"optimizer.weight_decay\" = [1e-4, 1e-6]"]);
        assert_eq!(new, ["optimizer = { lr = 0.3, momentum = 0.9, weight_decay = 0 }"]);
        let (old, new) = changes("linear.label_fraction=0.5");
        assert_eq!(old, ["sweep.label_fraction = [1.0, 0.1]"]);
        assert_eq!(new, ["label_fraction = 0.5"]);
        let (old, new) = changes("encoder.sweep.epochs=[1, 2]");
        assert_eq!((old, new), (vec!["epochs = 10".to_owned()], vec!["epochs = [1, 2]".to_owned()]));
    }

    #[test]
    fn the_result_is_a_file_that_can_be_planned() {
        for sets in [
            vec!["optimizer.lr=0.1"],
            vec!["tikhonov.lambda=5", "optimizer.weight_decay=0", "batch_size=64"],
            vec!["encoder.sweep.epochs=[1, 2]", "label_fraction=0.5"],
            vec!["head={ hidden = 32, output = 16 }"],
            vec!["encoder.augment.flip=0.0"],
        ] {
            let sets: Vec<&str> = ["encoder.batch_size=32"].into_iter().chain(sets).collect();
            let sets: Vec<&str> = sets.into_iter().filter(|set| !set.starts_with("label_fraction")).collect();
            let text = edited(&sets).unwrap();
            let planned = tandem_domain::plan::plan(&text, "x.toml", "1");
            assert!(planned.is_ok(), "{}\n{text}", planned.unwrap_err());
        }
    }

    #[test]
    fn a_key_of_nobody_or_of_several_is_refused_with_what_to_write() {
        assert_eq!(
            edited(&["tikhonov.h=0.1"]).unwrap_err(),
            "--set tikhonov.h: more than one job has it; write --set encoder.tikhonov.h=.. or --set supervised.tikhonov.h=.."
        );
        assert_eq!(
            edited(&["encoder=resnet50"]).unwrap_err(),
            "--set encoder: more than one job has it; write --set encoder.encoder=.. or --set supervised.encoder=.."
        );
        assert!(edited(&["optimiser.lr=1"]).unwrap_err().contains("no job of the file has such a key"));
        assert!(
            edited(&["jobs.x.epochs=1"])
                .unwrap_err()
                .ends_with("no job is called `x`; the file has encoder, linear, supervised")
        );
        let swept =
            apply(&FILE.replace("label_fraction = [1.0, 0.1]", "seed = [1, 2]"), None, &["seed=3".parse().unwrap()])
                .unwrap_err();
        assert_eq!(
            classify(&swept).1.unwrap(),
            "--set seed: job `linear` has a seed of its own; write --set linear.seed=.."
        );
    }

    #[test]
    fn values_are_toml_or_words() {
        let value = |text: &str| read_value(text).map(|value| value.to_string().trim().to_owned());
        assert_eq!(value("0.1"), Ok("0.1".into()));
        assert_eq!(value("resnet-tiny"), Ok("\"resnet-tiny\"".into()));
        assert_eq!(value("[1, 2]"), Ok("[1, 2]".into()));
        assert_eq!(value("1..4"), Ok("\"1..4\"".into()));
        assert!(value("two words").is_err() && value("").is_err() && value("[1,").is_err());
        assert!("lr".parse::<Assignment>().is_err() && "=1".parse::<Assignment>().is_err());
    }

    #[test]
    fn a_text_with_mistakes_is_sent_as_it_is() {
        let sets = ["seed=2".parse().unwrap()];
        assert_eq!(apply("name = \n[", Some("b"), &sets).unwrap(), "name = \n[");
    }
}
