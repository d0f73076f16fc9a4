use super::*;
use crate::numbers::range;

fn series(name: &str, metric: &str, values: &[f64]) -> Series {
    let points = values.iter().enumerate().map(|(step, value)| (step as f64, *value)).collect();
    Series { name: name.to_owned(), metric: metric.to_owned(), points, ..Series::default() }
}

fn drawn(metrics: &[&str], series: &[Series], look: Look) -> String {
    let metrics: Vec<String> = metrics.iter().map(|&metric| metric.to_owned()).collect();
    Figure { title: "quickstart", metrics: &metrics, series, look, ..Figure::default() }.svg().unwrap()
}

fn has_panels(svg: &str, count: u32) -> bool {
    svg.contains(&format!(" height=\"{}\"", count * Figure::SIZE.1))
}

#[test]
fn a_name_has_one_colour_in_all_panels() {
    let all = [series("b", "loss", &[2.0, 1.0]), series("a", "loss", &[3.0, 1.0]), series("a", "lr", &[0.1, 0.2])];
    let svg = drawn(&["loss", "lr"], &all, Look::Paper);
    // Two strokes for each line: the curve and its sample in the legend.
    let strokes = |colour: &str| svg.matches(&format!("stroke=\"{colour}\"")).count();
    assert_eq!((strokes("#0072B2"), strokes("#D55E00")), (2, 4), "{svg}");
}

#[test]
fn each_metric_that_has_values_is_a_panel() {
    let all = [
        series("encoder", "loss", &[5.5, 5.0, f64::NAN, 4.6]),
        series("other <&>", "loss", &[5.4, 4.9]),
        series("encoder", "knn_accuracy", &[0.4]),
    ];
    let svg = drawn(&["loss", "knn_accuracy", "alignment"], &all, Look::Paper);
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(has_panels(&svg, 2), "{svg}");
    for part in ["quickstart", "encoder", "kNN accuracy", "step", "loss"] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(!svg.contains("other <&>"), "names are escaped");
    assert!(!svg.contains("NaN"));
}

#[test]
fn what_cannot_be_compared_shares_no_axis() {
    let mut all = [series("encoder", "loss", &[5.5; 2000]), series("linear", "loss", &[2e-5, 1e-5])];
    all[0].group = "contrastive".to_owned();
    all[1].group = "linear".to_owned();
    let svg = drawn(&["loss"], &all, Look::Paper);
    assert!(has_panels(&svg, 2), "{svg}");
    assert!(svg.contains("loss (contrastive)") && svg.contains("loss (linear)"), "{svg}");
    assert!(svg.contains("1e-5") && svg.contains("1,000"), "each has its own axes: {svg}");
}

#[test]
fn layers_of_a_metric_share_a_panel() {
    let layers = (1..=4).map(|layer| series("encoder", &format!("loss_layer{layer}"), &[5.0, 4.0 + f64::from(layer)]));
    let all: Vec<Series> = [series("encoder", "loss", &[5.5, 5.0])].into_iter().chain(layers).collect();
    let svg = drawn(&["loss"], &all, Look::Paper);
    assert!(has_panels(&svg, 2), "loss, and loss by layer");
    for part in ["loss by layer", "encoder, layer 1", "encoder, layer 4"] {
        assert!(svg.contains(part), "{part}");
    }
    assert_eq!(with_layers("loss").last().unwrap(), "loss_layer4");
}

#[test]
fn a_figure_in_a_page_takes_its_colours_and_is_told() {
    let all = [series("encoder", "knn_accuracy", &[0.4, 0.5])];
    let svg = drawn(&["knn_accuracy"], &all, Look::Page);
    for not in ["#000000", "#FFFFFF", "#E1E1E1", "style=", "height=\"380\"", "<script"] {
        assert!(!svg.contains(not), "{not}: {svg}");
    }
    assert!(svg.contains("currentColor") && svg.contains("viewBox=\"0 0 900 380\""), "no legend for one line: {svg}");
    assert!(svg.contains("<desc>kNN accuracy: encoder from 40.0 % to 50.0 % at step 1.</desc>"), "{svg}");
    assert!(drawn(&["loss"], &[], Look::Page).contains("no values yet"));
}

#[test]
fn names_of_others_forge_nothing() {
    let evil = "</svg><script>alert(1)</script>\u{1b}\u{0}\u{202e}";
    let mut one = series(evil, "loss", &[1.0, 2.0]);
    one.group = evil.to_owned();
    let two = Series { group: "b".to_owned(), ..one.clone() };
    let metrics = ["loss".to_owned()];
    let series = [one, two];
    let figure =
        Figure { title: evil, metrics: &metrics, series: &series, look: Look::Page, size: (0, 0), ..Figure::default() };
    let svg = figure.svg().unwrap();
    assert!(!svg.contains("<script") && svg.matches("</svg>").count() == 1, "{svg}");
    assert!(!svg.contains(['\u{1b}', '\u{0}', '\u{202e}']), "{svg:?}");
}

