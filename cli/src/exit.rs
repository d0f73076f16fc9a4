//! Exit codes, and errors that carry one.

use std::{fmt, process::ExitCode};

use anyhow::Error;

/// Exit codes, for scripts to distinguish. The numbers are those of sysexits.h where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    /// A job that was waited for failed or was cancelled; a job that was to be cancelled goes on; of `doctor`, something is to be
    /// looked at.
    JobFailed = 1,
    Usage = 2,
    BadExperiment = 65,
    NotFound = 66,
    Unreachable = 69,
    Internal = 70,
    /// The operating system refused something: a port in use.
    System = 71,
    CannotCreate = 73,
    /// What the store holds is not what was stored.
    Damaged = 74,
    Temporary = 75,
    NotAllowed = 77,
    Config = 78,
    Interrupted = 130,
}

/// For `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done
    1  a job that was waited for failed or was cancelled, or one that was to be
       cancelled goes on
    2  wrong usage
   65  the experiment file is wrong
   66  no such file, job, experiment, result or program
   69  the coordinator cannot be reached
   70  internal error
   71  the operating system refused: a port in use
   73  an output file cannot be made
   74  a stored file is damaged or missing
   75  temporary failure: the same command may succeed later
   77  not allowed
   78  wrong configuration
  130  ended by Ctrl-C";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// Passes on the exit code of a child process of ours; any other code is internal.
    pub(crate) fn of_child(code: Option<i32>) -> Self {
        const PASSED_ON: [Exit; 10] = [
            Exit::Usage,
            Exit::NotFound,
            Exit::Unreachable,
            Exit::System,
            Exit::CannotCreate,
            Exit::Damaged,
            Exit::Temporary,
            Exit::NotAllowed,
            Exit::Config,
            Exit::Interrupted,
        ];
        PASSED_ON.into_iter().find(|exit| code == Some(*exit as i32)).unwrap_or(Exit::Internal)
    }
}

/// An error with its exit code. Any other error is internal.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// `message` says what was tried, with what, why it failed and what to do next.
    pub(crate) fn error(exit: Exit, message: impl Into<String>) -> Error {
        Error::new(Self { exit, message: message.into() })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The reader of stdout has gone (`tandem list | head`): no failure, but there is nothing left to do.
#[derive(Debug)]
pub(crate) struct PipeClosed;

impl fmt::Display for PipeClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout was closed")
    }
}

impl std::error::Error for PipeClosed {}

/// The exit code of an error, and what to print about it.
pub(crate) fn classify(error: &Error) -> (Exit, Option<String>) {
    if error.is::<PipeClosed>() {
        return (Exit::Ok, None);
    }
    let exit = error.downcast_ref::<Failure>().map_or(Exit::Internal, |failure| failure.exit);
    (exit, Some(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_code_survives_added_context() {
        let error = Err::<(), _>(Failure::error(Exit::NotFound, "no job `x`")).context("cannot show it").unwrap_err();
        assert_eq!(classify(&error), (Exit::NotFound, Some("cannot show it: no job `x`".to_owned())));
        assert_eq!(classify(&anyhow::anyhow!("boom")).0, Exit::Internal);
        assert_eq!(classify(&Error::new(PipeClosed)), (Exit::Ok, None));
    }

    #[test]
    fn help_lists_every_code() {
        for exit in [1, 2, 65, 66, 69, 70, 71, 73, 74, 75, 77, 78, 130] {
            assert!(HELP.contains(&format!(" {exit}  ")), "{exit}");
        }
    }

    #[test]
    fn unknown_codes_of_children_are_internal() {
        assert_eq!(Exit::of_child(Some(69)), Exit::Unreachable);
        assert_eq!(Exit::of_child(Some(101)), Exit::Internal);
        assert_eq!(Exit::of_child(None), Exit::Internal);
    }
}
