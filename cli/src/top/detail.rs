//! One job: how it does, a curve, its newest events.

use chrono::{DateTime, Utc};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    symbols::Marker,
    text::Span,
    widgets::{Axis, Chart, Dataset, GraphType, Widget},
};
use tandem_draw::{numbers, spark};
use tandem_proto::v1::{Event, Job, Series};

use super::{
    grid::{cut, width},
    look::Look,
    state::Opened,
};
use crate::{
    printable,
    render::{progress, table::Tone, units},
    time::utc,
};

/// A chart of fewer lines or letters is a line of blocks.
const CHART: (u16, u16) = (30, 8);
/// Lines of events where there is room for a chart, too.
const EVENTS: u16 = 8;
/// Lines of a reason.
const REASON: usize = 3;
/// Names of metrics in the line of choices.
const SIDE: usize = 3;

pub(crate) fn draw(opened: &Opened, area: Rect, look: Look, now: DateTime<Utc>, buffer: &mut Buffer) {
    let mut lines = Lines { left: area, buffer };
    lines.put(&opened.job.name, look.head());
    let Some(job) = opened.job() else {
        lines.put("asking the coordinator ..", look.tone(Tone::Faint));
        return;
    };
    for line in wrapped(&printable::line(&progress::line(job)), area.width.into(), REASON) {
        lines.put(&line, look.tone(Tone::Plain));
    }
    lines.put(&facts(job, now), look.tone(Tone::Faint));
    let events = opened.detail.as_ref().map_or(&[][..], |detail| &detail.shown.events);
    let left = lines.left;
    let wanted = EVENTS.min(left.height / 3).max(1).min(u16::try_from(events.len()).unwrap_or(EVENTS));
    let below = wanted.min(left.height);
    let above = Rect { height: left.height - below, ..left };
    curve(opened, above, look, lines.buffer);
    show_events(events, opened.scroll, Rect { y: above.bottom(), height: below, ..left }, look, lines.buffer);
}

/// Lines from above, as far as there is room.
struct Lines<'a> {
    left: Rect,
    buffer: &'a mut Buffer,
}

impl Lines<'_> {
    fn put(&mut self, text: &str, style: Style) {
        if self.left.height == 0 {
            return;
        }
        let wide = usize::from(self.left.width);
        self.buffer.set_stringn(self.left.x, self.left.y, cut(&printable::line(text), wide), wide, style);
        self.left = Rect { y: self.left.y + 1, height: self.left.height - 1, ..self.left };
    }
}

