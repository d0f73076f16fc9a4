//! The legend beside a panel: the names of its lines.

use plotters::{prelude::*, style::FontStyle};

use super::drawing::{Area, Drawn, Line, font};

/// Height of the text, in pixels.
const HEIGHT: usize = 320;
/// Smallest and largest distance between lines of text, in pixels.
const LINE: (usize, usize) = (12, 20);
/// Longest name.
const MOST_LETTERS: usize = 46;

/// Many names stand closer together; if there are more than fit, only the first are drawn.
pub(super) fn draw(area: &Area<'_>, lines: &[Line]) -> Drawn {
    let (closest, widest) = LINE;
    let line_height = (HEIGHT / lines.len().max(1)).clamp(closest, widest);
    let size = if line_height < widest { 10.0 } else { 13.0 };
    let fit = HEIGHT / line_height;
    let named = if lines.len() > fit { &lines[..fit - 1] } else { lines };
    let mut rows = (44..).step_by(line_height);
    for (line, y) in named.iter().zip(rows.by_ref()) {
        let parts: &[(i32, i32)] = if line.is_dashed() { &[(0, 9), (15, 24)] } else { &[(0, 24)] };
        for (from, to) in parts {
            area.draw(&PathElement::new([(*from, y), (*to, y)], line.style()))?;
        }
        area.draw(&Text::new(shortened(&line.label), (32, y - 7), font(size, FontStyle::Normal)))?;
    }
    if let (true, Some(y)) = (named.len() < lines.len(), rows.next()) {
        let more = format!("and {} more", lines.len() - named.len());
        area.draw(&Text::new(more, (32, y - 7), font(size, FontStyle::Normal)))?;
    }
    Ok(())
}

/// Cuts the middle out of a long name: jobs of a sweep differ at their ends.
fn shortened(label: &str) -> String {
    let letters: Vec<char> = label.chars().collect();
    if letters.len() <= MOST_LETTERS {
        return label.to_owned();
    }
    let (head, tail) = (MOST_LETTERS / 3, MOST_LETTERS - MOST_LETTERS / 3 - 1);
    letters[..head].iter().chain(['…'].iter()).chain(&letters[letters.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Series;

    use super::*;
    use crate::render::plot::svg;

    #[test]
    fn a_legend_stays_in_its_panel() {
        let names: Vec<String> = (0..40).map(|i| format!("job {i}")).collect();
        let all: Vec<Series> = names
            .iter()
            .map(|name| Series {
                job_name: name.clone(),
                name: "loss".into(),
                steps: vec![0, 1],
                values: vec![2.0, 1.0],
                ..Series::default()
            })
            .collect();
        let svg = svg("x", &["loss".to_owned()], &all).unwrap();
        assert!(svg.contains("job 24") && !svg.contains("job 25") && svg.contains("and 15 more"), "{svg}");
    }

    #[test]
    fn a_long_name_keeps_its_ends() {
        let long = format!("supervised[{}tikhonov.lambda=10.0]", "label_fraction=0.01,".repeat(3));
        let short = shortened(&long);
        assert_eq!(short.chars().count(), MOST_LETTERS);
        assert!(short.starts_with("supervised[") && short.ends_with("tikhonov.lambda=10.0]"), "{short}");
    }
}
