//! A worker process of the stand-in for program-executor; it is killed, or kills itself.

use executor_tests::{ProgramExecutor, STAND_IN, Sql, StandIn};

#[tokio::main]
async fn main() {
    let url = std::env::var("DATABASE_URL").expect("a database");
    let settings = std::env::var(STAND_IN).expect("settings");
    let settings: StandIn = serde_json::from_str(&settings).expect("settings");
    ProgramExecutor::connect(Sql::at(&url), settings)
        .await
        .work()
        .await;
}
