//! The suite over PostgreSQL, and what is its own: plans.

use super::*;
use crate::{
    config::Share,
    store::{
        Change, Fence, Floor, KnownJobs, Store,
        server::{Cleared, verb},
        sql::{
            control::{CANCEL, RETRY},
            ended::deletion,
            leases,
            statement::{Value, composed},
        },
        suite,
    },
};

/// A store in a schema of its own, which goes with the first of the two.
async fn fresh() -> Option<(Cleared<Postgres>, Arc<dyn Store>)> {
    let (cleared, store) = open_fresh()?;
    Some((cleared, Arc::new(store)))
}

#[allow(clippy::print_stdout, reason = "it is shown where a test fails")]
fn open_fresh() -> Option<(Cleared<Postgres>, ServerStore<Postgres>)> {
    let url = suite::server("EXECUTOR_TEST_POSTGRES")?;
    let schema = format!("executor_suite_{}", uuid::Uuid::new_v4().simple());
    println!("the store is in the schema {schema}");
    let config = Config {
        database_url: url.parse().expect("a URL"),
        schema: Some(schema.clone()),
        ..Config::default()
    };
    let store = open(&config).expect("settings");
    let clear = format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE");
    Some((Cleared::by(&store, clear), store))
}

suite::exercise!(fresh);

/// One scan of the programs' table: the index, and whether it seeks in it.
type Scan = (String, bool);

/// A statement that is prepared on an empty table, on one of a few rows and on a large one has the same
/// scans, all of them by the index that is meant for it.
#[tokio::test]
async fn plans_do_not_depend_on_statistics() {
    let Some((_cleared, store)) = open_fresh() else {
        return;
    };
    store.migrate().await.expect("tables");
    let request = ClaimRequest {
        worker: WorkerId::new(),
        shares: vec![Share::new(["default"], 1000)],
        slots: 1000,
        bytes: 1 << 20,
        lease: Duration::from_secs(15),
        max_crashes: 3,
        jobs: Arc::new(KnownJobs {
            names: ["a", "b"].into_iter().collect(),
            others: false,
        }),
        room: Vec::new(),
        running: Vec::new(),
        suspects: 1,
        floors: Vec::new(),
    };
    let floor = Floor {
        queue: "default".to_owned(),
        job: "a".to_owned(),
        order_key: 7,
        id: 7,
    };
    let further = ClaimRequest {
        shares: request.shares.clone(),
        jobs: Arc::clone(&request.jobs),
        room: Vec::new(),
        running: Vec::new(),
        floors: vec![floor],
        ..request
    };
    // Of the one share from the floor, of the other from the beginning.
    let divided = ClaimRequest {
        shares: vec![Share::new(["default"], 10), Share::new(["other"], 5)],
        jobs: Arc::clone(&further.jobs),
        room: Vec::new(),
        running: Vec::new(),
        floors: further.floors.clone(),
        ..further
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
        let mut statements = vec![
            claim::best(&request),
            claim::best(&further),
            promote::due(true),
            claim::next(),
            leases::far(7),
            heartbeat::renew(request.worker, request.lease, &held),
        ];
        statements.extend(commit::statements(store.texts(), &writes));
        let ended = [ProgramState::Finished, ProgramState::Errored].map(|state| Ended {
            state,
            queue: "default".to_owned(),
            age: Duration::ZERO,
        });
        statements.push(deletion(&[1, 2, 3]));
        let among = " AND id IN (?, ?)";
        let cancel = composed(format!("{CANCEL}{among}")).text("cancelled");
        statements.push(cancel.int(1).int(2));
        let retry = composed(format!("{RETRY}{among}")).int(0).text("a");
        statements.push(retry.int(1).int(7).int(7).int(1).int(2));
        statements.extend(ended.iter().map(|ended| prune::oldest(ended, 1000)));
        statements.push(claim::best(&divided));
        let mut plans = Vec::new();
        for statement in statements {
            plans.push(scans(&store, statement).await);
        }
        seen.push(plans);
    }
    assert_eq!(seen[0], seen[1], "an empty table and a small one");
    assert_eq!(seen[1], seen[2], "a small table and a large one");
    for plan in &seen[0] {
        assert!(!plan.is_empty(), "it reads the table");
        for (index, seeks) in plan {
            // What is due, and what is due next, is the beginning of its index.
            assert!(*seeks || index.ends_with("_due"), "{seen:#?}");
        }
    }
    let only = |at: usize, index: &str| seen[0][at].iter().all(|(name, _)| name.ends_with(index));
    assert!((2..5).all(|at| only(at, "_due")), "{seen:#?}");
    assert!((5..13).all(|at| only(at, "_pkey")), "{seen:#?}");
    assert!(only(13, "_finished_queue"), "{seen:#?}");
    assert!(only(14, "_errored_queue"), "{seen:#?}");
    assert_eq!(seen[0].len(), 16);
}

