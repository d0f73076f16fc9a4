//! A clock that stands still until it is moved, for a database that has no tables yet.

use std::time::Duration;

use tandem_harness::TestDatabase;

/// The server's statements ask the database for the time, and these functions come before Postgres's own in the search
/// path: what the script says of times is exact, however slow this machine is.
const CLOCK: &str = "
    CREATE SCHEMA stopped;
    CREATE TABLE stopped.clock AS SELECT timestamptz '2026-01-01 00:00:00Z' AS at;
    CREATE FUNCTION stopped.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        AS 'SELECT at FROM stopped.clock';
    CREATE FUNCTION stopped.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM stopped.clock';
    GRANT USAGE ON SCHEMA stopped TO PUBLIC;
    GRANT SELECT ON stopped.clock TO PUBLIC;
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, stopped, pg_catalog', current_database()); END $$";

/// Connections that are made from now on have this clock.
pub(super) fn stop(database: &TestDatabase) {
    database.execute(CLOCK);
}

pub(super) fn advance(database: &TestDatabase, time: Duration) {
    database.execute(&format!("UPDATE stopped.clock SET at = at + interval '{} ms'", time.as_millis()));
}
