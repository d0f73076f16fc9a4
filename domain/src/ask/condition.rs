//! A condition as it is understood. There is no NOT in it: the reader turns it inwards, where it is another operator, so that
//! each part of it may be answered by an index.

use chrono::{DateTime, Utc};

use super::names::Name;

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare {
        name: Name,
        op: Op,
        value: Value,
    },
    /// `low <= name <= high`, or outside of it.
    Between {
        name: Name,
        low: Value,
        high: Value,
        negated: bool,
    },
    OneOf {
        name: Name,
        values: Vec<Value>,
        negated: bool,
    },
    /// With `%` and `_`, as in SQL.
    Like {
        name: Name,
        pattern: String,
        any_case: bool,
        negated: bool,
    },
    /// Whether it has none, or has one.
    Missing {
        name: Name,
        negated: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Op {
    pub fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    /// With its sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    /// What holds where this does not.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::Unequal,
            Self::Unequal => Self::Equal,
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::Greater,
            Self::Greater => Self::AtMost,
            Self::AtLeast => Self::Less,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(f64),
    Flag(bool),
    Time(DateTime<Utc>),
}

impl Condition {
    /// What is compared; several parts have no one name.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::All(_) | Self::Any(_) => None,
            Self::Compare { name, .. }
            | Self::Between { name, .. }
            | Self::OneOf { name, .. }
            | Self::Like { name, .. }
            | Self::Missing { name, .. } => Some(name),
        }
    }

    /// Whether it holds where something does not: `<>`, or a word with NOT before it.
    pub fn is_negative(&self) -> bool {
        match self {
            Self::All(_) | Self::Any(_) => false,
            Self::Compare { op, .. } => *op == Op::Unequal,
            Self::Between { negated, .. } | Self::OneOf { negated, .. } | Self::Like { negated, .. } => *negated,
            Self::Missing { negated, .. } => !negated,
        }
    }

    /// What holds where this does not. As in SQL, neither holds of a job that lacks what is compared; but of tags, of which a job
    /// has any number, one of both does.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::All(parts) => Self::Any(parts.into_iter().map(Self::negated).collect()),
            Self::Any(parts) => Self::All(parts.into_iter().map(Self::negated).collect()),
            Self::Compare { name, op, value } => Self::Compare { name, op: op.negated(), value },
            Self::Between { name, low, high, negated } => Self::Between { name, low, high, negated: !negated },
            Self::OneOf { name, values, negated } => Self::OneOf { name, values, negated: !negated },
            Self::Like { name, pattern, any_case, negated } => {
                Self::Like { name, pattern, any_case, negated: !negated }
            }
            Self::Missing { name, negated } => Self::Missing { name, negated: !negated },
        }
    }
}
