//! `results --plot --convention best`: the tables of several attacks become one curve, or are refused.

use std::fs;

use sha2::{Digest, Sha256};
use tandem_proto::v1::{Artifact, Job, JobState, ShowResponse};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

const CURVE: &str = "radius,paper,all\n0,0.0,50.0\n0.5,100.0,100.0\n";
const IMAGES: &str = "image,label,clean_prediction,distance,attack\n0,3,5,0,\n1,8,8,0.25,plb\n";
const WITHSTOOD: &str = "image,label,clean_prediction,distance,attack\n0,3,5,0,\n1,8,8,,\n";
const FEWER: &str = "image,label,clean_prediction,distance,attack\n0,3,5,0,\n";

fn artifact(script: &mut Script, id: String, kind: &str, name: &str, bytes: &str) -> Artifact {
    let sha256 = hex::encode(Sha256::digest(bytes));
    script.bytes_of.insert(id.clone(), bytes.as_bytes().to_vec());
    Artifact {
        id,
        kind: kind.to_owned(),
        name: name.to_owned(),
        bytes: bytes.len() as u64,
        sha256,
        ..Artifact::default()
    }
}

/// Two attacks on one classifier, by what each left of its images (`None`: nothing), and one attack on another.
fn script(plb: Option<&str>, pgd: Option<&str>) -> Script {
    let mut script = Script::default();
    // The newest first, as the coordinator lists them.
    let mut jobs: Vec<Job> = Vec::new();
    for from in ["supervised[tikhonov.lambda=10.0]", "contrastive"] {
        let classifier = Job { stage: "supervised".to_owned(), ..job(from, JobState::Succeeded) };
        let weights = artifact(&mut script, from.to_owned(), "classifier", "classifier.safetensors", from);
        let shown = ShowResponse { artifacts: vec![weights], ..ShowResponse::default() };
        script.shown_of.insert(classifier.id.clone(), shown);
        jobs.push(classifier);
    }
    let attacks = [("plb", 0, plb), ("pgd", 0, pgd), ("plb-contrastive", 1, Some(WITHSTOOD))];
    for (name, from, images) in attacks {
        let method = &name[..3];
        let attack = Job {
            stage: "attack".to_owned(),
            spec_json: format!(r#"{{"stage": {{"attack": "{method}", "norm": "l2"}}}}"#),
            depends_on: vec![jobs[from].id.clone()],
            ..job(name, JobState::Succeeded)
        };
        let curve = artifact(&mut script, format!("{name} curve"), "curve", "curve.csv", CURVE);
        let table = images.map(|csv| artifact(&mut script, format!("{name} images"), "attack", "attack.csv", csv));
        let artifacts = table.into_iter().chain([curve]).collect();
        script.shown_of.insert(attack.id.clone(), ShowResponse { artifacts, ..ShowResponse::default() });
        jobs.push(attack);
    }
    jobs.reverse();
    Script { jobs, ..script }
}

const ARGS: [&str; 5] = ["results", "figure2", "--convention", "best", "--plot"];

#[tokio::test]
async fn attacks_on_one_classifier_become_one_curve() {
    let (server, _) = Coordinator::start(script(Some(IMAGES), Some(WITHSTOOD))).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("best.svg");
    let plot = run(&server, &[&ARGS[..], &[file.to_str().unwrap()]].concat()).await;
    assert_eq!(plot.code(), Some(0), "{}", plot.stderr());
    let svg = fs::read_to_string(&file).unwrap();
    for part in [
        "best of attacks (l2)",
        "supervised, λ = 10, best of plb, pgd",
        "contrastive, plb alone",
        "misclassified by any of the attacks, % of all images",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    assert_eq!(svg.matches("best of plb, pgd\n").count(), 1, "one curve, not one for each attack");
}

#[tokio::test]
async fn attacks_on_other_images_are_not_merged() {
    let (server, _) = Coordinator::start(script(Some(IMAGES), Some(FEWER))).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("best.svg");
    let plot = run(&server, &[&ARGS[..], &[file.to_str().unwrap()]].concat()).await;
    assert_eq!(plot.code(), Some(2), "{}", plot.stderr());
    for part in ["`quickstart/plb` (plb-0000) attacked 2 images", "`quickstart/pgd` (pgd-0000) 1", "--convention all"] {
        assert!(plot.stderr().contains(part), "{part}: {}", plot.stderr());
    }
    assert!(!file.exists());
}

#[tokio::test]
async fn an_attack_that_left_no_images_is_said_and_not_counted() {
    let (server, _) = Coordinator::start(script(Some(IMAGES), None)).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("best.svg");
    let plot = run(&server, &[&ARGS[..], &[file.to_str().unwrap()]].concat()).await;
    assert_eq!(plot.code(), Some(0), "{}", plot.stderr());
    let note = "`quickstart/pgd` (pgd-0000) has left no table of its images and is not counted";
    assert!(plot.stderr().contains(note), "{}", plot.stderr());
    assert!(fs::read_to_string(&file).unwrap().contains("supervised, λ = 10, plb alone"));
}
