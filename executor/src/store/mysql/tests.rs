//! The suite over MySQL or MariaDB, and what is its own: plans, and migrations that were cut off.

use super::*;
use crate::{
    config::Share,
    store::{
        Change, Fence, Floor, KnownJobs, Store,
        server::{Cleared, verb},
        sql::{
            ended::deletion,
            leases,
            statement::{Value, composed},
        },
        suite,
    },
};

/// A store in a database of its own, which goes with the first of the two.
async fn fresh() -> Option<(Cleared<MySqlServer>, Arc<dyn Store>)> {
    let (cleared, store) = open_fresh()?;
    Some((cleared, Arc::new(store)))
}

#[allow(clippy::print_stdout, reason = "it is shown where a test fails")]
fn open_fresh() -> Option<(Cleared<MySqlServer>, ServerStore<MySqlServer>)> {
    let url = suite::server("EXECUTOR_TEST_MYSQL")?;
    let schema = format!("executor_suite_{}", uuid::Uuid::new_v4().simple());
    println!("the store is in the database {schema}");
    let config = Config {
        database_url: url.parse().expect("a URL"),
        schema: Some(schema.clone()),
        ..Config::default()
    };
    let store = open(&config).expect("settings");
    let clear = format!("DROP DATABASE IF EXISTS `{schema}`");
    Some((Cleared::by(&store, clear), store))
}

suite::exercise!(fresh);

const MINUTE: Duration = Duration::from_secs(60);

/// Runs texts, in which names are filled in.
async fn script(store: &ServerStore<MySqlServer>, texts: &[&str]) {
    let done = verb!(store.inner(), others, Migration, MINUTE, |s| async {
        for text in texts {
            s.script(text).await?;
        }
        Ok(())
    });
    done.expect("done");
}

/// A claim of programs at any job.
fn request(slots: usize) -> ClaimRequest {
    ClaimRequest {
        worker: WorkerId::new(),
        shares: vec![Share::new(["default"], slots)],
        slots,
        bytes: 1 << 20,
        lease: Duration::from_secs(15),
        max_crashes: 3,
        jobs: Arc::new(KnownJobs {
            names: ["a", "b"].into_iter().collect(),
            others: true,
        }),
        room: Vec::new(),
        running: Vec::new(),
        suspects: 1,
        floors: Vec::new(),
    }
}

async fn texts_of(store: &ServerStore<MySqlServer>, query: &'static str) -> Vec<String> {
    let found = verb!(store.inner(), others, Look, MINUTE, |s| s.texts(sql(query)));
    found.expect("read")
}

/// One access to the programs' table: the index, and how it is used.
type Scan = (String, String);

/// A statement has the same plan on an empty table, on one of a few rows and on a large one, all of it by
/// the index that is meant for it, and without a sort before a limit.
#[tokio::test]
async fn plans_do_not_depend_on_statistics() {
    let Some((_cleared, store)) = open_fresh() else {
        return;
    };
    store.migrate().await.expect("tables");
    let request = request(1000);
    let pair = |job: &str, order_key| {
        let floor = Floor {
            queue: "default".to_owned(),
            job: job.to_owned(),
            order_key,
            id: 7,
        };
        claim::Pair::at(&floor, &request)
    };
    let write = |change| StepWrite {
        fence: Fence {
            id: 1,
            token: 1,
            rev: 1,
        },
        change,
        children: Vec::new(),
        ordinal: 0,
        lease: Duration::from_secs(15),
    };
    let writes = [
        write(Change::Advance {
            next: "b".to_owned(),
            outputs: None,
        }),
        write(Change::Finish { outputs: None }),
        write(Change::Save {
            job_data: "{}".to_owned(),
        }),
        write(Change::Snooze {
            after: Duration::ZERO,
        }),
    ];
    let mut seen: Vec<Vec<Vec<Scan>>> = Vec::new();
    for rows in [0, 3, 30_000] {
        fill(&store, rows).await;
        let held = [Held { id: 1, token: 1 }];
        let groups = commit::groups(&writes);
        let ended = Ended {
            state: ProgramState::Finished,
            queue: "default".to_owned(),
            age: Duration::ZERO,
        };
        let mut statements = vec![
            claim::look(&request),
            claim::next_job("default", "a"),
            claim::best(&request, &[pair("a", i64::MIN), pair("b", 7)]),
            claim::lock(&request, &pair("a", i64::MIN), 1000),
            claim::lock(&request, &pair("a", 7), 1000),
            promote::delayed(),
            promote::claimed(true),
            prune::oldest(&ended, 1000),
            leases::far(7),
            // By the key from here on.
            heartbeat::lock(request.worker, &held),
            commit::lock(&groups),
            deletion(&[1, 2, 3]),
        ];
        for group in &groups {
            let alike = |text| crate::store::sql::statement::composed(text);
            statements.push(match group.write(store.texts(), |_| true) {
                Some(commit::Write::Values(statement)) => statement,
                Some(commit::Write::Alike(text)) => alike(text),
                None => panic!("all are locked"),
            });
        }
        let mut plans = Vec::new();
        for statement in statements {
            plans.push(scans(&store, statement).await);
        }
        seen.push(plans);
    }
    assert_eq!(seen[0], seen[1], "an empty table and a small one");
    assert_eq!(seen[1], seen[2], "a small table and a large one");
    for (at, plan) in seen[0].iter().enumerate() {
        let index = if at < 9 { "_wake" } else { "PRIMARY" };
        assert!(!plan.is_empty(), "it reads the table");
        for (name, access) in plan {
            assert!(name.ends_with(index), "{at}: {seen:#?}");
            let seeks = ["const", "eq_ref", "range", "ref"].contains(&access.as_str());
            assert!(seeks, "{at}: {seen:#?}");
        }
    }
}

