//! Why a request was not answered, in words for people, with the exit code that scripts see.

use std::{error::Error as _, io};

use anyhow::Error;
use tandem_connect::{Address, words};
use tandem_proto::status::Code;
use tonic::Status;

use crate::{
    exit::{Exit, Failure},
    printable::line,
};

/// Another coordinator may answer, or this one in a moment: the connection failed, nobody answered in time, or the
/// coordinator or its database is away. A status that was made on this side has a source; one that was sent has none.
pub(crate) fn is_away(status: &Status) -> bool {
    was_not_reached(status) || matches!(Code::of(status), Code::Unavailable | Code::TimedOut)
}

/// Nobody listens at this address.
pub(crate) fn is_refused(status: &Status) -> bool {
    let refused = |cause: &io::Error| cause.kind() == io::ErrorKind::ConnectionRefused;
    last_cause(status).downcast_ref::<io::Error>().is_some_and(refused)
}

fn was_not_reached(status: &Status) -> bool {
    status.source().is_some() || http_code(status).is_some()
}

/// The HTTP status of an answer that is none of gRPC: of a proxy, or of another program on the port.
fn http_code(status: &Status) -> Option<&str> {
    // How tonic writes it: it keeps the code nowhere else.
    status.message().strip_prefix("grpc-status header missing, mapped from HTTP status code ")
}

/// What each coordinator that was asked came to, in the order of the tries.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    tries: Vec<(String, Status)>,
}

impl Refusal {
    pub(crate) fn add(&mut self, server: &str, status: Status) {
        // The newest word of each; a list of a hundred tries would help nobody.
        self.tries.retain(|(other, _)| other != server);
        self.tries.push((server.to_owned(), status));
    }

    pub(crate) fn code(&self) -> Option<Code> {
        self.answered().map(|(_, status)| Code::of(status))
    }

    /// What the coordinator said, if one was reached.
    pub(crate) fn message(&self) -> &str {
        self.answered().map_or("", |(_, status)| status.message())
    }

    fn answered(&self) -> Option<&(String, Status)> {
        self.tries.iter().rev().find(|(_, status)| !was_not_reached(status))
    }

    /// A coordinator that has another certificate than was pinned, where none answered.
    pub(crate) fn of_other_house(&self) -> Option<&str> {
        let is = |(_, status): &&(String, Status)| words::is_of_other_house(status);
        self.tries.iter().find(is).filter(|_| self.answered().is_none()).map(|(server, _)| server.as_str())
    }

    /// `tried` completes "cannot ...".
    pub(crate) fn error(&self, tried: &str) -> Error {
        let Some((server, status)) = self.answered() else { return self.unreachable() };
        let code = Code::of(status);
        let message = match status.message() {
            "" => format!("the coordinator answered {:?}", status.code()),
            // A refused experiment has a line for each job; other refusals are one, which a name in it must not break.
            said if code == Code::InvalidInput => said.to_owned(),
            said => line(said).into_owned(),
        };
        let message = match code {
            Code::Unavailable => {
                format!("cannot {tried} now: the coordinator at {server} answered: {message}; try again in a moment")
            }
            Code::Full => format!("cannot {tried}: the coordinator at {server} has no room for it: {message}"),
            Code::TimedOut => format!(
                "cannot {tried}: the coordinator at {server} gave {message}; it may have been done or not: look \
                 before you repeat it"
            ),
            Code::Internal => format!("cannot {tried}: {message} (a fault of the coordinator; its log says more)"),
            _ => format!("cannot {tried}: {message}"),
        };
        Failure::error(exit_of(code), message)
    }

    fn unreachable(&self) -> Error {
        let reasons: Vec<(&str, Reason)> =
            self.tries.iter().map(|(server, status)| (server.as_str(), reason(server, status))).collect();
        let message = match reasons.as_slice() {
            [(_, Reason::Explained(words))] => format!("cannot ask the coordinator: {words}"),
            [(server, Reason::Bare(cause))] => format!(
                "cannot reach the coordinator at {server}: {cause}. Is it running? `tandem up` starts one on this machine."
            ),
            reasons => {
                let of = |(server, reason): &(&str, Reason)| match reason {
                    Reason::Explained(words) => words.clone(),
                    Reason::Bare(cause) => format!("{server}: {cause}"),
                };
                let all: Vec<String> = reasons.iter().map(of).collect();
                format!("cannot reach any of these coordinators: {}. Is one of them running?", all.join("; "))
            }
        };
        Failure::error(Exit::Unreachable, message)
    }
}

