//! From a TOML table with positions to the spec types.
//!
//! It is a serde `Deserializer` of its own because serde's derived code passes it the names of all keys and variants:
//! they are written only in `spec`, and the messages can still give the nearest valid name, the expected range and the
//! position in the file.

use std::ops::Range;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde_spanned::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::bounds::{self, Bound};
use super::fault::Fault;
use crate::words::{hint, hint_of_value};

/// A value of the file, with its position.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    value: &'a DeValue<'a>,
    span: Range<usize>,
    /// The table that keys are relative to: `jobs.encoder`, or empty at the top.
    table: &'a str,
    /// Relative to `table`, and what `bounds` knows: `optimizer.lr`. Empty for the table itself.
    key: String,
    /// Keys of the table itself that are read elsewhere.
    others: &'a [&'a str],
}

impl<'a> Reader<'a> {
    /// A whole table; `others` are known keys in it that are not read here.
    pub(super) fn table(table: &'a str, value: &'a Spanned<DeValue<'a>>, others: &'a [&'a str]) -> Self {
        Self { value: value.get_ref(), span: value.span(), table, key: String::new(), others }
    }

    /// The value of one key of a table, if it is there.
    pub(super) fn key(table: &'a str, values: &'a DeTable<'a>, key: &str) -> Option<Self> {
        let value = values.get(key)?;
        Some(Self { value: value.get_ref(), span: value.span(), table, key: key.to_owned(), others: &[] })
    }

    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Fault> {
        let (span, key) = (self.span.clone(), self.full_key());
        T::deserialize(self).map_err(|fault| fault.or_at(&span, &key))
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.span.clone(), self.full_key(), message)
    }

    pub(super) fn expected(&self, expected: impl std::fmt::Display) -> Fault {
        self.fault(format!("`{}` = {}: expected {expected}", self.key, show(self.value)))
    }

    /// As [`Self::expected`] a single value; several of them are a sweep, which is said to whoever wrote a list.
    fn expected_one(&self, expected: impl std::fmt::Display) -> Fault {
        let (key, table) = (&self.key, self.table);
        let sweep = match (self.value, table) {
            (DeValue::Array(_), "") if key == "seed" => {
                "; for a job of each, write `seed = [..]` in [jobs.NAME.sweep]".into()
            }
            (DeValue::Array(_), table) if !table.is_empty() => {
                format!("; for a job of each, write `{key} = [..]` in [{table}.sweep] and not here")
            }
            _ => String::new(),
        };
        self.expected(format!("{expected}{sweep}"))
    }

    fn full_key(&self) -> String {
        join(self.table, &self.key)
    }

    fn child(&self, name: &str, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { value: value.get_ref(), span: value.span(), key: join(&self.key, name), others: &[], ..*self }
    }

    /// The number, checked against the bound of its key.
    fn number(&self, whole: bool) -> Result<f64, Fault> {
        let bound = bounds::of(&self.key);
        let expected = |bound: Option<Bound>| match bound {
            Some(bound) => self.expected_one(bound),
            None if whole => self.expected_one("a whole number"),
            None => self.expected_one("a number"),
        };
        let number = match self.value {
            DeValue::Integer(_) => integer(self.value).map(|value| value as f64),
            DeValue::Float(value) if !whole => value.as_str().parse().ok(),
            _ => None,
        };
        number.filter(|&number| bound.is_none_or(|bound| bound.holds(number))).ok_or_else(|| expected(bound))
    }
}

type Key<'a> = Spanned<DeString<'a>>;

/// The keys of `values` that are not in `known`.
pub(super) fn unknown_keys<'v>(values: &'v DeTable<'v>, known: &[&str]) -> impl Iterator<Item = &'v Key<'v>> {
    values.keys().filter(|key| !known.contains(&key.get_ref().as_ref()))
}

pub(super) fn unknown_key(table: &str, key: &Key<'_>, known: &[&str]) -> Fault {
    let name = key.get_ref();
    let hint = hint(name, known.iter().copied());
    let message = format!("unknown key `{name}` {}{hint}", describe_table(table));
    Fault::new(key.span(), join(table, name), message)
}

/// The value of a key that may be missing.
pub(super) fn optional<T: DeserializeOwned>(table: &str, values: &DeTable<'_>, key: &str) -> Result<Option<T>, Fault> {
    Reader::key(table, values, key).map(Reader::read).transpose()
}

