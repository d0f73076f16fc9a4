//! A commented experiment file to start from: every key of a stage, with what it means and the value that it has anyway.

use serde_json::Value;

use super::read::join;
use super::schema::stage_schema;

const COLUMNS: usize = 100;

/// An experiment with one job of this stage, and short ones before it where it starts from others; `None` if there is no such
/// stage.
pub fn template(stage: &str) -> Option<String> {
    let schema = stage_schema(stage)?;
    let mut text = format!(
        "# {}\n\
         #   tandem submit {stage}.toml --dry-run     what it would run, and at what cost\n\
         # What stands behind a # is what holds anyway: take the # away to change it. A key that is of use\n\
         # only beside another one says so when it stands alone. Editors complete and check this file after\n\
         # `tandem schema > tandem.schema.json`, with this as its first line:\n\
         #   #:schema tandem.schema.json\n\
         name = \"{stage}\"\n\
         # cifar10, cifar100, shapes (synthetic), or folder:NAME, a folder below the workers' data folder.\n\
         dataset = \"cifar10\"\n\
         # Seed of all that is random.\n\
         # seed = 1\n\
         # Jobs of higher priority start first, -100 to 100.\n\
         # priority = 0\n\
         # Ranks that share each job: a number, or a range such as \"1..4\" to take what is free.\n\
         # workers = 1\n\
         # Logical parts of a batch, on which results depend; as many as workers where nothing is said.\n\
         # shards = 1\n\
         # CPU threads of one shard.\n\
         # threads = 1\n\n",
        schema["description"].as_str().unwrap_or_default().replace('\n', " ")
    );
    let from = match stage {
        "linear" | "finetune" => Some("encoder"),
        "attack" => Some("linear"),
        _ => None,
    };
    if from.is_some() {
        text.push_str(ENCODER);
    }
    if from == Some("linear") {
        text.push_str("[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"\n\n");
    }
    text.push_str(&format!("[jobs.{stage}]\nstage = \"{stage}\"\n"));
    if let Some(from) = from {
        text.push_str(&format!("from = \"{from}\"\n"));
        text.push_str("# Only some of its variants: keys with a value, or a list of values.\n");
        text.push_str(&format!("# where = {{ seed = 1 }}{LEFT_OUT}\n"));
    }
    text.push_str("# seed, workers, shards and threads may stand here too, for this job alone.\n");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let is_required = |key: &str| required.iter().any(|name| name == key);
    let mut tables = String::new();
    for pass in [true, false] {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            if value.get("properties").is_some() {
                if !pass {
                    table(&mut tables, &format!("jobs.{stage}"), key, value);
                }
            } else if is_required(key) == pass {
                entry(&mut text, key, key, value, pass);
            }
        }
    }
    text.push_str("\n# A job for each combination of these values.\n");
    text.push_str(&format!("# [jobs.{stage}.sweep]\n# seed = [1, 2, 3]\n"));
    text.push_str(&tables);
    Some(text)
}

const ENCODER: &str = "# `tandem init contrastive` has all keys of this one.\n[jobs.encoder]\nstage = \"contrastive\"\n\
                       encoder = \"resnet18\"\nepochs = 100\nbatch_size = 256\n\n";

/// A table within a job, all of it behind `#`.
fn table(text: &mut String, parent: &str, key: &str, schema: &Value) {
    text.push('\n');
    comment(text, schema["description"].as_str().unwrap_or_default());
    text.push_str(&format!("# [{parent}.{key}]\n"));
    for (name, value) in schema["properties"].as_object().into_iter().flatten() {
        entry(text, name, &join(key, name), value, false);
    }
}

/// `key` in its table; `full` within the job.
fn entry(text: &mut String, key: &str, full: &str, schema: &Value, is_required: bool) {
    comment(text, schema["description"].as_str().unwrap_or_default());
    let example = EXAMPLES.iter().find(|(name, _)| *name == full);
    let value = match (schema.get("default"), example) {
        (Some(default), _) => default.to_string(),
        (None, Some((_, value))) => (*value).to_owned(),
        (None, None) => schema["enum"][0].to_string(),
    };
    let unsaid = schema.get("default").is_none() && !is_required;
    text.push_str(&format!(
        "{}{key} = {value}{}\n",
        if is_required { "" } else { "# " },
        if unsaid { LEFT_OUT } else { "" }
    ));
}

const LEFT_OUT: &str = "          # an example: left out where the file says nothing";

/// Values of keys that have no default.
const EXAMPLES: &[(&str, &str)] = &[
    ("encoder", "\"resnet18\""),
    ("epochs", "100"),
    ("batch_size", "256"),
    ("attack", "\"pgd\""),
    ("norm", "\"l2\""),
    ("steps", "1000"),
    ("ridge", "0.001"),
    ("draw", "\"balanced\""),
    ("draw_seed", "1"),
    ("radii", "[0.1, 0.2, 0.5]"),
    ("layerwise.ratio", "10.0"),
    ("layerwise.beta_ratio", "10.0"),
    ("tikhonov.scaling", "\"batch_sum\""),
];

/// Documentation as comments, wrapped.
fn comment(text: &mut String, about: &str) {
    for paragraph in about.lines() {
        let indent = if paragraph.starts_with("- ") { "\n#  " } else { "\n#" };
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > COLUMNS {
                text.push_str(&line);
                line = indent.to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
}
