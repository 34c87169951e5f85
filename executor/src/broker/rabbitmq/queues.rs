//! The queues, and what they are like.
//!
//! A queue of programs is a durable quorum queue: it survives the end of a node, and a cluster keeps it on
//! several. Its delivery limit is given, so that it does not go by the server's version: a permit that
//! comes back so often belongs to workers that die, and its program is found in the store.
//!
//! Queues that are shared with program-executor are as that one declares them: neither durable, and the one
//! from which messages come back after a second gets the dead letters of the other.

use lapin::{
    Channel, Connection, ErrorKind as Kind,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use uuid::Uuid;

use crate::{
    config::{Config, DEFAULT_QUEUE},
    error::{Error, ErrorKind, Result},
};

/// How often a message may come back.
const DELIVERY_LIMIT: i64 = 100;
/// What AMQP takes.
const LONGEST: usize = 255;
/// What the name of the queue ends with to which unreadable messages go.
const DEAD: &str = ".dead";

/// What the name of a queue ends with from which messages come back.
const RETRY: &str = "-retry-1000";
/// After so long, in milliseconds.
const RETRY_AFTER: i32 = 1000;

/// The queues' names.
pub(super) struct Names {
    prefix: String,
    /// Where they are shared with program-executor: the queue of programs that name none.
    shared: Option<String>,
}

impl Names {
    pub(super) fn new(config: &Config) -> Self {
        let prefix = config.amqp_prefix.clone().unwrap_or_else(|| {
            let schema = config.schema.iter().map(|schema| format!("{schema}."));
            schema.collect::<String>() + config.table.as_str() + "."
        });
        let main = || config.worker.names().next().unwrap_or_default();
        Self {
            prefix,
            shared: config.interop.map(|_| main()),
        }
    }

    /// Whether the queues are shared with program-executor.
    pub(super) fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The names of these queues where they are shared.
    pub(super) fn shared(&self, queues: &[String]) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(queues.len());
        for queue in queues {
            let name = self.of(queue);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// All queues that belong to these.
    pub(super) fn all(&self, queues: &[String]) -> Vec<(String, Sort)> {
        if self.are_shared() {
            let names = self.shared(queues).into_iter();
            let two = |name: String| [(Self::retry(&name), Sort::Retry), (name, Sort::Shared)];
            return names.flat_map(two).collect();
        }
        let names = queues.iter().map(|queue| self.of(queue));
        let two = |name: String| [(Self::dead(&name), Sort::Dead), (name, Sort::Programs)];
        names.flat_map(two).collect()
    }

    /// Where its messages wait for a second.
    pub(super) fn retry(name: &str) -> String {
        format!("{name}{RETRY}")
    }

    /// The name of a queue of programs. One that is too long is cut, and told apart by a hash.
    pub(super) fn of(&self, queue: &str) -> String {
        if let Some(main) = &self.shared {
            // It is also the queue of rows that program-executor inserts.
            let queue = if queue == DEFAULT_QUEUE { main } else { queue };
            return queue.to_owned();
        }
        let name = format!("{}{queue}", self.prefix);
        if name.len() + DEAD.len() <= LONGEST {
            return name;
        }
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let mut end = LONGEST - DEAD.len() - 37;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}-{hash}", &name[..end])
    }

    /// Where its unreadable messages go.
    pub(super) fn dead(name: &str) -> String {
        format!("{name}{DEAD}")
    }
}

/// What kind of queue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Programs,
    Dead,
    /// Shared with program-executor.
    Shared,
    /// From which messages come back to such a one.
    Retry,
}

impl Sort {
    fn is_durable(self) -> bool {
        matches!(self, Self::Programs | Self::Dead)
    }

    fn arguments(self, name: &str) -> FieldTable {
        let mut arguments = FieldTable::default();
        if !self.is_durable() {
            let other = match self {
                Self::Retry => name.strip_suffix(RETRY).unwrap_or(name).to_owned(),
                _ => Names::retry(name),
            };
            let text = |text: String| AMQPValue::LongString(text.into());
            arguments.insert("x-dead-letter-exchange".into(), text(String::new()));
            arguments.insert("x-dead-letter-routing-key".into(), text(other));
            if self == Self::Retry {
                let time = AMQPValue::LongInt(RETRY_AFTER);
                arguments.insert("x-message-ttl".into(), time);
            }
            return arguments;
        }
        let quorum = AMQPValue::LongString("quorum".into());
        arguments.insert("x-queue-type".into(), quorum);
        if self == Self::Programs {
            let limit = AMQPValue::LongLongInt(DELIVERY_LIMIT);
            arguments.insert("x-delivery-limit".into(), limit);
        }
        arguments
    }

    fn in_words(self) -> String {
        match self {
            Self::Programs => {
                format!("durable, x-queue-type=quorum, x-delivery-limit={DELIVERY_LIMIT}")
            }
            Self::Dead => "durable, x-queue-type=quorum".to_owned(),
            Self::Shared => format!(
                "classic, not durable, x-dead-letter-exchange=\"\", \
                 x-dead-letter-routing-key=<its name>{RETRY}"
            ),
            Self::Retry => format!(
                "classic, not durable, x-message-ttl={RETRY_AFTER}, x-dead-letter-exchange=\"\", \
                 x-dead-letter-routing-key=<its name without {RETRY}>"
            ),
        }
    }
}

/// Makes the queue where it is missing, on a channel of its own: a refusal closes it.
///
/// # Errors
/// RabbitMQ refuses; where there is such a queue with other arguments, both are told.
pub(super) async fn declare(connection: &Connection, name: &str, sort: Sort) -> Result<()> {
    let asked = async {
        let channel = connection.create_channel().await?;
        declare_on(&channel, name, sort).await?;
        channel.close(200, "declared".into()).await
    };
    asked.await.map_err(|error| explain(name, sort, error))
}

async fn declare_on(channel: &Channel, name: &str, sort: Sort) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        durable: sort.is_durable(),
        ..QueueDeclareOptions::default()
    };
    let arguments = sort.arguments(name);
    let declared = channel.queue_declare(ShortString::from(name), options, arguments);
    declared.await.map(drop)
}

/// How many consumers a queue has that is there.
pub(super) async fn consumers(channel: &Channel, name: &str) -> lapin::Result<u32> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let asked = channel.queue_declare(name.into(), passive, FieldTable::default());
    Ok(asked.await?.consumer_count())
}

fn explain(name: &str, sort: Sort, error: lapin::Error) -> Error {
    const PRECONDITION_FAILED: u16 = 406;
    let message = match error.kind() {
        Kind::ProtocolError(refusal) if refusal.get_id() == PRECONDITION_FAILED => format!(
            "there is a queue {name:?} of another kind ({}), and Executor's is: {}; delete that one, or \
             choose other names with {}",
            refusal.get_message(),
            sort.in_words(),
            if sort.is_durable() {
                "EXECUTOR_AMQP_PREFIX"
            } else {
                "EXECUTOR_QUEUE"
            },
        ),
        _ => format!("the queue {name:?} can't be had"),
    };
    Error::with_source(ErrorKind::Store, message, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_stay_apart() {
        let names = Names::new(&Config::default());
        assert_eq!(names.of("default"), "programs.default");
        assert_eq!(Names::dead("programs.default"), "programs.default.dead");
        let long = |end: &str| names.of(&("é".repeat(200) + end));
        assert!(Names::dead(&long("a")).len() <= LONGEST);
        assert_ne!(long("a"), long("b"));
    }
}
