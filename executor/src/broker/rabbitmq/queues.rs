//! The queues, and what they are like.
//!
//! A queue of programs is a durable quorum queue: it survives the end of a node, and a cluster keeps it on
//! several. Its delivery limit is given, so that it does not go by the server's version: a permit that
//! comes back so often belongs to workers that die, and its program is found in the store.

use lapin::{
    Channel, Connection, ErrorKind as Kind,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use uuid::Uuid;

use crate::{
    config::Config,
    error::{Error, ErrorKind, Result},
};

/// How often a message may come back.
const DELIVERY_LIMIT: i64 = 100;
/// What AMQP takes.
const LONGEST: usize = 255;
/// What the name of the queue ends with to which unreadable messages go.
const DEAD: &str = ".dead";

/// The queues' names.
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(config: &Config) -> Self {
        let prefix = config.amqp_prefix.clone().unwrap_or_else(|| {
            let schema = config.schema.iter().map(|schema| format!("{schema}."));
            schema.collect::<String>() + config.table.as_str() + "."
        });
        Self { prefix }
    }

    /// The name of a queue of programs. One that is too long is cut, and told apart by a hash.
    pub(super) fn of(&self, queue: &str) -> String {
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
}

impl Sort {
    fn arguments(self) -> FieldTable {
        let mut arguments = FieldTable::default();
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
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let name = ShortString::from(name);
    let declared = channel.queue_declare(name, durable, sort.arguments());
    declared.await.map(drop)
}

fn explain(name: &str, sort: Sort, error: lapin::Error) -> Error {
    const PRECONDITION_FAILED: u16 = 406;
    let message = match error.kind() {
        Kind::ProtocolError(refusal) if refusal.get_id() == PRECONDITION_FAILED => format!(
            "there is a queue {name:?} of another kind ({}), and Executor's is: {}; delete that one, or \
             choose other names with EXECUTOR_AMQP_PREFIX",
            refusal.get_message(),
            sort.in_words(),
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