#[test]
fn a_legend_stays_in_its_panel() {
    let all: Vec<Series> = (0..14).map(|i| series(&format!("job {i}"), "loss", &[2.0, 1.0])).collect();
    let metrics = ["loss".to_owned()];
    let low = Figure { metrics: &metrics, series: &all, size: (400, 180), ..Figure::default() }.svg().unwrap();
    assert!(low.contains("job 8\n") && !low.contains("job 9\n") && low.contains("and 5 more"), "{low}");
    assert!(drawn(&["loss"], &all, Look::Page).contains("job 13\n"));
}

#[test]
fn lines_that_cannot_be_told_apart_are_thin_and_have_no_names() {
    let all: Vec<Series> = (0..15).map(|i| series(&format!("job {i}"), "loss", &[2.0, 1.0])).collect();
    let svg = drawn(&["loss"], &all, Look::Paper);
    assert!(svg.contains("15 lines, too many to name") && !svg.contains("job 3\n"), "{svg}");
    assert_eq!((svg.matches("stroke-width=\"2\"").count(), svg.matches("opacity=\"0.5\"").count()), (0, 15), "{svg}");
}

#[test]
fn runs_of_one_thing_are_a_mean_in_a_band() {
    let all = [series("a", "loss", &[2.0, 1.0]), series("a", "loss", &[4.0, 1.0]), series("b", "loss", &[3.0, 1.0])];
    let svg = drawn(&["loss"], &all, Look::Paper);
    assert!(svg.contains("a (mean of 2)\n") && svg.contains("b\n") && !svg.contains("b (mean"), "{svg}");
    assert_eq!(svg.matches("opacity=\"0.18\"").count(), 1, "one band: {svg}");
    assert!(svg.contains("a (mean of 2) from 3 to 1 at step 1"), "{svg}");
}

#[test]
fn an_axis_by_powers_or_as_asked_for() {
    let all = [series("a", "loss", &[100.0, 0.0, 0.01]), series("a", "knn_accuracy", &[0.2, 0.4])];
    let metrics = ["loss".to_owned(), "knn_accuracy".to_owned()];
    let figure = Figure { metrics: &metrics, series: &all, is_log: true, ..Figure::default() };
    let log = figure.svg().unwrap();
    for label in ["0.01\n", "1\n", "100\n", "20 %\n"] {
        assert!(log.contains(label), "{label}: {log}");
    }
    let of = |metric: &str, low, high| Range { metric: metric.to_owned(), low, high };
    let ranges = [of("", 0.0, 1.0), of("loss", 0.0, 10.0)];
    let shown = Figure { ranges: &ranges, is_log: false, ..figure }.svg().unwrap();
    assert!(shown.contains("10\n") && shown.contains("100 %\n") && !shown.contains("100\n"), "{shown}");
    // What lies beyond is cut: nothing is drawn above the panel.
    assert!(!shown.contains("points=\"88,-") && !shown.contains(",-"), "{shown}");
}

#[test]
fn steps_are_called_what_they_are() {
    let all = [Series { steps: "L-BFGS iteration".to_owned(), ..series("a", "loss", &[2.0, 1.0]) }];
    assert!(drawn(&["loss"], &all, Look::Paper).contains("L-BFGS iteration\n"));
}

#[test]
fn huge_values_do_not_keep_it_drawing_for_ever() {
    for values in [vec![1.7e308, -1.7e308, 1.0], vec![1e308, -1e308], vec![1.5e308; 1300], vec![1e305, -1e305, 0.0]] {
        let svg = drawn(&["loss"], &[series("encoder", "loss", &values)], Look::Paper);
        assert!(svg.ends_with("</svg>\n"));
    }
    assert!(!series("encoder", "loss", &[f64::NAN, f64::INFINITY, f64::MAX]).has_points());
}

#[test]
fn a_single_value_has_a_range_and_a_share_stays_one() {
    let of = |values: &[f64], is_share| range(values.iter().copied(), is_share);
    assert_eq!(of(&[4.0], false), (3.8, 4.2));
    assert_eq!(of(&[0.0], false), (-0.5, 0.5));
    assert_eq!(of(&[0.0, 10.0], false), (-0.5, 10.5));
    assert_eq!(of(&[1.0, 1.0], true), (0.95, 1.0));
    assert_eq!(of(&[0.25], true), (0.2, 0.3));
    assert_eq!(of(&[0.0, 1.0], true), (0.0, 1.0));
    assert_eq!(of(&[0.0, 2.0], true), (-0.1, 2.1), "no share, whatever its name says");
}
