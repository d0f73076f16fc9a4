//! Where a step begins. To those who ask it is a text without meaning, which they send back.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;

/// The kinds stand in the order in which they are cleaned: what is deleted needs not be thinned, but it is found last, as that is
/// what is wanted least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Behind this job.
    Checkpoints(Uuid),
    /// Behind a job whose curves were thinned to so many points.
    Points(i32, Uuid),
    /// Behind the experiment that was submitted then.
    Archive(DateTime<Utc>, Uuid),
    Delete {
        archived: bool,
        at: DateTime<Utc>,
        id: Uuid,
    },
}

impl Cursor {
    pub(crate) const FIRST: Self = Self::Checkpoints(Uuid::nil());

    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Checkpoints(_) => "checkpoints",
            Self::Points(..) => "points",
            Self::Archive(..) => "archive",
            Self::Delete { .. } => "delete",
        }
    }

    /// Where the next kind begins.
    pub(super) fn next_kind(self) -> Option<Self> {
        let (at, id) = (DateTime::UNIX_EPOCH, Uuid::nil());
        match self {
            Self::Checkpoints(_) => Some(Self::Points(0, id)),
            Self::Points(..) => Some(Self::Archive(at, id)),
            Self::Archive(..) => Some(Self::Delete { archived: true, at, id }),
            Self::Delete { archived: true, .. } => Some(Self::Delete { archived: false, at, id }),
            Self::Delete { archived: false, .. } => None,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what();
        match self {
            Self::Checkpoints(after) => write!(f, "{what} {after}"),
            Self::Points(to, job) => write!(f, "{what} {to} {job}"),
            Self::Archive(at, id) => write!(f, "{what} {} {id}", at.timestamp_micros()),
            Self::Delete { archived, at, id } => write!(f, "{what} {archived} {} {id}", at.timestamp_micros()),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Invalid("`after`: expected what the answer before this one said".to_owned());
        if text.is_empty() {
            return Ok(Self::FIRST);
        }
        let id = |text: &str| text.parse::<Uuid>().map_err(|_| wrong());
        let at = |text: &str| {
            let micros = text.parse().map_err(|_| wrong())?;
            DateTime::from_timestamp_micros(micros).ok_or_else(wrong)
        };
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["checkpoints", after] => Ok(Self::Checkpoints(id(after)?)),
            ["points", to, job] => Ok(Self::Points(to.parse().map_err(|_| wrong())?, id(job)?)),
            ["archive", when, one] => Ok(Self::Archive(at(when)?, id(one)?)),
            ["delete", archived, when, one] => {
                let archived = archived.parse().map_err(|_| wrong())?;
                Ok(Self::Delete { archived, at: at(when)?, id: id(one)? })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_back_as_it_was_and_the_rest_is_refused() {
        let (at, id) = (DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(), Uuid::from_u128(7));
        for cursor in [
            Cursor::FIRST,
            Cursor::Points(1000, id),
            Cursor::Archive(at, id),
            Cursor::Delete { archived: true, at, id },
        ] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        assert_eq!("".parse::<Cursor>().unwrap(), Cursor::FIRST);
        for wrong in
            ["points", "points x y", "delete maybe 1 2", "archive 99999999999999999999 x", "checkpoints \u{1b}"]
        {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_kind_has_its_turn() {
        let (mut cursor, mut kinds) = (Some(Cursor::FIRST), Vec::new());
        while let Some(one) = cursor {
            kinds.push(one.what());
            cursor = one.next_kind();
        }
        assert_eq!(kinds, ["checkpoints", "points", "archive", "delete", "delete"]);
    }
}
