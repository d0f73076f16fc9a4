//! Generated from `proto/tandem/v1/*.proto`, with the derives that `build.rs` adds.

#![expect(clippy::allow_attributes, reason = "generated code")]

tonic::include_proto!("tandem.v1");

/// For the reflection service.
pub const DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("tandem.v1");

/// How `tandem --json` prints fields that serde alone would print differently: see `build.rs`.
mod json {
    use std::collections::BTreeMap;

    use chrono::{DateTime, Utc};
    use prost_types::Timestamp;
    use serde::{Serialize, Serializer};
    use serde_json::Value;

    use super::Scalar;

    fn moment(at: &Option<Timestamp>) -> Option<DateTime<Utc>> {
        let Timestamp { seconds, nanos } = (*at)?;
        DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)
    }

    /// RFC 3339 in UTC; null if it is absent or no moment.
    pub(super) fn time<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        moment(at).serialize(to)
    }

    pub(super) fn is_no_time(at: &Option<Timestamp>) -> bool {
        moment(at).is_none()
    }

    /// The word of a state; a number of a newer version is unknown.
    pub(super) fn state<E, S>(number: &i32, to: S) -> Result<S::Ok, S::Error>
    where
        E: Default + Serialize + TryFrom<i32>,
        S: Serializer,
    {
        E::try_from(*number).unwrap_or_default().serialize(to)
    }

    /// Values by name. One that is not finite becomes null, as JSON has no word for it.
    pub(super) fn map<S: Serializer>(scalars: &[Scalar], to: S) -> Result<S::Ok, S::Error> {
        let map: BTreeMap<_, _> = scalars.iter().map(|scalar| (&scalar.name, scalar.value)).collect();
        map.serialize(to)
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or(Value::Null)
    }

    /// Text that is JSON itself.
    pub(super) fn document<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
        parsed(text).serialize(to)
    }

    pub(super) fn is_no_document(text: &str) -> bool {
        parsed(text).is_null()
    }

    pub(super) fn is_unspecified(state: &i32) -> bool {
        *state == 0
    }

    pub(super) fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
        *number == N::default()
    }
}
