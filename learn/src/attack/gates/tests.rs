use super::super::toy::{Hidden, Sample, hidden};
use super::*;

fn measure(target: &dyn Target) -> Gates {
    let sample = Sample::of(target, 16);
    Gates::measure(target, &sample.batch(), Norm::L2, 0.04, 1).unwrap()
}

#[test]
fn an_honest_net_passes() {
    let gates = measure(&hidden());
    assert_eq!((gates.images, gates.zero_gradient, gates.large_radius), (16, 0.0, 1.0));
    assert!(gates.more_restarts >= 0.0 && gates.noise == 0.0 && gates.square_alone < 0.1, "{gates:?}");
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
    assert_eq!(gates.zero_gradient, 1.0);
    assert!(gates.large_radius < 0.99);
    let notes = gates.notes();
    assert!(notes[0].contains("gradient of zeros") && notes[1].contains("masked"), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("square")), "{notes:?}");
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
