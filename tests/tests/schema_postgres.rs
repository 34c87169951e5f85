//! Schemas, logins and what they may do.

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;
#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use std::process::{Command, Output};

use executor::{Executor, Filter, RunId, prelude::*};
use executor_tests::{Fresh, Settings, Store, Working, until};
use jobs::Once;
use trouble::{Count, Log, Tally, all_finish, create};

type Site = trouble::Site<executor_tests::Postgres>;

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

async fn in_schema(fresh: &Fresh, schema: &str) -> Executor {
    let builder = fresh.builder().schema(schema).state(Tally::new());
    builder.connect().await.expect(schema)
}

async fn run_ids(executor: &Executor) -> Vec<RunId> {
    let programs = executor.list(Filter::new()).await.expect("a list");
    let mut run_ids: Vec<_> = programs.into_iter().map(|it| it.run_id).collect();
    run_ids.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    run_ids
}

#[tokio::test]
async fn schemas_may_have_odd_names_and_are_made() {
    let Some(fresh) = Fresh::only_on(Store::Postgres) else {
        return;
    };
    for schema in [
        "Jobs",
        "jobs",
        "two words",
        "it's \"quoted\"",
        "crates 🦀",
        "select",
    ] {
        let executor = in_schema(&fresh, schema).await;
        assert!(executor.migrate().await.expect("twice").is_empty());
        in_schema(&fresh, schema).await;
        let mut created = create(&executor, 5, 2).await;
        for run_id in &created {
            executor.work_until_ended([run_id]).await.expect(schema);
        }
        all_finish(&executor, &created, 2).await;
        created.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        assert_eq!(
            run_ids(&executor).await,
            created,
            "{schema} has its own alone"
        );
        let named = format!("pg_tables WHERE schemaname = $name${schema}$name$");
        let tables = fresh.value("COUNT(*)", &named).expect("a number");
        assert!(
            tables.parse::<u32>().expect("a number") > 2,
            "{schema}: {tables}"
        );
    }
    let in_public = fresh.value("COUNT(*)", "pg_tables WHERE schemaname = 'public'");
    assert_eq!(in_public.as_deref(), Some("0"));
}

#[tokio::test]
async fn two_schemas_and_two_tables_in_one_are_four_stores() {
    let Some(fresh) = Fresh::only_on(Store::Postgres) else {
        return;
    };
    let mut stores = Vec::new();
    for schema in ["one", "two"] {
        for table in ["programs", "Other jobs"] {
            let tally = Tally::new();
            let builder = fresh.builder().schema(schema).table(table);
            let executor = builder.state(tally.clone()).connect().await;
            stores.push((executor.expect("connected"), tally));
        }
    }
    let mut all = Vec::new();
    for (number, (executor, _)) in stores.iter().enumerate() {
        all.push(create(executor, 3 + number, 1).await);
    }
    let mut workers = Vec::new();
    for (executor, _) in &stores {
        workers.push(Working::start(executor));
    }
    for ((executor, tally), created) in stores.iter().zip(&all) {
        all_finish(executor, created, 1).await;
        assert_eq!(tally.steps(), created.len());
        assert_eq!(executor.workers().await.expect("workers").len(), 1);
        let missing = executor.get(&all[0][0]).await.expect("read").is_none();
        assert_eq!(
            missing,
            created[0] != all[0][0],
            "it sees another's program"
        );
    }
    for working in workers {
        working.stop().await;
    }
}

/// A server's URL as this login.
fn as_login(url: &str, login: &str) -> String {
    url.replace("postgres@", &format!("{login}:s3cret@"))
}

