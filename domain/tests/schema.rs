//! The JSON Schema of the experiment file and the files to start from: what they say is what the reader does.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tandem_domain::{
    plan::{self, STAGES},
    spec::Stage,
};

/// By an independent validator.
fn faults(toml: &str) -> Vec<String> {
    let file: Value = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    let validator = jsonschema::draft7::new(&plan::schema()).expect("the schema is one");
    validator.iter_errors(&file).map(|fault| fault.to_string()).collect()
}

fn is_read(toml: &str) -> bool {
    plan::plan(toml, "x.toml", "1").is_ok()
}

#[test]
fn every_example_keeps_to_the_schema_and_names_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&file).unwrap();
            assert_eq!(faults(&text), Vec::<String>::new(), "{}", file.display());
            assert!(text.starts_with("#:schema experiment.schema.json\n"), "{}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 10);
}

#[test]
fn the_schema_beside_the_examples_is_the_schema() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/experiment.schema.json");
    let written = serde_json::to_string_pretty(&plan::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &written).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap_or_default(), written, "run this test with UPDATE_GOLDEN=1");
}

/// A right file with `line` in its encoder, before its linear layer.
fn with(line: &str) -> String {
    format!(
        "name = \"x\"\ndataset = \"folder:my-set\"\nworkers = \"1..2\"\nshards = 2\n[jobs.encoder]\nstage = \"contrastive\"\n\
         encoder = \"resnet18\"\nepochs = 2\nbatch_size = 4\n{line}\n[jobs.linear]\nstage = \"linear\"\nfrom = [\"encoder\"]\n"
    )
}

#[test]
fn schema_and_reader_accept_the_same() {
    for line in [
        "",
        "seed = 3",
        "optimizer = { lr = 0.1, schedule = \"cosine\" }",
        "layerwise = { ratio = 2.0 }",
        "sweep.seed = [1, 2]",
        "sweep = { \"optimizer.lr\" = [0.1, 0.2], tikhonov = { lambda = [0, 1] } }",
        "sweep.optimizer.milestones = [[0.5], [0.1, 0.2]]",
    ] {
        assert!(is_read(&with(line)), "{line}");
        assert_eq!(faults(&with(line)), Vec::<String>::new(), "{line}");
    }
    for line in [
        "epoch = 3",
        "temperature = 0",
        "temperature = \"warm\"",
        "optimizer = { lr = [0.1] }",
        "optimizer = { momentun = 0.9 }",
        "layerwise = { alpha = 1.0 }",
        "sweep.seed = 3",
        "sweep.seed = []",
        "sweep.workers = [1, 2]",
        "sweep.optimizer.lrr = [1.0]",
        "sweep.epochs = [0]",
        "from = \"linear\"",
        "seed = -1",
        "workers = 65",
        "views = \"appart\"",
    ] {
        assert!(!is_read(&with(line)), "{line}");
        assert!(!faults(&with(line)).is_empty(), "{line}");
    }
    for (right, wrong) in [
        ("name = \"x\"", "name = \"X y\""),
        ("folder:my-set", "folder:../up"),
        ("[jobs.linear]", "[jobs.\"li near\"]"),
        ("stage = \"linear\"", "stage = \"lineal\""),
        ("from = [\"encoder\"]", ""),
        ("workers = \"1..2\"", "priority = 101"),
    ] {
        let text = with("").replacen(right, wrong, 1);
        assert!(!is_read(&text) && !faults(&text).is_empty(), "{wrong}");
    }
}

/// Every key that stands below `schema`, dotted, with its own schema.
fn keys(schema: &Value, prefix: &str, found: &mut Vec<(String, Value)>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        keys(inner, &key, found);
        found.push((key, inner.clone()));
    }
}

#[test]
fn every_key_is_explained_and_has_the_default_that_the_schema_says() {
    for &stage in STAGES {
        let minimal = match stage {
            "contrastive" => json!({"encoder": "resnet18", "epochs": 3, "batch_size": 4}),
            "supervised" => json!({"encoder": "resnet18"}),
            "attack" => json!({"attack": "pgd", "norm": "l2"}),
            _ => json!({}),
        };
        let read = |own: &Value| {
            let mut written = own.clone();
            written["stage"] = stage.into();
            serde_json::from_value::<Stage>(written).unwrap_or_else(|error| panic!("{stage}: {error} {own}"))
        };
        let mut found = Vec::new();
        keys(&plan::stage_schema(stage).unwrap(), "", &mut found);
        assert!(found.len() > 5, "{stage}");
        for (key, schema) in found {
            let about = schema["description"].as_str().unwrap_or_default();
            assert!(about.len() > 10, "{stage}: `{key}` is not explained");
            let Some(default) = schema.get("default") else { continue };
            // Left out as a whole, or filled in by the reader of files: see below.
            if key.starts_with("layerwise") || key == "tikhonov.h" || (stage == "linear" && key == "epochs") {
                continue;
            }
            let mut written = minimal.clone();
            let place = key.split('.').fold(&mut written, |table, name| &mut table[name]);
            *place = default.clone();
            assert_eq!(read(&written), read(&minimal), "{stage}: `{key}` is not {default} by default");
        }
    }
    for (stage, key, lines) in [
        (
            "supervised",
            "/tikhonov/properties/h",
            "encoder = \"resnet18\"\ntikhonov.method = \"finite-difference\"\ntikhonov.h",
        ),
        ("linear", "/epochs", "from = \"encoder\"\nepochs"),
    ] {
        let schema = plan::stage_schema(stage).unwrap();
        let default = schema.pointer(&format!("/properties{key}/default")).unwrap();
        let (said, unsaid) = (format!("{lines} = {default}"), lines.rsplit_once('\n').unwrap().0.to_owned());
        let stage = |lines: &str| {
            let text =
                with("").replace("stage = \"linear\"\nfrom = [\"encoder\"]", &format!("stage = \"{stage}\"\n{lines}"));
            plan::plan(&text, "x.toml", "1")
                .unwrap_or_else(|error| panic!("{error}\n{text}"))
                .jobs
                .pop()
                .unwrap()
                .spec
                .stage
        };
        assert_eq!(stage(&said), stage(&unsaid), "{key}");
    }
}

#[test]
fn files_to_start_from_can_be_submitted_and_name_every_key() {
    for &stage in STAGES {
        let text = plan::template(stage).unwrap();
        let planned = plan::plan(&text, "init.toml", "1").unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(planned.jobs.last().unwrap().spec.stage.name(), stage);
        assert_eq!(faults(&text), Vec::<String>::new(), "{stage}");
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        // With the # taken away from each key it is still a file that an editor accepts, whatever goes together.
        let full: Vec<&str> = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.starts_with('[') || is_entry(key) => key,
                _ => line,
            })
            .collect();
        let full = full.join("\n");
        assert_eq!(faults(&full), Vec::<String>::new(), "{full}");
        let mut found = Vec::new();
        keys(&plan::stage_schema(stage).unwrap(), "", &mut found);
        let written: Value = toml::from_str(&full).unwrap();
        for (key, schema) in found {
            let pointer = format!("/jobs/{stage}/{}", key.replace('.', "/"));
            let value = written.pointer(&pointer);
            assert!(value.is_some(), "{stage}: `{key}` is not in the file:\n{full}");
            // What stands behind a # is what holds anyway.
            assert!(schema.get("default").is_none_or(|default| Some(default) == value), "{stage}: `{key}` = {value:?}");
        }
    }
    assert_eq!(plan::template("lineal"), None);
}

fn is_entry(text: &str) -> bool {
    let key = text.split(" = ").next().unwrap_or_default();
    text.contains(" = ") && !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
