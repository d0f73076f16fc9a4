//! Kept broken on purpose, for the tests that must notice: `make chaos BREAK=fence`.
//!
//! Only a build with `--features broken-for-tests` can be told to be broken, by `TANDEM_BREAK`; in any other these are
//! constants.

/// The coordinator takes reports and completions of attempts that are over for good.
pub(crate) fn no_fence() -> bool {
    cfg!(feature = "broken-for-tests") && std::env::var("TANDEM_BREAK").is_ok_and(|what| what == "fence")
}
