//! The receipt of a result: what produced it, in the form that others verify.
//!
//! [`Environment`] is what a rank ran in, and [`Receipt`] what a job was made of and by. It is signed as a [`Statement`] of
//! in-toto, in an [`Envelope`] of DSSE; [`PublicKey`] is the house's. [`model_signature`] is the OpenSSF model signature of a
//! folder of files. [`differences`] finds what of a receipt the house shows otherwise now, [`contradictions`] what a receipt says
//! against itself, and [`compare()`] whether a job that was run anew gave the same.

mod compare;
mod contradiction;
mod difference;
mod envelope;
mod environment;
mod facts;
mod key;
mod model;
mod statement;
#[cfg(test)]
mod tests;
mod verify;

pub use compare::{Comparison, compare};
pub use contradiction::{contradictions, derived};
pub use difference::{Difference, differences};
pub use envelope::{Envelope, EnvelopeError, IN_TOTO, Signature, pae};
pub use environment::{Device, Environment, kind_differences};
pub use facts::{
    Artifact, Attempt, CHECKPOINTS_MAX, Checkpoint, FORMAT, Input, Job, Key, Rank, Receipt, Replayed, Times, figure,
    thinned,
};
pub use key::{KeyError, PublicKey};
pub use model::{File, KEY_FILE, RECEIPT_FILE, SIGNATURE_FILE, bundle, model_signature};
pub use statement::{PREDICATE, Statement, StatementError, sha256};
pub use verify::verifies;
