//! The page: what the house does, as a browser shows it. Drawn on the server; correct without script, live with it.
//!
//! [`text`] makes texts of others harmless, [`units`] has numbers and times in words, [`block`] the pieces that a page consists of
//! and [`place`] which page an address names. [`view`] draws each. [`live`] draws them anew while somebody looks, and [`follow`] tells that one. [`frame`] is what
//! stands around, [`answer`] what a handler gives back, [mod@dress] what every answer carries. [`origin`] says whether a form is our own, [`login`]
//! begins and ends sessions, [`actions`] does what buttons ask for, [`files`] hands out what jobs left, [`assets`] are the
//! stylesheet and the script; [`show`] is the handler of pages, [mod@router] joins all.

mod actions;
mod answer;
mod assets;
mod block;
mod dress;
mod files;
mod follow;
mod form;
mod frame;
mod house;
mod live;
mod login;
mod origin;
mod place;
mod router;
mod show;
mod text;
mod units;
mod view;

pub(crate) use dress::dress;
pub(crate) use house::House;
pub(crate) use live::Lives;
pub(crate) use router::router;
