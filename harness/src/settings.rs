use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::Result;

/// Keeps what a join file says, but its token, as the context `name` in a folder of settings (`XDG_CONFIG_HOME`): whoever
/// uses them trusts the house's certificate, as everybody may, and has no token.
pub fn keep_without_token(join_file: &Path, settings: &Path, name: &str) -> Result<()> {
    let joined = fs::read_to_string(join_file)?;
    let public: Vec<&str> = joined.lines().filter(|line| !line.starts_with("token")).collect();
    let contexts = settings.join("tandem/contexts");
    DirBuilder::new().recursive(true).mode(0o700).create(&contexts)?;
    let file = contexts.join(name).with_extension("toml");
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?.write_all(public.join("\n").as_bytes())?;
    Ok(())
}
