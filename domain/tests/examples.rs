//! The experiment files that the project shows are right, can run, and end when they say that they do.

use std::{collections::BTreeMap, fs, path::Path};

use tandem_domain::plan::{Plan, plan};

/// By name without `.toml`.
fn examples() -> BTreeMap<String, Plan> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = fs::read_dir(&folder).expect("the examples are there").flatten().map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .map(|file| {
            let text = fs::read_to_string(&file).expect("a readable file");
            let plan = plan(&text, &file.display().to_string(), "1").unwrap_or_else(|error| panic!("{error}"));
            let name = file.file_stem().map(|name| name.to_string_lossy().into_owned());
            (name.unwrap_or_default(), plan)
        })
        .collect()
}

#[test]
fn every_example_can_run_under_its_own_name() {
    for (file, plan) in examples() {
        assert_eq!(plan.name, file);
        for job in &plan.jobs {
            assert_eq!(job.refusal, None, "{file}: {}", job.spec.name);
            assert!(job.estimate.gflop > 0.0 && job.estimate.memory_bytes > 0, "{file}: {}", job.spec.name);
        }
    }
}

#[test]
fn the_papers_experiments_have_a_variant_for_cpus_that_ends_within_an_hour() {
    let examples = examples();
    for name in ["table1", "table2", "figure2", "layerwise", "paper-code"] {
        assert!(examples.contains_key(name), "{name}");
        let plan = &examples[&format!("{name}-cpu")];
        // Two cores of 50 GFLOP/s (resnet-tiny on an AVX-512 Xeon), and seconds to start and end each job. Linear jobs
        // run on one worker, two of them side by side.
        let seconds: f64 = plan.jobs.iter().map(|job| job.estimate.gflop / 100.0 + 4.0).sum();
        assert!(seconds < 3600.0, "{name}-cpu would take {:.0} min", seconds / 60.0);
        assert!(plan.jobs.iter().all(|job| job.estimate.memory_bytes < 3 << 30), "{name}-cpu");
    }
}

/// Names of jobs are what tables and figures are made from.
#[test]
fn tables_hold_what_the_papers_hold() {
    let examples = examples();
    let names = |example: &str, stage: &str| -> Vec<String> {
        let jobs = examples[example].jobs.iter().filter(|job| job.spec.stage.name() == stage);
        jobs.map(|job| job.spec.name.split_once('[').map_or("", |(_, suffix)| suffix).to_owned()).collect()
    };
    for example in ["table1", "table1-cpu"] {
        for stage in ["linear", "finetune", "supervised"] {
            let fractions = ["label_fraction=1.0]", "label_fraction=0.1]", "label_fraction=0.01]"];
            assert_eq!(names(example, stage), fractions, "{example} {stage}");
        }
    }
    for example in ["table2", "table2-cpu"] {
        for stage in ["linear", "supervised"] {
            let lambdas = ["tikhonov.lambda=0.1]", "tikhonov.lambda=1.0]", "tikhonov.lambda=10.0]"];
            assert_eq!(names(example, stage), lambdas, "{example} {stage}");
        }
    }
    assert_eq!(names("figure2-cpu", "attack").len(), 8, "two attacks on two lambdas of two kinds of model");
}
