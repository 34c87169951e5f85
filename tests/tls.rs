//! Encrypted connections: what must hold on every make of servers.

use executor::{Executor, prelude::*};
use executor_tests::Settings;

use crate::{
    Make, WORDS,
    trouble::{Count, Site, Tally},
};

/// A make's words for what is asked for.
pub(crate) struct Words {
    pub(crate) disable: &'static str,
    pub(crate) prefer: &'static str,
    pub(crate) require: &'static str,
    pub(crate) verify_ca: &'static str,
    pub(crate) verify_full: &'static str,
    /// An option that says nothing of TLS.
    pub(crate) nothing: &'static str,
    /// The option that names the authority's file.
    pub(crate) authority: &'static str,
    /// How a server that demands TLS refuses.
    pub(crate) refused_without: &'static str,
    /// What is said of a server that has none.
    pub(crate) has_none: &'static str,
    /// What makes a server have none, where it has by itself.
    pub(crate) without_tls: &'static [(&'static str, &'static str)],
    /// Whether anybody may log in with any password.
    pub(crate) any_password: bool,
}

const PASSWORD: &str = "s3cret";

/// The server's URL with these options, and a password that nobody may ever read.
pub(crate) fn url(site: &Site<Make>, options: &str) -> String {
    let url = site.server.url();
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (login, place) = rest.split_once('@').expect("a login");
    let password = if WORDS.any_password { PASSWORD } else { "" };
    format!("{scheme}://{login}:{password}@{place}?{options}")
}

async fn connect(site: &Site<Make>, options: &str) -> executor::Result<Executor> {
    let builder = site.fresh.builder().database_url(url(site, options));
    builder.state(Tally::new()).connect().await
}

/// Why it can't connect so.
pub(crate) async fn refused(site: &Site<Make>, options: &str) -> executor::Error {
    let refused = connect(site, options).await.map(drop);
    let refused = refused.expect_err(options);
    for text in [refused.to_string(), format!("{refused:?}")] {
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
    refused
}

/// Connects so, and looks whether the connection is encrypted.
async fn works(site: &Site<Make>, options: &str) {
    let executor = connect(site, options).await.expect(options);
    let run_id = Count.create(&executor).await.expect("created");
    let ended = executor
        .work_until_ended([&run_id])
        .await
        .expect("it works");
    assert_eq!(ended[0].step, 1);
}

pub(crate) fn verified(site: &Site<Make>, mode: &str) -> String {
    let file = site.server.ca_file().display();
    format!("{mode}&{}={file}", WORDS.authority)
}

#[tokio::test]
async fn a_server_that_demands_tls_is_spoken_to_with_it_alone() {
    let Some(site) = Site::<Make>::start(Settings::tls().without_fsync()).await else {
        return;
    };
    let text = refused(&site, WORDS.disable).await.to_string();
    assert!(text.contains("can't be reached"), "{text}");
    assert!(text.contains(WORDS.refused_without), "{text}");
    for options in [WORDS.prefer, WORDS.require, WORDS.nothing] {
        works(&site, options).await;
    }
    for mode in [WORDS.require, WORDS.verify_ca, WORDS.verify_full] {
        works(&site, &verified(&site, mode)).await;
    }
    // The system's authorities do not know it.
    for options in [WORDS.verify_full, WORDS.verify_ca] {
        let text = refused(&site, options).await.to_string();
        assert!(text.contains("UnknownIssuer"), "{text}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let settings = WORDS.without_tls.iter();
    let settings = settings.fold(
        Settings::default().without_fsync(),
        |settings, (name, value)| settings.set(name, value),
    );
    let Some(site) = Site::<Make>::start(settings).await else {
        return;
    };
    for options in [WORDS.disable, WORDS.prefer] {
        works(&site, options).await;
    }
    for options in [WORDS.require, WORDS.verify_full] {
        let text = refused(&site, options).await.to_string();
        assert!(text.contains(WORDS.has_none), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_passes_where_its_name_is_not_checked() {
    let settings = Settings::tls_of("elsewhere.example").without_fsync();
    let Some(site) = Site::<Make>::start(settings).await else {
        return;
    };
    for options in [verified(&site, WORDS.verify_ca), WORDS.require.to_owned()] {
        works(&site, &options).await;
    }
    let text = refused(&site, &verified(&site, WORDS.verify_full))
        .await
        .to_string();
    assert!(text.contains("elsewhere.example"), "{text}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let Some(site) = Site::<Make>::start(Settings::tls_expired().without_fsync()).await else {
        return;
    };
    for mode in [WORDS.verify_ca, WORDS.verify_full] {
        let text = refused(&site, &verified(&site, mode)).await.to_string();
        assert!(text.contains("expired"), "{text}");
    }
    works(&site, WORDS.require).await;
}
