//! Whole files in, jobs or messages out.

mod attacks;
mod expansion;
mod faults;
mod several;
mod size;

use super::{Plan, plan};

/// A file with these top-level lines and tables after a valid head.
pub(super) fn planned(body: &str) -> Plan {
    let text = format!("name = \"test\"\ndataset = \"cifar10\"\n{body}");
    plan(&text, "test.toml", "1").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(super) const ENCODER: &str = r#"
[jobs.encoder]
stage = "contrastive"
encoder = "resnet18"
epochs = 20
batch_size = 64
"#;
