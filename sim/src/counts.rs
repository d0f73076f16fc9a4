//! The sums over runs.

use std::{collections::BTreeMap, fmt};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub sequences: u64,
    pub events: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub jobs: u64,
    pub succeeded: u64,
    pub attempts: u64,
    pub losses: u64,
    pub self_ends: u64,
    pub stale: u64,
    pub terms: u64,
    pub takeovers: u64,
    pub quarantines: u64,
    pub preemptions: u64,
    pub growths: u64,
    /// Artifacts that were found damaged.
    pub damaged: u64,
    pub virtual_ms: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.sequences, other.sequences),
            (&mut self.events, other.events),
            (&mut self.jobs, other.jobs),
            (&mut self.succeeded, other.succeeded),
            (&mut self.attempts, other.attempts),
            (&mut self.losses, other.losses),
            (&mut self.self_ends, other.self_ends),
            (&mut self.stale, other.stale),
            (&mut self.terms, other.terms),
            (&mut self.takeovers, other.takeovers),
            (&mut self.quarantines, other.quarantines),
            (&mut self.preemptions, other.preemptions),
            (&mut self.growths, other.growths),
            (&mut self.damaged, other.damaged),
            (&mut self.virtual_ms, other.virtual_ms),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
        for (name, more) in &other.faults {
            *self.faults.entry(name).or_default() += more;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, count: u64| writeln!(f, "{name:<38}{count:>12}");
        line("fault sequences", self.sequences)?;
        line("events", self.events)?;
        line("virtual hours", self.virtual_ms / 3_600_000)?;
        line("faults", self.faults.values().sum())?;
        for (name, count) in &self.faults {
            line(&format!("  {name}"), *count)?;
        }
        line("jobs", self.jobs)?;
        line("  succeeded", self.succeeded)?;
        line("attempts", self.attempts)?;
        line("  lost", self.losses)?;
        line("leases taken over", self.takeovers)?;
        line("ranks ended by their worker's silence", self.self_ends)?;
        line("stale reports refused", self.stale)?;
        line("terms of leadership", self.terms)?;
        line("workers quarantined", self.quarantines)?;
        line("gangs stopped for others", self.preemptions)?;
        line("gangs stopped to grow", self.growths)?;
        line("artifacts found damaged", self.damaged)
    }
}
