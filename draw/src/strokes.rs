//! How a line looks: its colour, its dashes and its marks, each enough to tell it from others.

use std::ops::Add;

use plotters::{
    prelude::*,
    style::{RGBAColor, ShapeStyle},
};

use super::palette::{self, COLOURS, rgb};

/// Corners of the marks, in pixels from the middle.
const MARKS: [&[(i32, i32)]; 7] = [
    // A disc, a square, two triangles, a diamond, a plus, a cross.
    &[(-2, -4), (2, -4), (4, -2), (4, 2), (2, 4), (-2, 4), (-4, 2), (-4, -2)],
    &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
    &[(0, -5), (5, 4), (-5, 4)],
    &[(0, 5), (5, -4), (-5, -4)],
    &[(0, -6), (5, 0), (0, 6), (-5, 0)],
    &[(-1, -5), (1, -5), (1, -1), (5, -1), (5, 1), (1, 1), (1, 5), (-1, 5), (-1, 1), (-5, 1), (-5, -1), (-1, -1)],
    &[(-5, -4), (-4, -5), (0, -1), (4, -5), (5, -4), (1, 0), (5, 4), (4, 5), (0, 1), (-4, 5), (-5, 4), (-1, 0)],
];

/// Its corners are pixels around a point.
pub(crate) type Mark<'a, Coord> = <EmptyElement<Coord, SVGBackend<'a>> as Add<Polygon<(i32, i32)>>>::Output;

/// The look of the line at this place among all that are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strokes {
    /// Which colour and mark.
    pub(crate) colour: usize,
    pub(crate) mark: usize,
    pub(crate) dash: Dash,
    /// Opacity, from 0 to 1.
    pub(crate) strength: f64,
    pub(crate) width: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

impl Dash {
    /// The `place`th kind; what comes behind the last is as that.
    pub(crate) fn of(place: usize) -> Self {
        match place {
            0 => Self::Solid,
            1 => Self::Dashed,
            _ => Self::Dotted,
        }
    }

    /// Lengths of a dash and of the gap behind it, in pixels; `None` without gaps.
    pub(crate) fn lengths(self) -> Option<(i32, i32)> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some((8, 5)),
            Self::Dotted => Some((2, 4)),
        }
    }

    /// From where to where there is ink in a sample of a line, in pixels.
    fn sample(self) -> &'static [(i32, i32)] {
        match self {
            Self::Solid => &[(0, 26)],
            Self::Dashed => &[(0, 10), (16, 26)],
            Self::Dotted => &[(0, 3), (6, 9), (17, 20), (23, 26)],
        }
    }
}

impl Strokes {
    /// The palette is used a second time with dashes, a third time with dots.
    pub(crate) fn at(place: usize) -> Self {
        let round = place / COLOURS.len();
        Self { colour: place, mark: place + round, dash: Dash::of(round), strength: 1.0, width: 2 }
    }

    /// One of many, which are seen together.
    pub(crate) fn thin(self) -> Self {
        Self { dash: Dash::Solid, strength: 0.5 * self.strength, width: 1, ..self }
    }

    pub(crate) fn colour(self) -> RGBAColor {
        rgb(COLOURS.get(self.colour % COLOURS.len()).copied().unwrap_or(palette::TEXT)).mix(self.strength)
    }

    pub(crate) fn style(self) -> ShapeStyle {
        self.colour().stroke_width(self.width)
    }

    /// Of the band around it.
    pub(crate) fn band(self) -> ShapeStyle {
        self.colour().mix(0.18).filled()
    }

    /// A mark at a point of a chart or of a page.
    pub(crate) fn mark<'a, Coord>(self, at: Coord) -> Mark<'a, Coord> {
        let corners = MARKS.get(self.mark % MARKS.len()).copied().unwrap_or_default();
        EmptyElement::at(at) + Polygon::new(corners.to_vec(), self.colour().filled())
    }

    /// Horizontal pieces of a sample that begins at `x`.
    pub(crate) fn sample(self, (x, y): (i32, i32)) -> impl Iterator<Item = PathElement<(i32, i32)>> {
        self.dash.sample().iter().map(move |(from, to)| PathElement::new([(x + from, y), (x + to, y)], self.style()))
    }
}
