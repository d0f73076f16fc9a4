//! What of a signed receipt the house shows otherwise now: somebody has altered a row since.

use serde_json::Value as Json;

/// The most that are told.
const MAX: usize = 50;
/// The longest value that is shown, in characters.
const SHOWN: usize = 80;

/// One field that is not as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// As in `artifacts[0].sha256`.
    pub field: String,
    /// Empty if there was none.
    pub signed: String,
    /// Empty if there is none.
    pub now: String,
}

/// Field by field, in the order of the signed one.
pub fn differences(signed: &Json, now: &Json) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(signed), Some(now), &mut found);
    found
}

fn walk(field: &str, signed: Option<&Json>, now: Option<&Json>, found: &mut Vec<Difference>) {
    if signed == now || found.len() >= MAX {
        return;
    }
    match (signed, now) {
        (Some(Json::Object(signed)), Some(Json::Object(now))) => {
            let added = now.keys().filter(|key| !signed.contains_key(*key));
            for key in signed.keys().chain(added) {
                let field = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
                walk(&field, signed.get(key), now.get(key), found);
            }
        }
        (Some(Json::Array(signed)), Some(Json::Array(now))) => {
            for at in 0..signed.len().max(now.len()) {
                walk(&format!("{field}[{at}]"), signed.get(at), now.get(at), found);
            }
        }
        _ => found.push(Difference { field: field.to_owned(), signed: shown(signed), now: shown(now) }),
    }
}

fn shown(value: Option<&Json>) -> String {
    let text = match value {
        None => return String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
