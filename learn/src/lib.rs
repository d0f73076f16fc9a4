
pub mod augment;
pub mod data;
pub mod encoder;
pub mod flat;
pub mod random;
pub mod report;
pub mod task;
