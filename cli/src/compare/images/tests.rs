use serde_json::{Value, json};
use tandem_proto::v1::Scalar;

use super::*;
use crate::render::csv;

fn job(id: &str, stage: &str, seed: u32, spec: Value) -> Job {
    let mut spec = spec;
    spec["stage"] = stage.into();
    Job {
        id: id.to_owned(),
        name: id.to_owned(),
        stage: stage.to_owned(),
        spec_json: json!({"seed": seed, "dataset": "shapes", "stage": spec}).to_string(),
        ..Job::default()
    }
}

fn sides() -> Vec<Side> {
    ["A", "B"].map(|letter| Side { letter: letter.to_owned(), ..Side::default() }).to_vec()
}

fn told(first: &[&Job], other: &[&Job], verdicts: &Verdicts) -> (Vec<String>, Vec<String>) {
    let (tests, remarks) = tested(&sides(), &[first.to_vec(), other.to_vec()], verdicts, &Receipts::new());
    let test = |one: &Tested| {
        let Paired { both, only_first, only_second, neither, .. } = one.paired;
        format!("{} {}-{}: {both} {only_first} {only_second} {neither}", one.what, one.first, one.other)
    };
    (tests.iter().map(test).collect(), remarks)
}

fn predictions(said: &str) -> Vec<Image> {
    let rows: String = said.chars().enumerate().map(|(id, said)| format!("{id},1,{said}\n")).collect();
    csv::predictions(&format!("image,label,prediction\n{rows}")).unwrap()
}

#[test]
fn each_image_is_counted_once_for_each_seed() {
    let linear = |id: &str, seed| job(id, "linear", seed, json!({}));
    let (a1, a2, b1, b2) = (linear("a1", 1), linear("a2", 2), linear("b1", 1), linear("b2", 3));
    let verdicts = Verdicts::from([
        ("a1".to_owned(), predictions("11111222")),
        ("a2".to_owned(), predictions("11111111")),
        ("b1".to_owned(), predictions("11222112")),
        ("b2".to_owned(), predictions("11111111")),
    ]);
    let (tests, remarks) = told(&[&a1, &a2], &[&b2, &b1], &verdicts);
    assert_eq!((tests, remarks), (vec!["test images a1-b1: 2 3 2 1".to_owned()], Vec::new()));
    let (tests, remarks) = told(&[&a1], &[&b2], &verdicts);
    assert_eq!(tests, Vec::<String>::new(), "shapes of another seed are other images");
    assert!(remarks[0].contains("shapes made from seeds 1 and 3"), "{remarks:?}");
    let (_, remarks) = told(&[&a1, &a2], &[&b2, &b2], &verdicts);
    assert_eq!(remarks, ["no test by images of A and B: they have no seed in common"]);
}

#[test]
fn an_attack_is_tested_where_both_have_a_figure() {
    let attack = |id: &str, norm: &str, radii: &[f64]| {
        let results =
            radii.iter().map(|radius| Scalar { name: format!("misclassified_at_{}", short(*radius)), value: 0.5 });
        Job {
            results: results.collect(),
            ..job(id, "attack", 1, json!({"attack": "pgd", "norm": norm, "radii": radii}))
        }
    };
    let (a, b, c) = (attack("a", "l2", &[0.1, 0.5]), attack("b", "l2", &[0.1, 0.7]), attack("c", "linf", &[0.1]));
    let images = |distances: [&str; 4]| {
        let rows: String = distances.iter().enumerate().map(|(id, at)| format!("{id},1,1,{at},pgd\n")).collect();
        csv::images(&format!("image,label,clean_prediction,distance,attack\n{rows}")).unwrap()
    };
    let verdicts = Verdicts::from([
        ("a".to_owned(), images(["0", "0.1", "0.3", ""])),
        ("b".to_owned(), images(["0.05", "", "0.2", ""])),
        ("c".to_owned(), images(["0", "0", "", ""])),
    ]);
    let (tests, remarks) = told(&[&a], &[&b], &verdicts);
    assert_eq!(tests, ["not attacked a-b: 3 0 1 0", "l2 within 0.1 a-b: 2 0 1 1"]);
    assert!(remarks.is_empty());
    // Distances of two norms cannot be compared; what is right without any can.
    assert_eq!(told(&[&a], &[&c], &verdicts).0, ["not attacked a-c: 2 1 0 1"]);
}

#[test]
fn what_is_not_the_same_is_not_tested_and_it_is_said_why() {
    let (a, b) = (job("a", "linear", 1, json!({})), job("b", "supervised", 1, json!({})));
    let why = |verdicts: Verdicts| {
        let (tests, remarks) = told(&[&a], &[&b], &verdicts);
        assert!(tests.is_empty());
        remarks.join("\n")
    };
    let of = |a: Vec<Image>, b: Vec<Image>| Verdicts::from([("a".to_owned(), a), ("b".to_owned(), b)]);
    assert!(why(Verdicts::new()).contains("one has left no verdicts"));
    assert!(why(of(predictions("11"), predictions("111"))).contains("2 and 3 of them"));
    let other = csv::predictions("image,label,prediction\n0,1,1\n1,4,4\n").unwrap();
    assert!(why(of(predictions("11"), other)).contains("image 1 (label 1), the other has image 1 (label 4)"));
    let attack = job("b", "attack", 1, json!({"attack": "pgd", "norm": "l2"}));
    let (_, remarks) = told(&[&a], &[&attack], &Verdicts::new());
    assert!(remarks[0].contains("one is an attack and the other a classifier"), "{remarks:?}");
    let encoder = job("e", "contrastive", 1, json!({}));
    assert_eq!(told(&[&encoder], &[&encoder], &Verdicts::new()).1, Vec::<String>::new());
}
