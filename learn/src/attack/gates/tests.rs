use super::super::toy::{Hidden, Sample, hidden};
use super::*;

fn spec(attack: &str, norm: &str, loss: &str) -> Attack {
    let text = format!(r#"{{"attack": "{attack}", "norm": "{norm}", "loss": "{loss}"}}"#);
    serde_json::from_str(&text).unwrap()
}

fn measured(target: &dyn Target, spec: &Attack) -> Gates {
    let sample = Sample::of(target, 16);
    Gates::measure(target, &sample.batch(), spec, 0.04, 1, None).unwrap()
}

fn measure(target: &dyn Target) -> Gates {
    measured(target, &spec("pgd", "l2", "margin"))
}

#[test]
fn an_honest_net_passes() {
    let gates = measure(&hidden());
    assert_eq!((gates.images, gates.zero_gradient, gates.large_radius), (16, Some(0.0), Some(1.0)));
    assert!(gates.more_restarts.unwrap() >= 0.0 && gates.square_alone.unwrap() < 0.1, "{gates:?}");
    assert_eq!(gates.noise, 0.0);
    assert!(gates.batch_alone < 1e-3 && gates.notes().is_empty(), "{gates:?} {:?}", gates.notes());
}

/// Rounds pixels down to steps, which have no gradient.
struct Masked(Hidden);

impl Target for Masked {
    fn logits(&self, images: &Tensor) -> Tensor {
        self.0.logits(&((images * 20.0).floor() / 20.0))
    }
    fn classes(&self) -> i64 {
        self.0.classes()
    }
}

#[test]
fn masked_gradients_are_noted() {
    let gates = measure(&Masked(hidden()));
    assert_eq!(gates.zero_gradient, Some(1.0));
    assert!(gates.large_radius.unwrap() < 0.99);
    let notes = gates.notes();
    assert!(notes[0].contains("gradient of zeros in the margin") && notes[1].contains("masked"), "{notes:?}");
    assert!(notes[0].ends_with("nor can others by gradient: trust square only"), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("square")), "{notes:?}");
}

/// As sure as a net that was trained without end: its cross-entropy is 0 in f32.
struct Sure(Hidden);

impl Target for Sure {
    fn logits(&self, images: &Tensor) -> Tensor {
        self.0.logits(images) * 1e5
    }
    fn classes(&self) -> i64 {
        self.0.classes()
    }
}

#[test]
fn each_attack_is_checked_by_itself_and_on_the_loss_that_it_climbs() {
    let sure = Sure(hidden());
    let gates = |attack: &str, norm: &str, loss: &str| measured(&sure, &spec(attack, norm, loss));
    let blind = gates("pgd", "linf", "cross-entropy");
    let sees = gates("pgd", "linf", "margin");
    assert!(blind.zero_gradient > Some(0.9) && blind.large_radius < Some(0.99), "{blind:?}");
    assert!(
        blind.notes()[0].ends_with("loss = \"margin\" of pgd, or apgd-t, plb or best-of, can"),
        "{:?}",
        blind.notes()
    );
    assert_eq!((sees.zero_gradient, sees.large_radius, sees.notes()), (Some(0.0), Some(1.0), vec![]));
    assert!(gates("apgd", "linf", "cross-entropy").notes()[0].contains("in the cross-entropy"));
    for (attack, norm) in [
        ("apgd-t", "linf"),
        ("fab", "l1"),
        ("plb", "l0"),
        ("fmn", "l0"),
        ("fmn", "linf"),
        ("best-of", "l2"),
        ("best-of", "l1"),
    ] {
        let gates = gates(attack, norm, "cross-entropy");
        assert_eq!((gates.zero_gradient, gates.large_radius), (Some(0.0), Some(1.0)), "{attack} {norm}: {gates:?}");
        assert!(gates.notes().is_empty(), "{attack} {norm}: {:?}", gates.notes());
    }
}

#[test]
fn square_is_not_asked_for_gradients() {
    let gates = measured(&Masked(hidden()), &spec("square", "linf", "cross-entropy"));
    assert_eq!(
        (gates.zero_gradient, gates.large_radius, gates.more_steps, gates.square_alone),
        (None, None, None, None)
    );
    assert!(gates.notes().is_empty(), "{:?}", gates.notes());
}

/// Adds noise to its logits.
struct Drawn(Hidden);

impl Target for Drawn {
    fn logits(&self, images: &Tensor) -> Tensor {
        let logits = self.0.logits(images);
        &logits + logits.randn_like() * 1e-3
    }
    fn classes(&self) -> i64 {
        self.0.classes()
    }
}

#[test]
fn a_net_with_random_logits_is_noted() {
    let gates = measure(&Drawn(hidden()));
    assert!(gates.notes().iter().any(|note| note.contains("draws at random")), "{gates:?}");
}

/// Centres the batch, as BatchNorm by the batch's own statistics would.
struct Crowd(Hidden);

impl Target for Crowd {
    fn logits(&self, images: &Tensor) -> Tensor {
        let logits = self.0.logits(images);
        let mean = logits.mean_dim([0i64].as_slice(), true, Kind::Float);
        logits - mean * 0.9
    }
    fn classes(&self) -> i64 {
        self.0.classes()
    }
}

#[test]
fn images_that_depend_on_each_other_are_noted() {
    let gates = measure(&Crowd(hidden()));
    assert!(gates.batch_alone > BATCH_DIFFERENCE, "{gates:?}");
    assert!(gates.notes().iter().any(|note| note.contains("see each other")), "{:?}", gates.notes());
}

#[test]
fn square_may_gain_little_without_a_note() {
    let inf = f32::INFINITY;
    let (white, square) = ([0.0, 0.3, 0.3, inf, inf], [0.0, 0.3, 0.15, inf, 0.4]);
    assert_eq!(square_gain(&white, &square, &[0.1, 0.2, 0.3]), 0.2);
    assert_eq!(square_gain(&white, &white, &[0.1, 0.2, 0.3]), 0.0);
    assert!(square_note(0.002).is_none() && square_note(0.0021).is_some_and(|note| note.contains("0.21 %")));
}
