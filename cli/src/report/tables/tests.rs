use serde_json::json;

use super::*;
use crate::{render::job_specs::tests::job, report::facts::Facts};

fn classifier(stage: &str, more: &str, from: Option<&str>, fraction: f64, lambda: f64, accuracy: f64) -> Job {
    let name = format!("{stage}[label_fraction={fraction}{more}]");
    let spec = json!({"label_fraction": fraction, "tikhonov": {"lambda": lambda}});
    job(&name, stage, from, spec, Some(accuracy))
}

fn text(table: &PaperTable<'_>, view: &View<'_>) -> Vec<Vec<String>> {
    let section = table.section(view);
    let Some(Block::Table(table)) = section.blocks.first() else { panic!("no table") };
    let cell = |cell: &Cell| cell.0.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>().join(" / ");
    table.rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

#[test]
fn ours_stand_beside_the_papers_with_their_seeds() {
    let mut jobs = vec![job("encoder", "contrastive", None, json!({}), None)];
    for (seed, accuracy) in [(1, 0.70), (2, 0.72)] {
        jobs.push(classifier("linear", &format!(",seed={seed}"), Some("encoder"), 0.1, 0.0, accuracy));
    }
    jobs.push(classifier("supervised", "", None, 1.0, 0.0, 0.9));
    jobs.push(classifier("supervised", "", None, 0.5, 0.0, 0.8));
    // Of Table 2: it has no place here.
    jobs.push(classifier("supervised", ",tikhonov.lambda=10", None, 1.0, 10.0, 0.85));
    let facts = Facts { jobs, ..Facts::default() };
    let view = View::new(&facts);
    let table = PaperTable::of(&view, By::Labels).unwrap();
    assert_eq!(
        text(&table, &view),
        [
            ["100 %", "93.93 %", "90.00 %", "74.79 %", "-", "77.05 %", "-"],
            ["50 %", "-", "80.00 %", "-", "-", "-", "-"],
            ["10 %", "64.39 %", "-", "70.83 %", "71.00 ± 1.41 %", "71.36 %", "-"],
            ["1 %", "30.92 %", "-", "67.56 %", "-", "66.94 %", "-"],
        ]
    );
    let gaps: Vec<String> = table.gaps().iter().map(|gap| format!("{} {}", gap.model, gap.row)).collect();
    assert_eq!(gaps.len(), 7);
    assert!(gaps.contains(&"fine-tuned 1 %".to_owned()) && !gaps.contains(&"supervised 100 %".to_owned()), "{gaps:?}");
    let second = PaperTable::of(&view, By::Lambda).unwrap();
    assert_eq!(text(&second, &view)[2], ["λ = 10", "89.69 %", "85.00 %", "60.71 %", "-"]);
}

#[test]
fn a_penalty_may_be_that_of_the_encoder() {
    let encoder = |lambda: f64| {
        let spec = json!({"tikhonov": {"lambda": lambda}});
        job(&format!("encoder[tikhonov.lambda={lambda}]"), "contrastive", None, spec, None)
    };
    let linear = |lambda: f64, more: &str, accuracy: f64| {
        let from = format!("encoder[tikhonov.lambda={lambda}]");
        job(&format!("linear[tikhonov.lambda={lambda}{more}]"), "linear", Some(&from), json!({}), Some(accuracy))
    };
    let jobs = vec![encoder(0.1), linear(0.1, "", 0.7), linear(0.1, ",ridge=2", 0.6)];
    let facts = Facts { jobs, ..Facts::default() };
    let view = View::new(&facts);
    let table = PaperTable::of(&view, By::Lambda).unwrap();
    assert_eq!(text(&table, &view)[0], ["λ = 0.1", "93.34 %", "-", "71.90 %", "70.00 % / 60.00 %"], "each by itself");
    assert!(PaperTable::of(&view, By::Labels).is_none(), "nothing has fewer labels");
}

#[test]
fn what_is_no_part_of_the_tables_makes_none() {
    let layered = json!({"layerwise": {"ratio": 10.0}, "tikhonov": {"lambda": 1.0}});
    let jobs = vec![
        job("plain", "contrastive", None, json!({}), None),
        job("layers", "contrastive", None, layered, None),
        job("linear[from=layers]", "linear", Some("layers"), json!({"label_fraction": 0.1}), Some(0.5)),
        job("linear[from=plain]", "linear", Some("plain"), json!({"label_fraction": 1.0}), Some(0.5)),
    ];
    let facts = Facts { jobs, ..Facts::default() };
    let view = View::new(&facts);
    assert!(PaperTable::of(&view, By::Labels).is_none() && PaperTable::of(&view, By::Lambda).is_none());
}
