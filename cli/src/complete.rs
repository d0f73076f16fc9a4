//! Completion of names in a shell: the coordinator is asked which there are, and has a second for it. What cannot be asked completes
//! nothing: a shell is no place for errors.

use std::{collections::BTreeSet, env, ffi::OsStr, path::PathBuf, time::Duration};

use clap_complete::engine::CompletionCandidate;
use tandem_proto::v1::{ExperimentsRequest, ListRequest, ListViewsRequest, StatusRequest};
use tokio::{runtime::Builder, time::timeout};

use crate::{
    client::Client,
    output::Output,
    printable,
    render::{experiments, units},
    target::{Named, Target},
};

/// The variable by which a shell asks.
pub(crate) const VARIABLE: &str = "TANDEM_COMPLETE";
const WITHIN: Duration = Duration::from_secs(1);
/// The newest; more would fill the screen.
const MOST: u32 = 200;

/// Experiments by name, and what begins with the characters of an id; behind a slash, the jobs of an experiment.
pub(crate) fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy().into_owned();
    asked(async |client| match typed.rsplit_once('/') {
        Some((experiment, _)) => jobs(client, experiment).await,
        None => {
            let mut found = names(client).await?;
            if is_beginning_of_id(&typed) {
                found.extend(ids(client, &typed).await?);
            }
            Some(found)
        }
    })
    .into_iter()
    .filter(|(word, _)| word.starts_with(&typed) && is_plain(word))
    .map(|(word, help)| CompletionCandidate::new(word).help(Some(printable::line(&help).into_owned().into())))
    .collect()
}

/// Workers by name.
pub(crate) fn workers(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy().into_owned();
    let names = asked(async |client| {
        let status = client.services().fleet().status(StatusRequest {}).await.ok()?.into_inner();
        Some(status.workers.into_iter().map(|worker| (worker.name, String::new())).collect())
    });
    let names = names.into_iter().filter(|(name, _)| name.starts_with(&typed) && is_plain(name));
    names.map(|(name, _)| CompletionCandidate::new(name)).collect()
}

/// One's own views by name, those of others as OWNER/NAME.
pub(crate) fn views(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy().into_owned();
    let names = asked(async |client| {
        let all = client.services().results().list_views(ListViewsRequest { all: true }).await.ok()?.into_inner();
        let own = client.services().results().list_views(ListViewsRequest { all: false }).await.ok()?.into_inner();
        let others = all.views.into_iter().map(|view| format!("{}/{}", view.owner, view.name));
        Some(own.views.into_iter().map(|view| view.name).chain(others).map(|name| (name, String::new())).collect())
    });
    let names = names.into_iter().filter(|(name, _)| name.starts_with(&typed) && is_plain(name));
    names.map(|(name, _)| CompletionCandidate::new(name)).collect()
}

type Words = Vec<(String, String)>;

fn asked(ask: impl AsyncFnOnce(&Client) -> Option<Words>) -> Words {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return Words::new() };
    let words = runtime.block_on(async {
        let answer = async {
            let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
            let named = Named {
                server: set("TANDEM_SERVER"),
                context: set("TANDEM_CONTEXT"),
                token_file: set("TANDEM_TOKEN_FILE").map(PathBuf::from),
            };
            let client = Client::new(Target::resolve(named, &Output::silent()).await.ok()?).ok()?;
            ask(&client).await
        };
        timeout(WITHIN, answer).await.ok().flatten()
    });
    // A connection that is still being made is not waited for.
    runtime.shutdown_background();
    words.unwrap_or_default()
}

async fn names(client: &Client) -> Option<Words> {
    let request = ExperimentsRequest { limit: MOST, ..ExperimentsRequest::default() };
    let experiments = client.services().jobs().experiments(request).await.ok()?.into_inner().experiments;
    let mut seen = BTreeSet::new();
    // A name stands for its newest experiment.
    let newest = experiments.into_iter().filter(|one| seen.insert(one.name.clone()));
    Some(newest.map(|one| (one.name.clone(), format!("of {}, {}", one.owner, experiments::done(&one)))).collect())
}

async fn jobs(client: &Client, experiment: &str) -> Option<Words> {
    let request = ListRequest { limit: MOST, experiment: experiment.to_owned(), ..ListRequest::default() };
    let jobs = client.services().jobs().list(request).await.ok()?.into_inner().jobs;
    Some(jobs.into_iter().map(|job| (format!("{experiment}/{}", job.name), String::new())).collect())
}

async fn ids(client: &Client, typed: &str) -> Option<Words> {
    let request = ListRequest { limit: MOST, ..ListRequest::default() };
    let jobs = client.services().jobs().list(request).await.ok()?.into_inner().jobs;
    let length = units::id_length(jobs.iter().map(|job| job.id.as_str())).max(typed.len());
    let named = |job: tandem_proto::v1::Job| {
        (units::short_id(&job.id, length).to_owned(), format!("{}/{}", job.experiment_name, job.name))
    };
    Some(jobs.into_iter().filter(|job| job.id.starts_with(typed)).map(named).collect())
}

fn is_beginning_of_id(typed: &str) -> bool {
    typed.len() >= 2 && typed.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// What a shell would read otherwise is not offered.
fn is_plain(word: &str) -> bool {
    printable::is(word) && !word.is_empty() && !word.starts_with('-') && !word.chars().any(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_offered() {
        assert!(is_plain("sweep/encoder[lr=0.1]") && is_plain("größe"));
        assert!(!is_plain("a b") && !is_plain("-rf") && !is_plain("a\u{1b}[2J") && !is_plain(""));
        assert!(is_beginning_of_id("01a-") && !is_beginning_of_id("0") && !is_beginning_of_id("table1"));
    }
}