/// Why one coordinator was not reached.
enum Reason {
    /// Somebody is there; the words say who and what to do.
    Explained(String),
    Bare(String),
}

fn reason(server: &str, status: &Status) -> Reason {
    if let Some(code) = http_code(status) {
        return Reason::Explained(format!(
            "what answers at {server} is no coordinator of Tandem (HTTP {code}): a proxy on the way, or another program"
        ));
    }
    let explained = server.parse::<Address>().ok().and_then(|address| words::explain(&address, status));
    explained.map_or_else(|| Reason::Bare(root_cause(status)), Reason::Explained)
}

fn last_cause(status: &Status) -> &(dyn std::error::Error + 'static) {
    let mut cause: &(dyn std::error::Error + 'static) = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause
}

fn root_cause(status: &Status) -> String {
    let cause = last_cause(status).to_string();
    // "Connection refused (os error 111)": the number helps nobody.
    cause.split(" (os error").next().unwrap_or(&cause).to_lowercase()
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::InvalidInput | Code::WrongState | Code::AlreadyExists | Code::Unsupported => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::Unauthenticated | Code::Forbidden => Exit::NotAllowed,
        // It was reached: to start another would be no cure.
        Code::Unavailable | Code::TimedOut | Code::Full | Code::Stale | Code::Cancelled => Exit::Temporary,
        Code::DataLoss => Exit::Damaged,
        Code::Internal => Exit::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::classify;

    fn explained(status: Status) -> (Exit, String) {
        let mut refusal = Refusal::default();
        refusal.add("http://a:1", status);
        let (exit, message) = classify(&refusal.error("list jobs"));
        (exit, message.unwrap())
    }

    #[test]
    fn a_coordinator_that_was_reached_is_not_told_to_be_away() {
        for words in ["the database is away: pool timed out", "could not extend file: No space left on device"] {
            let (exit, message) = explained(Status::unavailable(words));
            assert_eq!(exit, Exit::Temporary);
            assert!(message.contains(words) && message.contains("http://a:1"), "{message}");
            assert!(!message.contains("tandem up") && !message.contains("reach"), "{message}");
        }
    }

    #[test]
    fn each_code_has_its_exit() {
        let exits = [
            (Code::InvalidInput, Exit::Usage),
            (Code::NotFound, Exit::NotFound),
            (Code::Full, Exit::Temporary),
            (Code::TimedOut, Exit::Temporary),
            (Code::Forbidden, Exit::NotAllowed),
            (Code::DataLoss, Exit::Damaged),
            (Code::Internal, Exit::Internal),
        ];
        for (code, exit) in exits {
            let (found, message) = explained(code.status("because of x"));
            assert_eq!(found, exit, "{message}");
            assert!(message.starts_with("cannot list jobs") && message.contains("because of x"), "{message}");
        }
    }

    #[test]
    fn a_name_in_a_refusal_forges_no_line() {
        let (_, message) = explained(Code::NotFound.status("no worker gpu-2; there are: a\nall is well, b"));
        assert!(!message.contains('\n'), "{message:?}");
        assert_eq!(explained(Code::InvalidInput.status("one\ntwo")).1, "cannot list jobs: one\ntwo");
    }

    #[test]
    fn an_answer_of_http_is_none_of_a_coordinator() {
        let status = Status::unimplemented("grpc-status header missing, mapped from HTTP status code 404");
        let (exit, message) = explained(status);
        assert_eq!(exit, Exit::Unreachable);
        assert!(
            message.starts_with("cannot ask the coordinator: what answers at http://a:1 is no coordinator of Tandem"),
            "{message}"
        );
        assert!(message.contains("HTTP 404"), "{message}");
    }

    #[test]
    fn who_answered_is_heard_before_who_did_not() {
        let mut refusal = Refusal::default();
        refusal.add("http://a:1", Status::not_found("no job `x`"));
        refusal.add("http://b:1", Status::from_error(Box::new(std::io::Error::other("connection refused"))));
        assert_eq!(classify(&refusal.error("show `x`")), (Exit::NotFound, Some("cannot show `x`: no job `x`".into())));
    }
}
