//! A curve in a word: the course of values without axes.

use super::svg::{self, Look, Root};

/// Eighths of a letter, from below.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Dots of a braille letter, by column and by row from above.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
const BRAILLE: u32 = 0x2800;

/// A line of at most `width` letters. Where a value is no number stands a blank; equal values stand in the middle.
#[must_use]
pub fn text(values: &[f64], width: usize) -> String {
    let cells = resampled(values, width);
    let Some(scale) = Scale::of(&cells) else { return " ".repeat(cells.len()) };
    let block = |value: &f64| match scale.level(*value, BLOCKS.len()) {
        Some(level) => BLOCKS.get(level).copied().unwrap_or('█'),
        None => ' ',
    };
    cells.iter().map(block).collect()
}

/// `cells` letters from 0 to `top`: of each the greatest value that falls into it, and a blank where there is none. `values` are places
/// from 0, the beginning, to 1, the end, and values.
#[must_use]
pub fn placed(values: impl IntoIterator<Item = (f64, f64)>, top: f64, cells: usize) -> String {
    let mut greatest: Vec<Option<f64>> = vec![None; cells];
    for (place, value) in values.into_iter().filter(|(place, value)| place.is_finite() && value.is_finite()) {
        let cell = (place.max(0.0) * cells as f64) as usize;
        if let Some(known) = greatest.get_mut(cell.min(cells.saturating_sub(1))) {
            *known = Some(known.map_or(value, |known| known.max(value)));
        }
    }
    let bar = |value: Option<f64>| {
        let Some(value) = value else { return ' ' };
        let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
        BLOCKS.get((share * BLOCKS.len() as f64) as usize).copied().unwrap_or('█')
    };
    greatest.into_iter().map(bar).collect()
}

/// As [`text`] with dots, two beside and four above each other in a letter: `lines` lines of at most `width` letters, from above.
#[must_use]
pub fn braille(values: &[f64], width: usize, lines: usize) -> Vec<String> {
    let columns = resampled(values, width.saturating_mul(2));
    let (letters, rows) = (columns.len().div_ceil(2), 4 * lines);
    let mut dots = vec![vec![0_u32; letters]; lines];
    if let Some(scale) = Scale::of(&columns) {
        for (column, value) in columns.iter().enumerate() {
            let Some(level) = scale.level(*value, rows) else { continue };
            let row = rows - 1 - level;
            if let Some(letter) = dots.get_mut(row / 4).and_then(|line| line.get_mut(column / 2)) {
                *letter |= DOTS[column % 2][row % 4];
            }
        }
    }
    let letter = |dots: u32| char::from_u32(BRAILLE + dots).unwrap_or(' ');
    dots.into_iter().map(|line| line.into_iter().map(letter).collect()).collect()
}

/// A small line of this size in the colour of the text around it; `told` says to a reader of a screen what it is of.
#[must_use]
pub fn svg(values: &[f64], (width, height): (u32, u32), told: &str) -> String {
    let points = resampled(values, width as usize);
    let inside = Scale::of(&points).map_or_else(String::new, |scale| lines(&points, scale, width, height));
    let root = Root {
        class: "spark",
        size: (width, height),
        look: Look::Page,
        is_fluid: false,
        is_group: false,
        title: told,
        description: "",
    };
    root.around(&inside)
}

/// A line for each row of values without a gap.
fn lines(points: &[f64], scale: Scale, width: u32, height: u32) -> String {
    let (width, height) = (f64::from(width), f64::from(height));
    let step = (width - 2.0) / (points.len().saturating_sub(1).max(1)) as f64;
    let place = |(index, value): (usize, &f64)| {
        let share = scale.share(*value)?;
        Some((1.0 + step * index as f64, (height - 2.0).mul_add(1.0 - share, 1.0)))
    };
    let places: Vec<Option<(f64, f64)>> = points.iter().enumerate().map(place).collect();
    let line = |row: &[Option<(f64, f64)>]| match row {
        [] => String::new(),
        // A point alone has no length.
        [Some((x, y))] => circle(*x, *y),
        row => {
            let path: Vec<String> = row.iter().flatten().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let attributes = [("fill", "none".to_owned()), ("stroke", "currentColor".to_owned())];
            let width = ("stroke-width", "1.5".to_owned());
            svg::element("polyline", &[&attributes[..], &[width, ("points", path.join(" "))]].concat(), "")
        }
    };
    places.split(Option::is_none).map(line).collect()
}

