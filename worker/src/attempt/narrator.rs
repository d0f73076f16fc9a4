//! What a healthy rank does beside its epochs, as lines of its job's log: a line for each phase, checkpoint and result. Epochs, and parts of
//! an attack, the rank itself tells there. Who follows the log of a job that says nothing of itself believes that it hangs.

use tandem_domain::datasets::size;
use tandem_proto::v1::rank_event::Event as Kind;

/// The line that an event of a rank is worth, if any.
pub(super) fn line(event: &Kind) -> Option<String> {
    match event {
        Kind::Phase(phase) => {
            let from = if phase.first_step > 0 { format!(", from step {}", phase.first_step) } else { String::new() };
            Some(format!("{}{from}", phase.name))
        }
        Kind::Checkpoint(checkpoint) => {
            Some(format!("checkpoint of step {} ({})", checkpoint.step, size(checkpoint.bytes)))
        }
        Kind::Artifact(artifact) => Some(format!("wrote {} ({})", artifact.name, size(artifact.bytes))),
        Kind::Result(result) => Some(format!("{} {}", result.name, figure(result.value))),
        Kind::Note(note) => Some(format!("{}: {}", note.kind, note.message)),
        Kind::Progress(_) | Kind::Metric(_) | Kind::Log(_) | Kind::Environment(_) => None,
    }
}

fn figure(value: f64) -> String {
    if value.abs() >= 1e4 { format!("{value:.0}") } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{LogEvent, MetricEvent, NoteEvent, PhaseEvent, ProgressEvent, ResultEvent};

    use super::*;

    #[test]
    fn what_happens_is_told_once_and_epochs_by_the_rank_alone() {
        let told = [
            (Kind::Phase(PhaseEvent { name: "training".to_owned(), first_step: 20 }), "training, from step 20"),
            (Kind::Result(ResultEvent { name: "knn_accuracy".to_owned(), value: 0.61 }), "knn_accuracy 0.6100"),
            (Kind::Note(NoteEvent { kind: "left_out".to_owned(), message: "3 files".to_owned() }), "left_out: 3 files"),
        ];
        for (event, expected) in told {
            assert_eq!(line(&event).as_deref(), Some(expected));
        }
        let of_epochs = [
            Kind::Progress(ProgressEvent { step: 100, steps: 100, epoch: 2, epochs: 2, ..ProgressEvent::default() }),
            Kind::Metric(MetricEvent { name: "epoch_loss".to_owned(), step: 100, value: 4.5 }),
            Kind::Log(LogEvent { line: "epoch 2/2, step 100: loss 4.5000, 812 images/s".to_owned() }),
        ];
        assert_eq!(of_epochs.each_ref().map(line), [const { None }; 3], "the rank has said so itself");
    }
}
