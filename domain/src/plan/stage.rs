//! The parameters of one job: its table, typed by its stage, with all mistakes in it.

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde_spanned::Spanned;
use toml::de::{DeString, DeValue};

use super::fault::{Fault, Faults};
use super::read::{Reader, describe_table, join};
use crate::spec::{Attack, AttackMethod, Contrastive, Encoder, Finetune, Linear, Norm, Stage, Supervised};
use crate::words::is_near;

/// Keys of a job of any stage, in addition to its stage's.
pub(super) const COMMON: &[&str] = &["stage", "from", "where", "sweep", "seed", "workers", "shards", "threads"];

/// The stages that a stage can start from.
pub(super) fn inputs(stage: &str) -> &'static [&'static str] {
    match stage {
        "linear" | "finetune" => &["contrastive"],
        "attack" => &["linear", "supervised", "finetune"],
        _ => &[],
    }
}

/// What stands for a required number that is missing, while the rest is read.
const STAND_INS: &[(&str, &str)] = &[("epochs", "1"), ("batch_size", "2")];

/// Reads the job at `[table]`. After a mistake its key is taken out, or filled in where it is missing, and the rest is read
/// again, until everything that is wrong has been told. `unread`: keys that are missing because they were wrong elsewhere.
///
/// Returns the keys that are not what the file says, beside the stage.
pub(super) fn read(
    stage: &str,
    table: &str,
    job: &Spanned<DeValue<'_>>,
    unread: &[String],
    faults: &mut Faults,
) -> Option<(Stage, Vec<String>)> {
    // What starts from nothing is not told about inputs.
    let is_common = |key: &&str| !inputs(stage).is_empty() || !["from", "where"].contains(key);
    let common: Vec<&str> = COMMON.iter().copied().filter(is_common).collect();
    let mut job = job.clone();
    let mut removed: Vec<String> = unread.to_vec();
    while !faults.is_full() {
        let fault = match typed(stage, Reader::table(table, &job, &common)) {
            Ok(stage) => return Some((stage, removed)),
            Err(fault) => fault,
        };
        let key = fault.key.strip_prefix(table).unwrap_or(&fault.key).trim_start_matches('.').to_owned();
        if take_out(&mut job, &key) {
            removed.push(key);
            faults.push(fault);
            continue;
        }
        // Not there: a key that is missing, or that was just taken out, perhaps under a misspelt name.
        if !removed.iter().any(|removed| is_near(removed, &key)) {
            faults.push(with_words(fault, table, &key));
        }
        if !fill_in(&mut job, &key) {
            break;
        }
        removed.push(key);
    }
    None
}

fn typed(stage: &str, job: Reader<'_>) -> Result<Stage, Fault> {
    Ok(match stage {
        "contrastive" => Stage::Contrastive(job.read::<Contrastive>()?),
        "supervised" => Stage::Supervised(job.read::<Supervised>()?),
        "linear" => Stage::Linear(job.read::<Linear>()?),
        "finetune" => Stage::Finetune(job.read::<Finetune>()?),
        _ => Stage::Attack(job.read::<Attack>()?),
    })
}

/// Removes a dotted key; whether it was there. A quoted key may hold the dots itself.
pub(super) fn take_out(value: &mut Spanned<DeValue<'_>>, key: &str) -> bool {
    let DeValue::Table(values) = value.get_mut() else { return false };
    if values.remove(key).is_some() {
        return true;
    }
    key.split_once('.').is_some_and(|(name, rest)| values.get_mut(name).is_some_and(|inner| take_out(inner, rest)))
}

/// Puts a value where a required one is missing, so that reading goes on; whether there is one to put.
fn fill_in(job: &mut Spanned<DeValue<'_>>, key: &str) -> bool {
    let number = || STAND_INS.iter().find(|(name, _)| *name == key).and_then(|(_, number)| DeValue::parse(number).ok());
    let word = words(key).first().map(|word| DeValue::String((*word).into()));
    let Some(value) = word.or_else(|| number().map(Spanned::into_inner)) else { return false };
    let span = job.span();
    let DeValue::Table(values) = job.get_mut() else { return false };
    values.insert(Spanned::new(span.clone(), DeString::Owned(key.to_owned())), Spanned::new(span, value)).is_none()
}

/// A missing word is told with those that it may be.
fn with_words(fault: Fault, table: &str, key: &str) -> Fault {
    match words(key) {
        [] => fault,
        words => {
            let message =
                format!("missing key `{key}` {}; expected one of {}", describe_table(table), words.join(", "));
            Fault::new(fault.span.unwrap_or(0..0), join(table, key), message)
        }
    }
}

/// What a required key of a job may say, if it takes a word.
fn words(key: &str) -> &'static [&'static str] {
    match key {
        "encoder" => names::<Encoder>(),
        "attack" => names::<AttackMethod>(),
        "norm" => names::<Norm>(),
        _ => &[],
    }
}

/// The names of an enum's variants, which serde's derived code passes to whoever it reads from.
fn names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    let _unread = T::deserialize(Names(&mut names));
    names
}

struct Names<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        Err(serde::de::Error::custom("only its names are asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("no enum"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
