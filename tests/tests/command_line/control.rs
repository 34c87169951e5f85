//! What is done to programs, queues and tables.

use executor_tests::until;
use serde_json::Value;

use crate::app::{App, read_until};

#[tokio::test]
async fn an_unknown_run_id_is_an_error_of_one_line() {
    let app = App::new();
    for arguments in [
        &["show", "nope"][..],
        &["follow", "nope"],
        &["cancel", "nope"],
        &["retry", "nope"],
        &["delete", "nope"],
        &["complete", "nope"],
        &["complete", "nope/0/1", "--output", "1"],
        &["fail", "nope", "--message", "x"],
    ] {
        let ended = app.run(arguments).await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        assert_eq!(
            ended.stderr, "Error: there is no program nope\n",
            "{arguments:?}"
        );
    }
    // One that is not there doesn't keep the others from being served.
    let run_id = app.ok(&["create", "--jobs", "stumble"]).await;
    let ended = app.run(&["cancel", "nope", &run_id, "nor this"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stdout, format!("{run_id} cancelled\n"));
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
}

#[tokio::test]
async fn a_running_program_is_cancelled_and_deleted() {
    let app = App::new();
    let _worker = app.work();
    let run_id = app
        .ok(&["start", "patience", "--path", &app.path("never")])
        .await;
    let running = app.reaches(&run_id, "running").await;
    assert_eq!(running["reason"], Value::Null);
    let workers = app.json(&["workers", "--json"]).await;
    assert_eq!(workers[0]["id"], running["worker"]);
    assert!(app.ok(&["workers"]).await.contains("default"), "{workers}");
    app.ok(&["cancel", &run_id]).await;
    let error = app.fails(&["follow", &run_id]).await;
    assert!(
        error.ends_with("errored at 1/2 wait_for_file: cancelled"),
        "{error}"
    );
    let error = app.fails(&["cancel", &run_id]).await;
    assert!(error.ends_with("there is nothing to cancel"), "{error}");
    app.ok(&["delete", &run_id]).await;
    assert_eq!(
        app.fails(&["show", &run_id]).await,
        format!("there is no program {run_id}")
    );
}

#[tokio::test]
async fn a_paused_queue_waits_and_show_says_so() {
    let app = App::new();
    let _worker = app.work();
    assert_eq!(app.ok(&["pause", "default"]).await, "default paused");
    assert_eq!(
        app.ok(&["pause", "default"]).await,
        "default was paused already"
    );
    let run_id = app.ok(&["create", "--jobs", "stumble"]).await;
    until("a worker is there", async || {
        !app.ok(&["workers"]).await.is_empty()
    })
    .await;
    let show = app.ok(&["show", &run_id]).await;
    let reason = "available: the queue \"default\" is paused, until `resume default`\n";
    assert!(show.contains(reason), "{show}");
    assert_eq!(app.ok(&["resume", "default"]).await, "default resumed");
    app.reaches(&run_id, "finished").await;
    assert_eq!(
        app.ok(&["resume", "default"]).await,
        "default was not paused"
    );
    assert_eq!(app.ok(&["prune", "--older-than", "1h"]).await, "0 deleted");
    assert_eq!(app.ok(&["prune", "--older-than", "0s"]).await, "1 deleted");
}

#[tokio::test]
async fn a_handed_off_job_is_reported_on() {
    let app = App::new();
    let mut worker = app.work();
    let mut stdout = worker.stdout.take().expect("piped");
    let alone = app.ok(&["create", "--jobs", "delegate"]).await;
    let show = app.reaches(&alone, "waiting").await;
    let reason = show["reason"].as_str().expect("a text");
    assert!(reason.starts_with("handed off; waits until"), "{reason}");
    app.ok(&["complete", &alone, "--output", "7"]).await;
    assert_eq!(
        app.reaches(&alone, "finished").await["outputs"]["delegate"],
        7
    );

    read_until(&mut stdout, "\n").await;
    let first = app.ok(&["create", "--jobs", "delegate,stumble"]).await;
    app.reaches(&first, "waiting").await;
    let error = app.fails(&["fail", &first, "--message", "no"]).await;
    assert!(
        error.ends_with("a report needs the hand-off token of its step"),
        "{error}"
    );
    let printed = read_until(&mut stdout, "\n").await;
    let token = printed.trim().strip_prefix("token ").expect("a token");
    app.ok(&["fail", token, "--message", "the other side is closed"])
        .await;
    let failed = app.reaches(&first, "errored").await;
    assert_eq!(failed["error_message"], "the other side is closed");
}

#[tokio::test]
async fn migrate_checks_and_applies() {
    let app = App::new();
    let missing = app.run(&["migrate", "--check"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing
            .stderr
            .contains("the tables are not up to date; `migrate` applies what is missing"),
        "{missing:?}"
    );
    assert!(!missing.stdout.is_empty(), "{missing:?}");
    let applied = app.run(&["migrate"]).await;
    assert_eq!(
        (applied.code, &applied.stdout),
        (Some(0), &missing.stdout),
        "{applied:?}"
    );
    for arguments in [&["migrate"][..], &["migrate", "--check"]] {
        let done = app.run(arguments).await;
        let said = (done.code, &*done.stdout, &*done.stderr);
        assert_eq!(said, (Some(0), "", "the tables are up to date\n"));
    }
}
