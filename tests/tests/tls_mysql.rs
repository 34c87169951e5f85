//! Encrypted connections to MySQL and MariaDB: `ssl-mode` means what it means to MySQL's clients.

#[path = "../tls.rs"]
mod tls;
#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use executor::ErrorKind;
use executor_tests::Settings;
use tls::{Words, refused};
use trouble::Site;

type Make = executor_tests::MariaDb;

const WORDS: Words = Words {
    disable: "ssl-mode=disabled",
    prefer: "ssl-mode=preferred",
    require: "ssl-mode=required",
    verify_ca: "ssl-mode=verify_ca",
    verify_full: "ssl-mode=verify_identity",
    nothing: "tcp_nodelay=true",
    authority: "ssl-ca",
    refused_without: "ccess denied",
    has_none: "SSL",
    without_tls: &[("skip-ssl", "1")],
    any_password: false,
};

#[tokio::test]
async fn what_is_wrong_with_the_options_is_said() {
    let Some(site) = Site::<Make>::start(Settings::tls().without_fsync()).await else {
        return;
    };
    let wrong = refused(&site, "ssl-mode=verify_most").await;
    assert_eq!(wrong.kind(), ErrorKind::Configuration);
    assert!(wrong.to_string().contains("verify_identity"), "{wrong}");
    let wrong = refused(&site, "ssl-mode=verify_identity&ssl-ca=/no/such%20file").await;
    assert_eq!(wrong.kind(), ErrorKind::Configuration);
    assert!(wrong.to_string().contains("/no/such file"), "{wrong}");
    let empty = site.fresh.folder().join("empty.pem");
    std::fs::write(&empty, "").expect("written");
    let options = format!("ssl-mode=verify_identity&ssl-ca={}", empty.display());
    let wrong = refused(&site, &options).await;
    assert!(wrong.to_string().contains("no certificate"), "{wrong}");
    let wrong = refused(&site, "ssl-mode=required&no_such_option=1").await;
    assert_eq!(wrong.kind(), ErrorKind::Configuration);
    assert!(wrong.to_string().contains("no_such_option"), "{wrong}");
}
