//! The attack stage (the paper's section 5.3): how far test images must be moved until a classifier errs.
//!
//! Ranks take batches of fixed boundaries in turn, so that the images attacked so far are always the first of the chosen ones,
//! and results do not depend on the number of ranks. `rounds` attacks the batches, `sync` lets ranks finish a round together, `resume`
//! holds the results and their checkpoint, `export` writes them.

mod export;
mod resume;
mod rounds;
mod sync;

use tandem_domain::spec::{Attack, Draw};

use super::RankContext;
use crate::artifact::{self, Card};
use crate::attack::best_of::supports;
use crate::classifier::Classifier;
use crate::data::draw;
use crate::failure::Failure;
use crate::progress;
use crate::report::Outcome;
use rounds::AttackRun;

/// Attacks the chosen test images, beginning where an earlier attempt stopped.
pub(crate) fn run(rank: &mut RankContext<'_>, spec: &Attack) -> Result<Outcome, Failure> {
    validate(spec)?;
    let (classifier, card, classifier_sha256) = classifier(rank)?;
    let data = rank.load_data()?;
    rank.note_other_images("classifier", &card.data_checksum, &data);
    let classes = data.classes.len() as i64;
    if classifier.classes() != classes {
        return Err(Failure::Job(format!(
            "the classifier tells {} classes apart, {} has {classes}: attack it on the data set it was trained on",
            classifier.classes(),
            rank.task.spec.dataset
        )));
    }
    let chosen = chosen(spec, &data.test.labels, rank.task.spec.seed);
    let images = chosen.len() as u64;
    let mut attack_run = AttackRun::new(rank, spec, &classifier, &data, chosen, &classifier_sha256)?;
    rank.phase("attacking", attack_run.attacked.len() as u64);
    progress::measure();
    let outcome = attack_run.run_rounds(rank)?;
    if outcome == Outcome::Finished && rank.is_rank_zero() {
        rank.phase("exporting", images);
        attack_run.export(rank)?;
    }
    Ok(outcome)
}

/// The test images to attack, by the labels of all. A balanced draw goes from class to class, so that what is known halfway is
/// balanced too.
fn chosen(spec: &Attack, labels: &[i64], seed: u64) -> Vec<i64> {
    let count = match spec.images as usize {
        0 => labels.len(),
        wanted => wanted.min(labels.len()),
    };
    match spec.draw {
        Some(Draw::Balanced) if count < labels.len() => {
            draw(labels, count, spec.draw_seed.unwrap_or(seed)).into_iter().map(|place| place as i64).collect()
        }
        _ => (0..count as i64).collect(),
    }
}

/// The coordinator checks this at submission too.
fn validate(spec: &Attack) -> Result<(), Failure> {
    let grid = spec.grid();
    let grows = grid.is_sorted_by(|a, b| a < b);
    let wrong = if !grows || grid.iter().any(|radius| !(radius.is_finite() && *radius > 0.0)) {
        Some(format!("radii must be above 0, finite and growing, and are {grid:?}"))
    } else if spec.batch_size == 0 || spec.restarts == 0 || spec.steps == Some(0) {
        Some("batch_size, restarts and steps must be at least 1".to_owned())
    } else if !supports(spec.attack, spec.norm) {
        Some(format!("attack {:?} cannot search in {:?}: use l2 or linf, or plb", spec.attack, spec.norm))
    } else {
        None
    };
    wrong.map_or(Ok(()), |wrong| Err(Failure::Job(wrong)))
}

fn classifier(rank: &RankContext<'_>) -> Result<(Classifier, Card, String), Failure> {
    let input = rank.task.inputs.iter().find(|input| input.kind == "classifier").ok_or_else(|| {
        let kinds: Vec<&str> = rank.task.inputs.iter().map(|input| input.kind.as_str()).collect();
        Failure::Job(format!(
            "an attack needs a classifier and got {}: name a linear, supervised or finetune job in `from`",
            if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
        ))
    })?;
    let (classifier, card) = artifact::load_classifier(input, rank.device)?;
    Ok((classifier, card, input.sha256.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorted by class, as an image folder is.
    const LABELS: [i64; 6] = [0, 0, 0, 1, 1, 1];

    fn of(more: &str) -> Vec<i64> {
        let text = format!(r#"{{"attack": "pgd", "norm": "l2"{more}}}"#);
        chosen(&serde_json::from_str(&text).unwrap(), &LABELS, 1)
    }

    #[test]
    fn some_images_are_of_all_classes_and_a_stored_job_that_says_nothing_means_the_first() {
        let drawn = of(r#", "images": 4, "draw": "balanced", "draw_seed": 3"#);
        assert_eq!(drawn.iter().filter(|&&image| image < 3).count(), 2, "{drawn:?}");
        assert_eq!(drawn[..2], of(r#", "images": 2, "draw": "balanced", "draw_seed": 3"#));
        assert_eq!(of(r#", "images": 4"#), [0, 1, 2, 3]);
        for all in ["", r#", "images": 6, "draw": "balanced", "draw_seed": 3"#, r#", "images": 99"#] {
            assert_eq!(of(all), [0, 1, 2, 3, 4, 5], "{all}");
        }
    }
}
