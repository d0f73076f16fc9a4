//! Where the next page of an answer begins, as a text that is given back.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::question::Question;
use crate::{
    error::{Error, Result},
    store::asked::Place,
};

/// What a page begins behind.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Behind {
    Job(Place),
    Groups(i64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    /// Of the question that it belongs to.
    of: u32,
    behind: Behind,
}

/// A number for a question: a cursor goes on with the same one alone.
fn number_of(question: &Question) -> u32 {
    let Question { condition, also, states, target, owner, mine, since, tag, order, ascending, by, .. } = question;
    let text = format!(
        "{condition}\0{also}\0{states:?}\0{target}\0{owner}\0{mine}\0{since}\0{tag}\0{order}\0{ascending:?}\0{by:?}"
    );
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(text.as_bytes()));
    u32::from_be_bytes([a, b, c, d])
}

pub(super) fn written(question: &Question, behind: Behind) -> String {
    let cursor = Cursor { of: number_of(question), behind };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
}

pub(super) fn behind(question: &Question) -> Result<Option<Behind>> {
    if question.cursor.is_empty() {
        return Ok(None);
    }
    let broken = || Error::Invalid("the cursor is not as it was given; ask again without it".to_owned());
    let bytes = URL_SAFE_NO_PAD.decode(&question.cursor).map_err(|_| broken())?;
    let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| broken())?;
    if cursor.of == number_of(question) { Ok(Some(cursor.behind)) } else { Err(other_question()) }
}

pub(super) fn other_question() -> Error {
    Error::Invalid("the cursor belongs to another question; ask the same one again, or leave it out".to_owned())
}
