//! What a test leaves behind in a database, cleared away.

use std::sync::Arc;

use super::{Database, Inner, Purpose, ServerStore};

/// What a test leaves behind in a database, cleared away when it is dropped.
pub(in crate::store) struct Cleared<D: Database>(Arc<Inner<D>>, String);

impl<D: Database> Cleared<D> {
    pub(in crate::store) fn by(store: &ServerStore<D>, script: String) -> Self {
        Self(Arc::clone(&store.0), script)
    }
}

impl<D: Database> Drop for Cleared<D> {
    fn drop(&mut self) {
        use diesel_async::SimpleAsyncConnection;

        let (store, script) = (Arc::clone(&self.0), self.1.clone());
        // A runtime of its own: that of the test is about to end.
        let clearing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let conn = store.database.connect(Purpose::Engine).await;
                let mut conn = conn.expect("a connection");
                // Another test's migration may hold up this one; then the schema stays.
                let _ = conn.batch_execute(&script).await;
            });
        });
        let _ = clearing.join();
    }
}
