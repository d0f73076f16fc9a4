//! The experiment file as a JSON Schema, for editors: from the spec types, their documentation, and `bounds`.
//!
//! What takes several keys to judge (`conflict`, `unused`, `graph`) no schema says; the coordinator does.

mod written;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::defaults::{DIFFERENCE_STEP, LBFGS_ITERATIONS};
use super::file::{NAME_LENGTH, PRIORITY_MAX};
use super::read::join;
use super::stage;
use super::sweep::UNSWEPT;
use crate::spec::{Attack, Contrastive, Finetune, Linear, Supervised};
use written::{bounded, object};

/// JSON Schema (draft 7) of an experiment file.
pub fn schema() -> Value {
    let stages: Vec<Value> = STAGES.iter().map(job).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Tandem experiment",
        "description": "Jobs that start from each other's results, on one data set.",
        "type": "object",
        "required": ["name", "dataset", "jobs"],
        "additionalProperties": false,
        "properties": {
            "name": described(name(), "What the experiment is called."),
            "dataset": {
                "description": "The images: cifar10, cifar100, shapes (synthetic), or folder:NAME, which somebody put by `tandem data put` \
                                or which lies in the workers' data folders, with train/CLASS/ and test/CLASS/.",
                "anyOf": [
                    {"enum": ["cifar10", "cifar100", "shapes"]},
                    {"type": "string", "pattern": "^folder:[A-Za-z0-9_-][A-Za-z0-9_.-]*$"},
                ],
            },
            "seed": described(bounded("seed"), "Of all that is random in its jobs; 1 where the file says nothing."),
            "priority": {
                "description": "Jobs of higher priority start first, and others may make room for them.",
                "type": "integer", "minimum": -PRIORITY_MAX, "maximum": PRIORITY_MAX, "default": 0,
            },
            "workers": workers("Ranks that share each job"),
            "shards": described(bounded("shards"), SHARDS),
            "threads": described(bounded("threads"), THREADS),
            "jobs": {
                "description": "The jobs, a table [jobs.NAME] each.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": name(),
                "additionalProperties": {"type": "object", "required": ["stage"], "oneOf": stages},
            },
        },
    })
}

const SHARDS: &str =
    "Logical parts of a batch, on which results depend; where the file says nothing, as many as workers.";
const THREADS: &str = "CPU threads of one shard. Results are equal bit for bit only with equal threads.";

struct StageSchema {
    name: &'static str,
    about: &'static str,
    parameters: fn() -> Value,
}

const STAGES: &[StageSchema] = &[
    StageSchema {
        name: "contrastive",
        about: "Contrastive pretraining of an encoder (eq. 1).",
        parameters: parameters::<Contrastive>,
    },
    StageSchema { name: "supervised", about: "A classifier from scratch.", parameters: parameters::<Supervised> },
    StageSchema { name: "linear", about: "Logistic regression on a frozen encoder.", parameters: parameters::<Linear> },
    StageSchema {
        name: "finetune",
        about: "The whole network, from a pretrained encoder.",
        parameters: parameters::<Finetune>,
    },
    StageSchema {
        name: "attack",
        about: "Adversarial examples against a classifier.",
        parameters: parameters::<Attack>,
    },
];

/// Parameters of a stage with their documentation, bounds and defaults; `None` if there is no such stage.
pub fn stage_schema(stage: &str) -> Option<Value> {
    STAGES.iter().find(|known| known.name == stage).map(|stage| (stage.parameters)())
}

fn job(stage: &StageSchema) -> Value {
    let mut schema = (stage.parameters)();
    let swept = sweep(&schema);
    let properties = object(&mut schema["properties"]);
    properties.insert("stage".into(), json!({"const": stage.name, "description": stage.about}));
    let inputs = stage::inputs(stage.name);
    if !inputs.is_empty() {
        let about =
            format!("The {} job that it starts from; a list is several, each an alternative.", inputs.join(" or "));
        properties.insert("from".into(), described(one_or_many(name()), &about));
        let about = "Selects among the variants of the jobs in `from`: keys with a value, or a list of values.";
        properties.insert("where".into(), json!({"description": about, "type": "object"}));
    }
    properties.insert("sweep".into(), swept);
    properties.insert("seed".into(), described(bounded("seed"), "In place of that of its input, or the experiment's."));
    properties.insert("workers".into(), workers("Ranks that share it"));
    properties.insert("shards".into(), described(bounded("shards"), SHARDS));
    properties.insert("threads".into(), described(bounded("threads"), THREADS));
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let also = ["stage"].into_iter().chain((!inputs.is_empty()).then_some("from")).map(Value::from);
    schema["required"] = also.chain(required).collect();
    schema["title"] = stage.name.into();
    schema
}

fn parameters<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    written::finish(&mut schema, "");
    object(&mut schema).remove("$schema");
    // Where a file says nothing, these are not what a stored spec that says nothing means.
    if let Some(h) = schema.pointer_mut("/properties/tikhonov/properties/h/default") {
        *h = DIFFERENCE_STEP.into();
    }
    if schema.pointer("/properties/solver").is_some() {
        schema["properties"]["epochs"]["default"] = LBFGS_ITERATIONS.into();
    }
    schema
}

/// The keys of a stage with a list of values each, as tables or with dots.
fn sweep(parameters: &Value) -> Value {
    let (nested, dotted) = axes(parameters, "");
    let seed = json!({"type": "array", "minItems": 1, "items": bounded("seed")});
    let mut properties: Map<String, Value> = nested.into_iter().chain(dotted).collect();
    properties.insert("seed".into(), seed);
    for key in ["shards", "threads"] {
        properties.insert(key.into(), json!({"type": "array", "minItems": 1, "items": bounded(key)}));
    }
    properties.retain(|key, _| !UNSWEPT.contains(&key.as_str()));
    let about = "A job for each combination of these values: `seed = [1, 2, 3]`, `optimizer.lr = [0.1, 0.2]`.";
    json!({"description": about, "type": "object", "additionalProperties": false, "properties": properties})
}

type Properties = Map<String, Value>;

/// As tables, and with dots.
fn axes(schema: &Value, prefix: &str) -> (Properties, Properties) {
    let (mut nested, mut dotted) = (Map::new(), Map::new());
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let key = join(prefix, name);
        let axis = if inner.get("properties").is_some() {
            let (own, deeper) = axes(inner, &key);
            dotted.extend(deeper);
            json!({"type": "object", "additionalProperties": false, "properties": own})
        } else {
            let mut value = inner.clone();
            let about = object(&mut value).remove("description").unwrap_or_default();
            object(&mut value).remove("default");
            let axis = json!({"description": about, "type": "array", "minItems": 1, "items": value});
            if !prefix.is_empty() {
                dotted.insert(key, axis.clone());
            }
            axis
        };
        nested.insert(name.clone(), axis);
    }
    (nested, dotted)
}

fn workers(about: &str) -> Value {
    let about = format!("{about}: a number, or a range such as \"1..4\" to take what is free.");
    let range = json!({"type": "string", "pattern": "^ *[0-9]+ *\\.\\. *[0-9]+ *$"});
    json!({"description": about, "anyOf": [bounded("workers"), range]})
}

fn name() -> Value {
    json!({"type": "string", "pattern": format!("^[a-z0-9_][a-z0-9_-]{{0,{}}}$", NAME_LENGTH - 1)})
}

fn one_or_many(one: Value) -> Value {
    json!({"anyOf": [one.clone(), {"type": "array", "minItems": 1, "uniqueItems": true, "items": one}]})
}

fn described(mut schema: Value, about: &str) -> Value {
    schema["description"] = about.into();
    schema
}
