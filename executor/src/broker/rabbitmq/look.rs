//! What there is in the queues just now.

use lapin::{Connection, ErrorKind as Kind, options::QueueDeclareOptions, types::FieldTable};

use super::{
    queues::{self, Names},
    wire::Wire,
};
use crate::{
    broker::{QueueHolds, QueueLook},
    error::{Error, ErrorKind, Result},
};

/// Looks at the queues that these names of the store's stand for, on a connection of its own. None is made.
pub(super) async fn look(wire: &Wire, names: &Names, of: &[String]) -> Result<Vec<QueueLook>> {
    let connection = wire.connect("executor, looking at queues").await?;
    let mut looks = Vec::new();
    for (name, sort) in names.all(of) {
        let look = look_at(&connection, name).await?;
        if look.holds.is_some() {
            // Of one that is there, this asks only whether it is of our kind.
            queues::declare(&connection, &look.name, sort).await?;
        }
        looks.push(look);
    }
    // It was good for all that it was for.
    let _ = connection.close(200, "looked".into()).await;
    Ok(looks)
}

async fn look_at(connection: &Connection, name: String) -> Result<QueueLook> {
    const NOT_FOUND: u16 = 404;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let asked = async {
        // A queue that is not there costs the channel.
        let channel = connection.create_channel().await?;
        channel
            .queue_declare(name.as_str().into(), options, FieldTable::default())
            .await
    };
    match asked.await {
        Ok(queue) => Ok(QueueLook {
            name,
            holds: Some(QueueHolds {
                messages: queue.message_count(),
                consumers: queue.consumer_count(),
            }),
        }),
        Err(error) => match error.kind() {
            Kind::ProtocolError(refusal) if refusal.get_id() == NOT_FOUND => {
                Ok(QueueLook { name, holds: None })
            }
            _ => {
                let message = format!("the queue {name:?} can't be looked at");
                Err(Error::with_source(ErrorKind::Store, message, error))
            }
        },
    }
}
