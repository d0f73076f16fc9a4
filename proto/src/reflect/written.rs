//! A message as JSON.

use chrono::{DateTime, Utc};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value as Field};
use serde_json::{Map, Value};

use super::shapes::{is_one_of, is_time, word};

pub(super) fn message(message: &DynamicMessage) -> Value {
    if is_time(&message.descriptor()) {
        return moment(message)
            .map_or(Value::Null, |at| Value::from(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)));
    }
    let mut map = Map::new();
    for field in message.descriptor().fields() {
        let is_set = message.has_field(&field);
        if is_one_of(&field) && !is_set {
            continue;
        }
        let json =
            if field.supports_presence() && !is_set { Value::Null } else { value(&field, &message.get_field(&field)) };
        map.insert(field.name().to_owned(), json);
    }
    Value::Object(map)
}

fn moment(message: &DynamicMessage) -> Option<DateTime<Utc>> {
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)
}

fn value(field: &FieldDescriptor, value: &Field) -> Value {
    match value {
        Field::List(list) => list.iter().map(|one| one_value(&field.kind(), one)).collect(),
        one => one_value(&field.kind(), one),
    }
}

fn one_value(kind: &Kind, value: &Field) -> Value {
    match value {
        Field::Bool(flag) => (*flag).into(),
        Field::I32(whole) => (*whole).into(),
        Field::I64(whole) => (*whole).into(),
        Field::U32(whole) => (*whole).into(),
        Field::U64(whole) => (*whole).into(),
        // Not finite is null.
        Field::F32(number) => (*number).into(),
        Field::F64(number) => (*number).into(),
        Field::String(text) => text.as_str().into(),
        Field::EnumNumber(number) => match kind.as_enum().and_then(|of| of.get_value(*number)) {
            Some(known) => word(&known).into(),
            // Of a newer version.
            None => (*number).into(),
        },
        Field::Message(inner) => message(inner),
        // No answer that is offered has these; a test sees to it.
        Field::Bytes(_) | Field::List(_) | Field::Map(_) => Value::Null,
    }
}