/// Broken between words into at most `most` lines; what is longer still is cut by the last.
fn wrapped(text: &str, wide: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let count = lines.len();
        let Some(last) = lines.last_mut() else { break };
        if last.is_empty() {
            last.push_str(word);
        } else if width(last) + 1 + width(word) <= wide || count == most {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn facts(job: &Job, now: DateTime<Utc>) -> String {
    let mut facts = vec![format!("of {}", job.owner), job.stage.clone(), format!("priority {}", job.priority)];
    facts.extend(utc(&job.created_at).map(|at| format!("submitted {} ago", units::age(at, now))));
    facts.push(format!("attempt {}", job.attempts));
    facts.push(format!("id {}", job.id));
    facts.join(", ")
}

fn curve(opened: &Opened, area: Rect, look: Look, buffer: &mut Buffer) {
    let Some(metric) = opened.metric() else {
        Lines { left: area, buffer }.put("no values yet", look.tone(Tone::Faint));
        return;
    };
    let mut lines = Lines { left: area, buffer };
    lines.put(&choices(opened, metric), look.head());
    let area = lines.left;
    let of_metric = |series: &&Series| series.name == metric;
    let series = opened.detail.as_ref().and_then(|detail| detail.series.as_ref()).filter(of_metric);
    let points = series.map(points).unwrap_or_default();
    let Some(last) = points.last() else {
        let text = if opened.is_known() { "no values that can be drawn" } else { "asking for its values .." };
        Lines { left: area, buffer }.put(text, look.tone(Tone::Faint));
        return;
    };
    if area.width < CHART.0 || area.height < CHART.1 {
        let values: Vec<f64> = points.iter().map(|point| point.1).collect();
        let newest = units::figure(metric, last.1);
        let room = usize::from(area.width).saturating_sub(width(&newest) + 2);
        let line = format!("{}  {newest}", spark::text(&values, room));
        Lines { left: area, buffer }.put(&line, look.tone(Tone::Active));
        return;
    }
    chart(metric, &points, area, look, buffer);
}

/// `loss 4.500  [knn_accuracy 45.1 %]  lr 0.1`: the chosen one with its neighbours.
fn choices(opened: &Opened, metric: &str) -> String {
    let values = opened.job().and_then(|job| job.progress.as_ref()).map(|progress| progress.metrics.as_slice());
    let value = |name: &str| values.unwrap_or_default().iter().find(|scalar| scalar.name == name);
    let names = opened.metrics();
    let place = names.iter().position(|name| *name == metric).unwrap_or(0);
    let seen = &names[place.saturating_sub(SIDE)..(place + SIDE + 1).min(names.len())];
    let shown = |name: &&str| {
        let text = value(name).map_or((*name).to_owned(), |one| format!("{name} {}", units::figure(name, one.value)));
        if *name == metric { format!("[{text}]") } else { text }
    };
    seen.iter().map(shown).collect::<Vec<_>>().join("  ")
}

fn points(series: &Series) -> Vec<(f64, f64)> {
    // Beyond this the span of an axis is not finite.
    let is_shown = |value: &f64| value.abs() < f64::MAX / 1e9;
    let steps = series.steps.iter().map(|step| *step as f64);
    steps.zip(series.values.iter().copied()).filter(|(_, value)| is_shown(value)).collect()
}

fn chart(metric: &str, points: &[(f64, f64)], area: Rect, look: Look, buffer: &mut Buffer) {
    let is_share = numbers::is_share(metric);
    let (low, high) = numbers::range(points.iter().map(|point| point.1), is_share);
    let last = points.last().map_or(1.0, |point| point.0.max(1.0));
    let y =
        |value: f64| if is_share { format!("{:.0} %", 100.0 * value) } else { numbers::tick_within(value, high - low) };
    let x = |step: f64| numbers::count(step.round() as u64);
    let labels = |values: [f64; 3], shown: &dyn Fn(f64) -> String| values.map(|value| Span::raw(shown(value))).to_vec();
    let faint = look.tone(Tone::Faint);
    // A line between two points that were measured; a point alone is a dot.
    let kind = if points.len() > 1 { GraphType::Line } else { GraphType::Scatter };
    let data = Dataset::default().marker(Marker::Braille).graph_type(kind).style(look.tone(Tone::Active)).data(points);
    Chart::new(vec![data])
        .x_axis(Axis::default().bounds([0.0, last]).labels(labels([0.0, last / 2.0, last], &x)).style(faint))
        .y_axis(
            Axis::default().bounds([low, high]).labels(labels([low, low / 2.0 + high / 2.0, high], &y)).style(faint),
        )
        .legend_position(None)
        .render(area, buffer);
}

/// The newest at the bottom.
fn show_events(events: &[Event], scroll: usize, area: Rect, look: Look, buffer: &mut Buffer) {
    let end = events.len().saturating_sub(scroll.min(events.len().saturating_sub(1)));
    let first = end.saturating_sub(area.height.into());
    let mut lines = Lines { left: area, buffer };
    for event in events.get(first..end).unwrap_or_default() {
        let at = utc(&event.at).map(|at| at.format("%H:%M:%S").to_string()).unwrap_or_default();
        let tone = if matches!(event.kind.as_str(), "failed" | "lost") { Tone::Bad } else { Tone::Plain };
        lines.put(&format!("{at}  {}  {}", event.kind, event.message), look.tone(tone));
    }
}
