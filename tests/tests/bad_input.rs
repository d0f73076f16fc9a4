//! Every kind of bad input: a clear message, the documented exit code, nothing stored.

use std::path::Path;

use tandem_harness::{Binaries, Cluster, Outcome, TestDatabase, command, run, small_experiment};

/// Exit codes of `tandem --help`.
const BAD_FILE: i32 = 65;
const NOT_FOUND: i32 = 66;
const UNREACHABLE: i32 = 69;

fn submit(cluster: &Cluster, text: &str) -> Outcome {
    let path = cluster.file("bad.toml", text).expect("the folder is writable");
    cluster.tandem(&["submit", &path.to_string_lossy()], "")
}

/// Runs a coordinator that must end by itself.
fn serve(database_url: &str, listen: &str, folder: &Path) -> anyhow::Result<Outcome> {
    let mut command = command(&Binaries::beside_this_program()?.server);
    command.args(["--listen", listen, "--database-url", database_url, "--store"]).arg(folder.join("store"));
    Ok(run(&mut command, ""))
}

fn assert_refused(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.code, code, "{outcome:#?}");
    for word in words {
        assert!(outcome.stderr.contains(word), "`{word}` is not in {outcome:#?}");
    }
    assert!(!outcome.stderr.contains("panicked"), "{outcome:#?}");
}

#[test]
fn a_wrong_experiment_file_is_refused_with_its_place_and_stores_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::start(2)?;
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
        let outcome = submit(&cluster, &text);
        assert_eq!(outcome.code, BAD_FILE, "{what}: {outcome:#?}");
        assert_refused(&outcome, BAD_FILE, words);
    }
    assert_refused(&cluster.tandem(&["submit", "no-such-file.toml"], ""), NOT_FOUND, &["no-such-file.toml"]);
    assert_refused(&cluster.tandem(&["show", "no-such-job"], ""), NOT_FOUND, &["no-such-job"]);
    assert_eq!(cluster.json(&["list"])?["jobs"].as_array().map(Vec::len), Some(0), "nothing may be stored");
    Ok(())
}

#[test]
fn a_data_set_that_no_worker_can_read_is_refused_with_the_file_named_and_nothing_is_stored() -> anyhow::Result<()> {
    let cluster = Cluster::start(1)?;
    let absent = submit(&cluster, &small_experiment("absent", 1, 2).replace("folder:images", "folder:cats"));
    assert_refused(&absent, BAD_FILE, &["no worker has the data set `folder:cats`", "folder:images"]);
    // Put there a moment before the submit.
    let data = cluster.folder().join("data/cifar-10-batches-bin");
    std::fs::create_dir_all(&data)?;
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        std::fs::write(data.join(format!("{name}.bin")), vec![0; 3073 * 2 + 17])?;
    }
    let torn = submit(&cluster, &small_experiment("torn", 1, 2).replace("folder:images", "cifar10"));
    assert_refused(&torn, BAD_FILE, &["no worker can read the data set `cifar10`", "data_batch_1.bin"]);
    assert_eq!(cluster.json(&["list"])?["jobs"].as_array().map(Vec::len), Some(0), "nothing may be stored");
    let status = cluster.tandem(&["status"], "").stdout;
    assert!(status.contains("folder:images") && status.contains("cifar10 cannot be used on cpu-0"), "{status}");
    Ok(())
}

#[test]
fn an_image_that_is_damaged_after_the_submit_fails_the_job_with_the_file_named() -> anyhow::Result<()> {
    let cluster = Cluster::start(1)?;
    cluster.wait_datasets();
    let class = std::fs::read_dir(cluster.folder().join("data/images/train"))?.next().expect("a class")?.path();
    let image = std::fs::read_dir(&class)?.next().expect("an image")?.path();
    // In its place, so that no folder changes: the worker does not look into all files every time.
    std::fs::write(&image, "no image")?;
    let name = image.file_name().expect("a name").to_string_lossy().into_owned();
    let experiment = cluster.submit(&small_experiment("torn", 1, 2))?;
    let failed = cluster.tandem(&["watch", &experiment], "");
    assert_eq!(failed.code, 1, "{failed:#?}");
    let job = cluster.job(&experiment, "encoder")?;
    assert_eq!(job["state"], "failed", "{job:#}");
    let reason = job["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&name), "{reason}");
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(1), "bad data is not tried again: {job:#}");
    let linear = cluster.job(&experiment, "linear")?;
    assert_eq!(linear["state"], "cancelled", "{linear:#}");
    Ok(())
}

#[test]
fn a_server_or_database_that_is_not_there_is_named() -> anyhow::Result<()> {
    let mut list = command(&Binaries::beside_this_program()?.tandem);
    let gone = run(list.args(["--server", "http://127.0.0.1:9", "list"]), "");
    assert_refused(&gone, UNREACHABLE, &["http://127.0.0.1:9"]);

    let folder = tempfile::tempdir()?;
    let nobody = "postgres://nobody@127.0.0.1:9/tandem";
    assert_refused(&serve(nobody, "127.0.0.1:0", folder.path())?, UNREACHABLE, &["127.0.0.1:9"]);
    assert_refused(&serve(nobody, "0.0.0.0:0", folder.path())?, 78, &["0.0.0.0:0", "--tls-dir"]);
    Ok(())
}

#[test]
fn a_newer_schema_and_a_taken_port_are_refused() -> anyhow::Result<()> {
    let database = TestDatabase::create();
    database.execute(
        "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, \
             installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL, \
             execution_time bigint NOT NULL); \
         INSERT INTO _sqlx_migrations VALUES (99990101000000, 'from the future', now(), true, '\\x00', 1)",
    );
    let refused = serve(&database.url(), "127.0.0.1:0", database.folder.path())?;
    assert_refused(&refused, 78, &["schema", "99990101000000"]);

    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let database = TestDatabase::create();
    let refused = serve(&database.url(), &address, database.folder.path())?;
    assert!(refused.code != 0 && refused.stderr.contains(&address), "{refused:#?}");
    Ok(())
}

#[test]
fn a_second_up_on_one_folder_is_refused_and_the_first_goes_on() -> anyhow::Result<()> {
    let cluster = Cluster::start(1)?;
    let mut second = command(&Binaries::beside_this_program()?.tandem);
    second.args(["up", "--workers", "1", "--listen", "127.0.0.1:0", "--dir"]).arg(cluster.folder());
    let refused = run(&mut second, "");
    assert!(refused.code != 0, "{refused:#?}");
    assert_refused(&refused, refused.code, &[&cluster.up_pid().to_string()]);
    cluster.json(&["status"])?;
    Ok(())
}
