//! From wire messages to text: pure, so that what people see is tested without a terminal.

pub(crate) mod asked;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod best;
pub(crate) mod cleaned;
pub(crate) mod compare;
pub(crate) mod csv;
pub(crate) mod curves;
pub(crate) mod datasets;
pub(crate) mod deleted;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod experiments;
pub(crate) mod fit;
pub(crate) mod history;
pub(crate) mod job;
pub(crate) mod job_specs;
pub(crate) mod labels;
pub(crate) mod notify;
pub(crate) mod older;
pub(crate) mod people;
pub(crate) mod pivot;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod progress;
pub(crate) mod receipt;
pub(crate) mod results;
pub(crate) mod screen;
pub(crate) mod shared;
pub(crate) mod show;
pub(crate) mod sparks;
pub(crate) mod spread;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod stored;
pub(crate) mod table;
pub(crate) mod units;
pub(crate) mod views;
pub(crate) mod why;

#[cfg(test)]
mod tests;
pub(crate) mod usage;
