//! The text of an experiment file, as the coordinator takes it at submit: `domain::plan`.
//!
//! No text panics or takes long. What is accepted is planned a second time to the same jobs, which survive their stored form.

#![no_main]

use std::collections::{HashMap, HashSet};

use libfuzzer_sys::fuzz_target;
use tandem_domain::{
    LEARN_VERSION,
    images::KnownImages,
    plan::{Plan, plan},
};
use tandem_proto::{convert, v1};

fuzz_target!(|text: &str| {
    match plan(text, "experiment.toml", LEARN_VERSION) {
        Ok(plan) => check(text, &plan),
        Err(errors) => assert!(!errors.to_string().is_empty(), "refused without a word"),
    }
});

fn check(text: &str, first: &Plan) {
    let second = plan(text, "other.toml", LEARN_VERSION);
    assert_eq!(second.as_ref(), Ok(first), "planned again it is another plan");
    let mut seen = HashSet::new();
    for job in &first.jobs {
        let spec = &job.spec;
        assert!(spec.inputs.iter().all(|input| seen.contains(input.as_str())), "{} comes before its inputs", spec.name);
        assert!(seen.insert(spec.name.as_str()), "{} is there twice", spec.name);
        // As it is stored, and given to a rank.
        assert_eq!(convert::spec("spec_json", &convert::spec_json(spec)).as_ref(), Ok(spec));
        let sent = v1::PlannedJob::from(job);
        assert!(sent.workers_min >= 1 && sent.workers_min <= sent.workers_max && sent.shards >= 1, "{sent:?}");
        let gflop = job.estimate.gflop;
        assert!(gflop.is_finite() && gflop >= 0.0, "an estimate of {gflop} Gflop");
    }
    // As the coordinator goes on, once it knows the images.
    let known = KnownImages { sha256: "0".repeat(64), counts: None };
    let known = first.jobs.iter().map(|job| (job.spec.dataset.to_string(), known.clone())).collect::<HashMap<_, _>>();
    let mut with_images = first.clone();
    with_images.set_images(&known, LEARN_VERSION);
    assert!(with_images.jobs.iter().all(|job| job.images.is_some()));
}
