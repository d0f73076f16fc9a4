use serde_json::json;
use sha2::{Digest, Sha256};
use tandem_draw::plot::Series;
use tandem_proto::v1::{JobState, Scalar};

use super::*;
use crate::{
    render::job_specs::tests::job,
    report::document::{Block, Section},
};

const CSV: &str = "radius,paper,all\n0,0,30\n0.1,40,50.5\n0.25,60,72\n0.5,100,95\n";

fn page(facts: &Facts) -> String {
    html::page(&report(facts).unwrap().document).unwrap()
}

fn titles(facts: &Facts) -> Vec<String> {
    report(facts).unwrap().document.sections.iter().map(|section| section.title.clone()).collect()
}

fn lacks(facts: &Facts) -> Vec<String> {
    report(facts).unwrap().lacks.iter().map(|(said, command)| format!("{said} | {command}")).collect()
}

fn attack(name: &str, from: &str, method: &str) -> Job {
    let spec = json!({"attack": method, "norm": "l2", "images": 100});
    let figures = [("clean_error", 0.3), ("gate_failed", 1.0), ("gate_noise", 0.0), ("robust_accuracy_at_0.25", 0.28)];
    let scalar = |(name, value): (&str, f64)| Scalar { name: name.to_owned(), value };
    Job { results: figures.map(scalar).to_vec(), ..job(name, "attack", Some(from), spec, None) }
}

fn figure2() -> Facts {
    let penalised = json!({"tikhonov": {"lambda": 10.0}});
    let jobs = vec![
        job("supervised[tikhonov.lambda=10]", "supervised", None, penalised, Some(0.5)),
        attack("plb[from=supervised,tikhonov.lambda=10]", "supervised[tikhonov.lambda=10]", "plb"),
    ];
    let curves = [(jobs[1].id.clone(), CSV.to_owned())].into();
    let gates = [(jobs[1].id.clone(), vec!["gradients are masked".to_owned()])].into();
    Facts { target: "robust".to_owned(), jobs, curves, gates, ..Facts::default() }
}

fn tables(section: &Section) -> Vec<Vec<Vec<String>>> {
    let cell = |cell: &document::Cell| cell.0.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>().join(" / ");
    let table = |block: &Block| match block {
        Block::Table(table) => Some(table.rows.iter().map(|row| row.iter().map(cell).collect()).collect()),
        _ => None,
    };
    section.blocks.iter().filter_map(table).collect()
}

#[test]
fn attacks_stand_beside_the_papers_curve_of_the_same_model() {
    let facts = figure2();
    let document = report(&facts).unwrap().document;
    let section = document.sections.iter().find(|section| section.title.starts_with("Figure 2")).unwrap();
    let by_radius = &tables(section)[0];
    assert_eq!(by_radius[0][..4], ["PLB, supervised, λ = 10", "10.3 %", "17.5 %", "25.9 %"]);
    assert_eq!(by_radius[1][..7], ["PLB, supervised, λ = 10", "30.00 %", "-", "50.50 %", "-", "-", "72.00 %"]);
    let page = page(&facts);
    for part in
        ["ours: PLB (l2)", "the paper&#39;s PLB (l2)", "contrastive, λ = 0.1", "gradients are masked", "1 failed"]
    {
        assert!(page.contains(part), "{part}");
    }
    let lacks = lacks(&facts).join("\n");
    assert!(lacks.contains("Figure 2 has no contrastive model. | tandem submit examples/figure2-cpu.toml"), "{lacks}");
    assert!(
        lacks.contains("Table 2 has no job for supervised at λ = 0.1") && lacks.contains("examples/table2-cpu.toml")
    );
    assert!(lacks.contains("--set supervised.sweep.seed='[1, 2, 3]'"), "{lacks}");
}

