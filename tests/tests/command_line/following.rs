//! Programs that are started, followed and interrupted.

use executor_tests::until;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::app::{App, ended, exit, read_until, signal};

#[tokio::test]
async fn a_program_is_started_listed_and_shown() {
    let app = App::new();
    let run_id = app
        .ok(&[
            "start",
            "welcome",
            "--customer-name",
            "Ada",
            "--customer-id",
            "-7",
            "--loud",
        ])
        .await;
    assert!(!run_id.contains(char::is_whitespace), "{run_id}");
    let list = app.ok(&["list"]).await;
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("RUN ID"), "{list}");
    let cells: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(
        cells[..6],
        [&run_id, "welcome", "default", "available", "1/2", "greet"],
        "{list}"
    );

    let show = app.ok(&["show", &run_id]).await;
    assert!(
        show.contains("available: no live worker works the queue \"default\"; `work --queue default` starts one"),
        "{show}"
    );
    assert!(
        show.contains("1 greet  available\n         {\"name\":\"Ada (-7)\""),
        "{show}"
    );
    assert!(show.contains("2 shout  to come"), "{show}");

    let other = app
        .ok(&[
            "create", "--jobs", "stumble", "--queue", "mail", "--name", "n",
        ])
        .await;
    for filter in [
        ["--queue", "mail"],
        ["--name", "n"],
        ["--job", "stumble"],
        ["--limit", "1"],
    ] {
        let list = app.json(&["list", "--json", filter[0], filter[1]]).await;
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{filter:?}: {list}");
        assert_eq!(list[0]["run_id"], *other, "{filter:?}");
    }
    let none = app.run(&["list", "--state", "running,errored"]).await;
    assert_eq!(
        (none.code, &*none.stdout, &*none.stderr),
        (Some(0), "", "no programs\n")
    );
    let stats = app.json(&["stats", "--json"]).await;
    assert_eq!(stats["states"]["available"], 2);
    assert_eq!(stats["queues"]["mail"]["states"]["available"], 1);
}

#[tokio::test]
async fn a_followed_program_runs_here_when_nobody_works() {
    let app = App::new();
    for single_thread in [false, true] {
        let mut command = app.command(&["create", "--jobs", "stumble,greet,shout", "--follow"]);
        command.args([
            "--job-data",
            r#"{"greet": {"name": "Ada"}}"#,
            "--queue",
            "a b",
        ]);
        if single_thread {
            command.env("APP_SINGLE_THREAD", "1");
        }
        let ended = ended(command).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let run_id = ended.stdout.trim_end();
        assert!(
            ended
                .stderr
                .starts_with("no live worker works the queue \"a b\": working on it here")
        );
        assert!(
            ended.stderr.contains(&format!("{run_id} finished in ")),
            "{ended:?}"
        );
        let program = app.json(&["show", run_id, "--json"]).await;
        assert_eq!(program["outputs"]["shout"], "HELLO ADA");
        assert_eq!(program["errors"][0]["error"], "stumbled");
        let show = app.ok(&["show", run_id]).await;
        assert!(
            show.contains("✓  1 stumble  done       attempt 2\n"),
            "{show}"
        );
        assert!(
            show.contains("✓  3 shout    done       -> \"HELLO ADA\"\n"),
            "{show}"
        );
    }
}

#[tokio::test]
async fn a_followed_program_that_errored_ends_with_code_1() {
    let app = App::new();
    let data = app.path_data("need_file", "there");
    let create = [
        "create",
        "--jobs",
        "need_file",
        "--job-data",
        &data,
        "--follow",
    ];
    let error = app.fails(&create).await;
    let why = format!(
        "errored at 1/1 need_file: there is no {}",
        app.path("there")
    );
    assert!(error.ends_with(&why), "{error}");
    let list = app.json(&["list", "--json", "--state", "errored"]).await;
    let run_id = list[0]["run_id"].as_str().expect("a text");
    assert_eq!(error, format!("program {run_id} {why}"));
    assert_eq!(app.fails(&["follow", run_id]).await, error);
    let show = app.ok(&["show", run_id]).await;
    assert!(show.contains("✗  1 need_file  failed"), "{show}");

    // What was missing is there now: it goes on from the step that failed.
    app.touch("there");
    assert_eq!(
        app.ok(&["retry", run_id]).await,
        format!("{run_id} to be retried")
    );
    let mut worker = app.work();
    let lines = app.ok(&["follow", run_id]).await;
    let last = lines.lines().last().unwrap_or_default();
    assert!(
        last.starts_with(&format!("{run_id} finished in ")),
        "{lines}"
    );
    let error = app.fails(&["retry", run_id]).await;
    assert!(
        error.ends_with("has finished: only an errored program can be retried"),
        "{error}"
    );
    signal(&worker, "TERM").await;
    assert!(exit(&mut worker).await.success());
}

