//! How many events are sent at once, after the coordinator has refused some. Pure.
//!
//! A stream that ends by a refusal does not say which of its batches was refused. So from then on one batch at a time is
//! under way. One that is refused is halved, down to the event that is at fault; one that is taken is followed by one of
//! twice its size.

/// A single event is given up when it was refused so many times in a row: something else may have been meant at first.
const TRIES: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct Caution {
    /// Most events in the next batch; `None` while there is no reason for caution.
    most: Option<usize>,
    /// How often in a row the single event at the front was refused.
    refusals: u32,
}

impl Caution {
    pub(super) fn most(&self) -> Option<usize> {
        self.most
    }

    /// The batch under way, of `events` events, was refused. `true`: it is a single event that must be given up.
    pub(super) fn refused(&mut self, events: usize) -> bool {
        self.most = Some((events / 2).max(1));
        self.refusals = if events == 1 { self.refusals + 1 } else { 0 };
        let gives_up = self.refusals >= TRIES;
        if gives_up {
            self.refusals = 0;
        }
        gives_up
    }

    /// The batch under way was taken; `usual` is the size of batches when there is no reason for caution.
    pub(super) fn taken(&mut self, usual: usize) {
        self.refusals = 0;
        self.most = self.most.map(|most| most * 2).filter(|most| *most < usual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_batch_is_halved_down_to_one_event_which_is_given_up() {
        let mut caution = Caution::default();
        let mut size = 500;
        let mut refusals = 0;
        while !caution.refused(size) {
            size = caution.most().unwrap();
            refusals += 1;
            assert!(refusals < 20);
        }
        assert_eq!((size, refusals), (1, 9));
        // All is well behind it.
        let mut sizes = Vec::new();
        while let Some(most) = caution.most() {
            sizes.push(most);
            caution.taken(500);
        }
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    }

    #[test]
    fn an_event_that_is_taken_at_the_second_try_is_kept() {
        let mut caution = Caution::default();
        assert!(!caution.refused(1));
        caution.taken(500);
        assert!(!caution.refused(1));
    }
}
