//! The tables: made at first use, taken over from program-executor, and never harmed.

use std::time::Duration;

use executor::{ErrorKind, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Store, Working, ended};

#[job]
async fn first_job() -> Result<(), JobError> {
    Ok(())
}

/// The table as the knex schema of program-executor makes it, with rows in each state.
fn program_executors(store: Store) -> String {
    let table = match store {
        Store::Sqlite => {
            "CREATE TABLE programs (id integer not null primary key autoincrement,
               run_id varchar(255), jobs json not null, step integer,
               finished_at datetime, errored_at datetime, error_message varchar(255),
               step_retry_count integer default 0, job_data json default '{}',
               program_data json default '{}',
               created_at datetime not null default CURRENT_TIMESTAMP,
               updated_at datetime not null default CURRENT_TIMESTAMP);
             CREATE INDEX programs_run_id_index ON programs (run_id)"
        }
        Store::Postgres => {
            "CREATE TABLE programs (id serial primary key, run_id varchar(255),
               jobs jsonb not null, step integer, finished_at timestamptz,
               errored_at timestamptz, error_message varchar(255),
               step_retry_count integer default '0', job_data jsonb default '{}',
               program_data jsonb default '{}',
               created_at timestamptz not null default CURRENT_TIMESTAMP,
               updated_at timestamptz not null default CURRENT_TIMESTAMP);
             CREATE INDEX programs_run_id_index ON programs (run_id)"
        }
        Store::MySql => {
            "CREATE TABLE programs (id int unsigned not null auto_increment primary key,
               run_id varchar(255), jobs json not null, step int,
               finished_at timestamp null, errored_at timestamp null, error_message varchar(255),
               step_retry_count int default '0', job_data json, program_data json,
               created_at timestamp not null default CURRENT_TIMESTAMP,
               updated_at timestamp not null default CURRENT_TIMESTAMP,
               index programs_run_id_index (run_id))"
        }
    };
    let then = match store {
        Store::Sqlite => "1700000000000",
        Store::Postgres => "'2023-11-14 22:13:20+00'",
        Store::MySql => "from_unixtime(1700000000)",
    };
    format!(
        "{table};
         INSERT INTO programs (run_id, jobs, step, finished_at, job_data, program_data)
           VALUES ('1', '[\"first_job\"]', 1, {then}, '{{}}', '{{}}');
         INSERT INTO programs (run_id, jobs, errored_at, error_message, job_data, program_data)
           VALUES ('2', '[\"first_job\"]', {then}, 'broken', '{{}}', '{{}}');
         INSERT INTO programs (run_id, jobs, program_data, job_data)
           VALUES ('3', '[\"first_job\"]', '{{\"a\":1}}', '{{}}')"
    )
}

/// What somebody else has made in the database before us.
fn batch(fresh: &Fresh, text: &str) {
    for statement in text.split(';') {
        fresh.sql(statement);
    }
}

#[tokio::test]
async fn a_table_of_program_executor_is_taken_over_in_place() {
    let fresh = Fresh::new();
    batch(&fresh, &program_executors(fresh.store()));
    let executor = fresh.builder().connect().await.expect("taken over");
    assert!(executor.migrate().await.expect("twice").is_empty());
    let get = async |run_id: &str| {
        executor
            .get(&RunId::from(run_id))
            .await
            .expect("read")
            .expect("no row is lost")
    };
    let finished = get("1").await;
    assert_eq!(finished.state, ProgramState::Finished);
    assert_eq!(
        finished.finished_at.expect("set").to_string(),
        "2023-11-14T22:13:20.000Z"
    );
    let errored = get("2").await;
    assert_eq!(errored.state, ProgramState::Errored);
    assert_eq!(errored.error_message.as_deref(), Some("broken"));
    assert_eq!(get("3").await.program_data["a"], 1);

    // Nothing old wakes up by itself: the JavaScript side may be about to run it.
    let working = Working::start(&executor);
    let ours = FirstJob.create(&executor).await.expect("created");
    assert_eq!(ended(&executor, &ours).await.state, ProgramState::Finished);
    assert_eq!(get("3").await.step, 0);
    // They count from what is there, and their column has no default.
    let later = FirstJob.run_after(Duration::from_secs(3600));
    let later = later.create(&executor).await.expect("created");
    let of = format!("programs WHERE run_id = '{later}'");
    assert_eq!(fresh.value("step", &of).as_deref(), Some("0"));
    assert_eq!(fresh.value("step_retry_count", &of).as_deref(), Some("0"));
    // Its workers go on inserting, with the columns that they know.
    fresh.sql("INSERT INTO programs (run_id, jobs) VALUES ('4', '[\"first_job\"]')");
    assert_eq!(get("4").await.step, 0);
    // What was errored there can be retried here.
    assert!(executor.retry(&"2".into()).await.expect("errored"));
    assert_eq!(
        ended(&executor, &"2".into()).await.state,
        ProgramState::Finished
    );
    working.stop().await;
}

