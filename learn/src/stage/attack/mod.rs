//! The attack stage (the paper's section 5.3): how far test images must be moved until a classifier errs.
//!
//! Ranks take batches of fixed boundaries in turn, so that the images attacked so far are always the first ones, and results
//! do not depend on the number of ranks. `rounds` attacks the batches, `sync` lets ranks finish a round together, `resume`
//! holds the results and their checkpoint, `export` writes them.

mod export;
mod resume;
mod rounds;
mod sync;

use tandem_domain::spec::Attack;

use super::RankContext;
use crate::artifact;
use crate::attack::best_of::supports;
use crate::classifier::Classifier;
use crate::failure::Failure;
use crate::progress;
use crate::report::Outcome;
use rounds::AttackRun;

/// Attacks the first test images, beginning where an earlier attempt stopped.
pub(crate) fn run(rank: &mut RankContext<'_>, spec: &Attack) -> Result<Outcome, Failure> {
    validate(spec)?;
    let (classifier, classifier_sha256) = classifier(rank)?;
    let data = rank.load_data()?;
    let classes = data.classes.len() as i64;
    if classifier.classes() != classes {
        return Err(Failure::Job(format!(
            "the classifier tells {} classes apart, {} has {classes}: attack it on the data set it was trained on",
            classifier.classes(),
            rank.task.spec.dataset
        )));
    }
    let images = match spec.images as usize {
        0 => data.test.len(),
        wanted => wanted.min(data.test.len()),
    };
    let mut attack_run = AttackRun::new(rank, spec, &classifier, &data, images, &classifier_sha256)?;
    rank.phase("attacking", attack_run.attacked.len() as u64);
    progress::measure();
    let outcome = attack_run.run_rounds(rank)?;
    if outcome == Outcome::Finished && rank.is_rank_zero() {
        rank.phase("exporting", images as u64);
        attack_run.export(rank)?;
    }
    Ok(outcome)
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

fn classifier(rank: &RankContext<'_>) -> Result<(Classifier, String), Failure> {
    let input = rank.task.inputs.iter().find(|input| input.kind == "classifier").ok_or_else(|| {
        let kinds: Vec<&str> = rank.task.inputs.iter().map(|input| input.kind.as_str()).collect();
        Failure::Job(format!(
            "an attack needs a classifier and got {}: name a linear, supervised or finetune job in `from`",
            if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
        ))
    })?;
    let (classifier, _) = artifact::load_classifier(input, rank.device)?;
    Ok((classifier, input.sha256.clone()))
}
