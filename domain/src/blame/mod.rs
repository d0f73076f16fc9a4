//! Who is at fault for a lost attempt, and what becomes of the job: by evidence, never by default.
//!
//! A rank that ended without success says what it knows. Only a closed list of causes is the job's by itself
//! (`JobFailed`); a full disk is the machine's (`Lost`); an input that cannot be read is nobody's (`InputMissing`); for
//! the rest (`Unknown`), the job is tried elsewhere, and what happens there is the evidence: see [`job_after`].

mod evidence;
mod input;
mod job;
mod same;
#[cfg(test)]
mod tests;

pub use evidence::{Evidence, LostRank, any_kind, avoided};
pub(crate) use input::unreadable;
pub use input::{MissingInput, missing_inputs};
pub use job::{Next, job_after};
