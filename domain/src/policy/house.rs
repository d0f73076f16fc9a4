//! What a policy file says, checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{limits::Limits, retention::Retention, span};
use crate::access::{name, role::PersonRole};

/// The longest policy file.
pub const BYTES_MAX: usize = 64 * 1024;
/// The most people that a policy names.
const PEOPLE_MAX: usize = 1000;
/// The largest priority, up and down.
const PRIORITY_MAX: i32 = 100;
const HALF_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Whose policy it is that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Somebody wants it to be in force.
    New,
    /// It has been in force: what it could say then, it says still.
    Stored,
}

/// One version of the policy of a house.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HousePolicy {
    pub fair_share: FairShare,
    /// Of the priorities that a role may give.
    pub priorities: PriorityBounds,
    /// Of each person that is not named in `people`.
    pub limits: Limits,
    /// Of some by name; what is left out there is as in `limits`.
    pub people: BTreeMap<String, Limits>,
    pub foreign_use: ForeignUse,
    pub retention: Retention,
}

/// Whose turn it is among jobs of one priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Of who has used less of the devices lately.
    Fair,
    /// Of who came first.
    FirstCome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FairShare {
    pub order: Order,
    /// After this long a second of a device counts half.
    #[serde(with = "span")]
    pub half_life: Option<Duration>,
    /// Shares of some by name; everybody else has one.
    pub weights: BTreeMap<String, f64>,
}

impl Default for FairShare {
    fn default() -> Self {
        Self { order: Order::Fair, half_life: Some(HALF_LIFE), weights: BTreeMap::new() }
    }
}

impl FairShare {
    pub fn half_life(&self) -> Duration {
        self.half_life.unwrap_or(HALF_LIFE)
    }

    pub fn weight(&self, who: &str) -> f64 {
        self.weights.get(who).copied().unwrap_or(1.0)
    }
}

/// The least and the largest priority of what a role submits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriorityBounds {
    pub submitter: (i32, i32),
    pub admin: (i32, i32),
}

/// Enough to put one's own jobs in an order. What goes before everybody's, an admin decides.
const OF_SUBMITTERS: i32 = 10;

impl Default for PriorityBounds {
    fn default() -> Self {
        Self { submitter: (-OF_SUBMITTERS, OF_SUBMITTERS), admin: (-PRIORITY_MAX, PRIORITY_MAX) }
    }
}

impl PriorityBounds {
    fn wrong(&self, which: Standing) -> Vec<(Vec<&'static str>, String)> {
        let mut wrong = Vec::new();
        for (key, (least, most)) in [("submitter", self.submitter), ("admin", self.admin)] {
            let said = format!("`priorities.{key}` = [{least}, {most}]: ");
            if least > most || least < -PRIORITY_MAX || most > PRIORITY_MAX {
                let expected = format!("expected the least and the largest, from -{PRIORITY_MAX} to {PRIORITY_MAX}");
                wrong.push((vec!["priorities", key], said + &expected));
            } else if which == Standing::New && !(least..=most).contains(&0) {
                let expected = "leaves out 0, the priority of a file that says none, which would be refused then; expected 0 or \
                    less, and 0 or more";
                wrong.push((vec!["priorities", key], said + expected));
            }
        }
        if self.submitter.0 < self.admin.0 || self.submitter.1 > self.admin.1 {
            let ((least, most), (low, high)) = (self.submitter, self.admin);
            wrong.push((
                vec!["priorities"],
                format!(
                    "`priorities`: a submitter may not have priorities that an admin has not ([{least}, {most}] and [{low}, {high}])"
                ),
            ));
        }
        wrong
    }
}

/// When a device counts as used by others than Tandem: it gets no job then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForeignUse {
    /// Of processes that are not ours, together, in MB.
    pub memory_mb: u64,
    /// Of the device while nothing of ours runs there, in per cent.
    pub utilization: u32,
    /// For so long; not set: for two looks of the worker, ten seconds.
    #[serde(with = "span", skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
}

impl Default for ForeignUse {
    fn default() -> Self {
        Self { memory_mb: 512, utilization: 20, after: None }
    }
}

