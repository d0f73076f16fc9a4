//! Files with several mistakes: all of them at once, and none that only follows from another.

use super::ENCODER;
use super::faults::{body, faults};
use crate::plan::plan;

/// The messages of a file, with their lines.
fn told(text: &str) -> Vec<String> {
    faults(text).iter().map(|fault| format!("{}: {}", fault.line, fault.message)).collect()
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = r#"
dataset = "cifar11"
sede = 2
priority = 1000
[jobs.encoder]
stage = "contrastive"
encoder = "resnet19"
epochs = [1, 2]
temprature = 0.5
optimizer = { lr = "fast", momentun = 0.9 }
workers = "4..2"
[jobs.linear]
stage = "linear"
from = "encodr"
label_fraction = 2
[jobs.attack]
stage = "attack"
from = "linear"
restarts = 0
[jobs.attack.sweep]
steps = 5
pictures = [1, 100]
"#;
    assert_eq!(
        told(text),
        [
            "1: missing key `name` at the top of the file; expected a name for the experiment",
            "2: unknown dataset `cifar11`; did you mean `cifar10`? Expected cifar10, cifar100, shapes or folder:NAME",
            "3: unknown key `sede` at the top of the file; did you mean `seed`?",
            "4: `priority` = 1000: expected a whole number from -100 to 100",
            "5: missing key `batch_size` in [jobs.encoder]; expected a whole number from 2 to 65536",
            "7: unknown `encoder` \"resnet19\"; did you mean `resnet18`? Expected one of `resnet18`, `resnet34`, `resnet50`, \
             `resnet-tiny`, `resnet-paper`",
            "8: `epochs` = a list: expected a whole number from 1 to 100000; for a job of each, write `epochs = [..]` in \
             [jobs.encoder.sweep] and not here",
            "9: unknown key `temprature` in [jobs.encoder]; did you mean `temperature`?",
            "10: `optimizer.lr` = \"fast\": expected a number above 0, at most 1000000",
            "10: unknown key `momentun` in [jobs.encoder.optimizer]; did you mean `momentum`?",
            "11: `workers` = \"4..2\": expected a whole number from 1 to 64, or a range of them such as \"1..4\"",
            "14: no job is named `encodr`; did you mean `encoder`?",
            "15: `label_fraction` = 2: expected a number above 0, at most 1",
            "16: missing key `attack` in [jobs.attack]; expected one of plb, pgd, apgd, apgd-t, square, fab, fmn, ddn, best-of",
            "16: missing key `norm` in [jobs.attack]; expected one of l0, l1, l2, linf",
            "19: `restarts` = 0: expected a whole number from 1 to 1000",
            "21: `steps` in a sweep needs a list of at least one value",
            "22: `pictures` = 100: expected a whole number from 0 to 64",
        ]
        .as_slice()
    );
}

#[test]
fn a_mistake_is_told_once_and_not_what_follows_from_it() {
    // All variants of a sweep share this one, and nobody knows whether the batch fits the data set.
    let shared =
        body(&format!("{}[jobs.encoder.sweep]\nepochs = [1, 2, 3]\n", ENCODER.replace("epochs = 20\n", "hed = 1\n")));
    assert_eq!(shared.message, "unknown key `hed` in [jobs.encoder]; did you mean `head`?");
    // A swept key that is wrong is not missing as well, and its job is an input that others may have.
    let swept = body(&format!(
        "{}[jobs.encoder.sweep]\nepochs = []\n[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"\n",
        ENCODER.replace("epochs = 20\n", "")
    ));
    assert_eq!(swept.message, "`epochs` in a sweep needs a list of at least one value");
    // Nor is a job whose stage cannot be read.
    let unread = body("[jobs.x]\nstage = \"nonsense\"\n[jobs.linear]\nstage = \"linear\"\nfrom = \"x\"\n");
    assert!(unread.message.starts_with("unknown stage \"nonsense\""), "{}", unread.message);
}

#[test]
fn mistakes_of_several_kinds_in_one_job() {
    let text = format!(
        "name = \"test\"\ndataset = \"cifar10\"\nshards = 3\nworkers = 2\n{}validation = 0.5\n\
         optimizer = {{ warmup_epochs = 50 }}\nmonitor = {{ neighbours = 50, bank = 10 }}\ntikhonov = {{ h = 0.1 }}\n",
        ENCODER.replace("batch_size = 64", "batch_size = 40000")
    );
    let told = told(&text);
    for part in
        ["workers cannot share", "equal shards", "a warm-up of 50", "50 neighbours", "holds out", "`tikhonov.h` is for"]
    {
        assert!(told.iter().any(|fault| fault.contains(part)), "{part}: {told:#?}");
    }
    assert_eq!(told.len(), 6, "{told:#?}");
}

#[test]
fn what_is_no_toml_is_told_with_all_its_places() {
    let text = "name = \"a\"\ndataset = cifar10\nseed = 1\nseed = 2\n[jobs.x]\nstage = \"linear\n[jobs.x]\n";
    let told = told(text);
    assert!(told.iter().any(|fault| fault.starts_with("2: not valid TOML")), "{told:#?}");
    assert!(
        told.iter().any(|fault| fault == "4: `seed` stands twice; keep one of them, or give the second another name"),
        "{told:#?}"
    );
    assert!(told.iter().any(|fault| fault.starts_with("6: not valid TOML")), "{told:#?}");
}

