//! From the schema that serde's types have to that of what a person writes.

use serde_json::{Map, Value, json};

use crate::plan::bounds::{self, Bound, LIST_MAX};
use crate::plan::read::join;

/// Makes what serde knows what a person writes: bounds as the reader has them, no null, defaults beside their keys.
pub(super) fn finish(schema: &mut Value, key: &str) {
    not_null(schema);
    words(schema);
    let table = object(schema);
    for unsaid in ["title", "format", "minimum", "maximum"] {
        table.remove(unsaid);
    }
    if let Some(text) = table.get("description").and_then(Value::as_str) {
        // Documentation is wrapped for its reader in the source.
        let text = text.replace("\n\n", "\u{0}").replace('\n', " ").replace('\u{0}', "\n").replace(" - `", "\n- `");
        table.insert("description".into(), text.into());
    }
    if table.contains_key("properties") {
        table.insert("additionalProperties".into(), false.into());
        let defaults = table.remove("default").unwrap_or_default();
        for (name, inner) in object(&mut table["properties"]) {
            if let Some(default) = defaults.get(name) {
                inner["default"] = default.clone();
            }
            finish(inner, &join(key, name));
        }
    } else if let Some(items) = table.get_mut("items") {
        finish(items, key);
        table.insert("maxItems".into(), LIST_MAX.into());
    } else if let Some(Value::Object(bound)) = bounds::of(key).map(limits) {
        table.extend(bound);
    }
    if table.get("default").is_some_and(Value::is_null) {
        table.remove("default");
    }
}

/// A key that may be left out is no null in TOML.
fn not_null(schema: &mut Value) {
    if let Some(types) = schema.get("type").and_then(Value::as_array)
        && let Some(written) = types.iter().find(|name| *name != "null")
    {
        schema["type"] = written.clone();
    }
    let Some(choices) = schema.get("anyOf").and_then(Value::as_array) else { return };
    if let Some(Value::Object(written)) = choices.iter().find(|choice| choice["type"] != "null").cloned() {
        object(schema).remove("anyOf");
        // The key's own words come before those of its type.
        for (name, value) in written {
            object(schema).entry(name).or_insert(value);
        }
    }
}

/// The words that a key may say as one list, with what each means in the description.
fn words(schema: &mut Value) {
    let Some(choices) = schema.get("oneOf").and_then(Value::as_array).cloned() else { return };
    let mut names = Vec::new();
    let mut about = schema["description"].as_str().unwrap_or_default().to_owned();
    for choice in &choices {
        let own = choice.get("const").cloned().into_iter();
        let listed = choice.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
        for name in own.chain(listed) {
            if let (Some(name), Some(text)) = (name.as_str(), choice["description"].as_str()) {
                about.push_str(&format!("\n- `{name}`: {}", text.replace('\n', " ")));
            }
            names.push(name);
        }
    }
    let table = object(schema);
    table.remove("oneOf");
    table.insert("enum".into(), names.into());
    table.insert("description".into(), about.trim().into());
}

/// A number as the reader bounds it.
pub(super) fn bounded(key: &str) -> Value {
    bounds::of(key).map(limits).unwrap_or_default()
}

fn limits(bound: Bound) -> Value {
    match bound {
        Bound::Whole(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Bound::Closed(low, high) => json!({"type": "number", "minimum": low, "maximum": high}),
        Bound::Above(low, high) => json!({"type": "number", "exclusiveMinimum": low, "maximum": high}),
    }
}

/// `value` as an object, which it is made if it is none.
pub(super) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object"),
    }
}
