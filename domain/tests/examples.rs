//! The experiment files that the project shows are right.

use std::{fs, path::Path};

use tandem_domain::plan::plan;

#[test]
fn every_example_is_a_valid_experiment() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let text = fs::read_to_string(&file).unwrap();
        let plan = plan(&text, &file.display().to_string(), "1").unwrap_or_else(|error| panic!("{error}"));
        assert!(!plan.jobs.is_empty());
        count += 1;
    }
    assert!(count >= 3, "only {count} examples in {}", folder.display());
}
