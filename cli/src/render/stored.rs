//! Who has how much in the store.

use tandem_proto::v1::StoredResponse;

use super::{
    table::{Rows, Style},
    units,
};

pub(crate) fn page(stored: &StoredResponse, style: Style) -> String {
    let mut people = Rows::new(style, &["PERSON", "STORED", "OF"]);
    for one in &stored.people {
        people.row([
            one.person.as_str().into(),
            units::bytes(one.bytes).into(),
            one.limit_bytes.map(units::bytes).unwrap_or_default().into(),
        ]);
    }
    people.right(1);
    people.right(2);
    let mut page = people.to_string();
    if !stored.largest.is_empty() {
        let length = units::id_length(stored.largest.iter().map(|job| job.job_id.as_str()));
        let mut jobs = Rows::new(style, &["ID", "EXPERIMENT", "JOB", "ARTIFACTS", "CHECKPOINTS", "TAGS"]);
        for job in &stored.largest {
            jobs.row([
                units::short_id(&job.job_id, length).into(),
                job.experiment.as_str().into(),
                job.name.as_str().into(),
                units::bytes(job.artifact_bytes).into(),
                units::bytes(job.checkpoint_bytes).into(),
                job.tags.join(", ").into(),
            ]);
        }
        jobs.right(3);
        jobs.right(4);
        jobs.less_needed(&[("TAGS", 2), ("ID", 1)]);
        page.push_str(&format!("\nLargest jobs\n{jobs}"));
    }
    if stored.removing_bytes > 0 {
        page.push_str(&format!("\n{} of what was deleted is being removed\n", units::bytes(stored.removing_bytes)));
    }
    page
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{StoredBy, StoredJob};

    use super::*;

    #[test]
    fn people_limits_and_the_largest_jobs() {
        let person = |name: &str, bytes, limit_bytes| StoredBy { person: name.to_owned(), bytes, limit_bytes };
        let job = StoredJob {
            job_id: "11111111-a".to_owned(),
            experiment: "table1".to_owned(),
            name: "encoder".to_owned(),
            checkpoint_bytes: 2_000_000,
            tags: vec!["best".to_owned()],
            ..StoredJob::default()
        };
        let stored = StoredResponse {
            people: vec![person("ann", 3_000_000, Some(5_000_000)), person("bob", 1, None)],
            largest: vec![job],
            removing_bytes: 7_000_000,
        };
        let text = page(&stored, Style::default());
        for part in ["ann", "2.9 MiB", "4.8 MiB", "table1", "encoder", "1.9 MiB", "best", "6.7 MiB of what was deleted"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
