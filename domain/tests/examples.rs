//! The experiment files that the project shows are right, can run, and end when they say that they do.

use std::{collections::BTreeMap, fs, path::Path};

use tandem_domain::plan::{Plan, plan};
use tandem_domain::spec::{OptimizerName, Stage};

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
    // The swept keys of a stage's jobs, sorted.
    let swept = |example: &str, stage: &str| -> Vec<Vec<String>> {
        let jobs = examples[example].jobs.iter().filter(|job| job.spec.stage.name() == stage);
        let mut found: Vec<Vec<String>> = jobs
            .map(|job| {
                let suffix = job.spec.name.split_once('[').map_or("", |(_, suffix)| suffix.trim_end_matches(']'));
                let mut keys: Vec<String> = suffix.split(',').map(str::to_owned).collect();
                keys.sort();
                keys
            })
            .collect();
        found.sort();
        found
    };
    let rows = |key: &str, values: [&str; 3], seeds: &[u64]| -> Vec<Vec<String>> {
        let row = |value: &str| format!("{key}={value}");
        let mut expected: Vec<Vec<String>> = match seeds {
            [] => values.map(|value| vec![row(value)]).into(),
            _ => seeds
                .iter()
                .flat_map(|seed| {
                    values.map(|value| {
                        let mut keys = vec![row(value), format!("seed={seed}")];
                        keys.sort();
                        keys
                    })
                })
                .collect(),
        };
        expected.sort();
        expected
    };
    for (example, seeds) in [("table1", [1, 2, 3].as_slice()), ("table1-long", &[]), ("table1-cpu", &[])] {
        for stage in ["linear", "finetune", "supervised"] {
            let expected = rows("label_fraction", ["1.0", "0.1", "0.01"], seeds);
            assert_eq!(swept(example, stage), expected, "{example} {stage}");
        }
    }
    for (example, seeds) in [("table2", [1, 2, 3].as_slice()), ("table2-cpu", &[])] {
        for stage in ["linear", "supervised"] {
            assert_eq!(
                swept(example, stage),
                rows("tikhonov.lambda", ["0.1", "1.0", "10.0"], seeds),
                "{example} {stage}"
            );
        }
    }
    assert_eq!(swept("figure2-cpu", "attack").len(), 8, "two attacks on two lambdas of two kinds of model");
}

/// A column that holds some of its labels out is compared with one that trains on all.
#[test]
fn the_columns_of_a_table_train_on_the_same_labels() {
    for (example, plan) in examples() {
        for job in &plan.jobs {
            let held_out = match &job.spec.stage {
                Stage::Supervised(stage) => stage.validation,
                Stage::Finetune(stage) => stage.validation,
                // All of pretraining's labels are unknown to it.
                Stage::Contrastive(_) | Stage::Linear(_) | Stage::Attack(_) => 0.0,
            };
            assert_eq!(held_out, 0.0, "{example}: {}", job.spec.name);
        }
    }
}

/// The sweep of the temperature and the long run take what is equal from the table.
#[test]
fn what_two_files_have_in_common_is_trained_once() {
    let examples = examples();
    let keys = |example: &str, stage: &str| -> Vec<String> {
        let jobs = examples[example].jobs.iter().filter(|job| job.spec.stage.name() == stage);
        jobs.map(|job| job.content_key.clone()).collect()
    };
    let shared = |a: &str, b: &str, stage: &str| {
        let other = keys(b, stage);
        keys(a, stage).into_iter().filter(|key| other.contains(key)).count()
    };
    assert_eq!(shared("table1-temperature", "table1", "contrastive"), 1, "temperature 0.2, seed 1");
    assert_eq!(shared("table1-long", "table1", "supervised"), 3);
}

/// SimCLR's rates are for 256 images; these are what a job uses.
#[test]
fn lars_has_at_least_simclrs_rate() {
    for (file, plan) in examples() {
        for job in &plan.jobs {
            let Stage::Contrastive(stage) = &job.spec.stage else { continue };
            if stage.optimizer.name == OptimizerName::Lars {
                let rate = f64::from(stage.batch_size) / 256.0;
                assert!(stage.optimizer.lr >= rate && stage.optimizer.lr <= 1.5 * rate, "{file}: {}", job.spec.name);
            }
        }
    }
}

/// Four GPUs at 20 TFLOP/s each, a third of what they have in f32, need no more than some days for any file.
#[test]
fn the_work_of_full_size_files_is_believable() {
    for (file, plan) in examples() {
        let hours = plan.jobs.iter().map(|job| job.estimate.gflop).sum::<f64>() / 80_000.0 / 3600.0;
        println!("{file}: {} jobs, {hours:.2} h", plan.jobs.len());
        assert!(hours < 100.0, "{file}: {hours:.1} h");
        assert!(plan.jobs.len() <= 40, "{file}: {} jobs", plan.jobs.len());
    }
}
