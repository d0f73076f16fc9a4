//! Rules that can be left out on purpose, for the tests that must notice: `make chaos BREAK=fence`.
//!
//! Only a build with `--features broken-for-tests` reads `TANDEM_BREAK`; in any other these are constants.

/// Whether the coordinator accepts reports and ends of attempts that have ended.
pub(crate) fn no_fence() -> bool {
    cfg!(feature = "broken-for-tests") && std::env::var("TANDEM_BREAK").is_ok_and(|what| what == "fence")
}
