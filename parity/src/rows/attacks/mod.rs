//! Rows 6 and 7: attacks beside those of others (`radius`, `smallest`), and on batches of any order and size (`alone`).

mod alone;
mod peers;
mod radius;
mod smallest;
mod subject;

use anyhow::Result;

use crate::environment::Environment;
use crate::row::Row;

pub(crate) use alone::compare as alone;

pub(crate) fn compare(env: &Environment) -> Result<Vec<Row>> {
    let trained = subject::Trained::get(env)?;
    let mut rows = radius::compare(env, &trained)?;
    rows.extend(smallest::compare(env, &trained)?);
    Ok(rows)
}
