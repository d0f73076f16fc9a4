//! What a coordinator sends as a receipt: taken for one if its signature is right.

use anyhow::Result;
use tandem_domain::receipt::{Envelope, PublicKey, Statement, verifies};
use tandem_proto::v1::ReceiptResponse;

use crate::exit::{Exit, Failure};

/// What the coordinator sent, if its signature is right.
pub(crate) fn opened(answer: &ReceiptResponse) -> Result<(Statement, PublicKey)> {
    let wrong = |why: String| Failure::error(Exit::Damaged, format!("the coordinator sent no receipt: {why}"));
    let envelope = Envelope::parse(answer.envelope.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let (payload, signature, _) = envelope.open().map_err(|error| wrong(error.to_string()))?;
    let key = PublicKey::from_pem(&answer.key).map_err(|error| wrong(error.to_string()))?;
    if !verifies(&key, &payload, &signature) {
        return Err(wrong("its signature does not match".to_owned()));
    }
    Ok((Statement::parse(&payload).map_err(|error| wrong(error.to_string()))?, key))
}
