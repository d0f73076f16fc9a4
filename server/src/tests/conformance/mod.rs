//! The script that the simulator's model of the database is held to, on the original: Postgres, through the functions that
//! coordinators call.

mod answers;
mod clock;
mod postgres;
mod stream;
mod words;

use tandem_harness::TestDatabase;
use tandem_sim::conformance::{play, scenarios};
use tokio::runtime::Runtime;

use super::TestStore;
use postgres::Postgres;

#[test]
fn the_store_answers_as_the_script_says() {
    let (runtime, database) = (Runtime::new().unwrap(), TestDatabase::create());
    clock::stop(&database);
    let store = runtime.block_on(TestStore::on(database));
    let scenarios = scenarios();
    let wrong: Vec<String> = scenarios
        .iter()
        .filter_map(|scenario| play(scenario, &mut Postgres::new(scenario, &store, &runtime)).err())
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), scenarios.len(), wrong.join("\n"));
}
