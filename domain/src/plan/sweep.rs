//! A job's own variants: the cartesian product of its sweep, and their names.

use std::ops::Range;

use serde_json::Value as Json;
use serde_spanned::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::{Fault, Faults};
use super::read::{describe_table, integer, join, locate};

/// Jobs that one experiment may expand to.
pub(super) const MOST_JOBS: usize = 1000;
/// Bytes that the parameters of all these jobs may have together, so that one answer holds them all.
pub(super) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a job's name, which holds the values of its sweep.
pub(super) const NAME_BYTES_MAX: usize = 1000;
/// Keys of one sweep or one `where`.
const MOST_AXES: usize = 32;

/// Keys of a job that cannot be swept.
pub(super) const UNSWEPT: &[&str] = &["stage", "from", "where", "workers"];

/// What distinguishes a variant: dotted keys and values, in the order of the file.
pub(super) type Suffix = Vec<(String, Json)>;

/// One key with its values, in a sweep or in a `where`.
pub(super) struct Axis<'a> {
    /// Dotted: `optimizer.lr`.
    pub key: String,
    pub span: Range<usize>,
    pub values: Vec<&'a Spanned<DeValue<'a>>>,
    /// Written as a list, not as a single value.
    pub is_list: bool,
}

/// All keys of a table and of the tables in it, in the order of the file; `"optimizer.lr"`, `optimizer.lr` and
/// `[..optimizer] lr` are the same.
pub(super) fn axes<'a>(table: &'a DeTable<'a>) -> Vec<Axis<'a>> {
    fn walk<'a>(table: &'a DeTable<'a>, prefix: &str, found: &mut Vec<Axis<'a>>) {
        for (name, value) in table {
            let key = join(prefix, name.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => walk(inner, &key, found),
                DeValue::Array(values) => {
                    found.push(Axis { key, span: name.span(), values: values.iter().collect(), is_list: true });
                }
                _ => found.push(Axis { key, span: name.span(), values: vec![value], is_list: false }),
            }
        }
    }
    let mut found = Vec::new();
    walk(table, "", &mut found);
    found.sort_by_key(|axis| axis.span.start);
    found
}

/// The axes of a sweep that are right, and the keys of the others.
pub(super) fn checked<'a>(table: &str, axes: Vec<Axis<'a>>, faults: &mut Faults) -> (Vec<Axis<'a>>, Vec<String>) {
    let (right, wrong): (Vec<_>, Vec<_>) =
        axes.into_iter().partition(|axis| faults.keep(check_axis(table, axis)).is_some());
    (right, wrong.into_iter().map(|axis| axis.key).collect())
}

/// Swept keys that have a value beside their sweep, each with its fault.
pub(super) fn clashes<'x>(table: &str, job: &Spanned<DeValue<'_>>, axes: &'x [Axis<'_>]) -> Vec<(&'x str, Fault)> {
    let has_value =
        |axis: &&Axis<'_>| job.get_ref().as_table().is_some_and(|values| locate(values, &axis.key).is_some());
    axes.iter().filter(has_value).map(|axis| (axis.key.as_str(), clash(table, axis))).collect()
}

fn clash(table: &str, axis: &Axis<'_>) -> Fault {
    let message = format!("`{}` stands both {} and in its sweep; keep one of them", axis.key, describe_table(table));
    Fault::new(axis.span.clone(), join(&join(table, "sweep"), &axis.key), message)
}

/// How many variants the job table `job` (at `[table]`) has under its sweep.
pub(super) fn count(table: &str, job: &Spanned<DeValue<'_>>, axes: &[Axis<'_>]) -> Result<usize, Fault> {
    let count = axes.iter().try_fold(1, |product: usize, axis| product.checked_mul(axis.values.len().max(1)));
    let Some(count) = count.filter(|count| *count <= MOST_JOBS) else {
        return Err(too_many(job.span(), table));
    };
    if axes.len() > MOST_AXES {
        let message = format!("[{table}.sweep] sweeps {} keys at once; expected at most {MOST_AXES}", axes.len());
        return Err(Fault::new(job.span(), join(table, "sweep"), message));
    }
    Ok(count)
}

