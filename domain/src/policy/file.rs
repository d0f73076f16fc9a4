//! Reads a policy file: all that is wrong with it at once, each with its place.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::house::{BYTES_MAX, HousePolicy, Standing};
use crate::{
    plan::{
        SpecErrors,
        fault::{Fault, Faults},
        syntax::parse,
    },
    words::hint,
};

const SECTIONS: [&str; 6] = ["fair_share", "priorities", "limits", "people", "foreign_use", "retention"];

impl HousePolicy {
    /// Reads a policy that is in force, or was.
    ///
    /// # Errors
    /// Places and reasons.
    pub fn parse(text: &str) -> Result<Self, String> {
        read(text, "policy", Standing::Stored).map_err(|errors| errors.to_string())
    }

    /// Reads and checks a file that is to be in force. `file` is its name, for messages.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place; nothing is to be changed then.
    pub fn check(text: &str, file: &str) -> Result<Self, SpecErrors> {
        read(text, file, Standing::New)
    }
}

/// `file` is for messages.
fn read(text: &str, file: &str, which: Standing) -> Result<HousePolicy, SpecErrors> {
    let all = |faults: Faults| faults.into_errors(file, text);
    if text.len() > BYTES_MAX {
        let message = format!("the policy has {} bytes; expected at most {BYTES_MAX}", text.len());
        return Err(all(Fault::new(0..0, "", message).into()));
    }
    let root = parse(text).map_err(all)?;
    let root = root.get_ref();
    let mut wrong = Wrong::default();
    let policy = sections(root, &mut wrong);
    for (path, message) in policy.wrong(which) {
        wrong.unless_told(root, &path, message);
    }
    if which == Standing::New && says_nothing(root) {
        wrong.faults.push(Fault::new(0..0, "", NOTHING));
    }
    wrong.faults.or(policy).map_err(all)
}

const NOTHING: &str = "it says nothing, and would end every limit that is in force; what holds in a house without a policy is \
    set by its own words: tandem policy show 0 > FILE";

fn says_nothing(table: &DeTable<'_>) -> bool {
    table.values().all(|value| value.get_ref().as_table().is_some_and(says_nothing))
}

fn sections(root: &DeTable<'_>, wrong: &mut Wrong) -> HousePolicy {
    let mut policy = HousePolicy::default();
    for (name, value) in root {
        match name.get_ref().as_ref() {
            "fair_share" => policy.fair_share = section("fair_share", value, wrong),
            "priorities" => policy.priorities = section("priorities", value, wrong),
            "limits" => policy.limits = section("limits", value, wrong),
            "foreign_use" => policy.foreign_use = section("foreign_use", value, wrong),
            "retention" => policy.retention = section("retention", value, wrong),
            "people" => {
                let Some(people) = table("people", value, wrong) else { continue };
                for (who, limits) in people {
                    let limits = section(&format!("people.{}", who.get_ref()), limits, wrong);
                    policy.people.insert(who.get_ref().to_string(), limits);
                }
            }
            other => {
                let hint = hint(other, SECTIONS.into_iter());
                wrong.push(name.span(), other, format!("unknown key `{other}` at the top of the file{hint}"));
            }
        }
    }
    policy
}

/// What is found to be wrong, and with which keys.
#[derive(Default)]
struct Wrong {
    faults: Faults,
    keys: Vec<String>,
}

impl Wrong {
    fn push(&mut self, span: Range<usize>, key: &str, message: String) {
        self.faults.push(Fault::new(span, key, message));
        self.keys.push(key.to_owned());
    }

    /// Of what could not be read, nothing follows.
    fn unless_told(&mut self, root: &DeTable<'_>, path: &[&str], message: String) {
        let key = path.join(".");
        if !self.keys.iter().any(|told| told.starts_with(&key)) {
            self.push(place(root, path), &key, message);
        }
    }
}

/// Where the value of a key stands, or the table that it is not in.
fn place(table: &DeTable<'_>, path: &[&str]) -> Range<usize> {
    let Some((name, rest)) = path.split_first() else { return 0..0 };
    let Some((key, value)) = table.get_key_value(*name) else { return 0..0 };
    match value.get_ref() {
        DeValue::Table(inner) if rest.first().is_some_and(|next| inner.contains_key(*next)) => place(inner, rest),
        DeValue::Table(_) => key.span(),
        _ => value.span(),
    }
}

fn table<'v, 't>(at: &str, value: &'v Spanned<DeValue<'t>>, wrong: &mut Wrong) -> Option<&'v DeTable<'t>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        wrong.push(value.span(), at, format!("`{at}` is a table: write [{at}]"));
    }
    table
}

/// A section without its keys that are wrong. Each key is read by itself, so that one that is wrong hides no other.
fn section<T: DeserializeOwned + Default>(at: &str, value: &Spanned<DeValue<'_>>, wrong: &mut Wrong) -> T {
    let Some(keys) = table(at, value, wrong) else { return T::default() };
    let mut right = DeTable::new();
    for (key, value) in keys {
        match (single::<T>(key, value), value.get_ref()) {
            (Ok(_), _) => {
                right.insert(key.clone(), value.clone());
            }
            (Err(_), DeValue::Table(inner)) if !inner.is_empty() => {
                let mut kept = DeTable::new();
                for (name, one) in inner {
                    let mut alone = DeTable::new();
                    alone.insert(name.clone(), one.clone());
                    let alone = Spanned::new(value.span(), DeValue::Table(alone));
                    match single::<T>(key, &alone) {
                        Ok(_) => drop(kept.insert(name.clone(), one.clone())),
                        Err(error) => {
                            let named = format!("{at}.{}.{}", key.get_ref(), name.get_ref());
                            wrong.push_error(&named, &one.span(), &error);
                        }
                    }
                }
                // What is right of it is judged with the rest.
                right.insert(key.clone(), Spanned::new(value.span(), DeValue::Table(kept)));
            }
            (Err(error), _) => wrong.push_error(&format!("{at}.{}", key.get_ref()), &value.span(), &error),
        }
    }
    T::deserialize(Deserializer::from(Spanned::new(value.span(), right))).unwrap_or_default()
}

fn single<T: DeserializeOwned>(
    key: &Spanned<DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<T, toml::de::Error> {
    let mut alone = DeTable::new();
    alone.insert(key.clone(), value.clone());
    T::deserialize(Deserializer::from(Spanned::new(value.span(), alone)))
}

impl Wrong {
    fn push_error(&mut self, key: &str, value: &Range<usize>, error: &toml::de::Error) {
        let said = error.message().replace("unknown field", "unknown key").replace('\n', ", ");
        self.push(error.span().unwrap_or_else(|| value.clone()), key, format!("`{key}`: {said}"));
    }
}
