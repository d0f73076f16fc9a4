//! Every kind of bad input: a clear message, the documented exit code, nothing stored.

use std::process::Command;

use tandem_local_postgres::LocalPostgres;
use tandem_tests::{House, Outcome, binary, run, small_experiment};

/// Exit codes of `tandem --help`.
const BAD_FILE: i32 = 65;
const NOT_FOUND: i32 = 66;
const UNREACHABLE: i32 = 69;

fn submit(house: &House, text: &str) -> Outcome {
    let path = house.file("bad.toml", text).expect("the folder is writable");
    house.tandem(&["submit", &path.to_string_lossy()], "")
}

fn assert_says(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.code, code, "{outcome:#?}");
    for word in words {
        assert!(outcome.stderr.contains(word), "`{word}` is not in {outcome:#?}");
    }
    assert!(!outcome.stderr.contains("panicked"), "{outcome:#?}");
}

#[test]
fn a_wrong_experiment_file_is_refused_with_its_place_and_stores_nothing() -> anyhow::Result<()> {
    let house = House::start(2)?;
    let good = small_experiment("good", 2, 2);
    let cases: [(&str, String, &[&str]); 8] = [
        ("no TOML", good.replace("workers = 2", "workers = = 2"), &["bad.toml:5:"]),
        ("unknown key", good.replace("epochs = 2", "epoch = 2"), &["epoch", "epochs", "bad.toml:11"]),
        ("out of range", good.replace("epochs = 2", "epochs = 0"), &["epochs", "bad.toml:11"]),
        ("wrong type", good.replace("epochs = 2", "epochs = \"two\""), &["epochs", "bad.toml:11"]),
        ("missing job", good.replace("from = \"encoder\"", "from = \"encodr\""), &["encodr", "encoder"]),
        ("cycle", good.replace("from = \"encoder\"", "from = \"linear\""), &["linear"]),
        ("unknown dataset", good.replace("folder:images", "cifar11"), &["cifar11", "cifar10"]),
        (
            "gang larger than the fleet",
            small_experiment("large", 8, 2).replace("shards = 2", "shards = 8"),
            &["8", "2"],
        ),
    ];
    for (what, text, words) in cases {
        let outcome = submit(&house, &text);
        assert_eq!(outcome.code, BAD_FILE, "{what}: {outcome:#?}");
        assert_says(&outcome, BAD_FILE, words);
    }
    assert_says(&house.tandem(&["submit", "no-such-file.toml"], ""), NOT_FOUND, &["no-such-file.toml"]);
    assert_says(&house.tandem(&["show", "no-such-job"], ""), NOT_FOUND, &["no-such-job"]);
    assert_eq!(house.json(&["list"])?["jobs"].as_array().map(Vec::len), Some(0), "nothing may be stored");
    Ok(())
}

#[test]
fn bad_data_fails_the_job_with_the_file_named() -> anyhow::Result<()> {
    let house = House::start(1)?;
    let data = house.dir().join("data/cifar-10-batches-bin");
    std::fs::create_dir_all(&data)?;
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        std::fs::write(data.join(format!("{name}.bin")), vec![0; 3073 * 2 + 17])?;
    }
    let experiment = house.submit(&small_experiment("torn", 1, 2).replace("folder:images", "cifar10"))?;
    let failed = house.tandem(&["watch", &experiment], "");
    assert_eq!(failed.code, 1, "{failed:#?}");
    let job = house.job(&experiment, "encoder")?;
    assert_eq!(job["state"], "failed", "{job:#}");
    let reason = job["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("data_batch_1.bin"), "{reason}");
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(1), "bad data is not tried again: {job:#}");
    let linear = house.job(&experiment, "linear")?;
    assert_eq!(linear["state"], "cancelled", "{linear:#}");
    Ok(())
}

#[test]
fn a_server_or_database_that_is_not_there_is_named() -> anyhow::Result<()> {
    let gone = run(Command::new(binary("tandem")).args(["--server", "http://127.0.0.1:9", "list"]), "");
    assert_says(&gone, UNREACHABLE, &["http://127.0.0.1:9"]);

    let dir = tempfile::tempdir()?;
    let server = |url: &str, listen: &str| {
        let mut command = Command::new(binary("tandem-server"));
        command.args(["--listen", listen, "--database-url", url, "--store"]).arg(dir.path().join("store"));
        run(&mut command, "")
    };
    let absent = server("postgres://nobody@127.0.0.1:9/tandem", "127.0.0.1:0");
    assert_says(&absent, UNREACHABLE, &["127.0.0.1:9"]);
    assert_says(&server("postgres://nobody@127.0.0.1:9/tandem", "0.0.0.0:0"), 78, &["--insecure"]);
    Ok(())
}

#[test]
fn a_newer_schema_and_a_taken_port_are_refused() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("tandem-test.").tempdir()?;
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let postgres = LocalPostgres::start(&dir.path().join("postgres"))?;
    postgres.create_database("tandem")?;
    let url = postgres.url("tandem");
    let sql = "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, \
               installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL, \
               execution_time bigint NOT NULL); \
               INSERT INTO _sqlx_migrations VALUES (99990101000000, 'from the future', now(), true, '\\x00', 1)";
    let made = run(Command::new("psql").args(["-q", "-v", "ON_ERROR_STOP=1", "-c", sql, &url]), "");
    assert_eq!(made.code, 0, "{made:#?}");
    let server = |listen: &str| {
        let mut command = Command::new(binary("tandem-server"));
        command.args(["--listen", listen, "--database-url", &url, "--store"]).arg(dir.path().join("store"));
        run(&mut command, "")
    };
    assert_says(&server("127.0.0.1:0"), 78, &["schema", "99990101000000"]);

    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    postgres.create_database("other")?;
    let url = postgres.url("other");
    let mut command = Command::new(binary("tandem-server"));
    command.args(["--listen", &address, "--database-url", &url, "--store"]).arg(dir.path().join("store"));
    let refused = run(&mut command, "");
    assert!(refused.code != 0 && refused.stderr.contains(&address), "{refused:#?}");
    Ok(())
}

#[test]
fn a_second_up_on_one_folder_is_refused_and_the_first_goes_on() -> anyhow::Result<()> {
    let house = House::start(1)?;
    let mut second = Command::new(binary("tandem"));
    second.args(["up", "--workers", "1", "--listen", "127.0.0.1:0", "--dir"]).arg(house.dir());
    let refused = run(&mut second, "");
    assert!(refused.code != 0, "{refused:#?}");
    assert_says(&refused, refused.code, &[&house.up_pid().to_string()]);
    house.json(&["status"])?;
    Ok(())
}