pub(super) fn join(table: &str, key: &str) -> String {
    match (table, key) {
        ("", key) => key.to_owned(),
        (table, "") => table.to_owned(),
        (table, key) => format!("{table}.{key}"),
    }
}

/// `in [jobs.encoder]`, in words for the top of the file.
pub(super) fn describe_table(table: &str) -> String {
    if table.is_empty() { "at the top of the file".to_owned() } else { format!("in [{table}]") }
}

pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The value as written, for messages.
pub(super) fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The byte range of the value of a dotted key, if it is written.
pub(super) fn locate(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let (name, rest) = key.split_once('.').map_or((key, None), |(name, rest)| (name, Some(rest)));
    let value = table.get(name)?;
    match (rest, value.get_ref()) {
        (None, _) => Some(value.span()),
        (Some(rest), DeValue::Table(inner)) => locate(inner, rest),
        (Some(_), _) => None,
    }
}

macro_rules! whole {
    ($($method:ident => $visit:ident as $type:ty,)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.number(true)?;
            match integer(self.value).and_then(|number| <$type>::try_from(number).ok()) {
                Some(number) => visitor.$visit(number),
                None => Err(self.expected(format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX))),
            }
        }
    )+};
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(self.fault(format!("`{}` has a type that the reader of experiment files does not know", self.key)))
    }

    whole! {
        deserialize_u32 => visit_u32 as u32,
        deserialize_u64 => visit_u64 as u64,
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.number(false)?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.value.as_bool().ok_or_else(|| self.expected_one("true or false"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.value.as_str().ok_or_else(|| self.expected_one("a string"))?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // TOML has no null: what is there is Some.
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let values = self.value.as_array().ok_or_else(|| self.expected("a list"))?;
        if values.len() > bounds::LIST_MAX {
            let (key, count, most) = (&self.key, values.len(), bounds::LIST_MAX);
            return Err(self.fault(format!("`{key}` is a list of {count} values: expected at most {most}")));
        }
        visitor.visit_seq(Elements { reader: &self, values: values.iter() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let word = self.value.as_str().ok_or_else(|| self.expected_one(format!("one of {}", variants.join(", "))))?;
        if !variants.contains(&word) {
            let hint = hint_of_value(word, variants);
            return Err(self.fault(format!("unknown `{}` {}{hint}", self.key, show(self.value))));
        }
        visitor.visit_enum(word.into_deserializer())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let values = self.value.as_table().ok_or_else(|| self.expected("a table"))?;
        let table = self.full_key();
        let known: Vec<&str> = fields.iter().chain(self.others).copied().collect();
        // A hint is sought for one of them only: there may be thousands.
        if let Some(key) = unknown_keys(values, &known).min_by_key(|key| key.span().start) {
            return Err(unknown_key(&table, key, &known));
        }
        let entries = values.iter().filter(|(key, _)| fields.contains(&key.get_ref().as_ref())).collect::<Vec<_>>();
        visitor.visit_map(Entries { reader: &self, entries: entries.into_iter(), value: None }).map_err(|fault| {
            // Only the fault of a missing key has no span yet.
            match fault.span {
                Some(_) => fault,
                None => {
                    let bound = bounds::of(&join(&self.key, &fault.key)).map(|bound| format!("; expected {bound}"));
                    let message = format!("{} {}{}", fault.message, describe_table(&table), bound.unwrap_or_default());
                    Fault::new(self.span.clone(), join(&table, &fault.key), message)
                }
            }
        })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 char bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct map
        identifier ignored_any
    }
}

struct Elements<'r, 'a> {
    reader: &'r Reader<'a>,
    values: std::slice::Iter<'a, Spanned<DeValue<'a>>>,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.values.next().map(|value| seed.deserialize(self.reader.child("", value))).transpose()
    }
}

struct Entries<'r, 'a, I> {
    reader: &'r Reader<'a>,
    entries: I,
    value: Option<Reader<'a>>,
}

impl<'de, 'a, I> de::MapAccess<'de> for Entries<'_, 'a, I>
where
    I: Iterator<Item = (&'a Key<'a>, &'a Spanned<DeValue<'a>>)>,
{
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(self.reader.child(key.get_ref(), value));
        let key: de::value::StrDeserializer<'_, Fault> = key.get_ref().as_ref().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let reader =
            self.value.take().ok_or_else(|| <Fault as de::Error>::custom("a value was read before its key"))?;
        let (span, key) = (reader.span.clone(), reader.full_key());
        seed.deserialize(reader).map_err(|fault| fault.or_at(&span, &key))
    }
}