/// Makes so many programs, some of them running and most of them ended, and lets the planner know.
async fn fill(store: &ServerStore<Postgres>, rows: i64) {
    const FILL: &str = "
        INSERT INTO {t} (run_id, jobs, job, ready, order_key, available_at, lease_until, finished_at)
        SELECT n::text, '[\"a\"]', CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END,
          CASE WHEN n % 10 = 0 THEN 1 ELSE 0 END, n, n, CASE WHEN n % 10 = 1 THEN n END,
          CASE WHEN n % 10 > 1 THEN now() END
        FROM generate_series(1, ?) n";
    let filled = verb!(
        store.inner(),
        others,
        Migration,
        Duration::from_secs(60),
        |s| async {
            if rows > 0 {
                s.run(sql(FILL).int(rows)).await?;
                s.script("ANALYZE {t}").await?;
            }
            Ok(())
        }
    );
    filled.expect("filled");
}

/// The scans of the programs' table in the plan that is kept for a prepared statement.
async fn scans(store: &ServerStore<Postgres>, statement: Statement<'_>) -> Vec<Scan> {
    let types: Vec<&str> = statement
        .values()
        .iter()
        .map(|value| match value {
            Value::Int(_) => "bigint",
            Value::Text(_) => "text",
            Value::Ints(_) => "bigint[]",
            Value::Texts(_) => "text[]",
        })
        .collect();
    let nulls = vec!["NULL"; types.len()].join(", ");
    let mut text = String::new();
    for (at, piece) in store
        .texts()
        .fill(statement.template())
        .split('?')
        .enumerate()
    {
        if at > 0 {
            text.push_str(&format!("${at}"));
        }
        text.push_str(piece);
    }
    let (types, arguments) = match types.is_empty() {
        true => (String::new(), String::new()),
        false => (format!("({})", types.join(", ")), format!("({nulls})")),
    };
    let prepare = format!("PREPARE tested {types} AS {text}");
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE tested{arguments}");
    let plan = verb!(
        store.inner(),
        others,
        Engine,
        Duration::from_secs(60),
        |s| async {
            s.script("SET LOCAL plan_cache_mode = force_generic_plan")
                .await?;
            s.raw(&prepare).await?;
            let plan = s.explained(&explain).await?;
            s.raw("DEALLOCATE tested").await?;
            Ok(plan)
        }
    );
    let plan: serde_json::Value = plan.expect("explained");
    let mut scans = Vec::new();
    collect(&plan, store.texts().names().bare(), &mut scans);
    scans
}

fn collect(plan: &serde_json::Value, table: &str, scans: &mut Vec<Scan>) {
    match plan {
        serde_json::Value::Array(all) => all.iter().for_each(|plan| collect(plan, table, scans)),
        serde_json::Value::Object(node) => {
            let kind = node.get("Node Type").and_then(|kind| kind.as_str());
            let of = node.get("Relation Name").and_then(|name| name.as_str());
            if of == Some(table) && kind != Some("ModifyTable") {
                let index = node.get("Index Name").and_then(|name| name.as_str());
                // A bitmap is made of an index below it.
                if kind != Some("Bitmap Heap Scan") {
                    let index = index.unwrap_or_else(|| panic!("a scan without index: {node:#?}"));
                    scans.push((index.to_owned(), node.contains_key("Index Cond")));
                }
            } else if kind == Some("Bitmap Index Scan")
                && let Some(index) = node.get("Index Name").and_then(|name| name.as_str())
            {
                scans.push((index.to_owned(), node.contains_key("Index Cond")));
            }
            node.values().for_each(|plan| collect(plan, table, scans));
        }
        _ => {}
    }
}

impl PgSession {
    /// A text as it is.
    async fn raw(&mut self, text: &str) -> Outcome<()> {
        let (conn, _, begin) = self.parts();
        if let Some(begin) = begin {
            conn.batch_execute(&begin).await?;
        }
        Ok(conn.batch_execute(text).await?)
    }

    /// The answer to an `EXPLAIN (FORMAT JSON)`.
    async fn explained(&mut self, text: &str) -> Outcome<serde_json::Value> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Json, column_name = "QUERY PLAN")]
            plan: serde_json::Value,
        }
        let (conn, _, _) = self.parts();
        let row: Row = diesel::sql_query(text).get_result(conn).await?;
        Ok(row.plan)
    }
}
