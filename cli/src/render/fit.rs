//! Which columns of a table are shown where there is little room, and how wide. Pure.

/// What a column asks for, in letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// Its widest cell.
    pub(crate) wide: usize,
    /// What it can be cut to; as `wide` where a cell is never cut.
    pub(crate) least: usize,
    /// Columns of a higher rank go first; one of rank 0 stays.
    pub(crate) rank: u8,
}

impl Need {
    fn least(self) -> usize {
        self.least.min(self.wide)
    }
}

/// The width of each column, `None` for those that are left out. What the room is not enough for even so runs over.
pub(crate) fn fit(needs: &[Need], gap: usize, room: usize) -> Vec<Option<usize>> {
    let mut shown = vec![true; needs.len()];
    let total = |shown: &[bool]| {
        let widths = needs.iter().zip(shown).filter(|(_, shown)| **shown).map(|(need, _)| need.least() + gap);
        widths.sum::<usize>().saturating_sub(gap)
    };
    while total(&shown) > room {
        // Of equals the last.
        let candidates = needs.iter().enumerate().filter(|(place, need)| shown[*place] && need.rank > 0);
        let Some((place, _)) = candidates.max_by_key(|(place, need)| (need.rank, *place)) else { break };
        shown[place] = false;
    }
    let mut left = room.saturating_sub(total(&shown));
    let mut widths: Vec<Option<usize>> =
        needs.iter().zip(&shown).map(|(need, shown)| shown.then(|| need.least())).collect();
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|place| needs[*place].rank);
    for place in order {
        let Some(width) = &mut widths[place] else { continue };
        let more = (needs[place].wide - *width).min(left);
        *width += more;
        left -= more;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(wide: usize, least: usize, rank: u8) -> Need {
        Need { wide, least, rank }
    }

    #[test]
    fn what_is_needed_least_goes_first_and_the_rest_grows() {
        let needs = [need(8, 8, 0), need(30, 10, 1), need(9, 9, 3), need(40, 12, 2)];
        assert_eq!(fit(&needs, 2, 200), [Some(8), Some(30), Some(9), Some(40)]);
        assert_eq!(fit(&needs, 2, 60), [Some(8), Some(25), Some(9), Some(12)]);
        assert_eq!(fit(&needs, 2, 40), [Some(8), Some(16), None, Some(12)]);
        assert_eq!(fit(&needs, 2, 20), [Some(8), Some(10), None, None]);
        assert_eq!(fit(&needs, 2, 3), [Some(8), None, None, None]);
        assert_eq!(fit(&[], 2, 0), []);
    }
}
