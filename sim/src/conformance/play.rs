//! Plays a scenario on a store.

use super::{
    fleet, jobs, leadership, leases, losses, quarantine, reports,
    scenario::Scenario,
    stops,
    store::{Store, perform},
};

/// All scenarios, by subject.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    [
        leadership::scenarios(),
        leases::scenarios(),
        fleet::scenarios(),
        reports::scenarios(),
        losses::scenarios(),
        quarantine::scenarios(),
        stops::scenarios(),
        jobs::scenarios(),
    ]
    .concat()
}

/// Carries out the operations, up to the first that is answered otherwise.
///
/// # Errors
/// Says which answer was another one.
pub fn play(scenario: &Scenario, store: &mut impl Store) -> Result<(), String> {
    for (number, (operation, expected)) in (1..).zip(&scenario.steps) {
        let answer = perform(store, operation);
        if answer != *expected {
            let name = scenario.name;
            return Err(format!("{name}: step {number}, {operation:?}: expected {expected:?}, and it was {answer:?}"));
        }
    }
    Ok(())
}
