//! What a report is made of, before it is a page or Markdown. All texts are plain; whoever writes them out escapes them.

/// The whole report.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Document {
    pub(crate) title: String,
    /// Below the title, a line each.
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) sections: Vec<Section>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    Text(String),
    List(Vec<String>),
    Table(Table),
    Figure(Figure),
    /// What to do: words, and the command that does it, which may be empty.
    Todo(Vec<(String, String)>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) heads: Vec<String>,
    /// The first cell of each names the row.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Columns from this one on hold numbers.
    pub(crate) numbers_from: usize,
}

/// One or several lines, each with what is said smaller beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell(pub(crate) Vec<(String, String)>);

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figure {
    pub(crate) caption: String,
    /// An element `svg` whose texts are escaped.
    pub(crate) svg: String,
}

impl Cell {
    pub(crate) fn with(text: impl Into<String>, note: impl Into<String>) -> Self {
        Self(vec![(text.into(), note.into())])
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::with(text, "")
    }
}

impl Section {
    pub(crate) fn new(title: &str, blocks: Vec<Block>) -> Self {
        Self { title: title.to_owned(), blocks }
    }
}

impl Document {
    /// Sections that say something.
    pub(crate) fn add(&mut self, section: Section) {
        if !section.blocks.is_empty() {
            self.sections.push(section);
        }
    }
}
