//! One panel of curves by step.

use plotters::{
    prelude::*,
    style::{
        FontStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    canvas::{Area, Axes, Drawn, font},
    lines::{Crowd, Line, draw_lines},
    numbers,
    vertical::Vertical,
};

/// More lines than this cannot be told apart.
pub(crate) const MOST_NAMED: usize = 14;
/// Lines whose values are read out.
const READ_OUT: usize = 8;
/// Pixels that a label below the axis takes.
const LABEL: u32 = 110;

pub(crate) struct Panel {
    pub(crate) metric: String,
    /// Empty where there is one group alone.
    pub(crate) group: String,
    /// What its steps are.
    pub(crate) x_title: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) last_step: f64,
    /// By powers of ten, if all that is drawn is above zero somewhere.
    pub(crate) is_log: bool,
    /// What is asked for, instead of what fits.
    pub(crate) range: Option<(f64, f64)>,
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

    /// Names and marks are of use to no more lines than can be told apart.
    pub(crate) fn crowd(&self) -> Crowd {
        match self.lines.len() {
            0 | 1 => Crowd::One,
            few if few <= MOST_NAMED => Crowd::Few,
            _ => Crowd::Many,
        }
    }

    fn vertical(&self) -> Vertical {
        let edges =
            || self.lines.iter().flat_map(|line| &line.points).flat_map(|point| [point.low, point.y, point.high]);
        let (low, high) = numbers::range(edges(), self.is_share());
        let above_zero = edges().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let is_log = self.is_log && self.range.map_or(above_zero.is_finite() && high > 0.0, |(low, _)| low > 0.0);
        let fitting = if is_log { (above_zero / 1.1, high.max(above_zero * 1.1)) } else { (low, high) };
        Vertical::new(self.range.unwrap_or(fitting), is_log)
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
    let vertical = panel.vertical();
    let mut builder = ChartBuilder::on(area);
    builder.margin(16).margin_right(28).x_label_area_size(44).y_label_area_size(72);
    if !title.is_empty() {
        builder.caption(title, font(20.0, FontStyle::Bold));
    }
    let mut chart = builder.build_cartesian_2d(0.0..panel.last_step, vertical.clone())?;
    let axes = Axes {
        x_title: panel.x_title.clone(),
        y_title: panel.name(),
        // No step has two labels.
        x_labels: ((area.dim_in_pixel().0 / LABEL).clamp(2, 8) as usize).min(panel.last_step as usize + 1),
        x_label: &|step| numbers::count(step.max(0.0).round() as u64),
        y_label: &|height| vertical.label(*height, panel.is_share()),
    };
    axes.draw(&mut chart)?;
    draw_lines(&mut chart, &vertical, panel.lines.iter(), panel.crowd())
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
    let at = numbers::count(last.x.max(0.0).round() as u64);
    Some(format!("{} from {} to {} at step {at}", line.label, panel.value(first.y), panel.value(last.y)))
}
