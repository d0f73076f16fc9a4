//! Jobs that several submissions want, when one of them is cancelled.

use std::collections::BTreeSet;

use tandem_proto::v1::{SharedJob, Submission};

use super::units;

/// One line for the jobs that go on because of the same submissions, and one for each that ended for several.
pub(crate) fn lines(shared: &[SharedJob]) -> Vec<String> {
    let ids = shared.iter().flat_map(|job| &job.wanted_by).map(|wanted| wanted.id.as_str());
    let length = units::id_length(ids);
    let mut lines = Vec::new();
    let mut rest: Vec<&SharedJob> = shared.iter().collect();
    while let Some(first) = rest.first().copied() {
        let (alike, others) =
            rest.into_iter().partition(|job| job.cancelled == first.cancelled && job.wanted_by == first.wanted_by);
        lines.push(line(alike, first, length));
        rest = others;
    }
    lines
}

fn line(jobs: Vec<&SharedJob>, first: &SharedJob, length: usize) -> String {
    let names: Vec<String> = jobs.iter().take(3).map(|job| format!("`{}`", job.name)).collect();
    let more = jobs.len() - names.len();
    let names = if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") };
    let wanted: Vec<String> = first.wanted_by.iter().map(|one| described(one, length)).collect();
    let wanted = wanted.join(", ");
    if first.cancelled {
        return format!("{names}: cancelled for all that wanted it: {wanted}");
    }
    let commands: BTreeSet<String> =
        first.wanted_by.iter().map(|one| format!("tandem cancel {}", units::short_id(&one.id, length))).collect();
    let commands: Vec<String> = commands.into_iter().collect();
    let (goes, wants, end) = (
        if jobs.len() == 1 { "goes on" } else { "go on" },
        if first.wanted_by.len() == 1 { "wants" } else { "want" },
        if first.wanted_by.len() == 1 { "this ends it" } else { "together these end it" },
    );
    let it = if jobs.len() == 1 { "it" } else { "them" };
    format!("{names} {goes}: {wanted} {wants} {it}, too; {end}: {}", commands.join("; "))
}

/// `can` (2ddecc70, ann).
fn described(submission: &Submission, length: usize) -> String {
    format!("`{}` ({}, {})", submission.name, units::short_id(&submission.id, length), submission.owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, cancelled: bool, wanted_by: &[(&str, &str)]) -> SharedJob {
        let wanted_by = wanted_by.iter().map(|(id, owner)| Submission {
            id: (*id).to_owned(),
            name: "can".to_owned(),
            owner: (*owner).to_owned(),
        });
        SharedJob { name: name.to_owned(), cancelled, wanted_by: wanted_by.collect(), ..SharedJob::default() }
    }

    #[test]
    fn what_goes_on_says_for_whom_and_what_ends_it() {
        let one = [("2ddecc70-0000", "ann")];
        assert_eq!(
            lines(&[job("enc", false, &one), job("lin", false, &one)]),
            ["`enc`, `lin` go on: `can` (2ddecc70, ann) wants them, too; this ends it: tandem cancel 2ddecc70"]
        );
        let two = [("2ddecc70-0000", "ann"), ("f1d8f6d9-0000", "bob")];
        assert_eq!(
            lines(&[job("enc", false, &two)]),
            ["`enc` goes on: `can` (2ddecc70, ann), `can` (f1d8f6d9, bob) want it, too; together these end it: \
                 tandem cancel 2ddecc70; tandem cancel f1d8f6d9"]
        );
        assert_eq!(
            lines(&[job("enc", true, &two)]),
            ["`enc`: cancelled for all that wanted it: `can` (2ddecc70, ann), `can` (f1d8f6d9, bob)"]
        );
    }
}
