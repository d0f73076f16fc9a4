//! The jobs of an experiment as a graph: what starts from what, and how each does.

mod gather;
mod layout;
mod node;

pub use node::{Node, State};

use gather::{Seen, gather};

use super::{
    names,
    palette::{FRAME, TEXT, hex},
    svg::{Look, Root, element, escaped},
};

/// Of a node, in pixels, and what lies between two.
const BOX: (u32, u32) = (220, 50);
const GAP: (u32, u32) = (56, 14);
const MARGIN: u32 = 8;
/// Letters that a box has room for.
const LETTERS: usize = 27;

/// An SVG; `edges` lead from what is started from to what starts, by places in `nodes`. Each node is a `g` of class `node` and
/// of its state, so that a page can colour it.
#[must_use]
pub fn svg(title: &str, nodes: &[Node], edges: &[(usize, usize)], look: Look) -> String {
    let Seen { nodes, edges, left_out } = gather(nodes, edges);
    let layers = layout::layers(nodes.len(), &edges);
    let tallest = layers.iter().map(Vec::len).max().unwrap_or(0);
    let (columns, rows) = (across(layers.len(), BOX.0, GAP.0), across(tallest, BOX.1, GAP.1));
    let mut places = vec![(0, 0); nodes.len()];
    for (column, layer) in layers.iter().enumerate() {
        // Shorter layers stand in the middle.
        let above = (rows - across(layer.len(), BOX.1, GAP.1)) / 2;
        for (row, node) in layer.iter().enumerate() {
            places[*node] = (MARGIN + along(column, BOX.0, GAP.0), MARGIN + above + along(row, BOX.1, GAP.1));
        }
    }
    let mut inside: String = edges.iter().map(|(from, to)| edge(places[*from], places[*to])).collect();
    let labels: Vec<&str> = nodes.iter().map(|node| node.label.as_str()).collect();
    for ((node, label), place) in nodes.iter().zip(names::distinct(&labels, LETTERS)).zip(&places) {
        inside.push_str(&draw(node, &label, *place));
    }
    let more = if left_out > 0 { format!("; {left_out} more are not drawn") } else { String::new() };
    let root = Root {
        class: "graph",
        size: (columns + 2 * MARGIN, rows + 2 * MARGIN),
        look,
        is_fluid: false,
        is_group: nodes.iter().any(|node| node.link.is_some()),
        title,
        description: &format!("{}{more}", description(&nodes, &edges)),
    };
    root.around(&inside)
}

fn along(place: usize, size: u32, gap: u32) -> u32 {
    u32::try_from(place).unwrap_or(0) * (size + gap)
}

fn across(count: usize, size: u32, gap: u32) -> u32 {
    along(count, size, gap).saturating_sub(gap)
}

/// `encoder: running; linear: blocked, starts from encoder`.
fn description(nodes: &[Node], edges: &[(usize, usize)]) -> String {
    let words = |(place, node): (usize, &Node)| {
        let from: Vec<&str> =
            edges.iter().filter(|edge| edge.1 == place).map(|edge| nodes[edge.0].label.as_str()).collect();
        let from = if from.is_empty() { String::new() } else { format!(", starts from {}", from.join(", ")) };
        format!("{}: {}{from}", node.label, node.state.word())
    };
    nodes.iter().enumerate().map(words).collect::<Vec<_>>().join("; ")
}

fn edge((from_x, from_y): (u32, u32), (to_x, to_y): (u32, u32)) -> String {
    let (start, end) = ((from_x + BOX.0, from_y + BOX.1 / 2), (to_x, to_y + BOX.1 / 2));
    let (out, back) = (start.0 + GAP.0 / 2, end.0.saturating_sub(GAP.0 / 2));
    let path = format!("M{} {}C{out} {} {back} {} {} {}", start.0, start.1, start.1, end.1, end.0, end.1);
    let stroke = [("stroke", hex(FRAME)), ("stroke-width", "1.5".to_owned())];
    let class = ("class", "edge".to_owned());
    element("path", &[&[class, ("fill", "none".to_owned()), ("d", path)], &stroke[..]].concat(), "")
}

