//! A worker whose connections are in the test's hands.

use std::{sync::Arc, time::Duration};

use executor::{Executor, RunId};
use executor_tests::{Fresh, Keeper, Proxy, Working, until};

use crate::{
    Make,
    trouble::{Server, Tally, all_finish, create},
};

/// A worker in this process, behind a proxy.
pub(crate) struct Behind {
    pub(crate) fresh: Fresh,
    pub(crate) proxy: Proxy,
    pub(crate) tally: Arc<Tally>,
    /// Past the proxy.
    pub(crate) executor: Executor,
    /// Through it.
    pub(crate) through: Executor,
    pub(crate) working: Working,
}

impl Behind {
    pub(crate) async fn start(lease: Duration) -> Option<Self> {
        let fresh = Fresh::only_on(Make::STORE)?;
        let proxy = Proxy::to_url(&fresh.url()).await;
        let tally = Tally::new();
        let executor = fresh.builder().state(Arc::clone(&tally));
        let executor = executor.connect().await.expect("connected");
        let through = fresh.builder().state(Arc::clone(&tally)).lease(lease);
        // The proxy reads along.
        let joint = if proxy.url().contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}sslmode=disable", proxy.url());
        let through = through.database_url(url).connect().await;
        let through = through.expect("connected");
        let working = Working::start(&through);
        let warm = create(&executor, 20, 2).await;
        all_finish(&executor, &warm, 2).await;
        Some(Self {
            fresh,
            proxy,
            tally,
            executor,
            through,
            working,
        })
    }

    /// How often a program was claimed.
    pub(crate) fn claims(&self, run_id: &RunId) -> u32 {
        let from = format!("programs WHERE run_id = '{run_id}'");
        let token = self.fresh.value("token", &from).expect("a number");
        token.parse().expect("a number")
    }

    /// Waits until somebody lingers; then the answer is held back, and lost when it has been given.
    pub(crate) async fn lose_the_answer(&mut self, applied: impl AsyncFn() -> bool) {
        until("it is being written", async || {
            let lingering = self.fresh.value("COUNT(*)", Make::LINGERING);
            lingering.expect("a number") != "0"
        })
        .await;
        self.proxy.stall_answers();
        assert!(!applied().await, "it was written before the answer stalled");
        until("it is written", applied).await;
        self.proxy.cut().await;
        self.proxy.resume().await;
    }
}