/// Makes so many programs, some of them running and most of them ended, and lets the optimizer know.
async fn fill(store: &ServerStore<MySqlServer>, rows: i64) {
    const FILL: &str = concat!(
        "INSERT INTO {t} (run_id, jobs, job, ready, order_key, available_at, lease_until, finished_at)
         SELECT wid, '[\"a\"]', CASE WHEN wid % 2 = 0 THEN 'a' ELSE 'b' END,
           CASE WHEN wid % 10 = 0 THEN 1 ELSE 0 END, wid, wid, CASE WHEN wid % 10 = 1 THEN wid END,
           CASE WHEN wid % 10 > 1 THEN {now} END
         FROM ",
        rows::ids!()
    );
    let filled = verb!(store.inner(), others, Look, MINUTE, |s| async {
        if rows > 0 {
            s.run(sql(FILL).text(rows::list(1..=rows))).await?;
            s.texts(sql("ANALYZE TABLE {t}")).await?;
        }
        Ok(())
    });
    filled.expect("filled");
}

/// How a statement reads the programs' table. A plan is made anew each time, from the values.
async fn scans(store: &ServerStore<MySqlServer>, statement: Statement<'_>) -> Vec<Scan> {
    let mut values = statement.values().iter();
    let text = store.texts().fill(statement.template());
    let mut explain = "EXPLAIN FORMAT=JSON ".to_owned();
    for (at, piece) in text.split('?').enumerate() {
        if at > 0 {
            explain.push_str(&match values.next() {
                Some(Value::Int(Some(number))) => number.to_string(),
                Some(Value::Text(Some(text))) => format!("'{}'", text.replace('\'', "''")),
                _ => "NULL".to_owned(),
            });
        }
        explain.push_str(piece);
    }
    let plan = verb!(store.inner(), others, Look, MINUTE, |s| {
        s.texts(crate::store::sql::statement::composed(explain.clone()))
    });
    let plan = plan.expect("explained").concat();
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    let mut scans = Vec::new();
    collect(&plan, store.texts().names().bare(), &mut scans);
    scans
}

fn collect(plan: &serde_json::Value, table: &str, scans: &mut Vec<Scan>) {
    match plan {
        serde_json::Value::Array(all) => all.iter().for_each(|plan| collect(plan, table, scans)),
        serde_json::Value::Object(node) => {
            let text = |key: &str| {
                node.get(key)
                    .and_then(|value| value.as_str())
                    .unwrap_or("none")
            };
            if [table, "p"].contains(&text("table_name")) {
                scans.push((text("key").to_owned(), text("access_type").to_owned()));
            }
            for (key, below) in node {
                // Of the union alone, whose parts are few.
                let sorts = key.contains("filesort") && *below != false;
                assert!(
                    !sorts || node.contains_key("query_specifications"),
                    "{plan:#}"
                );
                collect(below, table, scans);
            }
        }
        _ => {}
    }
}

/// A second migrator finds what the first has left, wherever that was cut off.
#[tokio::test]
async fn a_migration_that_was_cut_off_goes_on() {
    let Some((_cleared, store)) = open_fresh() else {
        return;
    };
    let all = store.migrate().await.expect("tables");
    assert_eq!(all.len(), super::dialect::SCHEMA.migrations.len());
    assert!(store.migrate().await.expect("tables").is_empty());
    // Done, and not noted.
    script(&store, &["DELETE FROM {table migrations}"]).await;
    assert_eq!(store.migrate().await.expect("tables"), all);
    // Cut off in the middle.
    let down = include_str!("../../../../migrations/mysql/2026-11-24-000002_engine/down.sql");
    let some = "DELETE FROM {table migrations} WHERE name NOT LIKE '%programs';
                CREATE TABLE {table queues} (name VARCHAR(255) NOT NULL PRIMARY KEY, paused_at BIGINT)";
    script(&store, &[down, some]).await;
    assert_eq!(store.migrate().await.expect("tables"), all[1..]);
    assert_eq!(store.list(Default::default()).await.expect("read").len(), 0);
}

