//! Encrypted connections to PostgreSQL: `sslmode` means what it means to libpq.

#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use std::{sync::Arc, time::Duration};

use executor::{ErrorKind, Executor, prelude::*};
use executor_tests::{Settings, Working, until};
use trouble::{Count, Site, Tally, all_finish};

const PASSWORD: &str = "s3cret";

/// The server's URL with these options, and a password that nobody may ever read.
fn url(site: &Site, options: &str) -> String {
    let url = site.server.url();
    let login = format!("postgres:{PASSWORD}@");
    format!("{}?{options}", url.replace("postgres@", &login))
}

async fn connect(site: &Site, options: &str) -> executor::Result<Executor> {
    let builder = site.fresh.builder().database_url(url(site, options));
    builder.state(Tally::new()).connect().await
}

/// Why it can't connect so.
async fn refused(site: &Site, options: &str) -> executor::Error {
    let refused = connect(site, options).await.map(drop);
    let refused = refused.expect_err(options);
    for text in [refused.to_string(), format!("{refused:?}")] {
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
    refused
}

/// Connects so, and looks whether the connection is encrypted.
async fn works(site: &Site, options: &str) {
    let executor = connect(site, options).await.expect(options);
    let run_id = Count.create(&executor).await.expect("created");
    let ended = executor
        .work_until_ended([&run_id])
        .await
        .expect("it works");
    assert_eq!(ended[0].step, 1);
}

fn verified(site: &Site, mode: &str) -> String {
    let file = site.server.ca_file().display();
    format!("sslmode={mode}&sslrootcert={file}")
}

#[tokio::test]
async fn a_server_that_demands_tls_is_spoken_to_with_it_alone() {
    let Some(site) = Site::start(Settings::tls().without_fsync()).await else {
        return;
    };
    let text = refused(&site, "sslmode=disable").await.to_string();
    assert!(text.contains("can't be reached"), "{text}");
    assert!(text.contains("no encryption"), "{text}");
    for options in ["sslmode=prefer", "sslmode=require", "connect_timeout=5"] {
        works(&site, options).await;
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        works(&site, &verified(&site, mode)).await;
    }
    // The system's authorities do not know it.
    for options in [
        "sslmode=verify-full",
        "sslmode=verify-ca&sslrootcert=system",
    ] {
        let text = refused(&site, options).await.to_string();
        assert!(text.contains("UnknownIssuer"), "{text}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_options_is_said() {
    let Some(site) = Site::start(Settings::tls().without_fsync()).await else {
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
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(site) = Site::start(Settings::default().without_fsync()).await else {
        return;
    };
    for options in ["sslmode=disable", "sslmode=prefer"] {
        works(&site, options).await;
    }
    for options in ["sslmode=require", "sslmode=verify-full"] {
        let text = refused(&site, options).await.to_string();
        assert!(text.contains("does not support TLS"), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_passes_where_its_name_is_not_checked() {
    let settings = Settings::tls_of("elsewhere.example").without_fsync();
    let Some(site) = Site::start(settings).await else {
        return;
    };
    for options in [verified(&site, "verify-ca"), "sslmode=require".to_owned()] {
        works(&site, &options).await;
    }
    let text = refused(&site, &verified(&site, "verify-full"))
        .await
        .to_string();
    assert!(text.contains("elsewhere.example"), "{text}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let Some(site) = Site::start(Settings::tls_expired().without_fsync()).await else {
        return;
    };
    for mode in ["verify-ca", "verify-full"] {
        let text = refused(&site, &verified(&site, mode)).await.to_string();
        assert!(text.contains("expired"), "{text}");
    }
    works(&site, "sslmode=require").await;
}

#[tokio::test]
async fn messages_are_heard_over_tls() {
    let Some(site) = Site::start(Settings::tls().without_fsync()).await else {
        return;
    };
    let tally = Tally::new();
    let connect = async || {
        let builder = site.fresh.builder().state(Arc::clone(&tally));
        let builder = builder.database_url(url(&site, &verified(&site, "verify-full")));
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
