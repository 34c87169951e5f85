//! The example that new users see first.

use executor_tests::until;

use crate::app::{App, ended, read_until};

#[tokio::test]
async fn the_quickstart_goes_on_after_a_kill() {
    let app = App::quickstart();
    let mut first = app.command(&[]).spawn().expect("it starts");
    let said = read_until(first.stdout.take().expect("piped"), "sent to Grace").await;
    assert!(said.contains("✓ write_mail (2 of 5)"), "{said}");
    first.kill().await.expect("killed");
    let list = app.json(&["list", "--json"]).await;
    let run_id = list[0]["run_id"].as_str().expect("a text");
    until("its worker is gone", async || {
        let shown = app.ok(&["show", run_id]).await;
        // On a server, nobody knows before its lease is over.
        shown.contains("its worker is gone") || shown.contains("no live worker")
    })
    .await;

    let again = app.ok(&[]).await;
    assert!(
        again.starts_with(&format!("going on with {run_id}, step 3 (send_mails)\n")),
        "{again}"
    );
    assert!(
        !again.contains("sent to Ada"),
        "it was sent already: {again}"
    );
    assert!(again.contains("sent to Barbara"), "{again}");
    assert!(again.contains("\"3 of 4 opened it\""), "{again}");
    assert!(again.contains("the program has finished"), "{again}");
    let list = app.ok(&["list"]).await;
    assert!(
        list.contains("campaign") && list.contains("finished"),
        "{list}"
    );
}

#[tokio::test]
async fn the_quickstart_needs_no_settings() {
    let app = App::quickstart();
    let mut command = app.command(&["list"]);
    command.env_remove("DATABASE_URL");
    assert_eq!(ended(command).await.code, Some(0));
    let file = app.fresh.folder().join("quickstart.db");
    assert!(file.exists());
}