/// The table of a program-executor that was there before.
#[tokio::test]
async fn a_table_of_program_executor_is_taken_over() {
    const THEIRS: &str = r#"
        CREATE DATABASE {schema};
        CREATE TABLE {t} (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
          run_id VARCHAR(255), program_data JSON, jobs JSON NOT NULL, job_data JSON, step INT DEFAULT 0,
          step_retry_count INT DEFAULT 0, finished_at TIMESTAMP NULL, errored_at TIMESTAMP NULL,
          error_message VARCHAR(255), created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
          updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
        ) DEFAULT CHARSET = latin1;
        CREATE INDEX {name run_id_index} ON {t} (run_id);
        INSERT INTO {t} (run_id, jobs, program_data) VALUES ('1700000000000', '["a"]', '{"x":1}');
        INSERT INTO {t} (run_id, jobs, finished_at) VALUES ('1700000000001', '["a"]', NOW())"#;
    let Some((_cleared, store)) = open_fresh() else {
        return;
    };
    script(&store, &[THEIRS]).await;
    store.migrate().await.expect("tables");
    let theirs = store.get("1700000000000".into()).await.expect("read");
    let theirs = theirs.expect("it stays");
    assert_eq!(theirs.program_data, serde_json::json!({"x": 1}));
    assert_eq!(
        (theirs.state.as_str(), theirs.available_at),
        ("available", None)
    );
    let long = "ü".repeat(300);
    let failed = store.cancel(theirs.run_id.clone(), long.clone()).await;
    assert!(failed.expect("unfinished"));
    let theirs = store
        .get(theirs.run_id)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(theirs.error_message, Some(long));
    let age = theirs.errored_at.expect("ended").as_millis()
        - theirs.created_at.expect("made").as_millis();
    assert!(
        (-1000..60_000).contains(&age),
        "both in one time zone: {age}"
    );
}

/// Texts come back as they were, whatever is in them.
#[tokio::test]
async fn texts_stay_as_they_are() {
    if let Some((_cleared, store)) = open_fresh() {
        texts_stay(&store).await;
    }
}

/// Also where the database holds few characters.
#[tokio::test]
async fn texts_stay_as_they_are_in_a_latin1_database() {
    let Some((_cleared, outside)) = open_fresh() else {
        return;
    };
    script(&outside, &["CREATE DATABASE {schema} CHARACTER SET latin1"]).await;
    let (url, schema) = (
        suite::server("EXECUTOR_TEST_MYSQL"),
        outside.texts().names().schema(),
    );
    let url = url.expect("it is there");
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    let url = format!("{server}/{}", schema.expect("a database of its own"));
    let config = Config {
        database_url: url.parse().expect("a URL"),
        ..Config::default()
    };
    texts_stay(&open(&config).expect("settings")).await;
}

async fn texts_stay(store: &ServerStore<MySqlServer>) {
    store.migrate().await.expect("tables");
    for text in [
        "🦀 'quoted' \"twice\" \\ ? {t} `x`",
        "a\u{0}b",
        "\u{1}\n\t",
        "\\u0041 \\n",
    ] {
        let data =
            serde_json::json!({ "text": text, "number": 1.5, "large": u64::MAX, "null": null });
        let new = || NewProgram {
            run_id: crate::RunId::random(),
            program: crate::program::Checked {
                jobs: vec!["a".into()],
                program_data: data.to_string(),
                job_data: "{}".to_owned(),
                attributes: data.to_string(),
                options: crate::program::Options {
                    unique_key: Some(text.into()),
                    ..Default::default()
                },
            },
            parent: None,
        };
        let mut free = new();
        free.program.options.unique_key = None;
        let run_id = free.run_id.clone();
        let created = store.create(vec![free]).await.expect("reached");
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        let found = store.get(run_id).await.expect("read").expect("there");
        assert_eq!((&found.program_data, &found.attributes), (&data, &data));
        let created = store.create(vec![new(), new()]).await.expect("reached");
        let created: Vec<_> = created.into_iter().map(|c| c.expect("stored")).collect();
        assert!(created[1].existed && created[0].run_id == created[1].run_id);
        let found = store
            .get(created[0].run_id.clone())
            .await
            .expect("read")
            .expect("there");
        assert_eq!(found.program_data, data);
        assert_eq!(found.attributes, data);
        assert_eq!(found.unique_key.as_deref(), Some(text));
        store
            .cancel(found.run_id.clone(), text.to_owned())
            .await
            .expect("unfinished");
        let found = store.get(found.run_id).await.expect("read").expect("there");
        assert_eq!(found.error_message.as_deref(), Some(text));
    }
    let time = texts_of(store, "SELECT CAST({now_ms} AS CHAR)").await;
    let time: u128 = time[0].parse().expect("a number");
    let ours = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("now")
        .as_millis();
    assert!(ours.abs_diff(time) < 60_000, "in UTC");
}

