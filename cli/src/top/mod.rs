//! `tandem top`: the house on one screen. `state` is what is shown, `keys` what the person does with it, `page` how it looks: all
//! pure. `source` asks, `terminal` draws, `run` is the loop.

mod look;
mod state;

mod keys;

mod grid;
mod panes;

mod detail;
mod foot;

mod page;

mod source;
mod terminal;
mod typed;

mod run;

pub(crate) use look::Look;
pub(crate) use run::run;
pub(crate) use source::news;
