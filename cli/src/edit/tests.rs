//! The text before and after.

use super::*;
use crate::exit::classify;

const FILE: &str = r#"# Ours.
name = "a"
dataset = "shapes"
seed = 1

[jobs.encoder]
stage = "contrastive"
encoder = "resnet18"     # the small one
epochs = 10
optimizer = { lr = 0.3, momentum = 0.9 }
[jobs.encoder.sweep]
tikhonov.lambda = [0.1, 1.0]
"optimizer.weight_decay" = [1e-4, 1e-6]

[jobs.linear]
stage = "linear"
from = "encoder"
sweep.label_fraction = [1.0, 0.1]

[jobs.supervised]
stage = "supervised"
encoder = "resnet18"
"#;

fn edited(sets: &[&str]) -> Result<String, String> {
    let sets: Vec<Assignment> = sets.iter().map(|set| set.parse().unwrap()).collect();
    apply(FILE, None, &sets).map(|(text, _)| text).map_err(|error| {
        let (exit, message) = classify(&error);
        assert_eq!(exit, Exit::Usage);
        message.unwrap_or_default()
    })
}

/// The lines that one change took away and brought.
fn changes(set: &str) -> (Vec<String>, Vec<String>) {
    let new = edited(&[set]).unwrap();
    let missing = |from: &str, of: &str| {
        of.lines().filter(|line| !from.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    (missing(&new, FILE), missing(FILE, &new))
}

#[test]
fn the_rest_of_the_text_stays() {
    assert_eq!(apply(FILE, None, &[]).unwrap().0, FILE);
    let (renamed, changes) = apply(FILE, Some("b"), &[]).unwrap();
    assert_eq!(changes, ["name = \"b\" (was \"a\")"]);
    assert_eq!(renamed, FILE.replace("name = \"a\"", "name = \"b\""));
    for (set, old, new) in [
        ("seed=2", "seed = 1", "seed = 2"),
        ("dataset=folder:my-set", "dataset = \"shapes\"", "dataset = \"folder:my-set\""),
        ("optimizer.lr=0.1", "{ lr = 0.3,", "{ lr = 0.1,"),
        ("encoder.encoder=resnet50", "encoder = \"resnet18\"     # the", "encoder = \"resnet50\"     # the"),
        ("jobs.encoder.epochs=20", "epochs = 10", "epochs = 20"),
    ] {
        assert_eq!(edited(&[set]).unwrap(), FILE.replacen(old, new, 1), "{set}");
    }
    let both = edited(&["seed=2", "epochs=3"]).unwrap();
    assert_eq!(both, FILE.replace("seed = 1\n", "seed = 2\n").replace("epochs = 10", "epochs = 3"));
}

#[test]
fn what_was_swept_has_one_value_and_the_other_way_round() {
    assert_eq!(changes("tikhonov.lambda=5").1, ["tikhonov = { lambda = 5 }"]);
    assert_eq!(changes("tikhonov.lambda=5").0, ["tikhonov.lambda = [0.1, 1.0]"]);
    let (old, new) = changes("optimizer.weight_decay=0");
    assert_eq!(old, ["optimizer = { lr = 0.3, momentum = 0.9 }", "\"optimizer.weight_decay\" = [1e-4, 1e-6]"]);
    assert_eq!(new, ["optimizer = { lr = 0.3, momentum = 0.9, weight_decay = 0 }"]);
    let (old, new) = changes("linear.label_fraction=0.5");
    assert_eq!(old, ["sweep.label_fraction = [1.0, 0.1]"]);
    assert_eq!(new, ["label_fraction = 0.5"]);
    let (old, new) = changes("encoder.sweep.epochs=[1, 2]");
    assert_eq!((old, new), (vec!["epochs = 10".to_owned()], vec!["epochs = [1, 2]".to_owned()]));
}

#[test]
fn the_result_is_a_file_that_can_be_planned() {
    for sets in [
        vec!["optimizer.lr=0.1"],
        vec!["tikhonov.lambda=5", "optimizer.weight_decay=0", "batch_size=64"],
        vec!["encoder.sweep.epochs=[1, 2]", "label_fraction=0.5"],
        vec!["head={ hidden = 32, output = 16 }"],
        vec!["encoder.augment.flip=0.0"],
    ] {
        let sets: Vec<&str> = ["encoder.batch_size=32"].into_iter().chain(sets).collect();
        let sets: Vec<&str> = sets.into_iter().filter(|set| !set.starts_with("label_fraction")).collect();
        let text = edited(&sets).unwrap();
        let planned = tandem_domain::plan::plan(&text, "x.toml", "1");
        assert!(planned.is_ok(), "{}\n{text}", planned.unwrap_err());
    }
}

#[test]
fn a_key_of_nobody_or_of_several_is_refused_with_what_to_write() {
    assert_eq!(
        edited(&["tikhonov.h=0.1"]).unwrap_err(),
        "--set tikhonov.h: more than one job has it; write --set encoder.tikhonov.h=.. or --set supervised.tikhonov.h=.."
    );
    assert_eq!(
        edited(&["encoder=resnet50"]).unwrap_err(),
        "--set encoder: more than one job has it; write --set encoder.encoder=.. or --set supervised.encoder=.."
    );
    assert!(edited(&["optimiser.lr=1"]).unwrap_err().contains("no job of the file has such a key"));
    assert!(
        edited(&["jobs.x.epochs=1"])
            .unwrap_err()
            .ends_with("no job is called `x`; the file has encoder, linear, supervised")
    );
    let swept =
        apply(&FILE.replace("label_fraction = [1.0, 0.1]", "seed = [1, 2]"), None, &["seed=3".parse().unwrap()])
            .unwrap_err();
    assert_eq!(
        classify(&swept).1.unwrap(),
        "--set seed: job `linear` has a seed of its own; write --set linear.seed=.."
    );
}

#[test]
fn values_are_toml_or_words() {
    let value = |text: &str| read_value(text).map(|value| value.to_string().trim().to_owned());
    assert_eq!(value("0.1"), Ok("0.1".into()));
    assert_eq!(value("resnet-tiny"), Ok("\"resnet-tiny\"".into()));
    assert_eq!(value("[1, 2]"), Ok("[1, 2]".into()));
    assert_eq!(value("1..4"), Ok("\"1..4\"".into()));
    assert!(value(".5").unwrap_err().contains("digits on both sides"));
    assert!(value("two words").is_err() && value("").is_err() && value("[1,").is_err());
    assert!("lr".parse::<Assignment>().is_err() && "=1".parse::<Assignment>().is_err());
}

#[test]
fn a_text_with_mistakes_is_sent_as_it_is() {
    let sets = ["seed=2".parse().unwrap()];
    assert_eq!(apply("name = \n[", Some("b"), &sets).unwrap().0, "name = \n[");
}

#[test]
fn what_has_changed_is_said() {
    let changes = |sets: &[&str]| {
        let sets: Vec<Assignment> = sets.iter().map(|set| set.parse().unwrap()).collect();
        apply(FILE, None, &sets).map(|(_, changes)| changes).map_err(|error| classify(&error).1.unwrap_or_default())
    };
    assert_eq!(
        changes(&[
            "seed=2",
            "optimizer.lr=0.1",
            "tikhonov.lambda=5",
            "encoder.batch_size=64",
            "encoder.sweep.epochs=[1, 2]"
        ]),
        Ok(vec![
            "seed = 2 (was 1)".to_owned(),
            "encoder.optimizer.lr = 0.1 (was 0.3)".to_owned(),
            "encoder.tikhonov.lambda = 5 (was swept: [0.1, 1.0])".to_owned(),
            "encoder.batch_size = 64 (was not written)".to_owned(),
            "encoder.sweep.epochs = [1, 2] (was not written)".to_owned(),
        ])
    );
    assert_eq!(changes(&["seed=2", "seed=3"]), Err("--set seed: it is given twice".to_owned()));
}
