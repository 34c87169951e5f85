//! What a test sees and does of RabbitMQ, past Executor.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

/// A client of RabbitMQ, and queues that no other test has.
pub struct Rabbit {
    url: String,
    prefix: String,
    connection: Connection,
}

impl Rabbit {
    /// On the server that `EXECUTOR_TEST_RABBITMQ` names. `None`: there is none, which is a failure
    /// where `CI` is `true`.
    ///
    /// # Panics
    /// It can't be reached.
    #[allow(clippy::print_stderr, reason = "it is shown with the test's output")]
    pub async fn shared() -> Option<Self> {
        let url = std::env::var("EXECUTOR_TEST_RABBITMQ").ok();
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            let is_ci = std::env::var("CI").as_deref() == Ok("true");
            assert!(!is_ci, "EXECUTOR_TEST_RABBITMQ names no server");
            eprintln!("left out: this test needs RabbitMQ");
            return None;
        };
        Some(Self::at(&url).await)
    }

    /// On the server of this URL.
    ///
    /// # Panics
    /// It can't be reached.
    pub async fn at(url: &str) -> Self {
        let prefix = format!("test-{}.", uuid::Uuid::new_v4().simple());
        Self::on(url, &prefix).await
    }

    /// The same, with queues whose names begin so.
    ///
    /// # Panics
    /// It can't be reached.
    pub async fn on(url: &str, prefix: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await;
        Self {
            url: url.to_owned(),
            prefix: prefix.to_owned(),
            connection: connection.expect("a connection to RabbitMQ"),
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the names of this test's queues begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of a queue in RabbitMQ.
    #[must_use]
    pub fn name(&self, queue: &str) -> String {
        format!("{}{queue}", self.prefix)
    }

    /// A new channel: a refusal closes it.
    ///
    /// # Panics
    /// The connection is gone.
    pub async fn channel(&self) -> Channel {
        // The end of another one, by a refusal, may still be under way, and be told here.
        let mut channel = None;
        crate::until("there is a channel", async || {
            channel = self.connection.create_channel().await.ok();
            channel.is_some()
        })
        .await;
        channel.expect("it was waited for")
    }

    /// How many messages wait in a queue, and how many consumers it has; `None`: there is no such queue.
    pub async fn queue(&self, queue: &str) -> Option<(u32, u32)> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let name = self.name(queue);
        let channel = self.channel().await;
        let declared = channel.queue_declare(name.as_str().into(), passive, FieldTable::default());
        let queue = declared.await.ok()?;
        Some((queue.message_count(), queue.consumer_count()))
    }

    /// Publishes something, whatever it is; it is there when this returns.
    ///
    /// # Panics
    /// It is not.
    pub async fn publish(&self, queue: &str, bodies: &[&[u8]]) {
        let channel = self.channel().await;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        select.await.expect("confirms");
        let name = self.name(queue);
        for bodies in bodies.chunks(1000) {
            let mut confirms = Vec::with_capacity(bodies.len());
            for body in bodies {
                let options = BasicPublishOptions::default();
                let properties = BasicProperties::default().with_delivery_mode(2);
                let name = name.as_str().into();
                let published = channel.basic_publish("".into(), name, options, body, properties);
                confirms.push(published.await.expect("published"));
            }
            for confirm in confirms {
                assert!(confirm.await.expect("confirmed").is_ack());
            }
        }
    }

    /// Takes a message out of a queue: its body, and why it was put aside.
    ///
    /// # Panics
    /// There is no such queue.
    pub async fn get(&self, queue: &str) -> Option<(Vec<u8>, String)> {
        let name = self.name(queue);
        let channel = self.channel().await;
        let get = channel.basic_get(name.as_str().into(), BasicGetOptions { no_ack: true });
        let message = get.await.expect("a queue")?;
        let headers = message.delivery.properties.headers().clone();
        let reason = headers
            .as_ref()
            .and_then(|headers| headers.inner().get("x-reason"));
        let reason = match reason {
            Some(AMQPValue::LongString(reason)) => reason.to_string(),
            _ => String::new(),
        };
        Some((message.delivery.data, reason))
    }

    /// Deletes a queue with all that is in it.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn delete(&self, queue: &str) {
        let name = self.name(queue);
        let channel = self.channel().await;
        let deleted = channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default());
        deleted.await.expect("deleted");
    }
}
