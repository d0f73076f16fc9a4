//! Questions in SQL's own words: `tandem results` and `tandem list` with `--where` and what goes with it.

use tandem_proto::v1::{
    AskCell, AskColumn, AskRequest, AskResponse, AskRow, ExperimentSummary, JobState, ask_cell::Value,
};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

fn column(name: &str, kind: &str) -> AskColumn {
    AskColumn { name: name.to_owned(), kind: kind.to_owned(), unit: String::new() }
}

fn row(id: &str, cells: [Value; 2]) -> AskRow {
    AskRow {
        job_id: id.to_owned(),
        experiment_id: "e".to_owned(),
        cells: cells.map(|value| AskCell { value: Some(value) }).to_vec(),
    }
}

/// Two pages of one row each.
fn pages() -> Script {
    let columns = vec![column("encoder", "text"), column("accuracy", "float")];
    let first = [Value::Text("resnet18".to_owned()), Value::Number(0.91)];
    let second = [Value::Text("resnet50".to_owned()), Value::Number(0.9)];
    let first = AskResponse {
        columns: columns.clone(),
        rows: vec![row("11111111-0000-0000-0000-000000000000", first)],
        next_cursor: "c1".to_owned(),
        total: Some(2),
        ..AskResponse::default()
    };
    let second = AskResponse {
        columns,
        rows: vec![row("22222222-0000-0000-0000-000000000000", second)],
        not_indexed: 3,
        ..AskResponse::default()
    };
    Script { answers: vec![first, second], ..Script::default() }
}

#[tokio::test]
async fn a_condition_is_asked_as_it_is_and_what_is_left_is_said() {
    let (server, script) = Coordinator::start(pages()).await;
    let condition = "stage = 'linear' and age < '30d'";
    let ended = run(
        &server,
        &[
            "results",
            "table1",
            "--where",
            condition,
            "--best",
            "accuracy",
            "--columns",
            "encoder,accuracy",
            "--mine",
            "--since",
            "2026-06-01",
        ],
    )
    .await;
    let (status, stdout, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("resnet18") && stdout.contains("91.0 %") && !stdout.contains("resnet50"), "{stdout}");
    assert!(stderr.contains("1 more: the same with --cursor c1"), "{stderr}");
    let asked: Vec<AskRequest> = script.lock().unwrap().questions.drain(..).collect();
    let expected = AskRequest {
        r#where: condition.to_owned(),
        target: "table1".to_owned(),
        mine: true,
        since: "2026-06-01".to_owned(),
        order: "accuracy".to_owned(),
        columns: vec!["encoder".to_owned(), "accuracy".to_owned()],
        limit: 20,
        ..AskRequest::default()
    };
    assert_eq!(asked, [expected]);
    let ended = run(&server, &["results", "--where", condition, "--cursor", "c1"]).await;
    let (_, stdout, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert!(stdout.contains("resnet50"), "{stdout}");
    assert!(stderr.contains("3 older jobs cannot be found yet"), "{stderr}");
    let ended = run(&server, &["results", "a", "b", "--mine"]).await;
    let (status, _, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert_eq!(status, Some(2), "{stderr}");
    assert!(stderr.contains("`b`: with a condition or a format, expected one job or experiment"), "{stderr}");
}

#[tokio::test]
async fn another_program_gets_all_pages_in_one_file() {
    let (server, script) = Coordinator::start(pages()).await;
    let ended = run(&server, &["results", "--format", "csv"]).await;
    let (status, stdout, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(
        stdout,
        "job_id,experiment_id,encoder,accuracy\n\
         11111111-0000-0000-0000-000000000000,e,resnet18,0.91\n\
         22222222-0000-0000-0000-000000000000,e,resnet50,0.9\n"
    );
    let cursors: Vec<String> = script.lock().unwrap().questions.drain(..).map(|asked| asked.cursor).collect();
    assert_eq!(cursors, ["", "c1"]);
}

#[tokio::test]
async fn as_many_rows_as_are_asked_for_and_a_file_with_its_name_at_the_end() {
    let (server, script) = Coordinator::start(pages()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.parquet");
    let shown = path.display().to_string();
    let ended = run(&server, &["results", "--out", &shown, "--limit", "1"]).await;
    let (status, stdout, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert_eq!((status, stdout), (Some(0), ""), "{stderr}");
    assert!(stderr.contains("--cursor c1"), "one is left: {stderr}");
    assert_eq!(std::fs::read(&path).unwrap()[..4], *b"PAR1");
    let ended = run(&server, &["results", "--out", &shown]).await;
    let (status, _, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert_eq!(status, Some(73), "{stderr}");
    let ended = run(&server, &["results", "--out", &folder.path().join("x.xls").display().to_string()]).await;
    let (status, _, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert!(status == Some(2) && stderr.contains("ends with none of"), "{stderr}");
    assert_eq!(script.lock().unwrap().questions.len(), 1, "what cannot be written is not asked for");
}

#[tokio::test]
async fn a_list_takes_the_same_words_and_says_that_it_is_cut() {
    let jobs = vec![job("encoder", JobState::Running)];
    let (server, script) = Coordinator::start(Script { jobs, ..Script::default() }).await;
    let ended =
        run(&server, &["list", "--where", "lr > 0.1", "--owner", "ada", "--since", "7d", "--state", "failed"]).await;
    let (status, stdout, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(stdout, "");
    assert!(stderr.contains("no job is so"), "{stderr}");
    let listed = script.lock().unwrap().lists.pop().unwrap();
    assert_eq!((listed.r#where.as_str(), listed.owner.as_str(), listed.since.as_str()), ("lr > 0.1", "ada", "7d"));
    script.lock().unwrap().list_more = true;
    let ended = run(&server, &["list"]).await;
    let (_, _, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert!(stderr.contains("there are more than these 1; --limit shows more"), "{stderr}");
    script.lock().unwrap().experiments = vec![ExperimentSummary::default(); 2];
    let cut = run(&server, &["list", "--experiments", "--limit", "1"]).await;
    assert!(cut.stderr().contains("there are more than these 1;"), "{}", cut.stderr());
    let whole = run(&server, &["list", "--experiments", "--limit", "2"]).await;
    assert!(!whole.stderr().contains("more than"), "{}", whole.stderr());
    let ended = run(&server, &["list", "--experiments", "--where", "lr > 0.1"]).await;
    let (status, _, stderr) = (ended.code(), ended.stdout(), ended.stderr());
    assert_eq!(status, Some(2), "{stderr}");
}

#[tokio::test]
async fn a_tag_goes_beside_any_filter_and_the_best_may_be_by_any_column() {
    let (server, script) = Coordinator::start(pages()).await;
    let ended = run(&server, &["results", "--tag", "v2", "--best", "accuracy", "--owner", "ann"]).await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr());
    let ended = run(&server, &["results", "--best", "accuracy"]).await;
    assert!(ended.stdout().contains("resnet18"), "{}{}", ended.stdout(), ended.stderr());
    let asked: Vec<AskRequest> = script.lock().unwrap().questions.drain(..).collect();
    assert_eq!((asked[0].tag.as_str(), asked[0].owner.as_str()), ("v2", "ann"));
    assert_eq!((asked[1].tag.as_str(), asked[1].order.as_str()), ("", "accuracy"));

    let (server, script) = Coordinator::start(Script::default()).await;
    let ended = run(&server, &["list", "--tag", "v2", "--experiment", "table1", "--since", "7d"]).await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr());
    let lists = std::mem::take(&mut script.lock().unwrap().lists);
    assert_eq!((lists[0].tag.as_str(), lists[0].experiment.as_str()), ("v2", "table1"));
}
