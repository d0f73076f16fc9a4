//! What the log of a healthy job says: a line for each epoch, or for a part of the way where there are more than anybody reads.

/// Lines of one training at most: of few labels, epochs are short and many.
const MOST_LINES: u32 = 200;

/// Whether the log has a line for this epoch: the last always.
pub(super) fn is_told(epoch: u32, epochs: u32) -> bool {
    epoch >= epochs || epoch.is_multiple_of(epochs.div_ceil(MOST_LINES).max(1))
}

/// `epoch 3/10, step 120: loss 4.512, kNN 45.1 %, 1234 images/s`. `part` is the epoch, or what else is a part of the way; `figures` are
/// what was measured in it.
pub(super) fn line(part: &str, figures: &[(&str, Figure)], images_per_second: f64) -> String {
    let figures: Vec<String> = figures.iter().map(|(name, figure)| format!("{name} {}", figure.text())).collect();
    let separator = if figures.is_empty() { "" } else { ", " };
    format!("{part}: {}{separator}{images_per_second:.0} images/s", figures.join(", "))
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    Number(f64),
    /// A fraction of 1.
    Share(f64),
}

impl Figure {
    fn text(self) -> String {
        match self {
            Self::Share(share) => format!("{:.1} %", 100.0 * share),
            Self::Number(number) if number != 0.0 && number.abs() < 1e-3 => format!("{number:.3e}"),
            Self::Number(number) => format!("{number:.4}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_line() {
        let figures = [("loss", Figure::Number(4.51234)), ("kNN", Figure::Share(0.4512))];
        assert_eq!(
            line("epoch 3/10, step 120", &figures, 1234.4),
            "epoch 3/10, step 120: loss 4.5123, kNN 45.1 %, 1234 images/s"
        );
        assert_eq!(
            line("10 of 20 images", &[("loss", Figure::Number(1e-5))], 7.0),
            "10 of 20 images: loss 1.000e-5, 7 images/s"
        );
    }

    #[test]
    fn a_log_is_no_longer_than_people_read() {
        let told = |epochs: u32| (1..=epochs).filter(|epoch| is_told(*epoch, epochs)).count();
        assert_eq!([1, 10, 200].map(told), [1, 10, 200]);
        assert!(told(100_000) <= 201 && told(201) <= 201);
        assert!(is_told(777, 777), "the last one");
    }
}
