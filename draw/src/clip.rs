//! What of a line lies within the heights of a panel.

/// The pieces of a line from `low` to `high`, cut where it leaves.
pub(crate) fn pieces(line: &[(f64, f64)], low: f64, high: f64) -> Vec<Vec<(f64, f64)>> {
    let is_in = |point: &(f64, f64)| (low..=high).contains(&point.1);
    let mut pieces: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    let mut add = |point: (f64, f64), begins: bool| {
        if begins {
            pieces.push(Vec::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(point);
        }
    };
    for (place, point) in line.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|before| line.get(before));
        if let Some(before) = before {
            let crossing = crossings(*before, *point, low, high);
            for (number, crossed) in crossing.iter().enumerate() {
                // From outside, the first crossing is where a piece begins.
                add(*crossed, number == 0 && !is_in(before));
            }
        }
        if is_in(point) {
            add(*point, before.is_none());
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Where the way between two points crosses the borders, in its order; not counted where it only begins or ends there.
fn crossings(from: (f64, f64), to: (f64, f64), low: f64, high: f64) -> Vec<(f64, f64)> {
    let at = |border: f64| {
        let share = (border - from.1) / (to.1 - from.1);
        (share > 0.0 && share < 1.0).then(|| (share, (share.mul_add(to.0 - from.0, from.0), border)))
    };
    let mut crossed: Vec<(f64, (f64, f64))> = [low, high].into_iter().filter_map(at).collect();
    crossed.sort_by(|a, b| a.0.total_cmp(&b.0));
    crossed.into_iter().map(|(_, point)| point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_the_borders() {
        assert_eq!(pieces(&[(0.0, 1.0), (1.0, 2.0)], 0.0, 3.0), [vec![(0.0, 1.0), (1.0, 2.0)]]);
        assert_eq!(pieces(&[(0.0, 0.0), (2.0, 4.0)], 1.0, 3.0), [vec![(0.5, 1.0), (1.5, 3.0)]]);
        let back = pieces(&[(0.0, 2.0), (1.0, 4.0), (2.0, 2.0)], 1.0, 3.0);
        assert_eq!(back, [vec![(0.0, 2.0), (0.5, 3.0)], vec![(1.5, 3.0), (2.0, 2.0)]]);
        assert_eq!(pieces(&[(0.0, 9.0), (1.0, 8.0)], 1.0, 3.0), Vec::<Vec<(f64, f64)>>::new());
        assert_eq!(pieces(&[(0.0, 2.0)], 1.0, 3.0), [vec![(0.0, 2.0)]]);
        assert_eq!(pieces(&[], 1.0, 3.0), Vec::<Vec<(f64, f64)>>::new());
    }
}
