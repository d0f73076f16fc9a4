//! What a policy changes of the one before it, in words.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::house::HousePolicy;

/// A line for each key whose meaning differs, by its name: `limits.queued_jobs: 3, was 5`.
pub fn changes(before: &HousePolicy, after: &HousePolicy) -> Vec<String> {
    let (before, after) = (keys(before), keys(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let line = |name: &String| match (before.get(name), after.get(name)) {
        (old, new) if old == new => None,
        (Some(old), Some(new)) => Some(format!("{name}: {new}, was {old}")),
        (None, Some(new)) => Some(format!("{name}: {new}, was not set")),
        (Some(old), None) => Some(format!("{name}: not set any more, was {old}")),
        (None, None) => None,
    };
    names.into_iter().filter_map(line).collect()
}

/// Every key with its value, dotted, what is left out filled in.
fn keys(policy: &HousePolicy) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    flatten("", &Table::try_from(policy.effective()).unwrap_or_default(), &mut keys);
    keys
}

fn flatten(at: &str, table: &Table, keys: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let name = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        match value {
            Value::Table(inner) => flatten(&name, inner, keys),
            other => drop(keys.insert(name, other.to_string())),
        }
    }
}