#[test]
fn a_file_of_mistakes_is_not_read_to_its_end() {
    let many: String = (0..300).map(|i| format!("[jobs.x{i}]\nstage = \"nonsense\"\n")).collect();
    let errors = plan(&format!("name = \"a\"\ndataset = \"shapes\"\n{many}"), "wrong.toml", "1").unwrap_err();
    assert_eq!((errors.faults.len(), errors.found), (20, 200));
    assert!(errors.to_string().starts_with("the first 20 of 200 or more mistakes in wrong.toml\n"), "{errors}");
    // The first by place, although keys are not kept in the order of the file.
    let keys: String = (0..30).map(|i| format!("key{i} = 1\n")).collect();
    let errors = plan(&format!("name = \"a\"\ndataset = \"shapes\"\n{ENCODER}{keys}"), "wrong.toml", "1").unwrap_err();
    assert!(errors.to_string().starts_with("the first 20 of 30 mistakes in wrong.toml\n"), "{errors}");
    let lines: Vec<usize> = errors.faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, (lines[0]..lines[0] + 20).collect::<Vec<_>>());
}

#[test]
fn what_a_stage_requires_is_told_with_what_it_may_be() {
    for (stage, missing) in [
        ("contrastive", vec!["encoder", "epochs", "batch_size"]),
        ("supervised", vec!["encoder"]),
        ("attack", vec!["attack", "norm"]),
        ("linear", vec![]),
        ("finetune", vec![]),
    ] {
        let told = told(&format!("name = \"a\"\ndataset = \"shapes\"\n[jobs.x]\nstage = \"{stage}\"\n"));
        for key in &missing {
            let begins = format!("3: missing key `{key}` in [jobs.x]; expected ");
            assert!(told.iter().any(|fault| fault.starts_with(&begins)), "{key}: {told:#?}");
        }
        // What it starts from is looked at as well.
        let from = usize::from(!matches!(stage, "contrastive" | "supervised"));
        assert_eq!(told.len(), missing.len() + from, "{told:#?}");
    }
}

#[test]
fn what_a_mistake_does_not_touch_is_looked_at_beside_it() {
    let has = |text: &str, parts: &[&str]| {
        let told = told(&format!("name = \"test\"\ndataset = \"cifar10\"\n{text}"));
        for part in parts {
            assert!(told.iter().any(|fault| fault.contains(part)), "{part}: {told:#?}");
        }
        assert_eq!(told.len(), parts.len(), "{told:#?}");
    };
    // A clash with a sweep hides neither value, nor the other keys.
    has(
        &format!(
            "{ENCODER}optimizer = {{ lr = \"fast\" }}\ntemperature = 0.3\n[jobs.encoder.sweep]\noptimizer.lr = [0.1, \"b\"]\n\
                  temperature = [0.1, 0.2]\nviews = [\"aprt\"]\n"
        ),
        &[
            "`optimizer.lr` stands both",
            "`temperature` stands both",
            "`optimizer.lr` = \"fast\"",
            "`optimizer.lr` = \"b\"",
            "\"aprt\"",
        ],
    );
    // `where` of a job whose inputs are right.
    has(
        &format!(
            "{ENCODER}[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"\nlabel_fraction = 3\nwhere = {{ sed = 1 }}\n\
                  [jobs.other]\nstage = \"linear\"\nfrom = \"encodr\"\n"
        ),
        &["`label_fraction` = 3", "`encoder` has no key `sed`", "no job is named `encodr`"],
    );
    // Keys that do not go together, beside a third that is wrong; not those that follow from it.
    has(
        &format!(
            "{}shards = 3\nhead = {{ layers = 9 }}\nlayerwise = {{ alpha = [1.0], ratio = 2.0 }}\n",
            ENCODER.replace("64", "16")
        ),
        &["equal shards", "`head.layers` = 9", "either `alpha`"],
    );
    has(&format!("{}shards = 3\n", ENCODER.replace("64", "-1")), &["`batch_size` = -1"]);
    // A stage that is only misspelt.
    has(
        &format!("{}hed = 1\n", ENCODER.replace("contrastive", "contrastve")),
        &["did you mean `contrastive`", "unknown key `hed`"],
    );
    has(
        &format!("{ENCODER}[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"\nridge = -1\nbatch_size = 4\n"),
        &["`ridge` = -1", "`batch_size` is for"],
    );
    // What selects among the inputs that a misspelt `from` has not named.
    has(
        &format!("{ENCODER}[jobs.linear]\nstage = \"linear\"\nform = \"encoder\"\nwhere = {{ seed = 1 }}\n"),
        &["unknown key `form`"],
    );
    // Of no use to a job at the top.
    has(
        &format!("epochs = 3\noptimizer = {{}}\n{ENCODER}"),
        &["`epochs` is a key of a job", "`optimizer` is a key of a job"],
    );
}

#[test]
fn a_table_that_stands_twice_is_one_mistake_and_a_word_without_quotes_is_told_so() {
    let twice = body(&format!("{ENCODER}{ENCODER}"));
    assert!(twice.message.starts_with("`encoder` stands twice"), "{}", twice.message);
    let told = told("name = mine\ndataset = folder:pets   # ours\nseed = 1\n");
    assert_eq!(
        told,
        [
            "1: not valid TOML: a word stands in quotes: \"mine\"",
            "2: not valid TOML: a word stands in quotes: \"folder:pets\""
        ]
    );
    // A word is no mistake where the key is.
    for line in ["self term = true", "hello"] {
        assert!(!body(&format!("{ENCODER}{line}\n")).message.contains("quotes"), "{line}");
    }
}
