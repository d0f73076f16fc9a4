//! Attacks and penalties: what fits together, and what a wrong file is told.

use super::{faults::body, planned};
use crate::plan::plan;
use crate::spec::Stage;

#[test]
fn attacks_and_their_norms() {
    let attack = |lines: &str| {
        let input = "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n";
        body(&format!("{input}[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\n{lines}")).message
    };
    for (method, norm) in
        [("pgd", "l1"), ("apgd", "l1"), ("apgd-t", "l0"), ("square", "l1"), ("fab", "l0"), ("ddn", "linf")]
    {
        let message = attack(&format!("attack = \"{method}\"\nnorm = \"{norm}\""));
        assert!(message.starts_with(&format!("`attack = \"{method}\"` knows ")), "{message}");
        assert!(message.contains(&format!(", not \"{norm}\"; plb, fmn and best-of know all four")), "{message}");
    }
    let message = attack("attack = \"pgd\"\nnorm = \"l2\"\nradii = [0.2, 0.1]");
    assert_eq!(message, "the radii must grow, each once");
    for keys in ["draw = \"first\"", "draw_seed = 3", "images = 0\ndraw = \"balanced\""] {
        let message = attack(&format!("attack = \"pgd\"\nnorm = \"l2\"\n{keys}"));
        assert!(message.contains("is for an attack on some of the images (`images`)"), "{message}");
    }
    let message = attack("attack = \"pgd\"\nnorm = \"l2\"\nimages = 5\ndraw = \"first\"\ndraw_seed = 3");
    assert!(message.starts_with("`draw_seed` is for `draw = \"balanced\"`"), "{message}");
    let message = attack("attack = \"pgd\"\nnorm = \"l2\"\ntikhonov = { lambda = 1 }");
    assert!(message.starts_with("unknown key `tikhonov` in [jobs.a]"), "{message}");
}

#[test]
fn radii_that_no_image_has() {
    let attack = |lines: &str| {
        let input = "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n";
        let text = format!("{input}[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\nattack = \"plb\"\n{lines}");
        plan(&format!("name = \"x\"\ndataset = \"cifar10\"\n{text}"), "x.toml", "1")
            .err()
            .map(|errors| errors.faults[0].message.clone())
    };
    for (norm, wrong, right) in [("linf", 1.1, 1.0), ("l2", 56.0, 55.0), ("l1", 3073.0, 3072.0), ("l0", 4000.0, 9.0)] {
        let lines = |radius: f64| format!("norm = \"{norm}\"\nradii = [0.1, {radius}]");
        let message = attack(&lines(wrong)).expect("it is too large");
        assert!(message.starts_with(&format!("{wrong} is too large")), "{message}");
        assert_eq!(attack(&lines(right)), None);
    }
}

/// The whole message, or none for a file that is accepted.
fn job(lines: &str) -> Option<String> {
    plan(&format!("name = \"x\"\ndataset = \"cifar10\"\n{lines}"), "x.toml", "1").err().map(|error| error.to_string())
}

#[test]
fn minimum_norm_attacks_in_their_norms() {
    let attack = |lines: &str| {
        job(&format!(
            "[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n[jobs.a]\nstage = \"attack\"\nfrom = \"s\"\n{lines}"
        ))
    };
    for norm in ["l0", "l1", "l2", "linf"] {
        assert_eq!(attack(&format!("attack = \"fmn\"\nnorm = \"{norm}\"\nsteps = 50\nrestarts = 2")), None, "{norm}");
    }
    assert_eq!(attack("attack = \"ddn\"\nnorm = \"l2\""), None);
    assert!(
        attack("attack = \"ddn\"\nnorm = \"l2\"\nplb.outer = 3")
            .is_some_and(|message| message.contains("`plb` is for"))
    );
}

/// A step of 0.1 rounds to itself in bf16 or not, image by image; the exact penalty needs no step.
#[test]
fn a_finite_difference_in_bf16_is_refused_where_it_is_used() {
    let kinds = [
        "[jobs.e]\nstage = \"contrastive\"\nencoder = \"resnet18\"\nepochs = 1\nbatch_size = 8",
        "[jobs.e]\nstage = \"supervised\"\nencoder = \"resnet18\"",
    ];
    for kind in kinds {
        let with = |lambda: f64, method: &str, precision: &str| {
            job(&format!(
                "{kind}\nprecision = \"{precision}\"\ntikhonov = {{ lambda = {lambda}, method = \"{method}\" }}\n"
            ))
        };
        let message = with(1.0, "finite-difference", "bf16").expect("it would train on noise");
        assert!(message.starts_with("x.toml:") && message.contains("`tikhonov.method = \"exact\"`"), "{message}");
        for (lambda, method, precision) in
            [(1.0, "exact", "bf16"), (1.0, "finite-difference", "f32"), (0.0, "finite-difference", "bf16")]
        {
            assert_eq!(with(lambda, method, precision), None, "{lambda} {method} {precision}");
        }
    }
    let layers = format!(
        "{}\nprecision = \"bf16\"\nlayerwise = {{ ratio = 10, beta = [0.1, 0.2, 0.3, 0.4] }}\ntikhonov.method = \"finite-difference\"\n",
        kinds[0]
    );
    assert!(job(&layers).is_some_and(|message| message.contains("finite difference")));
}

/// A swept method too, each variant by itself; what is written stays.
#[test]
fn a_difference_that_says_nothing_has_a_step_of_a_tenth() {
    let steps = |lines: &str| -> Vec<f64> {
        let body = format!("[jobs.s]\nstage = \"supervised\"\nencoder = \"resnet18\"\n{lines}");
        let jobs = planned(&body).jobs;
        let steps = jobs.iter().filter_map(|job| match &job.spec.stage {
            Stage::Supervised(stage) => Some(stage.tikhonov.h),
            _ => None,
        });
        steps.collect()
    };
    assert_eq!(steps("tikhonov = { lambda = 1, method = \"finite-difference\" }"), [0.1]);
    assert_eq!(steps("tikhonov = { lambda = 1, method = \"finite-difference\", h = 0.01 }"), [0.01]);
    let swept = "tikhonov = { lambda = 1 }\n[jobs.s.sweep]\ntikhonov.method = [\"exact\", \"finite-difference\"]";
    assert_eq!(steps(swept), [0.01, 0.1], "exact: as it was stored before, and unused");
}
