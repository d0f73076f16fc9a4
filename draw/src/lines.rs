//! Lines in a chart: bands, strokes and marks.

use plotters::prelude::*;

use super::{
    canvas::{Chart, Drawn},
    clip,
    mean::Point,
    strokes::Strokes,
    vertical::Vertical,
};

/// Few points are marked: the line between them was not measured.
const MARKED: usize = 40;
/// Marks of a line that has more points, so that it is known without its colour.
const SPARSE: usize = 8;

/// A curve: what is drawn of it, and how.
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) strokes: Strokes,
    /// In order of x.
    pub(crate) points: Vec<Point>,
}

/// Which lines are drawn, and what tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// One, which needs no mark to be known.
    One,
    /// Each has a colour and a mark of its own.
    Few,
    /// They are seen together, as thin lines.
    Many,
}

/// The bands of all lines, and the lines over them.
pub(crate) fn draw_lines<'l>(
    chart: &mut Chart<'_, '_>,
    vertical: &Vertical,
    lines: impl Iterator<Item = &'l Line> + Clone,
    crowd: Crowd,
) -> Drawn {
    if crowd != Crowd::Many {
        for line in lines.clone().filter(|line| line.points.iter().any(|point| point.low < point.high)) {
            let edge = |value: f64| vertical.height(value).map_or(vertical.low(), |height| vertical.within(height));
            let above = line.points.iter().map(|point| (point.x, edge(point.high)));
            let below = line.points.iter().rev().map(|point| (point.x, edge(point.low)));
            let around: Vec<(f64, f64)> = above.chain(below).collect();
            chart.draw_series(std::iter::once(Polygon::new(around, line.strokes.band())))?;
        }
    }
    for line in lines {
        let strokes = if crowd == Crowd::Many { line.strokes.thin() } else { line.strokes };
        let places: Vec<(f64, f64)> =
            line.points.iter().filter_map(|point| Some((point.x, vertical.height(point.y)?))).collect();
        for piece in clip::pieces(&places, vertical.low(), vertical.high()) {
            match strokes.dash.lengths() {
                None => chart.draw_series(LineSeries::new(piece, strokes.style()))?,
                Some((dash, gap)) => chart.draw_series(DashedLineSeries::new(piece, dash, gap, strokes.style()))?,
            };
        }
        let is_inside = |point: &&(f64, f64)| (vertical.low()..=vertical.high()).contains(&point.1);
        let step = match crowd {
            _ if places.len() <= 1 => 1,
            Crowd::Many => continue,
            _ if places.len() <= MARKED => 1,
            Crowd::One => continue,
            Crowd::Few => places.len().div_ceil(SPARSE),
        };
        // Not all at the same places: lines may lie upon each other.
        let first = if step > 1 { (1 + 2 * (strokes.mark % 5)) * step / 10 } else { 0 };
        let marked = places.iter().skip(first).step_by(step).filter(is_inside);
        chart.draw_series(marked.map(|place| strokes.mark(*place)))?;
    }
    Ok(())
}
