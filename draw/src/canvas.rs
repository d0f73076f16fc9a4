//! What the figures share: the page, the fonts, the axes.

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::{FontDesc, FontFamily, FontStyle},
};

use super::{
    palette::{AXIS, GRID, rgb},
    svg::Root,
    vertical::Vertical,
};

/// A figure that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the curves: {0}")]
pub struct Error(pub(crate) String);

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<RangedCoordf64, Vertical>>;
pub(crate) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// An SVG below this root, cut into `rows` areas below each other; `draw` gets the number and the area of each.
pub(crate) fn page(
    root: Root<'_>,
    rows: usize,
    mut draw: impl for<'a> FnMut(usize, &Area<'a>) -> Drawn,
) -> Result<String, Error> {
    let mut drawing = String::new();
    let area = SVGBackend::with_string(&mut drawing, root.size).into_drawing_area();
    let mut drawn = Ok(());
    for (row, part) in area.split_evenly((rows, 1)).iter().enumerate() {
        drawn = drawn.and_then(|()| draw(row, part));
    }
    let drawn = drawn.and_then(|()| area.present());
    drop(area);
    drawn.map_err(|error| Error(error.to_string()))?;
    Ok(root.adopt(&drawing))
}

/// Titles and labels of both axes.
pub(crate) struct Axes<'a> {
    pub(crate) x_title: String,
    pub(crate) y_title: String,
    /// About how many labels stand below the x axis.
    pub(crate) x_labels: usize,
    pub(crate) x_label: &'a dyn Fn(&f64) -> String,
    pub(crate) y_label: &'a dyn Fn(&f64) -> String,
}

impl Axes<'_> {
    pub(crate) fn draw(self, chart: &mut Chart<'_, '_>) -> Drawn {
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
            .bold_line_style(rgb(GRID))
            .light_line_style(TRANSPARENT)
            .axis_style(rgb(AXIS))
            .draw()
    }
}

pub(crate) fn font(size: f64, style: FontStyle) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, size, style)
}
