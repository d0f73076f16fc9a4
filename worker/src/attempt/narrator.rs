//! What a healthy rank does, as lines of its job's log: a line for each epoch, checkpoint and result. Who follows the log of a
//! job that says nothing of itself believes that it hangs.

use tandem_domain::datasets::size;
use tandem_proto::v1::{ProgressEvent, rank_event::Event as Kind};

/// Figures of an epoch that are worth a place in its line, as they are called there.
const SHOWN: [(&str, &str); 5] = [
    ("epoch_loss", "loss"),
    ("knn_accuracy", "kNN"),
    ("validation_loss", "validation loss"),
    ("validation_accuracy", "validation"),
    ("broken", "broken"),
];
/// Of an attack, which has no epochs, each tenth has a line.
const TENTHS: u64 = 10;

/// Makes lines of a rank's events.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    newest: Option<ProgressEvent>,
    figures: Vec<(&'static str, f64)>,
}

impl Narrator {
    /// The lines that `event` is worth, in their order.
    pub(super) fn lines(&mut self, event: &Kind) -> Vec<String> {
        let mut lines = Vec::new();
        match event {
            Kind::Progress(progress) => {
                if self.newest.as_ref().is_some_and(|before| part(before) != part(progress)) {
                    lines.extend(self.end_part());
                }
                self.newest = Some(*progress);
            }
            Kind::Metric(metric) => {
                if let Some((_, shown)) = SHOWN.iter().find(|(name, _)| *name == metric.name) {
                    self.figures.retain(|(name, _)| name != shown);
                    self.figures.push((shown, metric.value));
                }
            }
            Kind::Phase(phase) => {
                lines.extend(self.end_part());
                let from =
                    if phase.first_step > 0 { format!(", from step {}", phase.first_step) } else { String::new() };
                lines.push(format!("{}{from}", phase.name));
            }
            Kind::Checkpoint(checkpoint) => {
                lines.push(format!("checkpoint of step {} ({})", checkpoint.step, size(checkpoint.bytes)));
            }
            Kind::Artifact(artifact) => {
                lines.extend(self.end_part());
                lines.push(format!("wrote {} ({})", artifact.name, size(artifact.bytes)));
            }
            Kind::Result(result) => {
                lines.extend(self.end_part());
                lines.push(format!("{} {}", result.name, figure(result.value)));
            }
            Kind::Note(note) => lines.push(format!("{}: {}", note.kind, note.message)),
            Kind::Log(_) | Kind::Environment(_) => {}
        }
        lines
    }

    /// The line of an epoch, or of a tenth, that is over.
    fn end_part(&mut self) -> Option<String> {
        let ProgressEvent { step, steps, epoch, epochs, images_per_second, seconds_left } = self.newest.take()?;
        let mut line = match epochs {
            0 | 1 if steps > 0 => format!("{step} of {steps}"),
            0 => return None,
            _ => format!("epoch {epoch}/{epochs}, step {step}"),
        };
        for (name, value) in self.figures.drain(..) {
            line.push_str(&format!(", {name} {}", figure(value)));
        }
        if images_per_second > 0.0 {
            line.push_str(&format!(", {images_per_second:.0} images/s"));
        }
        if seconds_left >= 1.0 {
            line.push_str(&format!(", {seconds_left:.0} s left"));
        }
        Some(line)
    }
}

/// What has a line of its own: the epoch, or the tenth of what has none.
fn part(progress: &ProgressEvent) -> (u32, u64) {
    let tenth = (TENTHS * progress.step).checked_div(progress.steps).unwrap_or(0);
    (progress.epoch, if progress.epochs > 1 { 0 } else { tenth })
}

fn figure(value: f64) -> String {
    if value.abs() >= 1e4 { format!("{value:.0}") } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{MetricEvent, NoteEvent, PhaseEvent, ResultEvent};

    use super::*;

    fn progress(step: u64, epoch: u32, epochs: u32) -> Kind {
        Kind::Progress(ProgressEvent { step, steps: 100, epoch, epochs, images_per_second: 812.4, seconds_left: 61.0 })
    }

    fn metric(name: &str, value: f64) -> Kind {
        Kind::Metric(MetricEvent { name: name.to_owned(), step: 1, value })
    }

    fn all(events: &[Kind]) -> Vec<String> {
        let mut narrator = Narrator::default();
        events.iter().flat_map(|event| narrator.lines(event)).collect()
    }

    #[test]
    fn an_epoch_has_one_line_with_its_figures_and_the_last_one_has_its_own() {
        let phase = Kind::Phase(PhaseEvent { name: "training".to_owned(), first_step: 20 });
        let result = Kind::Result(ResultEvent { name: "knn_accuracy".to_owned(), value: 0.61 });
        let lines = all(&[
            phase,
            progress(21, 1, 2),
            metric("loss", 9.0),
            progress(50, 1, 2),
            metric("epoch_loss", 4.5),
            metric("knn_accuracy", 0.4512),
            progress(51, 2, 2),
            progress(100, 2, 2),
            metric("epoch_loss", 4.25),
            result,
        ]);
        assert_eq!(
            lines,
            [
                "training, from step 20",
                "epoch 1/2, step 50, loss 4.5000, kNN 0.4512, 812 images/s, 61 s left",
                "epoch 2/2, step 100, loss 4.2500, 812 images/s, 61 s left",
                "knn_accuracy 0.6100",
            ]
        );
    }

    #[test]
    fn an_attack_has_a_line_for_each_tenth_and_notes_are_passed_on() {
        let events: Vec<Kind> = (1..=30).map(|step| progress(step, 0, 1)).collect();
        let lines = all(&events);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("9 of 100, "), "{lines:?}");
        let note = Kind::Note(NoteEvent { kind: "left_out".to_owned(), message: "3 files".to_owned() });
        assert_eq!(all(&[note]), ["left_out: 3 files"]);
    }
}
