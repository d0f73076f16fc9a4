//! SVG as text: elements, and the root that all figures share.

use std::fmt::Write as _;

use super::palette::{AXIS, FRAME, GRID, TEXT, WHITE, hex};

/// Where a figure stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// In a file of its own: on white, of a size in pixels.
    #[default]
    Paper,
    /// In a page: as wide as there is room, without a ground, text in the colour of the page's text.
    Page,
}

/// The outermost element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'a> {
    pub(crate) class: &'a str,
    /// In pixels, or in units of what scales.
    pub(crate) size: (u32, u32),
    pub(crate) look: Look,
    /// In a page, as wide as there is room.
    pub(crate) is_fluid: bool,
    /// Readers of a screen may go into it, since there are links.
    pub(crate) is_group: bool,
    /// What these are told: a name, and what is to be seen.
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
}

/// What a reader sees as it stands there. XML has no character for some; those that change the direction of what follows
/// would show a name as another.
pub(crate) fn printable(text: &str) -> String {
    let shown = |char: char| match char {
        '\t' | '\n' => ' ',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
        char => char,
    };
    text.chars().map(shown).collect()
}

/// Of a text or of an attribute's value.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in printable(text).chars() {
        match char {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            char => safe.push(char),
        }
    }
    safe
}

/// `<name a="b"/>`, or with `inside`, which is SVG already.
pub(crate) fn element(name: &str, attributes: &[(&str, String)], inside: &str) -> String {
    let mut text = format!("<{name}");
    for (key, value) in attributes {
        // Writing to a string cannot fail.
        let _ = write!(text, " {key}=\"{}\"", escaped(value));
    }
    if inside.is_empty() {
        text.push_str("/>\n");
    } else {
        let _ = writeln!(text, ">{inside}</{name}>");
    }
    text
}

impl Root<'_> {
    /// A whole figure: `inside` is SVG already.
    pub(crate) fn around(&self, inside: &str) -> String {
        let (width, height) = self.size;
        let mut attributes = vec![
            ("xmlns", "http://www.w3.org/2000/svg".to_owned()),
            ("viewBox", format!("0 0 {width} {height}")),
            ("class", format!("figure {}", self.class)),
            ("role", if self.is_group { "group" } else { "img" }.to_owned()),
            ("aria-label", self.title.to_owned()),
        ];
        if self.look == Look::Page && self.is_fluid {
            attributes.push(("width", "100%".to_owned()));
        } else {
            attributes.extend([("width", width.to_string()), ("height", height.to_string())]);
        }
        let mut all = format!("\n{}", element("title", &[], &escaped(self.title)));
        if !self.description.is_empty() {
            all.push_str(&element("desc", &[], &escaped(self.description)));
        }
        if self.look == Look::Paper {
            let whole = |name: &'static str| (name, "100%".to_owned());
            all.push_str(&element("rect", &[whole("width"), whole("height"), ("fill", hex(WHITE))], ""));
        }
        if self.look == Look::Page {
            all.push_str(&in_page_colours(inside));
        } else {
            all.push_str(inside);
        }
        element("svg", &attributes, &all)
    }

    /// What plotters has drawn, under our own root.
    pub(crate) fn adopt(&self, drawn: &str) -> String {
        let inside = drawn.split_once('>').map_or(drawn, |(_, inside)| inside).trim();
        let inside = inside.strip_suffix("</svg>").unwrap_or(inside).trim();
        self.around(&format!("{inside}\n"))
    }
}

/// Black on white would not be seen on a dark page. A quote in a text is escaped, so that these are attributes.
fn in_page_colours(drawn: &str) -> String {
    let mut text = drawn.to_owned();
    for colour in ["#000000".to_owned(), hex(TEXT), hex(AXIS)] {
        text = text.replace(&format!("=\"{colour}\""), "=\"currentColor\"");
    }
    for colour in [GRID, FRAME] {
        let faint = "stroke=\"currentColor\" stroke-opacity=\"0.15\"";
        text = text.replace(&format!("stroke=\"{}\"", hex(colour)), faint);
    }
    // The ground of a legend that lies over lines.
    text.replace(&format!("fill=\"{}\"", hex(WHITE)), "fill=\"none\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_texts() {
        assert_eq!(escaped("a<b>&\"'c"), "a&lt;b&gt;&amp;&quot;&#39;c");
        assert_eq!(escaped("a\u{0}\u{202e}\u{1b}\nb"), "a\u{fffd}\u{fffd}\u{fffd} b");
    }

    #[test]
    fn a_figure_tells_what_it_shows() {
        let root = |look| Root {
            class: "curves",
            size: (10, 20),
            look,
            is_fluid: true,
            is_group: false,
            title: "loss of <x>",
            description: "",
        };
        let page = root(Look::Page).around("<g/>");
        assert!(page.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 10 20\""), "{page}");
        assert!(page.contains("role=\"img\"") && page.contains("<title>loss of &lt;x&gt;</title>"), "{page}");
        assert!(
            page.contains("width=\"100%\"") && !page.contains("height=\"20\"") && !page.contains("<desc"),
            "{page}"
        );
        let paper = root(Look::Paper).around("<g/>");
        assert!(paper.contains("height=\"20\"") && paper.contains("#FFFFFF"), "{paper}");
    }
}
