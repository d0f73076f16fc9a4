//! Generates the wire types and the descriptor set that the reflection service serves.

use std::{env, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptor = PathBuf::from(env::var("OUT_DIR")?).join("tandem.v1.bin");
    let files = ["jobs", "results", "fleet", "workers"].map(|name| format!("tandem/v1/{name}.proto"));
    tonic_prost_build::configure().file_descriptor_set_path(descriptor).compile_protos(&files, &[".".to_owned()])?;
    Ok(())
}
