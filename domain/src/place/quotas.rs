//! What each person may still take of the devices, in one pass.

use std::collections::BTreeMap;

use crate::policy::{HousePolicy, Limits};

/// By name. Who is not in it has no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotas(BTreeMap<String, Quota>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Quota {
    /// Devices that it may run on at a time, and those that it runs on.
    devices: Option<(u32, u32)>,
    /// Why nothing of it starts now.
    barred: Option<String>,
}

/// What counts against the limits of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InUse {
    /// Devices that it runs on now.
    pub devices: u32,
    /// Hours of devices in the last seven days, with what runs now.
    pub hours_this_week: f64,
}

impl Quotas {
    /// Of these people, by what they have now.
    pub fn of(policy: &HousePolicy, in_use: &BTreeMap<String, InUse>) -> Self {
        let quota = |(who, used): (&String, &InUse)| {
            let Limits { running_devices, device_hours_a_week, .. } = policy.limits_of(who);
            let barred = device_hours_a_week.filter(|most| used.hours_this_week >= *most).map(|most| {
                format!(
                    "{who} has used {:.2} device-hours in the last seven days, of {most:.2} that the policy allows; it \
                     starts when enough of them are older",
                    used.hours_this_week
                )
            });
            let quota = Quota { devices: running_devices.map(|most| (most, used.devices)), barred };
            (quota != Quota::default()).then(|| (who.clone(), quota))
        };
        Self(in_use.iter().filter_map(quota).collect())
    }

    /// Why nobody may start a gang of `need` devices for `who` now.
    pub(super) fn refuses(&self, who: &str, need: u32) -> Option<String> {
        let quota = self.0.get(who)?;
        if let Some(barred) = &quota.barred {
            return Some(barred.clone());
        }
        let (most, running) = quota.devices?;
        if need > most {
            return Some(format!("needs {need} devices, and the policy lets {who} run on {most} at a time"));
        }
        (running + need > most).then(|| {
            let s = if running == 1 { "" } else { "s" };
            format!(
                "{who} runs on {running} device{s}, of {most} that the policy allows at a time; others start meanwhile"
            )
        })
    }

    /// The most devices that a gang of `who` may have now.
    pub(super) fn most(&self, who: &str) -> u32 {
        let devices = self.0.get(who).and_then(|quota| quota.devices);
        devices.map_or(u32::MAX, |(most, running)| most.saturating_sub(running))
    }

    /// Whether nothing of `who` starts, whatever is free.
    pub(super) fn bars(&self, who: &str) -> bool {
        self.0.get(who).is_some_and(|quota| quota.barred.is_some())
    }

    /// The most devices that `who` may run on at a time.
    pub(super) fn limit(&self, who: &str) -> Option<u32> {
        self.0.get(who)?.devices.map(|(most, _)| most)
    }

    pub(super) fn take(&mut self, who: &str, count: usize) {
        if let Some((_, running)) = self.0.get_mut(who).and_then(|quota| quota.devices.as_mut()) {
            *running = running.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// As they are once a gang of `who` has stopped.
    pub(super) fn without(&self, who: &str, count: usize) -> Self {
        let mut quotas = self.clone();
        if let Some((_, running)) = quotas.0.get_mut(who).and_then(|quota| quota.devices.as_mut()) {
            *running = running.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        }
        quotas
    }
}
