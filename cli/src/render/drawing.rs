//! What the figures share: the page, the palette, the fonts, the axes, a line.

use anyhow::{Result, anyhow};
use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::{FontDesc, FontFamily, FontStyle},
};

pub(super) const WIDTH: u32 = 900;
/// Okabe and Ito's palette: told apart by colour-blind eyes, too.
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// An SVG of this size, in pixels, cut into `rows` areas below each other; `draw` gets the number and the area of each.
pub(super) fn page(
    size: (u32, u32),
    rows: usize,
    mut draw: impl for<'a> FnMut(usize, &Area<'a>) -> Drawn,
) -> Result<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let mut drawn = root.fill(&WHITE);
    for (row, area) in root.split_evenly((rows, 1)).iter().enumerate() {
        drawn = drawn.and_then(|()| draw(row, area));
    }
    let drawn = drawn.and_then(|()| root.present());
    drop(root);
    drawn.map_err(|error| anyhow!("cannot draw the curves: {error}"))?;
    Ok(svg)
}

/// Titles and labels of both axes.
pub(super) struct Axes<'a> {
    pub(super) x_title: String,
    pub(super) y_title: String,
    /// About how many labels stand below the x axis.
    pub(super) x_labels: usize,
    pub(super) x_label: &'a dyn Fn(&f64) -> String,
    pub(super) y_label: &'a dyn Fn(&f64) -> String,
}

impl Axes<'_> {
    pub(super) fn draw(self, chart: &mut Chart<'_, '_>) -> Drawn {
        chart
            .configure_mesh()
            .x_desc(self.x_title)
            .y_desc(self.y_title)
            .x_labels(self.x_labels)
            .y_labels(6)
            .x_label_formatter(&self.x_label)
            .y_label_formatter(&self.y_label)
            .label_style(font(14.0, FontStyle::Normal))
            .axis_desc_style(font(15.0, FontStyle::Normal))
            .bold_line_style(RGBColor(225, 225, 225))
            .light_line_style(TRANSPARENT)
            .axis_style(RGBColor(90, 90, 90))
            .draw()
    }
}

pub(super) fn font(size: f64, style: FontStyle) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, size, style)
}

/// A curve of training.
pub(super) struct Line {
    pub(super) label: String,
    /// Place of its job among all that are drawn: it decides the colour.
    pub(super) job: usize,
    /// Opacity, from 0 to 1: the last layer of a job is the strongest.
    pub(super) strength: f64,
    pub(super) points: Vec<(f64, f64)>,
}

impl Line {
    pub(super) fn colour(&self) -> RGBAColor {
        COLOURS[self.job % COLOURS.len()].mix(self.strength)
    }

    pub(super) fn style(&self) -> ShapeStyle {
        self.colour().stroke_width(2)
    }

    /// The palette is used a second time with dashes.
    pub(super) fn is_dashed(&self) -> bool {
        self.job / COLOURS.len() % 2 == 1
    }
}
