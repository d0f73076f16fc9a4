//! What an OpenAPI document says of methods, from their descriptors and the comments in the `.proto` files.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{
    Method,
    shapes::{is_one_of, is_time, words},
};

/// Which methods are offered, by their paths.
#[derive(Clone, Copy, Debug)]
pub struct Methods<'a> {
    /// By GET, with the fields of the request as the query.
    pub reads: &'a [&'a str],
    /// By POST, with the request as JSON.
    pub writes: &'a [&'a str],
}

/// The document, without the paths that are no method. `at` stands before `Service/Method`: `/api/v1/`.
#[must_use]
pub fn document(methods: Methods<'_>, at: &str, version: &str) -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for (listed, is_read) in [(methods.reads, true), (methods.writes, false)] {
        for path in listed {
            let Some((method, name)) = Method::of(path).zip(short(path)) else { continue };
            let operation = operation(&method, name, is_read, &mut schemas);
            let verb = if is_read { "get" } else { "post" };
            paths.insert(format!("{at}{name}"), json!({ verb: operation }));
        }
    }
    schemas.known.insert("Problem".to_owned(), problem());
    let components = json!({
        "schemas": schemas.known,
        "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "A token of a person: `tandem token new`." } },
        "responses": { "Problem": { "description": "Why not.", "content": { "application/json": { "schema": reference("Problem") } } } },
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Tandem", "version": version, "description": "A coordinator of Tandem, by URL. Times are RFC 3339 in UTC." },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": components,
    })
}

/// `Jobs/List` of `/tandem.v1.Jobs/List`.
fn short(path: &str) -> Option<&str> {
    path.strip_prefix("/tandem.v1.")
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn problem() -> Value {
    json!({
        "type": "object", "required": ["code", "message"],
        "properties": {
            "code": { "type": "string", "description": "As gRPC has it, in small letters: not_found" },
            "message": { "type": "string", "description": "What was wrong and what to do, in words." },
        },
    })
}

fn operation(method: &Method, name: &str, is_read: bool, schemas: &mut Schemas) -> Value {
    let (input, output) = (method.0.input(), method.0.output());
    let service = name.split('/').next().unwrap_or_default();
    let (content, description) = if method.streams() {
        ("application/x-ndjson", "One JSON document a line, as they come.")
    } else {
        ("application/json", "The answer.")
    };
    schemas.add(&output, Side::Answer);
    let mut operation = json!({
        "operationId": name.replace('/', ""),
        "tags": [service],
        "responses": {
            "200": { "description": description, "content": { content: { "schema": reference(output.name()) } } },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    let file = method.0.parent_file();
    if let Some(summary) = comment(&file, method.0.path()) {
        operation["summary"] = summary.into();
    }
    if is_read {
        let mut parameters = Vec::new();
        push_parameters(&input, "", &mut parameters);
        operation["parameters"] = parameters.into();
    } else {
        schemas.add(&input, Side::Request);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": reference(input.name()) } } });
    }
    operation
}

/// A parameter for each field, those of messages behind a dot.
fn push_parameters(of: &MessageDescriptor, before: &str, parameters: &mut Vec<Value>) {
    for field in of.fields() {
        let name = format!("{before}{}", field.name());
        match field.kind() {
            Kind::Message(inner) if !is_time(&inner) && !field.is_list() => {
                push_parameters(&inner, &format!("{name}."), parameters);
            }
            Kind::Message(inner) if !is_time(&inner) => {}
            _ => {
                let mut parameter = json!({ "name": name, "in": "query", "schema": plain(&field) });
                if let Some(text) = comment(&field.parent_message().parent_file(), field.path()) {
                    parameter["description"] = text.into();
                }
                parameters.push(parameter);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    /// All fields are there.
    Answer,
}

#[derive(Default)]
struct Schemas {
    known: BTreeMap<String, Value>,
}

impl Schemas {
    fn add(&mut self, message: &MessageDescriptor, side: Side) {
        if is_time(message) || self.known.contains_key(message.name()) {
            return;
        }
        // Before its fields: a message may hold itself.
        self.known.insert(message.name().to_owned(), Value::Null);
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind() {
                self.add(&inner, side);
            }
            properties.insert(field.name().to_owned(), property(&field, side));
            if side == Side::Answer && !is_one_of(&field) {
                required.push(field.name().to_owned());
            }
        }
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if let Some(text) = comment(&message.parent_file(), message.path()) {
            schema["description"] = text.into();
        }
        self.known.insert(message.name().to_owned(), schema);
    }
}

fn property(field: &FieldDescriptor, side: Side) -> Value {
    let mut schema = plain(field);
    let may_be_missing = field.supports_presence() && !is_one_of(field);
    if may_be_missing || side == Side::Request {
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
    }
    if let Some(text) = comment(&field.parent_message().parent_file(), field.path()) {
        schema["description"] = text.into();
    }
    schema
}

fn plain(field: &FieldDescriptor) -> Value {
    let one = match field.kind() {
        Kind::String => json!({ "type": "string" }),
        Kind::Bool => json!({ "type": "boolean" }),
        // Not finite is null.
        Kind::Double | Kind::Float => json!({ "type": ["number", "null"] }),
        Kind::Uint32 | Kind::Fixed32 | Kind::Uint64 | Kind::Fixed64 => json!({ "type": "integer", "minimum": 0 }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            json!({ "type": "integer" })
        }
        Kind::Enum(of) => json!({ "type": "string", "enum": words(&of) }),
        Kind::Message(of) if is_time(&of) => json!({ "type": "string", "format": "date-time" }),
        Kind::Message(of) => reference(of.name()),
        Kind::Bytes => json!({ "type": "null" }),
    };
    if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
}

/// What stands above it in the `.proto` file, or behind it.
fn comment(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    let location = info.location.iter().find(|location| location.path == path)?;
    let text = location.leading_comments.as_deref().or(location.trailing_comments.as_deref())?;
    let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
