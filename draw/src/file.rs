//! A figure as the bytes of a file: SVG as it is, or PNG and PDF with a font of our own, so that they look the same on every machine.

use std::{path::Path, sync::Arc};

use krilla::{
    Document,
    geom::{Size, Transform as Move},
    metadata::Metadata,
    page::PageSettings,
};
use krilla_svg::{SurfaceExt as _, SvgSettings};
use resvg::{
    render,
    tiny_skia::{Pixmap, Transform},
    usvg::{
        Options, Tree,
        fontdb::{Database, Source},
    },
};

use ttf_parser::Face;

use super::canvas::Error;

/// Name of the font in which texts are set.
const FONT: &str = "DejaVu Sans";
/// Pixels of a PNG for one of the figure: sharp in print, too.
const SHARPNESS: f32 = 2.0;
/// Most pixels of a PNG: larger figures become less sharp.
const MOST_PIXELS: f32 = 40e6;
/// Points of a PDF for a pixel: 96 and 72 are an inch.
const POINTS: f32 = 0.75;

/// What a figure can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Svg,
    Png,
    Pdf,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Svg, Self::Png, Self::Pdf];

    /// Of the file's name; `None` if its ending is another one, or if it has none.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.ending() == ending)
    }

    /// `svg`, `png`, `pdf`.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Pdf => "pdf",
        }
    }

    /// What a file holds that shows this figure, an SVG made by this crate; of a PDF, `title` is the title.
    ///
    /// # Errors
    /// If there is no memory for the pixels.
    pub fn bytes(self, svg: &str, title: &str) -> Result<Vec<u8>, Error> {
        match self {
            Self::Svg => Ok(svg.as_bytes().to_vec()),
            Self::Png => png(&tree(svg)?),
            Self::Pdf => pdf(&tree(svg)?, title),
        }
    }
}

fn png(tree: &Tree) -> Result<Vec<u8>, Error> {
    let (width, height) = (tree.size().width(), tree.size().height());
    let scale = SHARPNESS.min((MOST_PIXELS / (width * height)).sqrt());
    let pixels = |length: f32| (length * scale).ceil() as u32;
    let no_room = || Error(format!("no room for {} x {} pixels", pixels(width), pixels(height)));
    let mut pixmap = Pixmap::new(pixels(width), pixels(height)).ok_or_else(no_room)?;
    render(tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| Error(error.to_string()))
}

fn pdf(tree: &Tree, title: &str) -> Result<Vec<u8>, Error> {
    let (width, height) = (tree.size().width(), tree.size().height());
    let no_size = || Error(format!("a page of {width} x {height} pixels"));
    let page = PageSettings::from_wh(POINTS * width, POINTS * height).ok_or_else(no_size)?;
    let size = Size::from_wh(width, height).ok_or_else(no_size)?;
    let mut document = Document::new();
    document.set_metadata(Metadata::new().title(title.to_owned()));
    let mut page = document.start_page_with(page);
    let mut surface = page.surface();
    surface.push_transform(&Move::from_scale(POINTS, POINTS));
    surface.draw_svg(tree, size, SvgSettings::default()).ok_or_else(no_size)?;
    surface.pop();
    surface.finish();
    page.finish();
    document.finish().map_err(|error| Error(format!("{error:?}")))
}

fn tree(svg: &str) -> Result<Tree, Error> {
    let mut fonts = Database::new();
    for bytes in [dejavu::sans::regular(), dejavu::sans::bold()] {
        fonts.load_font_source(Source::Binary(Arc::new(bytes)));
    }
    fonts.set_sans_serif_family(FONT);
    // Reading all fonts of a machine takes a moment.
    if !has_all_letters(&fonts, svg) {
        fonts.load_system_fonts();
    }
    let options = Options { font_family: FONT.to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    Tree::from_str(svg, &options).map_err(|error| Error(error.to_string()))
}

/// Whether our own font knows how to write this.
fn has_all_letters(fonts: &Database, text: &str) -> bool {
    let Some(face) = fonts.faces().next() else { return false };
    let has = |bytes: &[u8], index| {
        let face = Face::parse(bytes, index).ok()?;
        let is_known = |char: char| char.is_control() || face.glyph_index(char).is_some();
        Some(text.chars().all(is_known))
    };
    fonts.with_face_data(face.id, has).flatten().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::{Figure, Series};

    fn figure() -> String {
        let points = (0..100).map(|step| (f64::from(step), 5.0 - f64::from(step) / 50.0)).collect();
        let series =
            [Series { name: "λ = 10 ± größe".to_owned(), metric: "loss".to_owned(), points, ..Series::default() }];
        Figure { title: "a figure", metrics: &["loss".to_owned()], series: &series, ..Figure::default() }.svg().unwrap()
    }

    #[test]
    fn a_format_by_the_end_of_the_name() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!(
            (of("a.svg"), of("b.PNG"), of("c.x.pdf")),
            (Some(Format::Svg), Some(Format::Png), Some(Format::Pdf))
        );
        assert_eq!([of("a"), of("a.jpg"), of(".svg"), of("a.svg.gz")], [None; 4]);
    }

    #[test]
    fn pixels_show_what_is_drawn() {
        let png = Format::Png.bytes(&figure(), "").unwrap();
        let pixmap = Pixmap::decode_png(&png).unwrap();
        assert_eq!((pixmap.width(), pixmap.height()), (2 * 1240, 2 * 380));
        let has = |red, green, blue| {
            pixmap.pixels().iter().any(|pixel| (pixel.red(), pixel.green(), pixel.blue()) == (red, green, blue))
        };
        assert!(has(255, 255, 255) && has(0, 114, 178), "the ground and the line");
        // The name in the legend: without a font, nothing would be dark there.
        let dark = |x: u32, y: u32| pixmap.pixel(x, y).is_some_and(|pixel| pixel.red() < 100 && pixel.blue() < 100);
        let letters = (2 * 934..2 * 1100).flat_map(|x| (2 * 34..2 * 54).map(move |y| (x, y)));
        assert!(letters.filter(|(x, y)| dark(*x, *y)).count() > 100);
    }

    #[test]
    fn a_document_holds_its_texts() {
        let pdf = Format::Pdf.bytes(&figure(), "a figure").unwrap();
        assert!(pdf.starts_with(b"%PDF-"), "{:?}", &pdf[..8]);
        let has = |text: &[u8]| pdf.windows(text.len()).any(|part| part == text);
        assert!(has(b"DejaVuSans") && has(b"/MediaBox[0 0 930 285]"), "{}", String::from_utf8_lossy(&pdf));
        assert_eq!(pdf, Format::Pdf.bytes(&figure(), "a figure").unwrap(), "the same bytes each time");
        assert!(pdf.len() < 100_000, "the font is cut down: {}", pdf.len());
    }

    #[test]
    fn a_huge_figure_is_less_sharp() {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1240\" height=\"38000\"/>";
        let pixmap = Pixmap::decode_png(&Format::Png.bytes(svg, "").unwrap()).unwrap();
        assert!(pixmap.width() < 1240 && pixmap.height() > 30_000);
    }

    #[test]
    fn letters_that_our_font_lacks_are_looked_for() {
        let mut fonts = Database::new();
        fonts.load_font_source(Source::Binary(Arc::new(dejavu::sans::regular())));
        assert!(has_all_letters(&fonts, "größe λ Ж …\n") && !has_all_letters(&fonts, "日本"));
        assert!(Format::Png.bytes(&figure().replace("größe", "日本"), "").is_ok());
    }
}
