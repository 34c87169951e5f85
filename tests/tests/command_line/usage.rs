//! Arguments: what is understood, what is refused, and what needs no store.

use serde_json::Value;

use crate::app::{App, ended};

#[tokio::test]
async fn what_can_not_be_understood_ends_with_code_2() {
    let app = App::new();
    for (arguments, said) in [
        (
            &["wrok"][..],
            "similar subcommands exist: 'workers', 'work'",
        ),
        (&["work", "--slots", "0"], "invalid value '0' for '--slots"),
        (
            &["start", "welcom"],
            "a similar subcommand exists: 'welcome'",
        ),
        (&["start", "welcome"], "--customer-name <String>"),
        (
            &["start", "welcome", "--lout"],
            "a similar argument exists: '--loud'",
        ),
        (&["create"], "--jobs <NAMES>"),
        (
            &["create", "--jobs", "greet", "--job-data", "{nonsense"],
            "no JSON",
        ),
        (
            &["create", "--jobs", "greet", "--run-after", "soon"],
            "write it like 30s",
        ),
        (
            &["list", "--state", "eror"],
            "possible values: scheduled, available",
        ),
        (&["show"], "<RUN_ID>"),
        (&["prune"], "--older-than"),
        (&["fail", "x"], "--message"),
        (
            &[
                "create",
                "--jobs",
                "a",
                "--program-data",
                "-",
                "--job-data",
                "-",
            ],
            "only one of --program-data and --job-data can come from stdin",
        ),
    ] {
        let stderr = app.misused(arguments).await;
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn what_the_application_can_do_is_told_without_a_store() {
    let app = App::new();
    let run = async |arguments: &[&str]| {
        let mut command = app.command(arguments);
        command.env("DATABASE_URL", "nonsense://");
        let ended = ended(command).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.stdout
    };
    let help = run(&["--help"]).await;
    for command in [
        "work", "start", "create", "list", "show", "follow", "migrate",
    ] {
        assert!(
            help.contains(&format!("\n  {command}  ")),
            "{command}: {help}"
        );
    }
    assert!(run(&["--version"]).await.starts_with("test-app (executor "));
    assert!(
        run(&["start", "--help"])
            .await
            .contains("welcome   Greets a customer.")
    );
    let help = run(&["start", "welcome", "--help"]).await;
    assert!(help.contains("--customer-name <String>"), "{help}");
    assert!(help.contains("Who is greeted."), "{help}");

    let jobs = run(&["jobs"]).await;
    assert!(jobs.contains("greet  Greets somebody.\n"), "{jobs}");
    assert!(
        jobs.contains("up to 3 retries, 1s..2m apart; timeout 10m\n"),
        "{jobs}"
    );
    let jobs: Value = serde_json::from_str(&run(&["jobs", "--json"]).await).expect("JSON");
    let greet = jobs
        .as_array()
        .expect("an array")
        .iter()
        .find(|job| job["name"] == "greet");
    let greet = greet.expect("it is there");
    assert_eq!(greet["doc"], "Greets somebody.\n\nIn the way of the house.");
    assert_eq!(greet["fields"][0]["required"], true);
    assert_eq!(greet["fields"][1]["required"], false);
    assert_eq!(greet["max_retries"], 3);

    let programs = run(&["programs"]).await;
    assert!(
        programs.contains("customer_name: String  Who is greeted."),
        "{programs}"
    );
    let programs: Value = serde_json::from_str(&run(&["programs", "--json"]).await).expect("JSON");
    assert_eq!(programs[2]["name"], "welcome");
    assert_eq!(programs[2]["arguments"][3]["name"], "times");

    let left = std::fs::read_dir(app.fresh.folder())
        .expect("readable")
        .count();
    assert_eq!(left, 0, "a file was made");
}

#[tokio::test]
async fn a_programs_own_arguments_win_over_the_command_lines() {
    let app = App::new();
    let created = app
        .json(&[
            "start",
            "greedy",
            "--help",
            "me",
            "--json",
            "--follow",
            "you",
            "--table",
            "own",
            "--executor-table",
            "others",
            "--executor-json",
        ])
        .await;
    let run_id = created["run_id"].as_str().expect("a text");
    let list = app.json(&["list", "--json", "--table", "others"]).await;
    assert_eq!(list[0]["run_id"], run_id);
    assert_eq!(list[0]["job_data"]["greet"]["name"], "me/true/you/own");
}

#[tokio::test]
async fn wrong_arguments_and_data_are_refused_and_nothing_is_stored() {
    let app = App::new();
    let start = [
        "start",
        "welcome",
        "--customer-name",
        "Ada",
        "--customer-id",
        "seven",
    ];
    let error = app.fails(&start).await;
    assert!(
        error.starts_with("the argument \"customer_id\": invalid type: string"),
        "{error}"
    );
    for (jobs, data, said) in [
        (
            "gret",
            "{}",
            "no job is named \"gret\"; did you mean \"greet\"?",
        ),
        ("shout", "{}", "job \"shout\" needs the output of \"greet\""),
        ("greet", "{}", "data of job \"greet\": missing field `name`"),
        (
            "greet",
            r#"{"greet": {"name": 7}}"#,
            "data of job \"greet\": at name: invalid type",
        ),
        (
            "stumble",
            r#"{"greet": {}}"#,
            "job data for \"greet\", which is no job of this program",
        ),
        ("stumble", "[]", "job data must be an object"),
        ("stumble", "@no.json", "no.json can't be read: "),
    ] {
        let error = app
            .fails(&["create", "--jobs", jobs, "--job-data", data])
            .await;
        assert!(error.starts_with(said), "{jobs} {data}: {error}");
    }
    assert!(!app.fresh.file().exists(), "a store was made");
    assert_eq!(app.json(&["list", "--json"]).await, serde_json::json!([]));
}

#[tokio::test]
async fn data_comes_from_a_file_too() {
    let app = App::new();
    std::fs::write(app.path("data.json"), r#"{"greet": {"name": "Ada"}}"#).expect("written");
    let run_id = app
        .ok(&["create", "--jobs", "greet", "--job-data", "@data.json"])
        .await;
    let program = app.json(&["show", &run_id, "--json"]).await;
    assert_eq!(program["job_data"]["greet"]["name"], "Ada");

    let mut command = app.command(&["create", "--jobs", "greet", "--job-data", "-"]);
    command.stdin(std::fs::File::open(app.path("data.json")).expect("it is there"));
    assert_eq!(ended(command).await.code, Some(0));
}

#[tokio::test]
async fn creation_options_reach_the_program() {
    let app = App::new();
    let create = [
        "create",
        "--jobs",
        "stumble",
        "--priority",
        "-5",
        "--run-after",
        "1h",
    ];
    let options = ["--queue", "mail", "--unique", "only", "--json"];
    let all = [&create[..], &options].concat();
    let created = app.json(&all).await;
    assert_eq!(created["existed"], false);
    let again = app.json(&all).await;
    assert_eq!(
        (&again["run_id"], &again["existed"]),
        (&created["run_id"], &true.into())
    );
    let run_id = created["run_id"].as_str().expect("a text");
    let program = app.json(&["show", run_id, "--json"]).await;
    assert_eq!(program["priority"], -5);
    assert_eq!(program["unique_key"], "only");
    assert_eq!(program["state"], "scheduled");
    let reason = program["reason"].as_str().expect("a text");
    assert!(reason.starts_with("due at "), "{reason}");
    assert!(
        reason.contains("no live worker works the queue \"mail\""),
        "{reason}"
    );
}

#[tokio::test]
async fn a_store_that_is_not_there_is_one_line_and_code_1() {
    let app = App::new();
    let error = app
        .fails(&["list", "--database-url", "sqlite:no/such/folder.db"])
        .await;
    assert_eq!(
        error,
        "the folder no/such of the database file does not exist"
    );
    let error = app.fails(&["list", "--database-url", "redis://x"]).await;
    assert!(
        error.starts_with("the database URL has the unknown scheme \"redis\""),
        "{error}"
    );
}
