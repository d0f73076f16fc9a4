//! Which submission of a name is meant, and where results are when the newest has none.

use tandem_proto::v1::Submission;

/// Says whose results are shown in its place.
pub(crate) fn instead(target: &str, older: &Submission) -> String {
    let Submission { id, owner, .. } = older;
    let id = id.get(..8).unwrap_or(id);
    format!("`{target}` has no results yet; these are of {id} of {owner}, the newest of this name that has some")
}

/// Which others are called so: a name is that of the newest.
pub(crate) fn others(targets: &[String], namesakes: &[Submission]) -> Option<String> {
    const NAMED: usize = 5;
    let ([target], [_, ..]) = (targets, namesakes) else { return None };
    let named =
        namesakes.iter().take(NAMED).map(|one| format!("{} of {}", one.id.get(..8).unwrap_or(&one.id), one.owner));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if namesakes.len() > NAMED { " and more" } else { "" };
    Some(format!("`{target}` is the newest of this name; others: {named}{more}"))
}

/// Goes on from a sentence about the newest one.
pub(crate) fn hint(command: &str, older: &Submission) -> String {
    let Submission { id, name, owner } = older;
    let id = id.get(..8).unwrap_or(id);
    format!(
        "; it is the newest submission of this name, an older one has some: tandem {command} {id} (`{name}` of {owner})"
    )
}
