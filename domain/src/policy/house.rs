//! What a policy file says, checked.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{limits::Limits, span};
use crate::access::{name, role::PersonRole};

/// The longest policy file.
pub const BYTES_MAX: usize = 64 * 1024;
/// The most people that a policy names.
const PEOPLE_MAX: usize = 1000;
/// The largest priority, up and down.
const PRIORITY_MAX: i32 = 100;
const HALF_LIFE: Duration = Duration::from_secs(7 * 86_400);

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

impl Default for PriorityBounds {
    fn default() -> Self {
        Self { submitter: (-PRIORITY_MAX, PRIORITY_MAX), admin: (-PRIORITY_MAX, PRIORITY_MAX) }
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
    /// Reads and checks a policy file.
    ///
    /// # Errors
    /// Place and reason; nothing is to be changed then.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("the policy has {} bytes; expected at most {BYTES_MAX}", text.len()));
        }
        let policy: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        policy.check()?;
        Ok(policy)
    }

    /// With what holds where it says nothing.
    pub fn effective(&self) -> Self {
        Self { limits: self.limits.over(&Limits::EVERYWHERE), ..self.clone() }
    }

    /// As a file that [`Self::parse`] reads.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        for (key, (least, most)) in [("submitter", self.priorities.submitter), ("admin", self.priorities.admin)] {
            if least > most || least < -PRIORITY_MAX || most > PRIORITY_MAX {
                return Err(format!(
                    "`priorities.{key}` = [{least}, {most}]: expected the least and the largest, from -{PRIORITY_MAX} to {PRIORITY_MAX}"
                ));
            }
        }
        let (submitter, admin) = (self.priorities.submitter, self.priorities.admin);
        if submitter.0 < admin.0 || submitter.1 > admin.1 {
            return Err("`priorities`: a submitter may not have priorities that an admin has not".to_owned());
        }
        if self.fair_share.half_life.is_some_and(|span| span < Duration::from_secs(3600)) {
            return Err("`fair_share.half_life`: expected 1h or more".to_owned());
        }
        for (who, weight) in &self.fair_share.weights {
            known_name(who, "fair_share.weights")?;
            if !(weight.is_finite() && (0.01..=100.0).contains(weight)) {
                return Err(format!("`fair_share.weights.{who}` = {weight}: expected a number from 0.01 to 100"));
            }
        }
        if self.people.len().max(self.fair_share.weights.len()) > PEOPLE_MAX {
            return Err(format!("the policy names more than {PEOPLE_MAX} people"));
        }
        self.limits.check("limits")?;
        for (who, limits) in &self.people {
            known_name(who, "people")?;
            limits.check(&format!("people.{who}"))?;
        }
        if self.foreign_use.utilization > 100 {
            return Err(format!("`foreign_use.utilization` = {}: expected per cent", self.foreign_use.utilization));
        }
        Ok(())
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
