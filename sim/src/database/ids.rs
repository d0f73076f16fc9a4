//! The domain's ids and times of rows and virtual milliseconds, and back.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{event::AttemptId, plan::Ms};

pub(crate) fn moment(at: Ms) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(at as i64)
}

pub(crate) fn job_id(number: usize) -> Uuid {
    Uuid::from_u128(0x10_0000 + number as u128)
}

pub(crate) fn worker_id(number: usize) -> Uuid {
    Uuid::from_u128(0x20_0000 + number as u128)
}

pub(crate) fn attempt_id(number: AttemptId) -> Uuid {
    Uuid::from_u128(0x30_0000 + number as u128)
}

pub(crate) fn number(id: Uuid) -> usize {
    (id.as_u128() & 0xf_ffff) as usize
}
