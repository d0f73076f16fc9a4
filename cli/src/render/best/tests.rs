use super::*;
use crate::exit::classify;

const INF: f32 = f32::INFINITY;

fn attack_result(attack: &str, radii: &[f64], distances: &[f32]) -> AttackResult {
    let image = |(id, distance): (usize, &f32)| Image { id: id as u64, label: id as i64 % 10, distance: *distance };
    AttackResult {
        job: format!("`figure2/{attack}` (id of {attack})"),
        attack: attack.to_owned(),
        norm: "l2".to_owned(),
        classifier: Classifier {
            experiment: "figure2".to_owned(),
            name: "supervised[tikhonov.lambda=10]".to_owned(),
            label: "supervised, λ = 10".to_owned(),
            model: "supervised".to_owned(),
            sha256: "aa".repeat(32),
        },
        radii: radii.to_vec(),
        images: distances.iter().enumerate().map(image).collect(),
    }
}

fn plb() -> AttackResult {
    attack_result("plb", &[0.0, 0.1, 0.3], &[0.0, 0.3, INF, 0.1])
}

fn pgd() -> AttackResult {
    attack_result("pgd", &[0.0, 0.2, 0.3], &[0.0, 0.2, 0.25, INF])
}

fn refused(attack_results: &[AttackResult]) -> String {
    let (exit, message) = classify(&curves(attack_results).unwrap_err());
    assert_eq!(exit, Exit::Usage);
    message.unwrap()
}

#[test]
fn an_image_falls_where_the_first_attack_breaks_it() {
    let curves = curves(&[plb(), pgd()]).unwrap();
    let [curve] = curves.as_slice() else { panic!("{curves:?}") };
    assert_eq!(curve.points, [(0.0, 25.0), (0.1, 50.0), (0.2, 75.0), (0.3, 100.0)], "at the radii of both");
    assert_eq!(curve.label, "supervised, λ = 10, best of plb, pgd");
    assert_eq!((curve.panel.as_str(), curve.model.as_str()), ("best of attacks (l2)", "supervised"));
}

/// As `learn` computes the `all` column of curve.csv.
#[test]
fn one_attack_is_its_own_curve() {
    let curves = curves(&[plb()]).unwrap();
    assert_eq!(curves[0].points, [(0.0, 25.0), (0.1, 50.0), (0.3, 75.0)]);
    assert_eq!(curves[0].label, "supervised, λ = 10, plb alone");
}

#[test]
fn the_share_is_the_one_that_counting_finds() {
    // Multiplicative congruence of Lehmer: enough to mix, and the same everywhere.
    let mut state = 1_u64;
    let mut draw = |below: u64| {
        state = state * 48_271 % 0x7fff_ffff;
        state % below
    };
    for _ in 0..200 {
        let (jobs, images) = (1 + draw(4) as usize, 1 + draw(30) as usize);
        let all: Vec<AttackResult> = (0..jobs)
            .map(|job| {
                // On a coarse grid, so that distances and radii often meet.
                let distances: Vec<f32> =
                    (0..images).map(|_| if draw(4) == 0 { INF } else { draw(20) as f32 / 10.0 }).collect();
                let mut radii: Vec<f64> = (0..draw(6)).map(|_| draw(25) as f64 / 10.0).collect();
                radii.insert(0, 0.0);
                attack_result(&format!("attack{job}"), &radii, &distances)
            })
            .collect();
        let curve = curves(&all).unwrap().remove(0);
        for (radius, percent) in &curve.points {
            let falls = |image: &usize| all.iter().any(|one| one.images[*image].distance <= *radius as f32);
            let counted = (0..images).filter(falls).count();
            assert!((percent - 100.0 * counted as f64 / images as f64).abs() < 1e-9, "{radius} in {all:?}");
        }
        let read = |radius: &f64| curve.points.iter().filter(|(at, _)| at == radius).count() == 1;
        assert!(all.iter().flat_map(|one| &one.radii).all(read), "every radius of each, once: {curve:?}");
        assert!(curve.points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{curve:?}");
    }
}

#[test]
fn norms_and_classifiers_are_kept_apart() {
    let mut linf = pgd();
    linf.norm = "linf".to_owned();
    let mut plain = pgd();
    plain.classifier.name = "supervised[tikhonov.lambda=0]".to_owned();
    let mut elsewhere = pgd();
    elsewhere.classifier.experiment = "mine".to_owned();
    // Of other weights, and of other images: nobody asks to merge them.
    elsewhere.classifier.sha256 = "bb".repeat(32);
    elsewhere.images.truncate(2);
    let curves = curves(&[plb(), linf, plain, elsewhere]).unwrap();
    let facts: Vec<_> = curves.iter().map(|curve| (curve.norm.as_str(), curve.label.as_str())).collect();
    let expected = [
        ("l2", "figure2 / supervised, λ = 10, plb alone"),
        ("linf", "figure2 / supervised, λ = 10, pgd alone"),
        ("l2", "figure2 / supervised, λ = 10, pgd alone"),
        ("l2", "mine / supervised, λ = 10, pgd alone"),
    ];
    assert_eq!(facts, expected);
}

#[test]
fn two_jobs_of_one_attack_are_named_once() {
    let curves = curves(&[pgd(), plb(), pgd()]).unwrap();
    assert_eq!(curves[0].label, "supervised, λ = 10, best of pgd, plb");
}

#[test]
fn other_images_are_refused() {
    let mut fewer = pgd();
    fewer.images.pop();
    assert_eq!(
        refused(&[plb(), fewer]),
        "cannot merge the l2 attacks on `figure2/supervised[tikhonov.lambda=10]`: `figure2/plb` (id of plb) attacked 4 \
         images, `figure2/pgd` (id of pgd) 3; give both the same `images` in the experiment file and submit it again, \
         or draw each attack by itself with --convention all"
    );
    let mut changed = pgd();
    changed.images[2].label = 7;
    let message = refused(&[plb(), pgd(), changed.clone()]);
    assert!(message.contains("`figure2/plb` (id of plb) attacked image 2 (label 2)"), "{message}");
    assert!(message.contains("`figure2/pgd` (id of pgd) attacked image 2 (label 7)"), "{message}");
    assert!(message.contains("--fresh"), "{message}");
    changed.images[2] = Image { id: 9, ..plb().images[2] };
    assert!(refused(&[plb(), changed]).contains("attacked image 9 (label 2)"));
}

#[test]
fn another_classifier_of_the_same_name_is_refused() {
    let mut other = pgd();
    other.classifier.sha256 = "bb".repeat(32);
    let message = refused(&[plb(), other]);
    for part in ["two classifiers of this name", "(id of plb)", "SHA-256 aaaaaaaaaaaa,", "(id of pgd)", "bbbbbbbbbbbb;"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
}
