//! What starts by itself, as people look after it.

use executor_tests::until;

use crate::app::App;

#[tokio::test]
async fn schedules_are_set_listed_paused_run_and_deleted() {
    let app = App::new();
    let nothing = app.run(&["schedules"]).await;
    assert_eq!(nothing.stdout, "", "{nothing:?}");
    assert!(nothing.stderr.starts_with("no schedules; "), "{nothing:?}");
    let set = [
        "schedules",
        "set",
        "mornings",
        "--program",
        "yearly",
        "--cron",
        "0 8 * * MON-FRI",
        "--timezone",
        "Europe/Budapest",
        "--catch-up",
        "none",
        "--arguments",
        r#"{"name": "Ada"}"#,
    ];
    assert_eq!(app.ok(&set).await, "mornings set");
    let list = app.ok(&["schedules"]).await;
    assert!(list.starts_with("NAME"), "{list}");
    assert!(
        list.contains("mornings  yearly   0 8 * * MON-FRI  Europe/Budapest  20"),
        "{list}"
    );
    let json = app.json(&["schedules", "--json"]).await;
    assert_eq!(json[0]["next"].as_array().map(Vec::len), Some(5), "{json}");
    assert_eq!(json[0]["source"], "runtime");

    assert_eq!(
        app.ok(&["schedules", "pause", "mornings"]).await,
        "mornings paused"
    );
    assert_eq!(
        app.ok(&["schedules", "pause", "mornings"]).await,
        "mornings was paused already"
    );
    let show = app.ok(&["schedules", "show", "mornings"]).await;
    for line in [
        "  arguments   {\"name\":\"Ada\"}\n",
        "  cron        0 8 * * MON-FRI in Europe/Budapest\n",
        "  from        set at run time\n",
        "until `schedules resume`",
    ] {
        assert!(show.contains(line), "{line} in {show}");
    }
    let run_id = app.ok(&["schedules", "run", "mornings"]).await;
    let _worker = app.work();
    let ended = app.reaches(&run_id, "finished").await;
    assert_eq!(ended["outputs"]["greet"], "hello Ada");
    assert_eq!(ended["attributes"]["schedule"], "mornings");
    assert_eq!(
        app.ok(&["schedules", "resume", "mornings"]).await,
        "mornings resumed"
    );
    assert_eq!(
        app.ok(&["schedules", "resume", "mornings"]).await,
        "mornings was not paused"
    );
    assert_eq!(
        app.ok(&["schedules", "delete", "mornings"]).await,
        "mornings deleted"
    );
    assert_eq!(
        app.ok(&["schedules", "delete", "mornings"]).await,
        "mornings was not there"
    );

    // The worker has written what the code says.
    until("the code's schedule is there", async || {
        app.ok(&["schedules"]).await.contains("yearly")
    })
    .await;
    let show = app.ok(&["schedules", "show", "yearly"]).await;
    assert!(show.contains("  from        the code\n"), "{show}");
    app.ok(&["schedules", "set", "yearly", "--cron", "@daily"])
        .await;
    assert!(app.ok(&["schedules"]).await.ends_with("edited"));
    let show = app.ok(&["schedules", "show", "yearly"]).await;
    assert!(
        show.contains("the code says \"0 0 1 1 *\" in UTC, catching up last;"),
        "{show}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_schedule_is_said() {
    let app = App::new();
    let error = app.fails(&["schedules", "pause", "nope"]).await;
    assert_eq!(error, "no schedule is named \"nope\"");
    let error = app.fails(&["schedules", "show", "nope"]).await;
    assert_eq!(error, "no schedule is named \"nope\"");
    let error = app
        .fails(&["schedules", "set", "yearly", "--cron", "tomorrow"])
        .await;
    assert!(error.starts_with("\"tomorrow\" is no cron line"), "{error}");
    for wrong in [
        ["--catch-up", "some"],
        ["--arguments", "[]"],
        ["--arguments", "{"],
    ] {
        let set = [
            "schedules",
            "set",
            "yearly",
            "--cron",
            "@daily",
            wrong[0],
            wrong[1],
        ];
        let ended = app.run(&set).await;
        assert_eq!(ended.code, Some(2), "{wrong:?}: {ended:?}");
    }
}
