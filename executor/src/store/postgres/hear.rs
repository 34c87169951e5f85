//! `LISTEN` and `NOTIFY`: how workers of other processes hear that something may be due.
//!
//! The listener has a connection of its own. Whether it still hears is asked by a message to itself,
//! sent over another connection: a half-open connection, or a pooler that hands connections from one
//! client to the next, is found out by the silence. As long as nothing is heard, the bell is rung
//! by the clock, so that a deaf worker is late by a moment, and loses nothing.

use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::StreamExt;
use tokio::{sync::watch, time::timeout};

use super::Postgres;
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        server::{Begin, Inner, Whose, verb},
        sql::{
            Outcome, Session,
            statement::{Statement, sql},
        },
    },
};

/// How often the listener makes sure that it hears; once a lease, where that is shorter.
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// How long it waits for its own message.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the bell rings while nothing is heard.
const POLL: Duration = Duration::from_millis(250);

/// Tells the other processes.
pub(super) async fn ring<S: Session>(
    s: &mut S,
    store: &Inner<Postgres>,
    whose: Whose,
) -> Outcome<()> {
    match whose {
        Whose::Ours => s.texts(message(store)).await.map(drop),
        Whose::Anybodys => notify(s, &store.database.channel, "").await,
    }
}

/// Tells the other processes, in a transaction of its own. No disk has to be waited for: a message
/// that is lost is no loss.
pub(super) fn message(store: &Inner<Postgres>) -> Statement<'static> {
    sql("SELECT set_config('synchronous_commit', 'off', true) || pg_notify(?, ?)::text")
        .text(store.database.channel.to_string())
        .text(store.database.id.to_string())
}

async fn notify<S: Session>(s: &mut S, channel: &str, payload: &str) -> Outcome<()> {
    let notify = sql("SELECT pg_notify(?, ?)::text")
        .text(channel)
        .text(payload);
    s.texts(notify).await.map(drop)
}

/// Passes on what is heard, and never ends.
pub(super) async fn hear(store: &Inner<Postgres>, bell: &watch::Sender<u64>) {
    let mut deaf = Deaf::default();
    loop {
        let heard = listen(store, bell, &mut deaf).await;
        deaf.times = deaf.times.saturating_add(1);
        // Where the whole database is away, the others say so.
        deaf.alone = match answers(store).await {
            true => deaf.alone + 1,
            false => 0,
        };
        if !deaf.told && deaf.alone > 1 {
            deaf.told = true;
            tracing::warn!(
                error = %heard,
                "messages of other workers are not heard; looking for due programs every {POLL:?} \
                 (behind a pooler, set EXECUTOR_LISTEN_URL to the server itself)"
            );
        }
        let deaf = deaf.times;
        let pause = POLL * deaf.min(20);
        let _ = timeout(pause, ring_by_the_clock(bell)).await;
    }
}

/// Since when nothing is heard.
#[derive(Default)]
struct Deaf {
    /// How often listening has failed in a row.
    times: u32,
    /// How often of that the database was there for everything else.
    alone: u32,
    /// Whether it was told.
    told: bool,
}

/// Whether the database is there for everything else.
async fn answers(store: &Inner<Postgres>) -> bool {
    let asked = verb!(store, others, Look, store.deadline, |s| s
        .texts(sql("SELECT ''")));
    asked.is_ok()
}

async fn ring_by_the_clock(bell: &watch::Sender<u64>) {
    loop {
        bell.send_modify(|count| *count = count.wrapping_add(1));
        tokio::time::sleep(POLL).await;
    }
}

/// Listens until it hears nothing any more; why.
async fn listen(store: &Inner<Postgres>, bell: &watch::Sender<u64>, deaf: &mut Deaf) -> Error {
    let connected = async {
        let mut conn = store.database.server.connect_to_listen().await?;
        let listen = format!("LISTEN \"{}\"", store.database.channel);
        conn.batch_execute(&listen).await?;
        Ok::<_, Error>(conn)
    };
    let mut conn = match timeout(
        Duration::from_secs(10),
        ringing(bell, deaf.times, connected),
    )
    .await
    {
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => return error,
        Err(_) => return silence(),
    };
    let mut probes = 0u64;
    loop {
        probes += 1;
        if let Err(error) = probe(store, bell, &mut conn, probes, deaf.times).await {
            return error;
        }
        if deaf.told {
            tracing::info!("messages of other workers are heard again");
        }
        *deaf = Deaf::default();
        // What came before this was not heard.
        bell.send_modify(|count| *count = count.wrapping_add(1));
        let until = tokio::time::Instant::now() + PROBE_EVERY.min(store.deadline * 3);
        while let Ok(message) = tokio::time::timeout_at(until, next(&mut conn)).await {
            match message {
                Ok(payload) => pass_on(store, bell, &payload),
                Err(error) => return error,
            }
        }
    }
}

/// Waits for something; while nothing is heard, the clock rings.
async fn ringing<T>(bell: &watch::Sender<u64>, deaf: u32, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        () = ring_by_the_clock(bell), if deaf > 0 => unreachable!("the clock never stops"),
    }
}

/// Sends itself a message over another connection, and waits for it.
async fn probe(
    store: &Inner<Postgres>,
    bell: &watch::Sender<u64>,
    conn: &mut AsyncPgConnection,
    number: u64,
    deaf: u32,
) -> Result<()> {
    let expected = format!("{} {number}", store.database.id);
    let channel = &store.database.channel;
    ringing(bell, deaf, async {
        verb!(store, others, Look, store.deadline, |s| notify(
            s, channel, &expected
        ))
    })
    .await?;
    let answer = async {
        loop {
            let payload = next(conn).await?;
            if payload == expected {
                return Ok(());
            }
            pass_on(store, bell, &payload);
        }
    };
    match timeout(PATIENCE, ringing(bell, deaf, answer)).await {
        Ok(heard) => heard,
        Err(_) => Err(silence()),
    }
}

fn silence() -> Error {
    Error::new(ErrorKind::Store, "nothing is heard from the database")
}

async fn next(conn: &mut AsyncPgConnection) -> Result<String> {
    match std::pin::pin!(conn.notifications_stream()).next().await {
        Some(Ok(message)) => Ok(message.payload),
        Some(Err(error)) => Err(Error::from(error)),
        None => Err(silence()),
    }
}

/// Rings for a message of somebody else: this process has heard its own already.
fn pass_on(store: &Inner<Postgres>, bell: &watch::Sender<u64>, payload: &str) {
    if !payload.starts_with(&store.database.id.to_string()) {
        bell.send_modify(|count| *count = count.wrapping_add(1));
    }
}
