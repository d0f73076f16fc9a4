//! Service errors and gRPC statuses, converted both ways by one table.
//!
//! The coordinator returns `Code::NotFound.status("no job begins with `3f2`")`; the command line and the worker read
//! `Code::of(&status)` and decide whether to try again, give up or explain.

use tonic::Status;

/// Kinds of errors, as far as the difference matters to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request itself is wrong: an experiment file, a name, a number. Nothing was changed.
    InvalidInput,
    NotFound,
    /// The same idempotency key with other content.
    AlreadyExists,
    /// The request is valid, but not in the present state: cancel a job that has ended.
    WrongState,
    /// The fence is stale: another attempt has taken over. Stop, do not retry.
    Stale,
    /// This version cannot do it yet.
    Unsupported,
    /// A disk, a quota or a queue is full.
    Full,
    /// The coordinator or its database is away: the same request may succeed later.
    Unavailable,
    /// It took too long, and may have happened or not. Safe to repeat with the same idempotency key.
    TimedOut,
    /// The caller ended it.
    Cancelled,
    /// The caller is not known, ...
    Unauthenticated,
    /// ... or is known, but not allowed.
    Forbidden,
    /// Stored bytes are missing or do not match their checksum.
    DataLoss,
    /// A fault of the coordinator. The details are in its log.
    Internal,
}

/// Each code with its gRPC code.
const TABLE: &[(Code, tonic::Code)] = &[
    (Code::InvalidInput, tonic::Code::InvalidArgument),
    (Code::NotFound, tonic::Code::NotFound),
    (Code::AlreadyExists, tonic::Code::AlreadyExists),
    (Code::WrongState, tonic::Code::FailedPrecondition),
    (Code::Stale, tonic::Code::Aborted),
    (Code::Unsupported, tonic::Code::Unimplemented),
    (Code::Full, tonic::Code::ResourceExhausted),
    (Code::Unavailable, tonic::Code::Unavailable),
    (Code::TimedOut, tonic::Code::DeadlineExceeded),
    (Code::Cancelled, tonic::Code::Cancelled),
    (Code::Unauthenticated, tonic::Code::Unauthenticated),
    (Code::Forbidden, tonic::Code::PermissionDenied),
    (Code::DataLoss, tonic::Code::DataLoss),
    (Code::Internal, tonic::Code::Internal),
];

/// Longest message, in bytes: it is sent percent-encoded in a header, which is limited to 16 KiB.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

impl Code {
    /// A status with this code; an overlong message is cut.
    pub fn status(self, message: impl Into<String>) -> Status {
        let mut message = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
            message.push_str(" ...");
        }
        let code = TABLE.iter().find(|(code, _)| *code == self).map_or(tonic::Code::Internal, |(_, wire)| *wire);
        Status::new(code, message)
    }

    /// The code of a status. One that no coordinator of this version sends counts as `Internal`.
    pub fn of(status: &Status) -> Self {
        TABLE.iter().find(|(_, wire)| *wire == status.code()).map_or(Self::Internal, |(code, _)| *code)
    }

    /// Whether the same request may succeed later, without any change.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::TimedOut)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_one_to_one() {
        let codes: HashSet<_> = TABLE.iter().map(|(code, _)| code).collect();
        let wire: HashSet<_> = TABLE.iter().map(|(_, wire)| format!("{wire:?}")).collect();
        assert_eq!((codes.len(), wire.len()), (TABLE.len(), TABLE.len()));
        for (code, _) in TABLE {
            assert_eq!(Code::of(&code.status("x")), *code);
        }
    }

    #[test]
    fn what_others_say_is_understood() {
        assert_eq!(Code::of(&Status::unknown("a proxy")), Code::Internal);
        assert!(Code::of(&Status::unavailable("connection refused")).is_transient());
        assert!(!Code::of(&Status::aborted("stale")).is_transient());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let status = Code::InvalidInput.status("é".repeat(MESSAGE_BYTES_MAX));
        assert!(status.message().len() <= MESSAGE_BYTES_MAX + 4);
        assert!(status.message().ends_with("é ..."));
    }
}
