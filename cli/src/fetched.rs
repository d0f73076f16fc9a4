//! What `tandem fetch` puts beside the files of a job, so that others can tell later what they are: the receipt, the house's
//! public key, and a signature over all of them that PyPI's `model-signing` verifies.

use std::path::Path;

use anyhow::Result;
use tandem_domain::receipt::{KEY_FILE, RECEIPT_FILE, SIGNATURE_FILE};
use tandem_proto::{status::Code, v1::ReceiptRequest};

use crate::{client::Client, files, output::Output, printable::line};

/// Writes them into `folder`, for the artifacts of `job` (its id) that are called `names` there. Of a job that has no receipt it
/// says why, and that is no failure: its files are whole.
///
/// They are of this fetch, and replace what one before left.
pub(crate) async fn prove(
    client: &Client,
    output: &Output,
    job: &str,
    folder: &Path,
    names: Vec<String>,
) -> Result<()> {
    let request = ReceiptRequest { target: job.to_owned(), files: names };
    let answer = match client.try_each(async |on| on.results().receipt(request.clone()).await).await {
        Ok(answer) => answer,
        Err(refusal) => match refusal.code() {
            Some(Code::WrongState) => {
                output.note(&format!("without a receipt: {}", line(refusal.message())));
                return Ok(());
            }
            Some(Code::Unsupported) => {
                output.note("without a receipt: this coordinator is of a version that keeps none");
                return Ok(());
            }
            _ => return Err(client.error(&refusal, "fetch the receipt").await),
        },
    };
    let beside =
        [(RECEIPT_FILE, &answer.envelope), (KEY_FILE, &answer.house_key), (SIGNATURE_FILE, &answer.model_signature)];
    for (name, text) in beside {
        files::write(&folder.join(name), text.as_bytes(), true)?;
    }
    if let Some(first) = answer.differences.first() {
        output.note(&format!(
            "the house shows something else of {} than was signed, first {}: `tandem receipt {}` says more",
            line(&answer.job_name),
            line(&first.field),
            line(&answer.job_id)
        ));
    }
    Ok(())
}
