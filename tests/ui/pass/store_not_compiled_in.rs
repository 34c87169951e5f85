//! A URL of a database whose store is not compiled in says which feature to add.

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (url, feature) in [
        ("sqlite:app.db", "sqlite"),
        ("postgres://ada:secret@localhost/app", "postgres"),
        ("mysql://ada:secret@localhost/app", "mysql"),
    ] {
        let refused = executor::builder().database_url(url).connect().await;
        let message = refused.map(drop).expect_err("no store").to_string();
        assert!(message.contains(&format!("add the feature {feature:?}")), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