/// A row that some client holds locked holds up nobody else's (SEMANTICS §1.3).
#[tokio::test]
async fn a_locked_row_holds_up_nobody() {
    let Some((_cleared, store)) = open_fresh() else {
        return;
    };
    store.migrate().await.expect("tables");
    let program = |job: &'static str| NewProgram {
        run_id: crate::RunId::random(),
        program: crate::program::Checked {
            jobs: vec![job.into()],
            program_data: "{}".to_owned(),
            job_data: "{}".to_owned(),
            attributes: "{}".to_owned(),
            options: Default::default(),
        },
        parent: None,
    };
    let created = store.create(vec![program("a"), program("a")]).await;
    assert_eq!(created.expect("stored").len(), 2);
    let request = request(2);
    let worker = request.worker;
    let claimed = store.claim(request).await.expect("claimed").programs;
    let [first, second] = [claimed[0].fence, claimed[1].fence];
    let held = |fence: Fence| Held {
        id: fence.id,
        token: fence.token,
    };
    let locked = verb!(store.inner(), others, Engine, MINUTE, |s| async {
        let lock = sql("SELECT CAST(id AS CHAR) FROM {t} WHERE id = ? FOR UPDATE");
        s.texts(lock.int(first.id)).await?;
        let pulses = store.heartbeat(worker, MINUTE, vec![held(first), held(second)]);
        let pulses = pulses.await?;
        let finish = |fence| StepWrite {
            fence,
            change: Change::Finish { outputs: None },
            children: Vec::new(),
            ordinal: 0,
            lease: MINUTE,
        };
        let writes = Arc::new(vec![finish(first), finish(second)]);
        Ok((pulses, store.commit(writes).await?))
    });
    let (pulses, written) = locked.expect("nobody waits");
    assert_eq!(pulses, [Pulse::Locked, Pulse::Alive]);
    assert_eq!(written, [None, Some(crate::store::Written::Committed)]);
}

/// One of many keys is taken between the look and the insert: the others' programs are stored all the same.
#[tokio::test]
async fn a_key_that_is_taken_meanwhile_takes_no_other_along() {
    let Some((_cleared, store)) = open_fresh() else {
        return;
    };
    store.migrate().await.expect("tables");
    let store = Arc::new(store);
    let program = |key: &'static str| NewProgram {
        run_id: crate::RunId::random(),
        program: crate::program::Checked {
            jobs: vec!["a".into()],
            program_data: "{}".to_owned(),
            job_data: "{}".to_owned(),
            attributes: "{}".to_owned(),
            options: crate::program::Options {
                unique_key: Some(key.into()),
                ..Default::default()
            },
        },
        parent: None,
    };
    let quicker = program("k2");
    let creation = verb!(store.inner(), others, Engine, MINUTE, |s| async {
        create::insert(s, &[&quicker], false).await?;
        let creation = tokio::spawn({
            let store = Arc::clone(&store);
            let programs = ["k1", "k2", "k3"].map(program).into();
            async move { store.create(programs).await }
        });
        // It has looked: its insert is there, and meets this one's key.
        let waits = format!(
            "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.processlist
             WHERE id <> CONNECTION_ID() AND info LIKE '%INSERT INTO `{}`%'",
            store.texts().names().schema().unwrap_or_default()
        );
        while s.texts(composed(waits.clone())).await?[0] == "0" {
            tokio::task::yield_now().await;
        }
        Ok(creation)
    });
    let creation = creation.expect("it waits").await.expect("no panic");
    let created: Vec<_> = creation
        .expect("reached")
        .into_iter()
        .map(|one| one.expect("stored"))
        .collect();
    let existed: Vec<_> = created.iter().map(|one| one.existed).collect();
    assert_eq!(existed, [false, true, false], "{created:?}");
    assert_eq!(created[1].run_id, quicker.run_id);
    for one in &created {
        let found = store.get(one.run_id.clone()).await.expect("read");
        assert!(found.is_some(), "{one:?}");
    }
}