#[tokio::test]
async fn follow_tells_each_change_and_all_that_errored() {
    let app = App::new();
    let patience = app
        .ok(&["start", "patience", "--path", &app.path("end")])
        .await;
    let data = app.path_data("need_file", "missing");
    let errs = app
        .ok(&["create", "--jobs", "need_file", "--job-data", &data])
        .await;
    let mut follow = app
        .command(&["follow", &patience, &errs, &patience])
        .spawn()
        .expect("starts");
    // It says that nobody works, and goes on when somebody does.
    let stderr = follow.stderr.take().expect("piped");
    let warned = read_until(stderr, "starts one").await;
    assert_eq!(
        warned,
        "no live worker works the queue \"default\"; `work --queue default` starts one\n"
    );
    let _worker = app.work();
    let mut stdout = follow.stdout.take().expect("piped");
    let mut said = read_until(
        &mut stdout,
        &format!("{patience} running 1/2 wait_for_file\n"),
    )
    .await;
    app.touch("end");
    // The two may be seen to end in either order.
    stdout
        .read_to_string(&mut said)
        .await
        .expect("text to the end");
    assert!(said.contains(&format!("{patience} finished in ")), "{said}");
    assert!(
        said.contains(&format!("{errs} errored at 1/1 need_file: there is no ")),
        "{said}"
    );
    assert_eq!(exit(&mut follow).await.code(), Some(1));

    let lines = app.ok(&["follow", &patience, "--json"]).await;
    let line: Value = serde_json::from_str(&lines).expect("one line of JSON");
    assert_eq!(line["state"], "finished");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let app = App::new();
    app.ok(&["create", "--jobs", "stumble"]).await;
    for arguments in [
        &["list"][..],
        &["jobs", "--json"],
        &["show", "--help"],
        &["stats"],
    ] {
        let mut child = app.command(arguments).spawn().expect("it starts");
        drop(child.stdout.take());
        let mut said = String::new();
        let mut stderr = child.stderr.take().expect("piped");
        stderr.read_to_string(&mut said).await.expect("UTF-8");
        assert_eq!(
            (exit(&mut child).await.code(), &*said),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[tokio::test]
async fn a_signal_lets_jobs_end_and_a_second_does_not() {
    let app = App::new();
    let run_id = app
        .ok(&["start", "patience", "--path", &app.path("end")])
        .await;
    // Without a command it works.
    let mut worker = app.command(&[]).spawn().expect("it starts");
    let first = app.reaches(&run_id, "running").await["worker"].clone();
    until("the job has begun", async || {
        let program = app.json(&["show", &run_id, "--json"]).await;
        program["job_data"]["wait_for_file"]["looked"] == 1
    })
    .await;
    let mut stderr = worker.stderr.take().expect("piped");
    signal(&worker, "INT").await;
    read_until(&mut stderr, "asked to end; a second signal ends at once").await;
    signal(&worker, "TERM").await;
    assert_eq!(exit(&mut worker).await.code(), Some(130));

    let mut worker = app.work();
    until("somebody has taken it over", async || {
        let program = app.json(&["show", &run_id, "--json"]).await;
        let begun = program["job_data"]["wait_for_file"]["looked"] == 2;
        program["state"] == "running" && program["worker"] != first && begun
    })
    .await;
    signal(&worker, "TERM").await;
    app.touch("end");
    assert_eq!(exit(&mut worker).await.code(), Some(0));
    let program = app.json(&["show", &run_id, "--json"]).await;
    assert_eq!(program["step"], 1, "the job was not let end: {program}");
}

#[tokio::test]
async fn an_interrupted_start_leaves_the_program_to_the_next() {
    let app = App::new();
    let start = ["start", "patience", "--path", &app.path("end"), "--follow"];
    let mut child = app.command(&start).spawn().expect("it starts");
    let mut stderr = child.stderr.take().expect("piped");
    read_until(&mut stderr, "running 1/2 wait_for_file").await;
    // It is claimed; a body that has not begun by then would not begin.
    until("the job has begun", async || {
        let list = app.json(&["list", "--json"]).await;
        list[0]["job_data"]["wait_for_file"]["looked"] == 1
    })
    .await;
    signal(&child, "INT").await;
    read_until(&mut stderr, "a second signal ends at once").await;
    app.touch("end");
    read_until(
        &mut stderr,
        "Error: interrupted; the next worker goes on with program ",
    )
    .await;
    assert_eq!(exit(&mut child).await.code(), Some(1));
    let list = app.json(&["list", "--json"]).await;
    assert_eq!(
        (&list[0]["state"], &list[0]["step"]),
        (&"available".into(), &1.into())
    );
}
