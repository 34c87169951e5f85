//! Rows that somebody has spoilt by hand end alone (G7).

#[path = "../neighbours.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod neighbours;

use executor::{ProgramData, ProgramState, prelude::*};
use executor_tests::{Store, until};
use neighbours::{Failing, Good, Stage, assert_errored};

/// Reads all that a row can hold for it.
#[job]
async fn reader(data: ProgramData<u32>, field: u32, page: Saved<u32>) -> Result<u32, JobError> {
    Ok(*data + field + *page)
}

#[tokio::test]
async fn a_row_that_somebody_has_spoilt_ends_alone() {
    // What is set by hand, and how the program ends then: with its sum, or with an error.
    const SPOILT: [(&str, Result<u32, &str>); 20] = [
        ("jobs = 'nonsense'", Err("its list of jobs can't be read: ")),
        ("jobs = '{}'", Err("its list of jobs can't be read: ")),
        ("jobs = '[]'", Err("its step is 0, and it has 0 jobs")),
        (
            "jobs = '[\"reder\"]'",
            Err("no job is named \"reder\" in this worker"),
        ),
        (
            "jobs = '[1]'",
            Err("its list of jobs can't be read: at [0]: "),
        ),
        ("step = 99", Err("its step is 99, and it has 1 jobs")),
        ("step = NULL", Ok(12)),
        ("step_retry_count = NULL", Ok(12)),
        ("program_data = 'nonsense'", Err("program data: ")),
        (
            "program_data = '\"seven\"'",
            Err("program data: invalid type: string \"seven\""),
        ),
        ("program_data = NULL", Err("program data: ")),
        ("job_data = 'nonsense'", Err("its job data can't be read: ")),
        ("job_data = '[]'", Err("its job data can't be read: ")),
        (
            "job_data = '{\"reader\": 7}'",
            Err("job data of \"reader\": "),
        ),
        (
            "job_data = '{\"reader\": {\"field\": \"x\"}}'",
            Err("job data of \"reader\": at field: "),
        ),
        ("job_data = NULL", Err("job data of \"reader\": ")),
        ("job_data = x'ff00fe'", Err("its job data can't be read: ")),
        ("outputs = 'nonsense'", Err("its outputs can't be read: ")),
        ("attributes = 'nonsense'", Ok(12)),
        ("errors = 'nonsense'", Ok(12)),
    ];
    let mut stage = Stage::set().await;
    let program = || Program::new(7).then(Reader { field: 5, page: 0 });
    let mut spoilt = Vec::new();
    let mut good = Vec::new();
    let on_sqlite = stage.fresh.store() == Store::Sqlite;
    for (change, end) in SPOILT {
        // A server keeps what is no JSON out by itself.
        if !on_sqlite && (change.contains("nonsense") || change.contains("x'")) {
            continue;
        }
        good.push(stage.create(program()).await);
        let run_id = stage.create(program()).await;
        stage.fresh.sql(&format!(
            "UPDATE programs SET {change} WHERE run_id = '{run_id}'"
        ));
        spoilt.push((run_id, change, end));
    }
    stage.all_good(&good).await;
    for (run_id, change, end) in spoilt {
        let program = stage.ended(&run_id).await;
        match end {
            Ok(sum) => {
                assert_eq!(
                    program.state,
                    ProgramState::Finished,
                    "{change}: {program:?}"
                );
                assert_eq!(program.outputs["reader"], sum, "{change}");
            }
            Err(message) => assert_errored(&program, message),
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_row_without_a_run_id_holds_nobody_up() {
    let mut stage = Stage::set().await;
    stage.create(Good.priority(-1)).await;
    stage
        .create(Good.run_at(std::time::UNIX_EPOCH).priority(-1))
        .await;
    assert_eq!(stage.fresh.sql("UPDATE programs SET run_id = NULL"), 2);
    stage
        .fresh
        .sql("UPDATE programs SET ready = 0 WHERE id = 2");
    let run_id = stage.create(Good).await;
    stage.all_good(&[run_id]).await;
    let unfinished = async || {
        let count = stage
            .fresh
            .value("COUNT(*)", "programs WHERE finished_at IS NULL");
        count.as_deref() == Some("0")
    };
    until("they have run, too", unfinished).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_spoilt_history_of_errors_is_begun_anew() {
    let mut stage = Stage::set().await;
    let on_sqlite = stage.fresh.store() == Store::Sqlite;
    for (column, retry) in [("'nonsense'", true), ("'{}'", false), ("x'ff'", true)] {
        if !on_sqlite && column != "'{}'" {
            continue;
        }
        let run_id = stage.create(Failing { retry }).await;
        let spoil = format!("UPDATE programs SET errors = {column} WHERE run_id = '{run_id}'");
        assert_eq!(stage.fresh.sql(&spoil), 1);
        let program = stage.ended(&run_id).await;
        assert_errored(&program, "it fails");
        assert_eq!(program.errors.len(), 1 + usize::from(retry), "{column}");
        let run_id = stage.create(Good).await;
        stage.all_good(&[run_id]).await;
    }
    stage.stop().await;
}
