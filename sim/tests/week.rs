//! Four people share four devices for a week: each has its max-min share, nobody who passes delays the first in line, no
//! less is computed than first in, first out, and what is said of when jobs start comes about.
//!
//! `cargo test -p tandem-sim --test week -- --nocapture` prints the figures.

use tandem_domain::policy::{FairShare, HousePolicy, Order};
use tandem_sim::week::{Coming, Figures, Rule, draw, run_week};

/// What estimates are wrong by: the standard deviation of ln(taken / estimated).
const WRONG_BY: f64 = 0.25;
const TEN_MINUTES: f64 = 600.0;

fn week(seed: u64, coming: Coming) -> Figures {
    let loads = draw(seed, coming, WRONG_BY);
    let shared = run_week(&loads, &Rule::Shared(Box::default()), true);
    let fifo = run_week(&loads, &Rule::Fifo, false);
    println!(
        "seed {seed}, {coming:?}: {} jobs, ended {} (first in, first out {})",
        loads.len(),
        shared.ended,
        fifo.ended
    );
    println!("  of the max-min share: {:.3?} (first in, first out {:.3?})", shared.off_share(), fifo.off_share());
    println!(
        "  devices busy {:.3}, while jobs wait that fit {:.3} (first in, first out {:.3}, {:.3})",
        shared.utilization(),
        shared.utilization_while_waiting(),
        fifo.utilization(),
        fifo.utilization_while_waiting()
    );
    println!(
        "  stopped after passing {}, delayed the first in line {}; starts of waits over 10 minutes wrong by {:.3} at the median of {}",
        shared.stops,
        shared.delayed_by_passing,
        shared.median_error(TEN_MINUTES),
        shared.waits.len()
    );
    assert_eq!(shared.delayed_by_passing, 0);
    assert!(shared.utilization() >= fifo.utilization() && shared.utilization_while_waiting() > 0.9);
    for (who, ratio) in shared.off_share() {
        assert!((ratio - 1.0).abs() <= 0.1, "{who} had {ratio:.3} of its max-min share");
    }
    shared
}

#[test]
fn each_has_its_share_and_what_was_said_of_starts_comes_about() {
    for (seed, coming) in [(1, Coming::AtOnce), (3, Coming::Daily)] {
        assert!(week(seed, coming).median_error(TEN_MINUTES) <= 0.15);
    }
}

/// What others will submit is a guess then, so that expected starts are far worse.
#[test]
fn each_has_its_share_although_people_submit_at_random() {
    assert!(week(3, Coming::AtRandom).median_error(TEN_MINUTES) <= 0.5);
}

/// The figures can tell: without turns the heaviest user has most.
#[test]
fn first_come_first_served_is_not_fair() {
    let loads = draw(1, Coming::Daily, WRONG_BY);
    let fair_share = FairShare { order: Order::FirstCome, ..FairShare::default() };
    let figures =
        run_week(&loads, &Rule::Shared(Box::new(HousePolicy { fair_share, ..HousePolicy::default() })), false);
    assert!(figures.off_share()["ann"] > 1.2, "{:?}", figures.off_share());
}
