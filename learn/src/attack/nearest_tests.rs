//! FMN and DDN where the smallest distances are known, and ProxLogBarrier beside FMN where they are not.

use tandem_domain::spec::{Norm, Plb};
use tch::Kind;

use super::test_targets::{Convolutional, Linear, Sample, values};
use super::{Adversarials, Batch, Target, ddn, fmn, norm, plb, target};

const NORMS: [Norm; 4] = [Norm::L0, Norm::L1, Norm::L2, Norm::Linf];

/// Checks that the images are misclassified, in range and as far away as reported; returns the distances.
fn checked(net: &dyn Target, sample: &Sample, norm: Norm, found: &Adversarials) -> Vec<f32> {
    let wrong = target::misclassified(&target::logits(net, &found.images), &sample.labels);
    assert!(wrong.equal(&found.distance.isfinite()), "{norm:?}");
    assert!(found.images.min().double_value(&[]) >= 0.0 && found.images.max().double_value(&[]) <= 1.0);
    let measured = norm::length(&(&found.images - &sample.images), norm);
    assert!(measured.masked_fill(&wrong.logical_not(), f64::INFINITY).allclose(&found.distance, 1e-6, 1e-7, false));
    values(&found.distance)
}

fn fmn(net: &dyn Target, batch: &Batch<'_>, norm: Norm) -> Adversarials {
    fmn::run(net, batch, norm, &fmn::Settings::default())
}

fn plb_settings(restart: u32) -> plb::Settings {
    plb::Settings { constants: Plb::default(), steps: plb::Steps::Relative, noise: 0.01, seed: 1, restart }
}

fn plb(net: &dyn Target, batch: &Batch<'_>, norm: Norm) -> Adversarials {
    plb::run(net, batch, norm, &plb_settings(0), None)
}

/// Never below the closed form, and at most a few per cent above it; in l0 one element more.
#[test]
fn on_a_linear_classifier_the_distance_is_the_closed_form() {
    let net = Linear::new(5);
    let sample = Sample::of(&net, 12, 8);
    let truths = [
        (Norm::L0, net.least(&sample, true), 1.0, 1.0),
        (Norm::L1, net.least(&sample, false), 1.03, 0.0),
        (Norm::L2, net.distance(&sample.images, &sample.labels, 2.0), 1.03, 0.0),
        (Norm::Linf, net.distance(&sample.images, &sample.labels, 1.0), 1.02, 0.0),
    ];
    for (norm, truth, times, more) in truths {
        let mut attacks = vec![("fmn", fmn(&net, &sample.batch(), norm))];
        if norm == Norm::L2 {
            attacks.push(("ddn", ddn::run(&net, &sample.batch(), &ddn::Settings::default())));
        }
        for (name, found) in attacks {
            for (ours, truth) in checked(&net, &sample, norm, &found).iter().zip(&truth) {
                assert!(
                    *ours >= truth * 0.9999 && *ours <= truth * times + more,
                    "{name} {norm:?}: {ours}, truth {truth}"
                );
            }
        }
    }
}

/// On a net that is not linear neither is much farther than the other: the mean of 16 images, in l0 within one element.
#[test]
fn proxlogbarrier_is_as_near_as_fmn() {
    let net = Convolutional::new();
    let sample = Sample::of(&net, 16, 16);
    for norm in NORMS {
        let mean = |found: &Adversarials| found.distance.mean(Kind::Double).double_value(&[]);
        let (plb, fmn) = (plb(&net, &sample.batch(), norm), fmn(&net, &sample.batch(), norm));
        checked(&net, &sample, norm, &plb);
        checked(&net, &sample, norm, &fmn);
        let (plb, fmn) = (mean(&plb), mean(&fmn));
        let more = if norm == Norm::L0 { 1.0 } else { 0.0 };
        assert!(plb <= 1.1 * fmn + more && fmn <= 1.1 * plb + more, "{norm:?}: plb {plb}, fmn {fmn}");
    }
}

/// An image's result is the same in any batch, and a restart begins elsewhere and never makes it farther.
#[test]
fn restarts_begin_elsewhere_and_images_do_not_see_each_other() {
    let net = Convolutional::new();
    let sample = Sample::of(&net, 5, 16);
    type Run<'a> = Box<dyn Fn(&Batch<'_>, u32) -> Adversarials + 'a>;
    for norm in NORMS {
        let net = &net;
        let fmn: Run<'_> = Box::new(move |batch, restarts| {
            fmn::run(net, batch, norm, &fmn::Settings { steps: 30, restarts, seed: 3, ..fmn::Settings::default() })
        });
        let ddn: Run<'_> = Box::new(move |batch, restarts| {
            ddn::run(net, batch, &ddn::Settings { steps: 30, restarts, seed: 3, ..ddn::Settings::default() })
        });
        for (name, run) in [("fmn", fmn), ("ddn", ddn)] {
            if name == "ddn" && norm != Norm::L2 {
                continue;
            }
            let once = checked(net, &sample, norm, &run(&sample.batch(), 1));
            let thrice = checked(net, &sample, norm, &run(&sample.batch(), 3));
            assert!(once.iter().zip(&thrice).all(|(once, thrice)| thrice <= once), "{name} {norm:?}");
            for row in 0..5 {
                let alone = checked(net, &sample.pick(&[row]), norm, &run(&sample.pick(&[row]).batch(), 1))[0];
                assert!((alone - once[row as usize]).abs() <= 2e-3 * alone, "{name} {norm:?}: {once:?}, alone {alone}");
            }
        }
        let of = |restart| plb::run(net, &sample.batch(), norm, &plb_settings(restart), None);
        let (first, second) = (of(0), of(1));
        checked(net, &sample, norm, &second);
        assert!(!first.images.equal(&second.images), "{norm:?}: a restart of ProxLogBarrier is the same search again");
    }
}
