//! One panel of curves by step.

use plotters::{
    prelude::*,
    style::{
        FontStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    canvas::{Area, Axes, Drawn, Line, font},
    numbers,
};

/// Few points are marked: the line between them was not measured.
const MARKED: usize = 40;
/// Lines whose values are read out.
const READ_OUT: usize = 8;
/// Pixels that a label below the axis takes.
const LABEL: u32 = 110;

pub(crate) struct Panel {
    pub(crate) metric: String,
    /// Empty where there is one group alone.
    pub(crate) group: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) last_step: f64,
}

impl Panel {
    fn is_share(&self) -> bool {
        numbers::is_share(self.metric.trim_end_matches("_by_layer"))
    }

    /// `kNN accuracy`, `loss (linear)`.
    fn name(&self) -> String {
        let metric = self.metric.replace("knn", "kNN").replace('_', " ");
        if self.group.is_empty() { metric } else { format!("{metric} ({})", self.group) }
    }

    fn value(&self, value: f64) -> String {
        if self.is_share() {
            format!("{:.1} %", 100.0 * value)
        } else {
            numbers::tick_within(value, value.abs() / 10.0)
        }
    }
}

pub(crate) fn draw(area: &Area<'_>, title: &str, panel: &Panel) -> Drawn {
    let values = panel.lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    let (low, high) = numbers::range(values, panel.is_share());
    let mut builder = ChartBuilder::on(area);
    builder.margin(16).margin_right(28).x_label_area_size(44).y_label_area_size(72);
    if !title.is_empty() {
        builder.caption(title, font(20.0, FontStyle::Bold));
    }
    let mut chart = builder.build_cartesian_2d(0.0..panel.last_step, low..high)?;
    let is_share = panel.is_share();
    let y_label = |value: &f64| {
        if is_share { percent(*value, high - low) } else { numbers::tick_within(*value, high - low) }
    };
    let axes = Axes {
        x_title: "step".to_owned(),
        y_title: panel.name(),
        // No step has two labels.
        x_labels: ((area.dim_in_pixel().0 / LABEL).clamp(2, 8) as usize).min(panel.last_step as usize + 1),
        x_label: &|step| numbers::count(step.max(0.0).round() as u64),
        y_label: &y_label,
    };
    axes.draw(&mut chart)?;
    for line in &panel.lines {
        let (curve, style) = (line.points.iter().copied(), line.style());
        if line.is_dashed() {
            chart.draw_series(DashedLineSeries::new(curve, 8, 5, style))?;
        } else {
            chart.draw_series(LineSeries::new(curve, style))?;
        }
        let marks = if line.points.len() <= MARKED { line.points.as_slice() } else { &[] };
        chart.draw_series(marks.iter().map(|point| Circle::new(*point, 3, line.colour().filled())))?;
    }
    Ok(())
}

/// Where no line has a value yet.
pub(crate) fn nothing(area: &Area<'_>) -> Drawn {
    let (width, height) = area.dim_in_pixel();
    let middle = (i32::try_from(width / 2).unwrap_or(0), i32::try_from(height / 2).unwrap_or(0));
    let style = font(15.0, FontStyle::Normal).into_text_style(area).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new("no values yet", middle, style))
}

/// What a reader of a screen says of the panels.
pub(crate) fn description(panels: &[Panel]) -> String {
    let mut text = String::new();
    for panel in panels {
        let mut lines: Vec<String> = panel.lines.iter().take(READ_OUT).filter_map(|line| ends(panel, line)).collect();
        if panel.lines.len() > READ_OUT {
            lines.push(format!("and {} more", panel.lines.len() - READ_OUT));
        }
        text.push_str(&format!("{}: {}. ", panel.name(), lines.join("; ")));
    }
    if text.is_empty() { "no values yet".to_owned() } else { text.trim_end().to_owned() }
}

/// `encoder from 5.5 to 4.6 at step 300`.
fn ends(panel: &Panel, line: &Line) -> Option<String> {
    let (first, last) = (line.points.first()?, line.points.last()?);
    let at = numbers::count(last.0.max(0.0).round() as u64);
    Some(format!("{} from {} to {} at step {at}", line.label, panel.value(first.1), panel.value(last.1)))
}

fn percent(value: f64, span: f64) -> String {
    let decimals = if span < 0.06 { 1 } else { 0 };
    format!("{:.decimals$} %", 100.0 * value)
}
