//! The comparisons, one file each.

mod attacks;
mod augment;
mod export;
mod losses;
mod prox;

use anyhow::Result;

use crate::args::Part;
use crate::environment::Environment;
use crate::row::Row;

pub(crate) fn compare(part: Part, env: &Environment) -> Result<Vec<Row>> {
    match part {
        Part::All => {
            Part::EACH.into_iter().map(|part| compare(part, env)).collect::<Result<Vec<_>>>().map(|rows| rows.concat())
        }
        Part::Augment => augment::compare(env),
        Part::Export => export::compare(env),
        Part::Losses => losses::derivatives(env),
        Part::FiniteDifference => losses::finite_difference(env),
        Part::Prox => prox::compare(env),
        Part::Attacks => attacks::compare(env),
        Part::Alone => attacks::alone(env),
    }
}