#[test]
fn parts_are_known_by_what_jobs_are_and_not_by_their_experiments_name() {
    let mut encoder = job("encoder", "contrastive", None, json!({"encoder": "resnet18"}), None);
    encoder.experiment_name = "table1-cpu".to_owned();
    encoder.results = vec![Scalar { name: "knn_accuracy".to_owned(), value: 0.5 }];
    let facts = Facts { jobs: vec![encoder], ..Facts::default() };
    assert_eq!(titles(&facts), ["What is missing", "Results", "Protocol", "Jobs"]);
    let layered = job("layers", "contrastive", None, json!({"layerwise": {"ratio": 10.0, "isolate": "detach"}}), None);
    let probe = job("linear[from=layers]", "linear", Some("layers"), json!({}), Some(0.61));
    let facts = Facts { jobs: vec![layered, probe], ..Facts::default() };
    let document = report(&facts).unwrap().document;
    let section = document.sections.iter().find(|section| section.title.starts_with("Layer by layer")).unwrap();
    assert_eq!(tables(section)[0][0][..6], ["layers", "ratio 10", "-", "detach", "-", "61.00 %"]);
}

#[test]
fn what_failed_or_runs_has_a_report_that_says_what_to_do() {
    let mut failed = job("encoder", "contrastive", None, json!({"encoder": "resnet18"}), None);
    (failed.state, failed.reason) = (JobState::Failed.into(), "loss is not finite".to_owned());
    let mut blocked = job("linear", "linear", Some("encoder"), json!({}), None);
    blocked.state = JobState::Blocked.into();
    let training = vec![Series {
        name: "encoder".to_owned(),
        metric: "loss".to_owned(),
        points: vec![(0.0, 5.5), (10.0, 4.5)],
        ..Series::default()
    }];
    let facts = Facts { target: "broken".to_owned(), jobs: vec![failed, blocked], training, ..Facts::default() };
    assert_eq!(titles(&facts), ["What is missing", "Results", "Learning curves", "Protocol", "Jobs"]);
    let lacks = lacks(&facts);
    assert!(lacks[0].starts_with("encoder failed: loss is not finite."), "{lacks:?}");
    assert!(lacks[0].contains("tandem requeue id of e"), "{lacks:?}");
    assert!(lacks[1].contains("1 of 2 jobs have not ended") && lacks[1].ends_with("tandem watch broken"), "{lacks:?}");
    let page = page(&facts);
    assert!(page.contains("1 blocked, 1 failed") && page.contains("Learning curves"), "{page}");
    // Without a single job there is nothing to say, and it is said.
    let none = Facts { target: "x".to_owned(), ..Facts::default() };
    assert_eq!(titles(&none), ["What is missing"]);
}

#[test]
fn nothing_of_others_is_markup_and_nothing_comes_from_elsewhere() {
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=y>\u{202e}&";
    let mut facts = figure2();
    facts.problems = vec![evil.to_owned()];
    facts.gates.values_mut().for_each(|notes| *notes = vec![evil.to_owned()]);
    facts.training = vec![Series {
        name: evil.to_owned(),
        metric: "loss".to_owned(),
        group: evil.to_owned(),
        points: vec![(0.0, 5.0), (1.0, 4.0)],
        ..Series::default()
    }];
    for job in &mut facts.jobs {
        let name = format!("{}{evil}", job.name);
        (job.name, job.experiment_name, job.owner, job.reason) =
            (name, evil.to_owned(), evil.to_owned(), evil.to_owned());
    }
    let page = page(&facts);
    for part in ["<script", "<img", "\u{202e}", "href=", " style=\"", "url("] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
    let outside: Vec<&str> = page.match_indices("http").map(|(at, _)| &page[at..(at + 30).min(page.len())]).collect();
    let is_known = |part: &&str| part.starts_with("http-equiv") || part.starts_with("http://www.w3.org/2000/svg");
    assert!(outside.iter().all(is_known), "{outside:?}");
    // The policy takes this very style sheet and nothing else.
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, Sha256::digest(style));
    assert!(page.contains("default-src &#39;none&#39;; style-src &#39;sha256-"), "{}", &page[..400]);
    assert!(page.contains(&format!("style-src &#39;sha256-{hash}&#39;; base-uri")), "{hash}");
}

#[test]
fn markdown_says_the_same_numbers() {
    let facts = figure2();
    let text = markdown::text(&report(&facts).unwrap().document).unwrap();
    for part in ["## Figure 2: robustness", "30.00 %", "tandem submit examples/figure2-cpu.toml", "50.50 %"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("<svg"), "{text}");
}
