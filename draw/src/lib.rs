//! Figures, for whoever shows them: the command line, the pages, a report. Names and numbers go in, a text comes out: SVG, or
//! lines for a terminal. Pure, and without a word of jobs as they are on the wire. With the feature `files`, SVG becomes PNG or PDF.
//!
//! What stands in an SVG is escaped, and no element has a `style`: it may stand in a page whose policy forbids these.
//! Its root is an image with a title and a description.

pub mod numbers;

mod names;
mod palette;
mod svg;

pub mod graph;
pub mod spark;

mod clip;
mod mean;
mod strokes;
mod vertical;

mod canvas;
mod lines;

mod legend;
mod panel;

pub mod bars;
pub mod plot;
pub mod radius;
pub mod scatter;

#[cfg(feature = "files")]
pub mod file;

pub use canvas::Error;
pub use svg::Look;
