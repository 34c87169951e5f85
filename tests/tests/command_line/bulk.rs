//! What is done to all programs that match.

use serde_json::json;

use crate::app::App;

#[tokio::test]
async fn all_that_match_are_cancelled_retried_and_deleted() {
    let app = App::new();
    let data = app.path_data("need_file", "missing");
    let create = async |queue: &str| {
        let jobs = [
            "create",
            "--jobs",
            "need_file",
            "--job-data",
            &data,
            "--queue",
            queue,
        ];
        app.ok(&jobs).await
    };
    for queue in ["default", "default", "mail", "mail", "mail"] {
        create(queue).await;
    }
    let mail = ["--all", "--queue", "mail"];
    let run = async |verb: &str, more: &[&str]| app.ok(&[&[verb], &mail[..], more].concat()).await;
    assert_eq!(run("cancel", &["--dry-run"]).await, "3 would be cancelled");
    assert_eq!(run("cancel", &["--yes"]).await, "3 cancelled");
    assert_eq!(run("cancel", &["--yes"]).await, "0 cancelled");
    let errored = app.json(&["list", "--error", "cancel", "--json"]).await;
    assert_eq!(errored.as_array().map(Vec::len), Some(3), "{errored}");
    assert_eq!(
        run("retry", &["--error", "cancel", "--dry-run"]).await,
        "3 would be retried"
    );
    assert_eq!(
        run("retry", &["--error", "Cancel", "--yes"]).await,
        "0 retried"
    );
    assert_eq!(
        run("retry", &["--error", "cancel", "--yes"]).await,
        "3 retried"
    );
    assert_eq!(
        run("delete", &["--created-before", "1h", "--yes"]).await,
        "0 deleted"
    );
    assert_eq!(
        run("delete", &["--created-after", "1h", "--yes"]).await,
        "3 deleted"
    );
    let all = ["delete", "--all", "--attribute", "customer=7", "--dry-run"];
    assert_eq!(app.ok(&all).await, "0 would be deleted");
    assert_eq!(app.ok(&["delete", "--all", "--yes"]).await, "2 deleted");
}

#[tokio::test]
async fn nobody_to_ask_is_a_mistake() {
    let app = App::new();
    app.ok(&["create", "--jobs", "stumble"]).await;
    let said = app.misused(&["delete", "--all"]).await;
    assert!(said.contains("1 program to be deleted"), "{said}");
    assert!(said.contains("add --yes, or --dry-run"), "{said}");
    assert_eq!(
        app.ok(&["delete", "--all", "--dry-run"]).await,
        "1 would be deleted"
    );
    for (arguments, problem) in [
        (&["cancel"][..], "<RUN_ID>"),
        (&["cancel", "--yes"], "--all"),
        (&["cancel", "abc", "--all"], "cannot be used with"),
        (
            &["cancel", "abc", "--queue", "mail"],
            "a filter goes with --all",
        ),
        (&["cancel", "--all", "--state", "done"], "possible values"),
        (
            &["cancel", "--all", "--attribute", "x"],
            "write it like customer=7",
        ),
        (
            &["cancel", "--all", "--created-after", "soon"],
            "write it like 2h",
        ),
        (
            &["prune", "--older-than", "1h", "--state", "running"],
            "possible values",
        ),
    ] {
        let said = app.misused(arguments).await;
        assert!(said.contains(problem), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn a_key_may_replace_or_last() {
    let app = App::new();
    let create = async |more: &[&str]| {
        let jobs = ["create", "--jobs", "stumble", "--run-after", "1h", "--json"];
        app.json(&[&jobs[..], more].concat()).await
    };
    let first = create(&["--unique", "k"]).await;
    let second = create(&["--unique", "k", "--replace", "--priority", "3"]).await;
    assert_eq!(
        second,
        json!({"run_id": first["run_id"], "existed": true, "replaced": true})
    );
    let lasts = create(&["--unique", "k", "--unique-for", "1h"]).await;
    assert_eq!(lasts["existed"], false, "{lasts}");
    app.ok(&["delete", lasts["run_id"].as_str().expect("a run id")])
        .await;
    let again = create(&["--unique", "k", "--unique-for", "1h"]).await;
    assert_eq!(
        again,
        json!({"run_id": lasts["run_id"], "existed": true, "replaced": false})
    );
}

#[tokio::test]
async fn ended_programs_are_pruned_by_state_and_queue() {
    let app = App::new();
    for queue in ["default", "mail"] {
        let run_id = app
            .ok(&["create", "--jobs", "delegate", "--queue", queue])
            .await;
        app.ok(&["complete", &run_id, "--output", "1"]).await;
        let run_id = app
            .ok(&["create", "--jobs", "delegate", "--queue", queue])
            .await;
        app.ok(&["fail", &run_id, "--message", "no"]).await;
        let run_id = app
            .ok(&["create", "--jobs", "delegate", "--queue", queue])
            .await;
        app.ok(&["complete", &run_id, "--output", "1", "--delete"])
            .await;
        let run_id = app
            .ok(&["create", "--jobs", "delegate", "--queue", queue])
            .await;
        app.ok(&["fail", &run_id, "--message", "no", "--delete"])
            .await;
    }
    let prune = async |more: &[&str]| {
        app.ok(&[&["prune", "--older-than", "0s"], more].concat())
            .await
    };
    assert_eq!(prune(&["--dry-run"]).await, "4 would be deleted");
    let errored = ["--state", "errored", "--queue", "mail"];
    assert_eq!(prune(&errored).await, "1 deleted");
    assert_eq!(
        prune(&["--state", "errored", "--dry-run"]).await,
        "1 would be deleted"
    );
    assert_eq!(prune(&["--queue", "mail"]).await, "1 deleted");
    assert_eq!(prune(&[]).await, "2 deleted");
}
