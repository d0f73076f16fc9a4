//! What the descriptors say, in the words of JSON.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, MessageDescriptor};

use crate::v1::DESCRIPTOR_SET;

pub(super) const TIMESTAMP: &str = "google.protobuf.Timestamp";

#[expect(clippy::expect_used, reason = "the set is of this build, and a test reads it")]
pub(super) static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTOR_SET).expect("the descriptors of our own files"));

/// A value of an enum as a word: `running` of `JOB_STATE_RUNNING`.
pub(super) fn word(value: &EnumValueDescriptor) -> String {
    let name = value.name();
    let of = upper_snake(value.parent_enum().name());
    name.strip_prefix(&of).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name).to_lowercase()
}

pub(super) fn words(of: &EnumDescriptor) -> Vec<String> {
    of.values().map(|value| word(&value)).collect()
}

fn upper_snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(char.to_uppercase());
    }
    snake
}

/// Whether one of several is set, and which: such a field is there only if it is.
pub(super) fn is_one_of(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic())
}

pub(super) fn is_time(message: &MessageDescriptor) -> bool {
    message.full_name() == TIMESTAMP
}
