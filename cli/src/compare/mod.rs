//! What tells several jobs, or several experiments, apart: pure, from what the coordinator said of them.
//!
//! `pairs` finds what belongs together, `parameters` and `surroundings` in what it differs, `figures` what was measured, `images` what the
//! verdicts on the same images say; `document` is all of it, for people, for scripts and for other programs.

pub(crate) mod document;
pub(crate) mod figures;
pub(crate) mod images;
pub(crate) mod pairs;
pub(crate) mod parameters;
pub(crate) mod rows;
pub(crate) mod surroundings;
