//! Who may do what, with the real programs: accounts of the box, tokens, TLS, and that no secret lies about.

mod accounts;
mod admins_line;
mod held_back;
mod house;
mod places;
mod revoked;
mod secrets;
mod strangers;

use std::time::Duration;

use tandem_harness::Outcome;

const MINUTE: Duration = Duration::from_secs(60);
/// Exit codes of `tandem --help`.
const USAGE: i32 = 2;
const NOT_ALLOWED: i32 = 77;
const CONFIG: i32 = 78;

/// Ended with `code`, and said `words`, and nothing but an error.
fn assert_refused(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{outcome:#?}");
    for word in words {
        assert!(outcome.stderr.contains(word), "`{word}` is not in {outcome:#?}");
    }
    assert!(!outcome.stderr.contains("panicked"), "{outcome:#?}");
}

fn assert_done(outcome: &Outcome) {
    assert_eq!(outcome.code, 0, "{outcome:#?}");
}
