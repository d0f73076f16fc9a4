//! Where results are, when the newest submission of a name has none.

use tandem_proto::v1::Submission;

/// Goes on from a sentence about the newest one.
pub(crate) fn hint(command: &str, older: &Submission) -> String {
    let Submission { id, name, owner } = older;
    let id = id.get(..8).unwrap_or(id);
    format!(
        "; it is the newest submission of this name, an older one has some: tandem {command} {id} (`{name}` of {owner})"
    )
}