#[tokio::test]
async fn a_foreign_table_is_left_alone() {
    let fresh = Fresh::new();
    batch(
        &fresh,
        "CREATE TABLE programs (channel TEXT, starts_at TEXT); INSERT INTO programs VALUES ('news', '20:00')",
    );
    let refused = fresh
        .builder()
        .connect()
        .await
        .map(drop)
        .expect_err("not ours");
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(refused.to_string().contains("EXECUTOR_TABLE"), "{refused}");
    assert_eq!(fresh.value("channel", "programs").as_deref(), Some("news"));
    let tables = match fresh.store() {
        Store::Sqlite => "sqlite_schema WHERE type = 'table'",
        Store::Postgres => "pg_tables WHERE schemaname = 'public'",
        Store::MySql => "information_schema.tables WHERE table_schema = DATABASE()",
    };
    assert_eq!(
        fresh.value("COUNT(*)", tables).as_deref(),
        Some("1"),
        "nothing was made"
    );
    fresh
        .builder()
        .table("jobs")
        .connect()
        .await
        .expect("beside it");
}

/// What a newer version has done to the tables.
fn migrated(fresh: &Fresh, name: &str, compatible: u8) {
    fresh.sql(&format!(
        "INSERT INTO programs_migrations (name, compatible, applied_at)
         VALUES ('{name}', {compatible}, CURRENT_TIMESTAMP)"
    ));
}

#[tokio::test]
async fn a_newer_schema_is_refused_where_it_would_do_harm() {
    let fresh = Fresh::new();
    fresh.builder().connect().await.expect("made");
    migrated(&fresh, "2099-01-01-000001_better", 1);
    fresh
        .builder()
        .connect()
        .await
        .expect("older versions may go on");
    migrated(&fresh, "2099-01-01-000002_other", 0);
    let refused = fresh
        .builder()
        .connect()
        .await
        .map(drop)
        .expect_err("newer");
    assert_eq!(refused.kind(), ErrorKind::NewerSchema);
    assert!(
        refused.to_string().contains("2099-01-01-000002_other"),
        "{refused}"
    );
}

#[tokio::test]
async fn table_names_may_be_odd_and_are_quoted() {
    let fresh = Fresh::new();
    let crab = match fresh.store() {
        Store::Sqlite | Store::Postgres => "jobs 🦀",
        // It has no characters as far out as that in its names, and is asked for none.
        Store::MySql => "jobs ∞",
    };
    for name in [crab, "it's \"quoted\"", "select", "x; DROP TABLE y"] {
        let executor = fresh.builder().table(name).connect().await.expect(name);
        let run_id = FirstJob.create(&executor).await.expect(name);
        let ended = executor.work_until_ended([&run_id]).await.expect(name);
        assert_eq!(ended[0].state, ProgramState::Finished);
    }
    for name in ["", "a?b", &"x".repeat(47)] {
        let refused = fresh
            .builder()
            .table(name)
            .connect()
            .await
            .map(drop)
            .expect_err(name);
        assert_eq!(refused.kind(), ErrorKind::Configuration);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_start_at_once_make_the_tables_once() {
    let fresh = Fresh::new();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let builder = fresh.builder();
            tokio::spawn(async move { builder.connect().await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("connected");
    }
    let alone = Fresh::new();
    alone.builder().connect().await.expect("connected");
    let count = |fresh: &Fresh| fresh.value("COUNT(*)", "programs_migrations");
    assert_eq!(count(&fresh), count(&alone));
}

#[tokio::test]
async fn what_cannot_be_a_database_is_said_so() {
    let Some(fresh) = Fresh::only_on(Store::Sqlite) else {
        return;
    };
    let open = async |url: String| {
        executor::builder()
            .database_url(url)
            .connect()
            .await
            .map(drop)
            .expect_err("no database")
    };
    let missing = open(format!("sqlite:{}/no/such/x.db", fresh.folder().display())).await;
    assert!(missing.to_string().contains("does not exist"), "{missing}");
    std::fs::write(
        fresh.file(),
        "some text that is longer than a header of a database file ".repeat(20),
    )
    .expect("written");
    let other = open(fresh.url()).await;
    assert!(other.to_string().contains("not a database"), "{other}");
}
