//! A curve in one line of text.

use chrono::{DateTime, Utc};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where nothing is known.
const NOTHING: char = ' ';

/// Where a figure stands between the beginning, 0, and the end, 1.
pub(crate) fn place(at: DateTime<Utc>, from: DateTime<Utc>, until: DateTime<Utc>) -> f64 {
    let span = (until - from).as_seconds_f64();
    if span > 0.0 { (at - from).as_seconds_f64() / span } else { 0.0 }
}

/// `cells` bars from 0 to `top`: of each the greatest figure that falls into it. `figures` are places from 0 to 1, and values.
pub(crate) fn line(figures: impl IntoIterator<Item = (f64, f64)>, top: f64, cells: usize) -> String {
    let mut greatest: Vec<Option<f64>> = vec![None; cells];
    for (place, value) in figures.into_iter().filter(|(place, value)| place.is_finite() && value.is_finite()) {
        let cell = (place.max(0.0) * cells as f64) as usize;
        if let Some(known) = greatest.get_mut(cell.min(cells.saturating_sub(1))) {
            *known = Some(known.map_or(value, |known| known.max(value)));
        }
    }
    let bar = |value: Option<f64>| match value {
        None => NOTHING,
        Some(value) => {
            let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
            BARS[((share * BARS.len() as f64) as usize).min(BARS.len() - 1)]
        }
    };
    greatest.into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_what_they_show_and_gaps_stay_empty() {
        let ramp = (0..8).map(|step| (f64::from(step) / 8.0, f64::from(step)));
        assert_eq!(line(ramp, 7.0, 8), "▁▂▃▄▅▆▇█");
        assert_eq!(line([(0.0, 100.0), (0.9, 0.0)], 100.0, 4), "█  ▁");
        assert_eq!(line([(0.1, 1.0), (0.1, 5.0), (0.12, 3.0)], 5.0, 2), "█ ", "the greatest");
    }

    #[test]
    fn wild_figures_break_nothing() {
        let wild = [(f64::NAN, 1.0), (0.5, f64::INFINITY), (-3.0, 2.0), (9.0, 1e300)];
        assert_eq!(line(wild, 100.0, 3), "▁ █");
        assert_eq!(line([(0.0, 1.0)], 0.0, 1), "▁");
        assert_eq!(line([(0.0, 1.0)], 1.0, 0), "");
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(place(now, now, now), 0.0);
    }
}
