/// How the database server runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Commits survive a power failure. Tests switch this off, which saves most of their time.
    pub durable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: true }
    }
}