/// One of these: its suffix, and its table with the swept keys filled in. The last axis varies fastest, as in nested loops.
pub(super) fn variant<'a>(
    table: &str,
    job: &Spanned<DeValue<'a>>,
    axes: &[Axis<'a>],
    number: usize,
) -> Result<(Suffix, Spanned<DeValue<'a>>), Fault> {
    let (mut suffix, mut job) = (Suffix::new(), job.clone());
    let mut combinations: usize = axes.iter().map(|axis| axis.values.len()).product();
    for axis in axes {
        combinations /= axis.values.len();
        let value = axis.values[number / combinations % axis.values.len()];
        suffix.push((axis.key.clone(), json(value.get_ref())));
        set(table, &mut job, axis, value)?;
    }
    Ok((suffix, job))
}

pub(super) fn too_many(span: Range<usize>, key: &str) -> Fault {
    Fault::new(span, key, format!("the experiment expands to more than {MOST_JOBS} jobs; split it or sweep less"))
}

fn check_axis(table: &str, axis: &Axis<'_>) -> Result<(), Fault> {
    let full_key = join(&join(table, "sweep"), &axis.key);
    let fault = |span: &Range<usize>, message: String| Err(Fault::new(span.clone(), full_key.clone(), message));
    if !axis.is_list || axis.values.is_empty() {
        return fault(&axis.span, format!("`{}` in a sweep needs a list of at least one value", axis.key));
    }
    if UNSWEPT.contains(&axis.key.as_str()) {
        let why = if axis.key == "workers" { "results do not depend on it" } else { "write one job for each" };
        return fault(&axis.span, format!("`{}` cannot be swept: {why}", axis.key));
    }
    let values: Vec<Json> = axis.values.iter().map(|value| json(value.get_ref())).collect();
    for (i, value) in axis.values.iter().enumerate() {
        if value.get_ref().is_table() {
            let message = format!("`{}` cannot be swept as a table; sweep its keys: \"{0}.KEY\" = [..]", axis.key);
            return fault(&value.span(), message);
        }
        if values[..i].iter().any(|earlier| same(earlier, &values[i])) {
            return fault(&value.span(), format!("`{}` = {} stands twice in the sweep", axis.key, text(&values[i])));
        }
    }
    Ok(())
}

/// Writes a swept value into its place in the job's table.
fn set<'a>(
    table: &str,
    job: &mut Spanned<DeValue<'a>>,
    axis: &Axis<'a>,
    value: &Spanned<DeValue<'a>>,
) -> Result<(), Fault> {
    let named = |name: &str| Spanned::new(axis.span.clone(), DeString::Owned(name.to_owned()));
    let fault = |message| Err(Fault::new(axis.span.clone(), join(&join(table, "sweep"), &axis.key), message));
    let (parents, name) = axis.key.rsplit_once('.').unwrap_or(("", &axis.key));
    let mut target = job.get_mut();
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        let DeValue::Table(values) = target else { break };
        let empty = || Spanned::new(axis.span.clone(), DeValue::Table(DeTable::new()));
        target = values.entry(named(parent)).or_insert_with(empty).get_mut();
    }
    let DeValue::Table(values) = target else {
        return fault(format!("`{}` cannot be swept: `{parents}` is no table {}", axis.key, describe_table(table)));
    };
    if values.contains_key(name) {
        return Err(clash(table, axis));
    }
    values.insert(named(name), value.clone());
    Ok(())
}

/// The value as JSON, for comparing and naming; numbers stay whole or real as written.
pub(super) fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::Integer(_) => integer(value).map_or(Json::Null, Json::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Json::Null, Json::from),
        DeValue::Boolean(value) => Json::from(*value),
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Datetime(_) | DeValue::Table(_) => Json::Null,
    }
}

/// Whether two values are equal; 1 and 1.0 are.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => a == b,
    }
}

/// The value in a job's name: without spaces, quotes or brackets.
pub(super) fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(":"),
        other => other.to_string(),
    }
}

/// `linear[label_fraction=0.1]`.
pub(super) fn name(job: &str, suffix: &Suffix) -> String {
    if suffix.is_empty() {
        return job.to_owned();
    }
    let parts: Vec<_> = suffix.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    format!("{job}[{}]", parts.join(","))
}
