//! A whole Tandem on this machine for one test: `tandem up` in a folder of its own, on ports of its own.
//!
//! Tests wait on conditions with a deadline, never on sleeps; what they run are the binaries that people run, built by
//! `make test` beside the test binaries.

mod house;
mod images;
mod wait;

pub use house::{House, Outcome, binary, run};
pub use images::write_image_folder;
pub use wait::until;

/// An experiment on the folder `images` of [`write_image_folder`]: 256 images, four steps an epoch, two shards.
pub fn small_experiment(name: &str, workers: u32, epochs: u32) -> String {
    format!(
        r#"
name = "{name}"
dataset = "folder:images"
seed = 7
workers = {workers}
shards = 2

[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = {epochs}
batch_size = 64
head = {{ hidden = 64, output = 32 }}
optimizer = {{ name = "sgd", lr = 0.1, weight_decay = 5e-4, warmup_epochs = 1 }}
checkpoint_steps = 8
monitor = {{ bank = 128, neighbours = 10 }}

[jobs.linear]
stage = "linear"
from = "encoder"
"#
    )
}