fn circle(x: f64, y: f64) -> String {
    let number = |name: &'static str, value: f64| (name, format!("{value:.1}"));
    let fill = ("fill", "currentColor".to_owned());
    svg::element("circle", &[number("cx", x), number("cy", y), number("r", 1.5), fill], "")
}

/// Averaged in groups of nearly equal size if there are more than `most`; a group without a number is none.
fn resampled(values: &[f64], most: usize) -> Vec<f64> {
    let count = values.len().min(most);
    let mean = |cell: usize| {
        let (from, to) = (cell * values.len() / count, (cell + 1) * values.len() / count);
        let numbers = values.get(from..to).unwrap_or_default().iter().filter(|value| value.is_finite());
        let n = numbers.clone().count() as f64;
        // Each is divided first: a sum might not be finite.
        if n > 0.0 { numbers.map(|value| value / n).sum() } else { f64::NAN }
    };
    (0..count).map(mean).collect()
}

#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Of the finite values; `None` without any.
    fn of(values: &[f64]) -> Option<Self> {
        let mut finite = values.iter().copied().filter(|value| value.is_finite());
        let first = finite.next()?;
        let (low, high) = finite.fold((first, first), |(low, high), value| (low.min(value), high.max(value)));
        Some(Self { low, high })
    }

    /// From 0 to 1.
    fn share(self, value: f64) -> Option<f64> {
        // Halved: the span of two large numbers might not be finite.
        let span = self.high / 2.0 - self.low / 2.0;
        let share = if span > 0.0 { (value / 2.0 - self.low / 2.0) / span } else { 0.5 };
        value.is_finite().then(|| share.clamp(0.0, 1.0))
    }

    /// From 0 to `levels` - 1.
    fn level(self, value: f64, levels: usize) -> Option<usize> {
        let top = levels.saturating_sub(1);
        Some(((self.share(value)? * top as f64).round() as usize).min(top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_in_a_word() {
        let values: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(text(&values, 20), "▁▂▃▄▅▆▇█");
        assert_eq!(text(&values, 4), "▁▃▆█");
        assert_eq!(text(&[1.0, f64::NAN, 1.0], 20), "▅ ▅");
        assert_eq!(text(&[f64::MAX, -f64::MAX, f64::INFINITY], 20), "█▁ ");
        assert_eq!((text(&[], 20), text(&values, 0), text(&[f64::NAN], 3)), ("".into(), "".into(), " ".into()));
    }

    #[test]
    fn bars_grow_with_what_they_show_and_gaps_stay_empty() {
        let ramp = (0..8).map(|step| (f64::from(step) / 8.0, f64::from(step)));
        assert_eq!(placed(ramp, 7.0, 8), "▁▂▃▄▅▆▇█");
        assert_eq!(placed([(0.0, 100.0), (0.9, 0.0)], 100.0, 4), "█  ▁");
        assert_eq!(placed([(0.1, 1.0), (0.1, 5.0), (0.12, 3.0)], 5.0, 2), "█ ", "the greatest");
        let wild = [(f64::NAN, 1.0), (0.5, f64::INFINITY), (-3.0, 2.0), (9.0, 1e300)];
        assert_eq!(placed(wild, 100.0, 3), "▁ █");
        assert_eq!(placed([(0.0, 1.0)], 0.0, 1), "▁");
        assert_eq!(placed([(0.0, 1.0)], 1.0, 0), "");
    }

    #[test]
    fn dots_are_finer_than_blocks() {
        assert_eq!(braille(&[0.0, 1.0, 2.0, 3.0], 10, 1), ["⡠⠊"]);
        assert_eq!(braille(&[0.0, 7.0], 10, 2), ["⠈", "⡀"]);
        assert_eq!(braille(&[], 10, 2), ["", ""]);
        assert_eq!(braille(&[1.0], 0, 0), Vec::<String>::new());
    }

    #[test]
    fn a_small_picture_has_a_name_and_a_line_for_each_row() {
        let svg = svg(&[3.0, 2.0, f64::NAN, 1.0, 1.0, f64::NAN, 4.0], (100, 20), "loss of <a>");
        assert!(
            svg.contains("<title>loss of &lt;a&gt;</title>") && svg.contains("width=\"100\" height=\"20\""),
            "{svg}"
        );
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 1), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("style="), "{svg}");
        assert!(super::svg(&[], (0, 0), "").starts_with("<svg"));
    }
}
