//! `run()`: what an application's `main` comes down to.

use tokio_util::sync::CancellationToken;

#[cfg(not(feature = "cli"))]
use self::plain::enter;
#[cfg(feature = "cli")]
use crate::cli::enter;
use crate::{
    error::{Error, ErrorKind, Result},
    handle::{Builder, Executor, builder},
};

/// Does what the command line says; without one, works until SIGTERM or Ctrl-C.
///
/// It needs no settings: the store is an embedded SQLite file unless `DATABASE_URL` says otherwise.
/// `--help` lists the commands that every application has by this one call. With the feature `cli`
/// left out it always works, and looks at no arguments.
///
/// A worker waits for a database server that is not up yet; all else fails when there is none.
///
/// ```no_run
/// use executor::prelude::*;
///
/// /// Greets somebody.
/// #[job]
/// async fn greet(name: String) -> Result<(), JobError> {
///     println!("hello {name}");
///     Ok(())
/// }
///
/// #[tokio::main]
/// async fn main() -> executor::Result<()> {
///     executor::run().await
/// }
/// ```
///
/// # Errors
/// Whatever the command could not do, in one line; `main` returns it, and the process ends with
/// code 1. A command line that can't be understood ends the process by itself, with code 2.
pub async fn run() -> Result<()> {
    builder().run().await
}

impl Builder {
    /// As [`run`](crate::run()), with these settings. Options of the command line win over them.
    ///
    /// # Errors
    /// As [`run`](crate::run()).
    pub async fn run(self) -> Result<()> {
        Box::pin(enter(self)).await
    }
}

/// Works until the process is asked to end.
pub(crate) async fn work(executor: &Executor) -> Result<()> {
    let asked = |signal| tracing::info!(signal, "asked to end; a second signal ends at once");
    let worked = work_until(executor, std::future::pending::<()>(), asked).await;
    worked.map(drop)
}

/// Works until `done` is ready, or the process is asked to end (SIGTERM, Ctrl-C): then there is no
/// value. `asked` is told, running jobs may end in peace, and a second signal ends the process at
/// once.
pub(crate) async fn work_until<T>(
    executor: &Executor,
    done: impl Future<Output = T>,
    asked: impl FnOnce(&'static str),
) -> Result<Option<T>> {
    let mut signals = signals::Signals::listen()
        .map_err(|e| Error::with_source(ErrorKind::Other, "signals can't be listened to", e))?;
    let stop = CancellationToken::new();
    let mut value = None;
    let shutdown = async {
        tokio::select! {
            done = done => value = Some(done),
            () = stop.cancelled() => {}
        }
    };
    let second_signal = async {
        asked(signals.next().await);
        stop.cancel();
        signals.next().await
    };
    tokio::select! {
        worked = executor.work_until(shutdown) => worked?,
        signal = second_signal => {
            tracing::warn!(signal, "ending at once; unfinished programs go on with the next worker");
            std::process::exit(130);
        }
    }
    Ok(value)
}

#[cfg(not(feature = "cli"))]
mod plain {
    use super::{Builder, Result};

    pub(super) async fn enter(builder: Builder) -> Result<()> {
        super::work(&builder.connect_when_up().await?).await
    }
}

#[cfg(unix)]
mod signals {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// The signals that ask a process to end.
    pub(super) struct Signals {
        interrupt: Signal,
        terminate: Signal,
    }

    impl Signals {
        pub(super) fn listen() -> std::io::Result<Self> {
            let interrupt = signal(SignalKind::interrupt())?;
            Ok(Self {
                interrupt,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        /// The name of the next one.
        pub(super) async fn next(&mut self) -> &'static str {
            tokio::select! {
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.terminate.recv() => "SIGTERM",
            }
        }
    }
}

#[cfg(not(unix))]
mod signals {
    /// The signal that asks a process to end.
    pub(super) struct Signals;

    impl Signals {
        pub(super) fn listen() -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn next(&mut self) -> &'static str {
            // Where Ctrl-C can't be listened to, it ends the process as ever.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            "Ctrl-C"
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_can_be_spawned() {
        fn spawnable(_: impl Future<Output = crate::Result<()>> + Send + 'static) {}
        spawnable(super::run());
    }
}