#[tokio::test]
async fn the_search_path_of_a_login_does_not_matter() {
    let Some(site) = Site::start(Settings::default().without_fsync()).await else {
        return;
    };
    let fresh = &site.fresh;
    let owner = in_schema(fresh, "work").await;
    let public = fresh.builder().state(Tally::new()).connect().await;
    let public = public.expect("connected");
    for statement in [
        "CREATE ROLE clerk LOGIN",
        "CREATE SCHEMA clerk AUTHORIZATION clerk",
        "ALTER ROLE clerk SET search_path = nowhere, clerk, public",
        "GRANT USAGE ON SCHEMA work, public TO clerk",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA work, public TO clerk",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA work, public TO clerk",
    ] {
        fresh.sql(statement);
    }
    let url = as_login(&site.server.url(), "clerk");
    // With a schema's name it is that one, whatever the path.
    let builder = fresh.builder().database_url(&url).state(Tally::new());
    let clerk = builder.schema("work").connect().await.expect("connected");
    let run_id = Count.create(&clerk).await.expect("created");
    clerk.work_until_ended([&run_id]).await.expect("it works");
    assert_eq!(run_ids(&owner).await, [run_id]);
    // Without one it is what the path leads to: the tables that are there already.
    let builder = fresh.builder().database_url(&url).state(Tally::new());
    let clerk = builder.connect().await.expect("connected");
    let run_id = Count.create(&clerk).await.expect("created");
    clerk.work_until_ended([&run_id]).await.expect("it works");
    assert_eq!(run_ids(&public).await, [run_id]);
    let own = fresh.value("COUNT(*)", "pg_tables WHERE schemaname = 'clerk'");
    assert_eq!(own.as_deref(), Some("0"));
}

/// Runs a command of the application.
fn app(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-app"));
    command.args(arguments).env("DATABASE_URL", url);
    command.env_remove("RUST_LOG").output().expect("it runs")
}

#[tokio::test]
async fn a_login_that_may_not_make_tables_works_where_they_are() {
    let Some(site) = Site::start(Settings::default().without_fsync()).await else {
        return;
    };
    site.fresh.sql("CREATE ROLE clerk LOGIN");
    let url = as_login(&site.server.url(), "clerk");
    let check = app(&url, &["migrate", "--check"]);
    assert_eq!(check.status.code(), Some(1));
    let missing = String::from_utf8(check.stdout).expect("text");
    for part in ["_programs", "_engine"] {
        assert!(missing.contains(part), "{missing}");
    }
    let refused = app(&url, &["migrate"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).expect("text");
    assert!(
        text.contains("permission denied for schema public"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");

    let executor = site.fresh.builder().state(Tally::new()).connect().await;
    let executor = executor.expect("the owner makes them");
    site.fresh
        .sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk");
    let check = app(&url, &["migrate", "--check"]);
    assert_eq!(check.status.code(), Some(0));
    assert_eq!(check.stdout, b"");
    let worker = site.fresh.worker(WORKER).set("DATABASE_URL", &url).start();
    let run_id = Once.create(&executor).await.expect("created");
    all_finish(&executor, &[run_id], 1).await;
    worker.stop().await;
    // With the sequence too, it can do everything.
    let create = || {
        let data = r#"{"greet":{"name":"Ada"}}"#;
        app(&url, &["create", "--jobs", "greet", "--job-data", data])
    };
    let text = String::from_utf8(create().stderr).expect("text");
    assert!(text.contains("permission denied for sequence"), "{text}");
    let sequences = "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk";
    site.fresh.sql(sequences);
    let created = create();
    let text = String::from_utf8(created.stderr).expect("text");
    assert_eq!(created.status.code(), Some(0), "{text}");
}

#[tokio::test]
async fn processes_that_start_at_once_make_the_tables_once() {
    let Some(fresh) = Fresh::only_on(Store::Postgres) else {
        return;
    };
    let logs: Vec<_> = (0..6)
        .map(|number| Log::of(&fresh, &format!("log{number}")))
        .collect();
    let start = |log: &Log| {
        let worker = fresh.worker(WORKER).set("EXECUTOR_SCHEMA", "Fresh one");
        worker.log(log.file()).start()
    };
    let workers: Vec<_> = logs.iter().map(start).collect();
    for log in &logs {
        until("it works", async || !log.lines("working").is_empty()).await;
    }
    let made: usize = logs
        .iter()
        .map(|log| log.lines("upgrading the tables").len())
        .sum();
    let noted = fresh.value("COUNT(*)", "\"Fresh one\".programs_migrations");
    assert_eq!(Some(made.to_string()), noted);
    let executor = in_schema(&fresh, "Fresh one").await;
    let created = executor
        .create_many((0..30).map(|_| Once))
        .await
        .expect("created");
    let created: Vec<_> = created
        .into_iter()
        .map(|it| it.expect("created").run_id)
        .collect();
    all_finish(&executor, &created, 1).await;
    assert_eq!(fresh.ledger().count("start"), 30);
    for worker in workers {
        worker.stop().await;
    }
}