fn draw(node: &Node, label: &str, (x, y): (u32, u32)) -> String {
    let colour = colour(node.state);
    let state = node.state.word();
    let second = if node.note.is_empty() { state.to_owned() } else { node.note.clone() };
    let second = names::distinct(&[&second], LETTERS + 4).concat();
    let mut inside = element("title", &[], &escaped(&format!("{}: {state}. {}", node.label, node.note)));
    let frame = [("fill", colour.to_owned()), ("fill-opacity", "0.12".to_owned()), ("stroke", colour.to_owned())];
    inside.push_str(&rect("box", (x, y), BOX, &frame));
    if let Some(done) = node.done.filter(|done| *done > 0.0) {
        let width = (f64::from(BOX.0) * done.clamp(0.0, 1.0)).round() as u32;
        inside.push_str(&rect("done", (x, y + BOX.1 - 4), (width, 4), &[("fill", colour.to_owned())]));
    }
    inside.push_str(&text("label", (x + 10, y + 21), "14", label));
    inside.push_str(&text("note", (x + 10, y + 38), "12", &second));
    let group = element("g", &[("class", format!("node {state}"))], &inside);
    match &node.link {
        Some(link) => element("a", &[("href", link.clone())], &group),
        None => group,
    }
}

fn rect(class: &str, (x, y): (u32, u32), (width, height): (u32, u32), more: &[(&str, String)]) -> String {
    let number = |name: &'static str, value: u32| (name, value.to_string());
    let own = [("class", class.to_owned()), number("x", x), number("y", y), number("rx", 2)];
    let size = [number("width", width), number("height", height)];
    element("rect", &[&own[..], &size, more].concat(), "")
}

fn text(class: &str, (x, y): (u32, u32), size: &str, text: &str) -> String {
    let place = [("class", class.to_owned()), ("x", x.to_string()), ("y", y.to_string())];
    let font = [("font-family", "sans-serif".to_owned()), ("font-size", size.to_owned()), ("fill", hex(TEXT))];
    element("text", &[&place[..], &font].concat(), &escaped(text))
}

fn colour(state: State) -> &'static str {
    match state {
        State::Blocked | State::Cancelled => "#777777",
        State::Queued => "#B87700",
        State::Running => "#0072B2",
        State::Succeeded => "#00805E",
        State::Failed => "#C03A2B",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(label: &str, state: State) -> Node {
        Node { label: label.to_owned(), group: label.to_owned(), state, ..Node::default() }
    }

    #[test]
    fn what_starts_from_another_stands_to_its_right() {
        let mut nodes =
            [node("encoder", State::Running), node("linear", State::Blocked), node("tuned", State::Blocked)];
        nodes[0].done = Some(0.5);
        nodes[0].note = "41 %, 3 min left".to_owned();
        let svg = svg("demo", &nodes, &[(0, 1), (0, 2)], Look::Page);
        assert!(svg.contains("viewBox=\"0 0 512 130\""), "{svg}");
        assert!(svg.contains("class=\"node running\"") && svg.contains("41 %, 3 min left"), "{svg}");
        assert!(svg.contains("linear: blocked, starts from encoder") && svg.contains("role=\"img\""), "{svg}");
        assert_eq!((svg.matches("class=\"edge\"").count(), svg.matches("class=\"done\"").count()), (2, 1));
        assert!(!svg.contains("style=") && !svg.contains("#3C3C3C") && svg.contains("currentColor"), "{svg}");
    }

    #[test]
    fn links_can_be_reached_and_names_forge_nothing() {
        let evil = Node { link: Some("/job/\"><script>".to_owned()), ..node("</text><script>", State::Failed) };
        let svg = svg("<x>", &[evil], &[], Look::Page);
        assert!(svg.contains("role=\"group\"") && svg.contains("<a href=\"/job/&quot;&gt;"), "{svg}");
        assert!(!svg.contains("<script"), "{svg}");
        assert!(super::svg("", &[], &[], Look::Paper).contains("<svg"));
    }
}