impl HousePolicy {
    /// With what holds where it says nothing.
    pub fn effective(&self) -> Self {
        Self { limits: self.limits.over(&Limits::EVERYWHERE), ..self.clone() }
    }

    /// As a file that [`Self::parse`] reads.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// What its keys may not say, each with its path.
    pub(super) fn wrong(&self, which: Standing) -> Vec<(Vec<&str>, String)> {
        let mut wrong = self.priorities.wrong(which);
        if self.fair_share.half_life.is_some_and(|span| span < Duration::from_secs(3600)) {
            wrong.push((vec!["fair_share", "half_life"], "`fair_share.half_life`: expected 1h or more".to_owned()));
        }
        for (who, weight) in &self.fair_share.weights {
            let path = || vec!["fair_share", "weights", who.as_str()];
            wrong.extend(known_name(who, "fair_share.weights").err().map(|why| (path(), why)));
            if !(weight.is_finite() && (0.01..=100.0).contains(weight)) {
                let why = format!("`fair_share.weights.{who}` = {weight}: expected a number from 0.01 to 100");
                wrong.push((path(), why));
            }
        }
        for (key, count) in [("people", self.people.len()), ("fair_share", self.fair_share.weights.len())] {
            if count > PEOPLE_MAX {
                wrong.push((vec![key], format!("the policy names more than {PEOPLE_MAX} people")));
            }
        }
        wrong.extend(self.limits.wrong("limits").into_iter().map(|(key, why)| (vec!["limits", key], why)));
        for (who, limits) in &self.people {
            wrong.extend(known_name(who, "people").err().map(|why| (vec!["people", who.as_str()], why)));
            let of_limits = limits.wrong(&format!("people.{who}")).into_iter();
            wrong.extend(of_limits.map(|(key, why)| (vec!["people", who.as_str(), key], why)));
        }
        if self.foreign_use.utilization > 100 {
            let why = format!("`foreign_use.utilization` = {}: expected per cent", self.foreign_use.utilization);
            wrong.push((vec!["foreign_use", "utilization"], why));
        }
        wrong.extend(self.retention.wrong().into_iter().map(|(key, why)| (vec!["retention", key], why)));
        wrong
    }

    /// Whether it ends anybody's jobs after a while.
    pub fn has_max_time(&self) -> bool {
        self.limits.max_time.is_some() || self.people.values().any(|limits| limits.max_time.is_some())
    }

    /// The people that it names.
    pub fn names(&self) -> BTreeSet<&str> {
        self.people.keys().chain(self.fair_share.weights.keys()).map(String::as_str).collect()
    }

    /// What `who` may have.
    pub fn limits_of(&self, who: &str) -> Limits {
        self.people.get(who).copied().unwrap_or_default().over(&self.limits).over(&Limits::EVERYWHERE)
    }

    /// The least and the largest priority that this role may give.
    pub fn priorities_of(&self, role: PersonRole) -> (i32, i32) {
        match role {
            PersonRole::Admin => self.priorities.admin,
            PersonRole::Submitter | PersonRole::Reader => self.priorities.submitter,
        }
    }

    /// Whether somebody of that role may give that priority.
    ///
    /// # Errors
    /// Says which it may give.
    pub fn may_give(&self, role: PersonRole, priority: i32) -> Result<(), String> {
        let (least, most) = self.priorities_of(role);
        if (least..=most).contains(&priority) {
            return Ok(());
        }
        Err(format!(
            "priority {priority}: the policy lets {} {role} give {least} to {most} (tandem policy show)",
            if role == PersonRole::Admin { "an" } else { "a" }
        ))
    }
}

/// A person, or an account of the box that is nobody's.
fn known_name(who: &str, at: &str) -> Result<(), String> {
    let account = who.strip_prefix("login:");
    if account.is_some_and(|account| !account.is_empty()) || name::check("a person", who).is_ok() {
        return Ok(());
    }
    Err(format!("`{at}.{who}`: `{who}` can be nobody's name; expected a person's, or `login:ACCOUNT` in quotes"))
}
