//! Whether the result that is asked for by name exists at all.

use std::collections::BTreeSet;

use anyhow::Result;
use tandem_proto::v1::Job;

use crate::{
    exit::{Exit, Failure},
    render::job,
};

/// Names at least so alike are taken for a slip of the keyboard.
const ALIKE: f64 = 0.8;
const MOST_NAMES: usize = 5;

/// `jobs` are sorted by the result, those without it last: if the first have none, nobody has.
pub(super) fn check(name: &str, jobs: &[Job]) -> Result<()> {
    if jobs.is_empty() || jobs.iter().any(|one| job::value(&one.results, name).is_some()) {
        return Ok(());
    }
    let known: BTreeSet<&str> = jobs.iter().flat_map(|job| &job.results).map(|result| result.name.as_str()).collect();
    let mut alike: Vec<(f64, &str)> = known.iter().map(|other| (strsim::jaro_winkler(name, other), *other)).collect();
    alike.retain(|(likeness, _)| *likeness >= ALIKE);
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (intro, names): (&str, Vec<&str>) = match alike.as_slice() {
        [] => ("there are", known.into_iter().collect()),
        alike => ("did you mean", alike.iter().take(MOST_NAMES).map(|(_, other)| *other).collect()),
    };
    let hint = if names.is_empty() { String::new() } else { format!("; {intro} `{}`", names.join("`, `")) };
    Err(Failure::error(Exit::NotFound, format!("no finished job has a result called `{name}`{hint}")))
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Scalar;

    use super::*;
    use crate::exit::classify;

    #[test]
    fn an_unknown_result_is_refused_and_close_names_are_named() {
        let scalar = |name: &str| Scalar { name: name.to_owned(), value: 0.5 };
        let jobs = [Job { results: vec![scalar("test_accuracy"), scalar("loss")], ..Job::default() }];
        assert!(check("test_accuracy", &jobs).is_ok());
        assert!(check("whatever", &[]).is_ok(), "there are no results yet");
        let (exit, message) = classify(&check("test_acuracy", &jobs).unwrap_err());
        assert_eq!(exit, Exit::NotFound);
        assert_eq!(
            message.as_deref(),
            Some("no finished job has a result called `test_acuracy`; did you mean `test_accuracy`")
        );
        let message = check("xyz", &jobs).unwrap_err().to_string();
        assert!(message.ends_with("there are `loss`, `test_accuracy`"), "{message}");
    }
}
