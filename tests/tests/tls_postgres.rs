//! Encrypted connections to PostgreSQL: `sslmode` means what it means to libpq.

#[path = "../tls.rs"]
mod tls;
#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use std::{sync::Arc, time::Duration};

use executor::{ErrorKind, prelude::*};
use executor_tests::{Settings, Working, until};
use tls::{Words, refused, url, verified};
use trouble::{Count, Site, Tally, all_finish};

type Make = executor_tests::Postgres;

const WORDS: Words = Words {
    disable: "sslmode=disable",
    prefer: "sslmode=prefer",
    require: "sslmode=require",
    verify_ca: "sslmode=verify-ca",
    verify_full: "sslmode=verify-full",
    nothing: "connect_timeout=5",
    authority: "sslrootcert",
    refused_without: "no encryption",
    has_none: "does not support TLS",
    without_tls: &[],
    any_password: true,
};

#[tokio::test]
async fn what_is_wrong_with_the_options_is_said() {
    let Some(site) = Site::<Make>::start(Settings::tls().without_fsync()).await else {
        return;
    };
    let wrong = refused(&site, "sslmode=verify-most").await;
    assert_eq!(wrong.kind(), ErrorKind::Configuration);
    assert!(wrong.to_string().contains("verify-full"), "{wrong}");
    let wrong = refused(&site, "sslmode=verify-full&sslrootcert=/no/such%20file").await;
    assert_eq!(wrong.kind(), ErrorKind::Configuration);
    assert!(wrong.to_string().contains("/no/such file"), "{wrong}");
    let empty = site.fresh.folder().join("empty.pem");
    std::fs::write(&empty, "").expect("written");
    let options = format!("sslmode=verify-full&sslrootcert={}", empty.display());
    let wrong = refused(&site, &options).await;
    assert!(wrong.to_string().contains("no certificate"), "{wrong}");
    let wrong = refused(&site, "sslmode=require&no_such_option=1").await;
    assert_eq!(wrong.kind(), ErrorKind::Configuration);
    assert!(wrong.to_string().contains("no_such_option"), "{wrong}");
}

#[tokio::test]
async fn messages_are_heard_over_tls() {
    let Some(site) = Site::<Make>::start(Settings::tls().without_fsync()).await else {
        return;
    };
    let tally = Tally::new();
    let connect = async || {
        let builder = site.fresh.builder().state(Arc::clone(&tally));
        let builder = builder.database_url(url(&site, &verified(&site, WORDS.verify_full)));
        builder.connect().await.expect("connected")
    };
    // Two store objects are to each other like two processes.
    let (executor, worker) = (connect().await, connect().await);
    let working = Working::start(&worker);
    let mut took = Duration::MAX;
    until("it hears", async || {
        let created = tokio::time::Instant::now();
        let run_id = Count.create(&executor).await.expect("created");
        until("it runs", async || tally.of(&run_id, 0) == 1).await;
        let last = std::mem::replace(&mut took, created.elapsed());
        // The clock alone rings less often than twice in this time.
        last.max(took) < Duration::from_millis(100)
    })
    .await;
    let run_ids = trouble::create(&executor, 10, 2).await;
    all_finish(&executor, &run_ids, 2).await;
    working.stop().await;
}
