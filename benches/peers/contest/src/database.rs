use crate::Result;

/// A plain connection, for what is asked of the database beside the contestant.
#[derive(Debug)]
pub struct Database(tokio_postgres::Client);

impl Database {
    /// Connects without TLS.
    ///
    /// # Errors
    ///
    /// - The server cannot be reached, or refuses.
    pub async fn connect(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        // It ends with the client; a lost connection shows at the next query.
        tokio::spawn(connection);
        Ok(Self(client))
    }

    /// Runs statements that return nothing.
    ///
    /// # Errors
    ///
    /// - The server's.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        Ok(self.0.batch_execute(statements).await?)
    }

    /// What a query of one row and one boolean says.
    pub(crate) async fn ask(&self, query: &str) -> Result<bool> {
        Ok(self.0.query_one(query, &[]).await?.try_get(0)?)
    }
}
