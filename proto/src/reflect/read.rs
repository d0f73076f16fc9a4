//! A message of a query's or of JSON's fields.

use chrono::DateTime;
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::Value;

use super::shapes::{POOL, TIMESTAMP, is_time, word, words};

/// Why there is no such message, with the name of the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

impl Wrong {
    pub(super) fn new(words: String) -> Self {
        Self(words)
    }
}

fn wrong(name: &str, expected: &str, found: impl std::fmt::Display) -> Wrong {
    Wrong(format!("{name}: {found} is not {expected}"))
}

fn field(of: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, Wrong> {
    of.get_field_by_name(name).ok_or_else(|| {
        let names: Vec<String> = of.fields().map(|field| field.name().to_owned()).collect();
        let known = if names.is_empty() {
            "nothing is asked here".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Wrong(format!("there is no `{name}`; {known}"))
    })
}

/// Sets one field by its text; a list gets one more.
pub(super) fn put_text(message: &mut DynamicMessage, name: &str, text: &str) -> Result<(), Wrong> {
    use prost_reflect::ReflectMessage as _;
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let field = field(&message.descriptor(), first)?;
    let kind = field.kind();
    if let Some(rest) = rest {
        return match (message.get_field_mut(&field), kind.as_message()) {
            (Field::Message(inner), Some(of)) if !is_time(of) => put_text(inner, rest, text),
            _ => Err(Wrong(format!("there is no `{name}`: `{first}` has no fields"))),
        };
    }
    let value = of_text(name, &kind, text)?;
    if field.is_list() {
        if let Field::List(list) = message.get_field_mut(&field) {
            list.push(value);
        }
        return Ok(());
    }
    // The default of a field that tells no presence may stand there twice: it changes nothing.
    if message.has_field(&field) {
        return Err(Wrong(format!("`{name}` is there twice")));
    }
    message.set_field(&field, value);
    Ok(())
}

fn of_text(name: &str, kind: &Kind, text: &str) -> Result<Field, Wrong> {
    let shown = || format!("`{}`", text.chars().take(60).collect::<String>());
    Ok(match kind {
        Kind::String => Field::String(text.to_owned()),
        // A name alone is a yes.
        Kind::Bool => match text {
            "true" | "" => Field::Bool(true),
            "false" => Field::Bool(false),
            _ => return Err(wrong(name, "true or false", shown())),
        },
        Kind::Message(of) if is_time(of) => time(name, text)?,
        Kind::Message(_) | Kind::Bytes => return Err(Wrong(format!("{name}: this is not taken from a query"))),
        Kind::Enum(of) => of_word(name, of, text)?,
        _ => {
            let number: Value = text
                .parse::<u64>()
                .map(Value::from)
                .or_else(|_| text.parse::<i64>().map(Value::from))
                .or_else(|_| text.parse::<f64>().map(Value::from))
                .map_err(|_| wrong(name, expected(kind), shown()))?;
            of_json(name, kind, &number).map_err(|_| wrong(name, expected(kind), shown()))?
        }
    })
}

pub(super) fn message(of: MessageDescriptor, json: &Value) -> Result<DynamicMessage, Wrong> {
    let Value::Object(map) = json else {
        return Err(wrong(of.name(), "an object", json_kind(json)));
    };
    let mut message = DynamicMessage::new(of.clone());
    for (name, json) in map {
        let field = field(&of, name)?;
        if json.is_null() {
            continue;
        }
        let value = match json {
            Value::Array(list) if field.is_list() => {
                Field::List(list.iter().map(|one| of_json(name, &field.kind(), one)).collect::<Result<_, _>>()?)
            }
            _ if field.is_list() => return Err(wrong(name, "a list", json_kind(json))),
            one => of_json(name, &field.kind(), one)?,
        };
        message.set_field(&field, value);
    }
    Ok(message)
}

fn of_json(name: &str, kind: &Kind, json: &Value) -> Result<Field, Wrong> {
    let value = match (kind, json) {
        (Kind::String, Value::String(text)) => Some(Field::String(text.clone())),
        (Kind::Bool, Value::Bool(flag)) => Some(Field::Bool(*flag)),
        (Kind::Double, json) => json.as_f64().map(Field::F64),
        (Kind::Float, json) => json.as_f64().map(|number| Field::F32(number as f32)),
        (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, json) => {
            json.as_i64().and_then(|whole| i32::try_from(whole).ok()).map(Field::I32)
        }
        (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, json) => json.as_i64().map(Field::I64),
        (Kind::Uint32 | Kind::Fixed32, json) => {
            json.as_u64().and_then(|whole| u32::try_from(whole).ok()).map(Field::U32)
        }
        (Kind::Uint64 | Kind::Fixed64, json) => json.as_u64().map(Field::U64),
        (Kind::Enum(of), Value::String(text)) => return of_word(name, of, text),
        (Kind::Message(of), Value::String(text)) if is_time(of) => return time(name, text),
        (Kind::Message(of), json @ Value::Object(_)) if !is_time(of) => {
            return message(of.clone(), json).map(Field::Message);
        }
        _ => None,
    };
    value.ok_or_else(|| wrong(name, expected(kind), json_kind(json)))
}

fn of_word(name: &str, of: &EnumDescriptor, text: &str) -> Result<Field, Wrong> {
    match of.values().find(|value| word(value) == text) {
        Some(value) => Ok(Field::EnumNumber(value.number())),
        None => Err(wrong(name, &format!("one of {}", words(of).join(", ")), format!("`{text}`"))),
    }
}

fn time(name: &str, text: &str) -> Result<Field, Wrong> {
    let at = DateTime::parse_from_rfc3339(text)
        .map_err(|_| wrong(name, "a time as in 2026-06-01T12:00:00Z", format!("`{text}`")))?;
    let mut message = DynamicMessage::new(timestamp());
    message.set_field_by_name("seconds", Field::I64(at.timestamp()));
    message.set_field_by_name("nanos", Field::I32(i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0)));
    Ok(Field::Message(message))
}

#[expect(clippy::expect_used, reason = "the set has what it imports, and a test reads it")]
fn timestamp() -> MessageDescriptor {
    POOL.get_message_by_name(TIMESTAMP).expect("the descriptor of a timestamp")
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::String => "a text",
        Kind::Bool => "true or false",
        Kind::Double | Kind::Float => "a number",
        Kind::Uint32 | Kind::Fixed32 => "a whole number from 0 to 4294967295",
        Kind::Uint64 | Kind::Fixed64 => "a whole number of 0 or more",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a whole number",
        Kind::Enum(_) => "a word",
        Kind::Message(of) if is_time(of) => "a time",
        Kind::Message(_) => "an object",
        Kind::Bytes => "taken here",
    }
}

fn json_kind(json: &Value) -> String {
    match json {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the text `{}`", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
