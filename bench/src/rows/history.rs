//! A coordinator with a long history, as `fill.sql` makes it.

use std::time::{Duration, Instant};

use anyhow::Result;
use tandem_harness::Coordinator;

use crate::settings::Settings;

/// Jobs that are made at a time.
const PART: u32 = 50_000;
/// For all of them together.
pub(crate) const FILL_LIMIT: Duration = Duration::from_secs(3600);

/// A coordinator with a history.
pub(crate) struct House {
    pub(crate) coordinator: Coordinator,
}

impl House {
    pub(crate) fn start(settings: &Settings, jobs: u32) -> Result<Self> {
        let coordinator = Coordinator::start(&settings.binaries()?)?;
        let database = coordinator.database.with_limit(FILL_LIMIT);
        // Indexes are made at the end, of all rows at once.
        let indexes: Vec<(String, String)> = database.rows(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
             FROM pg_index JOIN pg_class tables ON tables.oid = indrelid
             WHERE tables.relnamespace = 'public'::regnamespace AND tables.relkind = 'r' AND NOT tables.relispartition
               AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        )?;
        let began = Instant::now();
        for (name, _) in &indexes {
            database.execute(&format!("DROP INDEX {name}"))?;
        }
        for first in (0..jobs).step_by(PART as usize) {
            let part = PART.min(jobs - first);
            database.execute(&format!(
                "SET fill.first = '{first}'; SET fill.jobs = '{part}'; SET fill.total = '{jobs}'; SET fill.points = '{}';
                 SET fill.tags = 'on'",
                settings.points
            ))?;
            database.execute(include_str!("../../fill.sql"))?;
            eprint!("\r{} of {jobs} jobs", first + part);
        }
        for (_, definition) in &indexes {
            database.execute(definition)?;
        }
        database.execute("VACUUM ANALYZE")?;
        let bytes: i64 = database.value("SELECT pg_database_size(current_database())")?;
        eprintln!(": {:.1} GB, in {:.0} s", bytes as f64 / 1e9, began.elapsed().as_secs_f64());
        Ok(Self { coordinator })
    }
}
