//! Figures, for whoever shows them: the command line, the pages, a report. Names and numbers go in, a text comes out: SVG, or
//! lines for a terminal. Pure, and without a word of jobs as they are on the wire.
//!
//! What stands in an SVG is escaped, and no element has a `style`: it may stand in a page whose policy forbids these.
//! Its root is an image with a title and a description.

pub mod numbers;

mod names;
mod palette;
mod svg;

pub mod graph;
pub mod spark;

mod canvas;
mod legend;
mod panel;

pub mod plot;
pub mod radius;

pub use canvas::Error;
pub use svg::Look;
