//! What goes with age. What a policy does not set stays for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::span;

/// Spans are counted from the end of a job, or of an experiment's last job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Checkpoints of jobs that have ended.
    #[serde(with = "span", skip_serializing_if = "Option::is_none")]
    pub checkpoints_after: Option<Duration>,
    /// Curves of jobs that have ended are thinned ...
    #[serde(with = "span", skip_serializing_if = "Option::is_none")]
    pub points_after: Option<Duration>,
    /// ... to so many points each.
    pub points: u32,
    /// Experiments go out of the lists.
    #[serde(with = "span", skip_serializing_if = "Option::is_none")]
    pub archive_after: Option<Duration>,
    /// Experiments are deleted.
    #[serde(with = "span", skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<Duration>,
    /// Of each stage of an experiment, checkpoints and curves of so many of the best jobs stay, ...
    pub keep_best: u32,
    /// ... and of so many of the last.
    pub keep_last: u32,
    /// Nothing goes of what has ended less long ago.
    #[serde(with = "span", skip_serializing_if = "Option::is_none")]
    pub keep_younger: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            checkpoints_after: None,
            points_after: None,
            points: 1000,
            archive_after: None,
            delete_after: None,
            keep_best: 1,
            keep_last: 1,
            keep_younger: None,
        }
    }
}

/// A slip of the pen should not cost what was made today.
const LEAST: Duration = Duration::from_secs(3600);
/// With fewer a curve shows nothing, and more are no thinning.
const POINTS_LEAST: u32 = 10;
const POINTS_MOST: u32 = 1_000_000;

impl Retention {
    /// Whether anything goes at all.
    pub fn removes(&self) -> bool {
        [self.checkpoints_after, self.points_after, self.archive_after, self.delete_after].iter().any(Option::is_some)
    }

    /// `after`, and no less than what keeps everything.
    pub fn at_least(&self, after: Duration) -> Duration {
        after.max(self.keep_younger.unwrap_or_default())
    }

    /// The keys that are wrong, and why.
    pub(super) fn wrong(&self) -> Vec<(&'static str, String)> {
        let spans = [
            ("checkpoints_after", self.checkpoints_after),
            ("points_after", self.points_after),
            ("archive_after", self.archive_after),
            ("delete_after", self.delete_after),
        ];
        let short = spans.into_iter().filter(|(_, after)| after.is_some_and(|after| after < LEAST));
        let mut wrong: Vec<_> =
            short.map(|(key, _)| (key, format!("`retention.{key}`: expected {} or more", span::show(LEAST)))).collect();
        if !(POINTS_LEAST..=POINTS_MOST).contains(&self.points) {
            let why = format!("`retention.points` = {}: expected {POINTS_LEAST} to {POINTS_MOST}", self.points);
            wrong.push(("points", why));
        }
        if let (Some(archive), Some(delete)) = (self.archive_after, self.delete_after)
            && delete < archive
        {
            let why = "`retention.delete_after` is sooner than `archive_after`: what is deleted is never archived then";
            wrong.push(("delete_after", why.to_owned()));
        }
        wrong
    }
}
