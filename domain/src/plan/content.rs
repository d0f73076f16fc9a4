//! The content key: jobs with equal keys have equal results.

use serde_json::{Value as Json, json};

use crate::spec::JobSpec;

/// A hash of everything that the result depends on: 64 hexadecimal digits.
///
/// `inputs` are the content keys of its inputs, in order. `images` is the checksum of its data set where that is known:
/// without it the key is what it was before checksums were part of keys. The job's name is not part of it, nor is the
/// number of workers, because results depend on shards, not on ranks.
pub fn content_key(spec: &JobSpec, images: Option<&str>, inputs: &[&str], learn_version: &str) -> String {
    let mut content = json!({
        "dataset": spec.dataset,
        "seed": spec.seed,
        "shards": spec.shards,
        "threads": spec.threads,
        "stage": spec.stage,
        "inputs": inputs,
        "learn_version": learn_version,
    });
    if let Some(images) = images {
        content["images"] = images.into();
    }
    let mut text = String::new();
    write_canonical(&content, &mut text);
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// The key of the same job under `--fresh`, which no earlier job has. All jobs of an experiment use one `salt`.
pub fn fresh_key(key: &str, salt: &str) -> String {
    blake3::hash(format!("fresh\0{salt}\0{key}").as_bytes()).to_hex().to_string()
}

/// JSON with sorted keys and no spaces: the same bytes whatever the order of fields in the source.
fn write_canonical(value: &Json, text: &mut String) {
    match value {
        Json::Object(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                text.push_str(&Json::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
            }
            text.push('}');
        }
        Json::Array(values) => {
            text.push('[');
            for (i, value) in values.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { "," });
                write_canonical(value, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Workers;

    fn spec() -> JobSpec {
        serde_json::from_value(json!({
            "name": "encoder", "dataset": "cifar10", "seed": 1, "workers": {"min": 2, "max": 2}, "shards": 2,
            "threads": 1, "inputs": [],
            "stage": {"stage": "contrastive", "encoder": "resnet18", "epochs": 3, "batch_size": 64},
        }))
        .unwrap()
    }

    fn key(change: impl FnOnce(&mut JobSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        content_key(&spec, None, &["input"], "1")
    }

    #[test]
    fn names_and_workers_do_not_matter() {
        let plain = key(|_| ());
        assert_eq!(plain.len(), 64);
        assert_eq!(key(|spec| spec.name = "other".to_owned()), plain);
        assert_eq!(key(|spec| spec.workers = Workers { min: 1, max: 1 }), plain);
    }

    #[test]
    fn everything_that_changes_the_result_matters() {
        let mut keys = vec![
            key(|_| ()),
            key(|spec| spec.seed = 2),
            key(|spec| spec.shards = 1),
            key(|spec| spec.threads = 2),
            key(|spec| spec.dataset = crate::spec::Dataset::Cifar100),
            key(|spec| {
                let crate::spec::Stage::Contrastive(stage) = &mut spec.stage else { unreachable!() };
                stage.temperature = 0.1;
            }),
            content_key(&spec(), None, &["other"], "1"),
            content_key(&spec(), Some("ab12"), &["input"], "1"),
            content_key(&spec(), Some("cd34"), &["input"], "1"),
            content_key(&spec(), None, &["input"], "2"),
            fresh_key(&key(|_| ()), "a"),
            fresh_key(&key(|_| ()), "b"),
        ];
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn keys_that_were_stored_before_images_were_part_of_them_stay() {
        let key = content_key(&spec(), None, &["input"], "1");
        assert_eq!(key, "6cc1ffa13ed8eddc407b23cb8ba86dc8d2741d058d51dd86456c0b54250765be");
    }

    #[test]
    fn the_canonical_form_sorts_keys_and_keeps_lists() {
        let mut text = String::new();
        write_canonical(&json!({"b": [2, 1.0, "x\""], "a": {"d": null, "c": true}}), &mut text);
        assert_eq!(text, r#"{"a":{"c":true,"d":null},"b":[2,1.0,"x\""]}"#);
    }
}
